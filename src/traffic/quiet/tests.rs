use std::net::IpAddr;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const PROBER: &str = "10.0.0.9";

fn peer(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 40_000))
}

fn connection(cookie: u64, received: u64) -> Connection {
    Connection { cookie, port: 80, peer: peer(1), received: Some(received) }
}

fn open(open: &[Connection]) -> Look {
    Look { open: open.to_vec(), ..Look::default() }
}

fn ended(ended: &[Connection]) -> Look {
    Look { ended: ended.to_vec(), ..Look::default() }
}

type Story = (&'static str, Look, Vec<(Look, bool)>);

/// Adds a look each second. Returns the seconds in which data came, and what was counted.
fn play(first: &Look, looks: &[Look]) -> (Vec<u64>, Traffic) {
    play_from(Instant::now(), first, looks)
}

fn play_from(t0: Instant, first: &Look, looks: &[Look]) -> (Vec<u64>, Traffic) {
    let ignored = vec![PROBER.parse().unwrap()];
    let mut traffic = Traffic::new(ignored, first, t0);
    let mut busy = Vec::new();
    for (look, second) in looks.iter().zip(1..) {
        let now = t0 + Duration::from_secs(second);
        traffic.add(look, now);
        if traffic.quiet_since() == now {
            busy.push(second);
        }
    }
    (busy, traffic)
}

/// Each is a story's name, its first look, and the looks after it, with whether each finds traffic.
fn stories() -> [Story; 13] {
    let unread = Connection { received: None, ..connection(0, 0) };
    let ignored = Connection { peer: peer(9), ..connection(1, 500) };
    let missed = Look { missed: true, ..Look::default() };
    let none = Look::default();
    let is_open = |received| open(&[connection(1, received)]);
    let has_ended = |received| ended(&[connection(1, received)]);
    [
        ("nothing", none.clone(), vec![(none.clone(), false)]),
        ("an idle one", is_open(9), vec![(is_open(9), false)]),
        (
            "data on an old one",
            is_open(9),
            vec![(is_open(11), true), (is_open(11), false), (is_open(200), true)],
        ),
        ("a new one", none.clone(), vec![(is_open(90), true), (is_open(90), false)]),
        ("a new one that speaks late", none.clone(), vec![(is_open(0), false), (is_open(2), true)]),
        ("a FIN", is_open(9), vec![(is_open(10), false), (has_ended(10), false)]),
        ("a probe", none.clone(), vec![(is_open(0), false), (has_ended(1), false)]),
        ("a probe between two looks", none.clone(), vec![(has_ended(1), false)]),
        ("a request between two looks", none.clone(), vec![(has_ended(90), true)]),
        ("the last data comes with the end", is_open(9), vec![(has_ended(90), true)]),
        (
            "a byte a look",
            none.clone(),
            vec![(is_open(1), false), (is_open(2), true), (is_open(3), false), (is_open(4), true)],
        ),
        (
            "no count of bytes",
            open(&[unread]),
            vec![(open(&[unread]), true), (open(&[unread]), true), (none.clone(), false)],
        ),
        (
            "missed and ignored",
            none.clone(),
            vec![(missed, true), (open(&[ignored]), false), (ended(&[ignored]), false)],
        ),
    ]
}

#[test]
fn what_is_traffic() {
    for (story, first, looks) in stories() {
        let (looks, expected): (Vec<Look>, Vec<bool>) = looks.into_iter().unzip();
        let expected: Vec<u64> =
            (1..).zip(expected).filter(|(_, busy)| *busy).map(|(second, _)| second).collect();
        assert_eq!(play(&first, &looks).0, expected, "{story}");
    }
}

#[test]
fn probes_are_counted_apart_from_clients() {
    let t0 = Instant::now();
    let after = |seconds| t0 + Duration::from_secs(seconds);
    let late = Connection { peer: peer(2), ..connection(2, 0) };
    let first = open(&[connection(1, 5)]);
    let looks = [
        open(&[connection(1, 5), late]),
        // A probe, while the late one still says nothing.
        Look { ended: vec![connection(3, 1)], ..open(&[connection(1, 5), late]) },
        open(&[connection(1, 5), Connection { received: Some(70), ..late }]),
        open(&[connection(1, 99), Connection { received: Some(70), ..late }]),
    ];
    let (_, traffic) = play_from(t0, &first, &looks);
    let expected = Counts {
        arrived: 2,
        with_data: 1,
        // It arrived before it sent data, and the last data came on one that had been open before.
        last_arrival: Some(Arrival { at: after(1), peer: peer(2) }),
        last_data: Some(Arrival { at: after(4), peer: peer(1) }),
        missed: false,
    };
    assert_eq!(traffic.counts(), expected);
}

#[test]
fn a_connection_that_ended_is_not_tracked() {
    let (_, traffic) = play(&open(&[connection(1, 5)]), &[ended(&[connection(1, 5)])]);
    assert!(traffic.tracked.is_empty());
}

fn connections() -> impl Strategy<Value = Vec<Connection>> {
    let bytes = prop_oneof![4 => (0..6u64).prop_map(Some), 1 => Just(None)];
    let connection = (0..6u64, 8..11u8, bytes).prop_map(|(cookie, host, received)| Connection {
        cookie,
        peer: peer(host),
        received,
        port: 80,
    });
    vec(connection, 0..6).prop_map(|mut connections| {
        // As in the kernel, no two have one cookie.
        connections.sort_by_key(|connection| connection.cookie);
        connections.dedup_by_key(|connection| connection.cookie);
        connections
    })
}

fn looks() -> impl Strategy<Value = Vec<Look>> {
    let look = (connections(), connections(), prop::bool::weighted(0.1));
    let look = look.prop_map(|(open, ended, missed)| Look { open, ended, missed });
    vec(look, 1..12)
}

fn found(traffic: &Traffic) -> (Instant, Counts) {
    (traffic.quiet_since(), traffic.counts())
}

proptest! {
    #[test]
    fn time_goes_forward_and_the_counts_agree(looks in looks()) {
        let t0 = Instant::now();
        let mut traffic = Traffic::new(Vec::new(), &looks[0], t0);
        let mut before = t0;
        for (look, second) in looks[1..].iter().zip(1..) {
            let now = t0 + Duration::from_secs(second);
            traffic.add(look, now);
            let since = traffic.quiet_since();
            prop_assert!(since == before || since == now);
            let counts = traffic.counts();
            prop_assert!(counts.with_data <= counts.arrived);
            prop_assert_eq!(counts.with_data > 0, counts.last_arrival.is_some());
            let last_data = counts.last_data.map(|data| data.at);
            prop_assert!(counts.last_arrival.map(|last| last.at) <= last_data);
            prop_assert!(counts.missed || last_data.unwrap_or(t0) == since);
            before = since;
        }
    }

    #[test]
    fn what_has_not_changed_is_no_traffic(open in connections(), later in 1..9u64) {
        let look = Look { open, ..Look::default() };
        let looks = vec![look.clone(); later as usize];
        let is_uncounted = look.open.iter().any(|connection| {
            connection.received.is_none() && connection.peer != peer(9)
        });
        let (busy, traffic) = play(&look, &looks);
        prop_assert_eq!(busy.is_empty(), !is_uncounted);
        prop_assert_eq!(traffic.counts().arrived, 0);
    }

    #[test]
    fn the_order_of_connections_does_not_matter(looks in looks(), seed in any::<prop::sample::Index>()) {
        let mut turned = looks.clone();
        for look in &mut turned {
            for connections in [&mut look.open, &mut look.ended] {
                let middle = if connections.is_empty() { 0 } else { seed.index(connections.len()) };
                connections.rotate_left(middle);
                connections.reverse();
            }
        }
        let t0 = Instant::now();
        let [one, other] = [&looks, &turned].map(|looks| play_from(t0, &looks[0], &looks[1..]).1);
        prop_assert_eq!(found(&one), found(&other));
    }

    #[test]
    fn an_ignored_peer_never_matters(looks in looks()) {
        let prober: IpAddr = PROBER.parse().unwrap();
        let mut without = looks.clone();
        for look in &mut without {
            look.open.retain(|connection| connection.peer.ip() != prober);
            look.ended.retain(|connection| connection.peer.ip() != prober);
        }
        let t0 = Instant::now();
        let [one, other] = [&looks, &without].map(|looks| play_from(t0, &looks[0], &looks[1..]).1);
        prop_assert_eq!(found(&one), found(&other));
    }
}
