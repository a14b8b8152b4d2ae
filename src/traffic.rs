//! Whether traffic still comes in: looks at the connections and times in, "quiet since" out. No
//! system call, no clock.
//!
//! Traffic is data: a connection that brings none is a probe's, and an idle one is nobody's. The
//! kernel counts the end of what a peer sends (its FIN) as one byte, so one byte more is none.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Instant;

use ipnet::IpNet;

/// An inbound connection as a look found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The kernel's name for its socket, never used twice; 0 where it tells none.
    pub cookie: u64,
    /// Ours.
    pub port: u16,
    /// In IPv4 where it is an IPv4 client of an IPv6 socket.
    pub peer: SocketAddr,
    /// The bytes that came in on it so far, where the kernel tells them.
    pub received: Option<u64>,
}

/// What one look found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Those that are open, in any order.
    pub open: Vec<Connection>,
    /// Those that ended since the last look, as far as the kernel tells them.
    pub ended: Vec<Connection>,
    /// Something may have come and gone that is in neither. It counts as traffic.
    pub missed: bool,
}

/// When something arrived, and from where. The later one is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    pub at: Instant,
    pub peer: SocketAddr,
}

/// The traffic since the stop signal.
#[derive(Debug)]
pub struct Traffic {
    ignored_peers: Vec<Network>,
    known: HashMap<(u64, u16, SocketAddr), Known>,
    quiet_since: Instant,
    /// Connections that came after the stop signal, probes too. This and the next are the least
    /// that there were, where `missed` is set.
    pub arrived: u64,
    /// Those of them that carried data.
    pub with_data: u64,
    /// The last of those with data: a delay until then would have covered them all.
    pub last_arrival: Option<Arrival>,
    /// The last data, on a new connection or an old one: who kept the hold.
    pub last_data: Option<Arrival>,
    /// Some traffic could not be seen.
    pub missed: bool,
}

/// A connection until its end is told, and where no end is ever told, for good.
#[derive(Debug)]
struct Known {
    /// None if it was there at the stop signal.
    arrived_at: Option<Instant>,
    carried_data: bool,
    /// What had come in when it last brought data.
    received: u64,
}

impl Traffic {
    /// Begins at the stop signal, with what is open then.
    pub fn new(ignored_peers: Vec<Network>, first: &Look, at: Instant) -> Traffic {
        let known = |connection: &Connection| {
            let received = connection.received.unwrap_or(0);
            (identity(connection), Known { arrived_at: None, carried_data: false, received })
        };
        Traffic {
            ignored_peers,
            known: first.open.iter().map(known).collect(),
            quiet_since: at,
            arrived: 0,
            with_data: 0,
            last_arrival: None,
            last_data: None,
            missed: false,
        }
    }

    /// Takes in a look. What it found came since the one before, so at the latest now.
    pub fn take(&mut self, look: &Look, now: Instant) {
        // What ended right after it was found open is in both.
        for connection in look.open.iter().chain(&look.ended) {
            self.note(connection, now);
        }
        for connection in &look.ended {
            self.known.remove(&identity(connection));
        }
        if look.missed {
            self.missed = true;
            self.quiet_since = now;
        }
    }

    /// No data came in after this. It says nothing about the time after the last look.
    pub fn quiet_since(&self) -> Instant {
        self.quiet_since
    }

    fn note(&mut self, connection: &Connection, now: Instant) {
        let peer = connection.peer;
        if self.ignored_peers.iter().any(|network| network.contains(peer.ip())) {
            return;
        }
        let known = self.known.entry(identity(connection)).or_insert_with(|| {
            self.arrived += 1;
            Known { arrived_at: Some(now), carried_data: false, received: 0 }
        });
        match connection.received {
            Some(received) if received <= known.received.saturating_add(1) => return,
            Some(received) => known.received = received,
            // Nothing gets shorter because we cannot tell.
            None => {}
        }
        self.quiet_since = now;
        self.last_data = self.last_data.max(Some(Arrival { at: now, peer }));
        if let Some(at) = known.arrived_at
            && !known.carried_data
        {
            self.with_data += 1;
            self.last_arrival = self.last_arrival.max(Some(Arrival { at, peer }));
        }
        known.carried_data = true;
    }
}

/// Without a cookie, both ends tell a connection from the others that are open.
fn identity(connection: &Connection) -> (u64, u16, SocketAddr) {
    (connection.cookie, connection.port, connection.peer)
}

/// The addresses of a network, `10.0.0.0/8`, or a single one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// An IPv4 address is in a network that is written as IPv6 too: `::ffff:10.0.0.0/104`.
    fn contains(&self, address: IpAddr) -> bool {
        let in_ipv6 = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().into(),
            IpAddr::V6(_) => address,
        };
        [address, in_ipv6].iter().any(|address| self.0.contains(address))
    }
}

/// Not an address, nor one of a network.
#[derive(Debug, PartialEq, Eq)]
pub struct NoNetwork;

impl fmt::Display for NoNetwork {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("write an address or a network, such as 10.0.0.1, 10.0.0.0/8 or fd00::/8")
    }
}

impl std::error::Error for NoNetwork {}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Network, NoNetwork> {
        let text = text.trim();
        let network = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse());
        network.map(Network).map_err(|_| NoNetwork)
    }
}

#[cfg(test)]
mod tests {
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

    type Story<'a> = (&'a str, Look, &'a [(Look, bool)]);

    /// Takes in a look a second, and tells when data came, in seconds, and what is counted.
    fn play(first: &Look, looks: &[Look]) -> (Vec<u64>, Traffic) {
        play_from(Instant::now(), first, looks)
    }

    fn play_from(t0: Instant, first: &Look, looks: &[Look]) -> (Vec<u64>, Traffic) {
        let ignored = vec![PROBER.parse().unwrap()];
        let mut traffic = Traffic::new(ignored, first, t0);
        let mut busy = Vec::new();
        for (look, second) in looks.iter().zip(1..) {
            let now = t0 + Duration::from_secs(second);
            traffic.take(look, now);
            if traffic.quiet_since() == now {
                busy.push(second);
            }
        }
        (busy, traffic)
    }

    #[test]
    fn what_is_traffic() {
        let unread = Connection { received: None, ..connection(0, 0) };
        let ignored = Connection { peer: peer(9), ..connection(1, 500) };
        let missed = Look { missed: true, ..Look::default() };
        let none = Look::default();
        // The looks, and for each whether it is traffic.
        let stories: [Story; 13] = [
            ("nothing", none.clone(), &[(none.clone(), false)]),
            ("an idle one", open(&[connection(1, 9)]), &[(open(&[connection(1, 9)]), false)]),
            (
                "data on an old one",
                open(&[connection(1, 9)]),
                &[
                    (open(&[connection(1, 11)]), true),
                    (open(&[connection(1, 11)]), false),
                    (open(&[connection(1, 200)]), true),
                ],
            ),
            (
                "a new one",
                none.clone(),
                &[(open(&[connection(1, 90)]), true), (open(&[connection(1, 90)]), false)],
            ),
            (
                "a new one that speaks late",
                none.clone(),
                &[(open(&[connection(1, 0)]), false), (open(&[connection(1, 2)]), true)],
            ),
            (
                "a FIN",
                open(&[connection(1, 9)]),
                &[(open(&[connection(1, 10)]), false), (ended(&[connection(1, 10)]), false)],
            ),
            (
                "a probe",
                none.clone(),
                &[(open(&[connection(1, 0)]), false), (ended(&[connection(1, 1)]), false)],
            ),
            ("a probe between two looks", none.clone(), &[(ended(&[connection(1, 1)]), false)]),
            ("a request between two looks", none.clone(), &[(ended(&[connection(1, 90)]), true)]),
            (
                "the last data comes with the end",
                open(&[connection(1, 9)]),
                &[(ended(&[connection(1, 90)]), true)],
            ),
            (
                "a byte a look",
                none.clone(),
                &[
                    (open(&[connection(1, 1)]), false),
                    (open(&[connection(1, 2)]), true),
                    (open(&[connection(1, 3)]), false),
                    (open(&[connection(1, 4)]), true),
                ],
            ),
            (
                "no count of bytes",
                open(&[unread]),
                &[(open(&[unread]), true), (open(&[unread]), true), (none.clone(), false)],
            ),
            (
                "missed and ignored",
                none.clone(),
                &[(missed, true), (open(&[ignored]), false), (ended(&[ignored]), false)],
            ),
        ];
        for (story, first, looks) in stories {
            let (looks, expected): (Vec<Look>, Vec<bool>) = looks.iter().cloned().unzip();
            let expected: Vec<u64> =
                (1..).zip(expected).filter(|(_, busy)| *busy).map(|(second, _)| second).collect();
            assert_eq!(play(&first, &looks).0, expected, "{story}");
        }
    }

    #[test]
    fn the_counts_tell_probes_from_clients() {
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
        assert_eq!((traffic.arrived, traffic.with_data, traffic.missed), (2, 1, false));
        // It arrived before it spoke, and what spoke last had been there before.
        assert_eq!(traffic.last_arrival, Some(Arrival { at: after(1), peer: peer(2) }));
        assert_eq!(traffic.last_data, Some(Arrival { at: after(4), peer: peer(1) }));
    }

    #[test]
    fn an_end_that_is_told_is_forgotten() {
        let (_, traffic) = play(&open(&[connection(1, 5)]), &[ended(&[connection(1, 5)])]);
        assert!(traffic.known.is_empty());
    }

    #[test]
    fn networks_as_people_write_them() {
        for (text, inside, outside) in [
            ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
            (" 10.1.2.3/8 ", "10.255.0.1", "11.0.0.1"),
            ("0.0.0.0/0", "192.0.2.1", "::1"),
            ("::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.1"),
            ("::ffff:10.0.0.1", "10.0.0.1", "::1"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("::1", "::1", "::2"),
        ] {
            let network: Network = text.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{text}");
            assert!(!network.contains(outside.parse().unwrap()), "{text}");
        }
        for text in ["", "x", "10.0.0", "10.0.0.0/33", "::/129", "10.0.0.1:80", "/8", "10.0.0.0/"] {
            assert_eq!(text.parse::<Network>(), Err(NoNetwork), "{text}");
        }
    }

    fn connections() -> impl Strategy<Value = Vec<Connection>> {
        let bytes = prop_oneof![4 => (0..6u64).prop_map(Some), 1 => Just(None)];
        let connection = (0..6u64, 8..11u8, bytes).prop_map(|(cookie, host, received)| {
            Connection { cookie, peer: peer(host), received, port: 80 }
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

    fn counted(traffic: &Traffic) -> impl PartialEq + fmt::Debug {
        let Traffic { arrived, with_data, last_arrival, last_data, missed, .. } = *traffic;
        (traffic.quiet_since(), arrived, with_data, last_arrival, last_data, missed)
    }

    proptest! {
        #[test]
        fn time_goes_forward_and_the_counts_agree(looks in looks()) {
            let t0 = Instant::now();
            let mut traffic = Traffic::new(Vec::new(), &looks[0], t0);
            let mut before = t0;
            for (look, second) in looks[1..].iter().zip(1..) {
                let now = t0 + Duration::from_secs(second);
                traffic.take(look, now);
                let since = traffic.quiet_since();
                prop_assert!(since == before || since == now);
                prop_assert!(traffic.with_data <= traffic.arrived);
                prop_assert_eq!(traffic.with_data > 0, traffic.last_arrival.is_some());
                let last_data = traffic.last_data.map(|data| data.at);
                prop_assert!(traffic.last_arrival.map(|last| last.at) <= last_data);
                prop_assert!(traffic.missed || last_data.unwrap_or(t0) == since);
                before = since;
            }
        }

        #[test]
        fn what_has_not_changed_is_no_traffic(open in connections(), later in 1..9u64) {
            let look = Look { open, ..Look::default() };
            let looks = vec![look.clone(); later as usize];
            let untold = look.open.iter().any(|connection| {
                connection.received.is_none() && connection.peer != peer(9)
            });
            let (busy, traffic) = play(&look, &looks);
            prop_assert_eq!(busy.is_empty(), !untold);
            prop_assert_eq!(traffic.arrived, 0);
        }

        #[test]
        fn the_order_of_rows_does_not_matter(looks in looks(), seed in any::<prop::sample::Index>()) {
            let mut turned = looks.clone();
            for look in &mut turned {
                for rows in [&mut look.open, &mut look.ended] {
                    let middle = if rows.is_empty() { 0 } else { seed.index(rows.len()) };
                    rows.rotate_left(middle);
                    rows.reverse();
                }
            }
            let t0 = Instant::now();
            let [one, other] = [&looks, &turned].map(|looks| play_from(t0, &looks[0], &looks[1..]).1);
            prop_assert_eq!(counted(&one), counted(&other));
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
            prop_assert_eq!(counted(&one), counted(&other));
        }

        #[test]
        fn an_address_is_a_network_of_one(address in any::<IpAddr>(), other in any::<IpAddr>()) {
            let network: Network = address.to_string().parse().unwrap();
            prop_assert!(network.contains(address.to_canonical()));
            let same = other.to_canonical() == address.to_canonical();
            prop_assert_eq!(network.contains(other.to_canonical()), same);
        }
    }
}
