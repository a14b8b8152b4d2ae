use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const PROBER: &str = "10.0.0.9";
const WINDOW: Duration = Duration::from_secs(3);

fn peer(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 40_000))
}

fn connection(cookie: u64, received: u64) -> Connection {
    Connection {
        cookie,
        port: 80,
        peer: peer(1),
        received: Some(received),
        sent: Some(0),
        silent_for: None,
        peer_closed: false,
        app_closed: false,
    }
}

/// What a look finds.
#[derive(Clone, Debug, Default)]
struct Found {
    open: Vec<Connection>,
    ended: Vec<Connection>,
    missed: Option<Missed>,
}

fn open(open: &[Connection]) -> Found {
    Found { open: open.to_vec(), ..Found::default() }
}

fn ended(ended: &[Connection]) -> Found {
    Found { ended: ended.to_vec(), ..Found::default() }
}

fn rules(until: HoldUntil) -> Rules {
    Rules { ignored_peers: vec![PROBER.parse().unwrap()], until, quiet_window: WINDOW }
}

fn look(traffic: &mut Traffic, found: &Found, now: Instant) {
    traffic.begin_look(now);
    found.open.iter().for_each(|connection| traffic.found(connection));
    found.ended.iter().for_each(|connection| traffic.ended(connection));
    found.missed.into_iter().for_each(|why| traffic.miss(why));
    traffic.end_look();
}

/// A look at the beginning, and one each second.
struct Play {
    traffic: Traffic,
    t0: Instant,
    second: u64,
}

impl Play {
    fn new(until: HoldUntil, first: &Found) -> Play {
        let t0 = Instant::now();
        let mut traffic = Traffic::new(rules(until), t0);
        look(&mut traffic, first, t0);
        Play { traffic, t0, second: 0 }
    }

    fn quiet(first: &Found) -> Play {
        Play::new(HoldUntil::Quiet, first)
    }

    fn look(&mut self, found: &Found) -> &mut Play {
        self.second += 1;
        let now = self.now();
        look(&mut self.traffic, found, now);
        self
    }

    fn now(&self) -> Instant {
        self.t0 + Duration::from_secs(self.second)
    }

    fn counts(&self) -> Counts {
        self.traffic.counts(self.now())
    }

    /// Since when it is quiet, in milliseconds. None while something has to be closed.
    fn quiet_since(&self) -> Option<u128> {
        let stops_at = self.traffic.stops_at()?;
        Some((stops_at - (self.t0 + WINDOW)).as_millis())
    }

    fn last_data(&self) -> Option<u128> {
        self.counts().last_data.map(|data| (data.at - self.t0).as_millis())
    }
}

/// The seconds in which data came by these looks.
fn busy(first: &Found, looks: &[Found]) -> Vec<u64> {
    let mut play = Play::quiet(first);
    let mut busy = Vec::new();
    for found in looks {
        play.look(found);
        if play.quiet_since() == Some(u128::from(play.second) * 1000) {
            busy.push(play.second);
        }
    }
    busy
}

type Story = (&'static str, Found, Vec<(Found, bool)>);

/// Each is a story's name, its first look, and the looks after it, with whether each finds traffic.
fn stories() -> [Story; 14] {
    let unread = Connection { received: None, ..connection(0, 0) };
    let ignored = Connection { peer: peer(9), ..connection(1, 500) };
    let missed = Found { missed: Some(Missed::EventsLost), ..Found::default() };
    let none = Found::default();
    let is_open = |received| open(&[connection(1, received)]);
    let has_ended = |received| ended(&[connection(1, received)]);
    [
        ("nothing", none.clone(), vec![(none.clone(), false)]),
        ("an idle one", is_open(9), vec![(is_open(9), false)]),
        (
            "data on an old one",
            is_open(9),
            vec![(is_open(138), true), (is_open(138), false), (is_open(140), true)],
        ),
        ("a new one", none.clone(), vec![(is_open(90), true), (is_open(90), false)]),
        ("a new one that speaks late", none.clone(), vec![(is_open(0), false), (is_open(2), true)]),
        ("a FIN", is_open(9), vec![(is_open(10), false), (has_ended(10), false)]),
        ("a probe", none.clone(), vec![(is_open(0), false), (has_ended(1), false)]),
        ("a probe between two looks", none.clone(), vec![(has_ended(1), false)]),
        ("a request between two looks", none.clone(), vec![(has_ended(2), true)]),
        ("the last data comes with the end", is_open(9), vec![(has_ended(138), true)]),
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
        (
            "four gigabytes",
            is_open(9),
            vec![(is_open((1 << 32) + 8), true), (is_open((1 << 32) + 9), false)],
        ),
    ]
}

#[test]
fn what_is_traffic() {
    for (story, first, looks) in stories() {
        let (looks, expected): (Vec<Found>, Vec<bool>) = looks.into_iter().unzip();
        let expected: Vec<u64> =
            (1..).zip(expected).filter(|(_, busy)| *busy).map(|(second, _)| second).collect();
        assert_eq!(busy(&first, &looks), expected, "{story}");
    }
}

#[test]
fn probes_are_counted_apart_from_clients() {
    let late = Connection { peer: peer(2), ..connection(2, 0) };
    let spoke = Connection { received: Some(70), ..late };
    let mut play = Play::quiet(&open(&[connection(1, 5)]));
    play.look(&open(&[connection(1, 5), late]));
    // A probe, while the late one still says nothing.
    play.look(&Found { ended: vec![connection(3, 1)], ..open(&[connection(1, 5), late]) });
    play.look(&open(&[connection(1, 5), spoke]));
    play.look(&open(&[connection(1, 200), spoke]));
    let arrival = |second, host| {
        let from = Origin { peer: Some(peer(host)), port: 80 };
        Some(Arrival { at: play.t0 + Duration::from_secs(second), from })
    };
    let expected = Counts {
        arrived: 2,
        with_data: 1,
        old_with_data: 1,
        // It arrived before it sent data, and the last data came on one that had been open before.
        last_arrival: arrival(1, 2),
        last_data: arrival(4, 1),
        data: 2,
        longest_gap: Duration::from_secs(3),
        keeper: arrival(4, 1).map(|data| data.from),
        missed: None,
        open: 2,
        active: 2,
    };
    assert_eq!(play.counts(), expected);
    assert_eq!(play.traffic.last_arrival(), expected.last_arrival);
    // The window has passed, and with it whom the hold lasted for.
    let later = play.traffic.counts(play.now() + WINDOW);
    assert_eq!((later.keeper, later.active, later.open), (None, 0, 2));
}

#[test]
fn data_came_when_the_kernel_says() {
    let silent = |cookie, received, milliseconds| Connection {
        silent_for: Some(Duration::from_millis(milliseconds)),
        ..connection(cookie, received)
    };
    let mut play = Play::quiet(&open(&[silent(1, 9, 10)]));
    play.look(&open(&[silent(1, 500, 400)]));
    assert_eq!((play.quiet_since(), play.last_data()), (Some(600), Some(600)));
    // A new one that arrived 300 ms before the look, and speaks by the next.
    play.look(&open(&[silent(2, 0, 300)]));
    play.look(&open(&[silent(2, 90, 100)]));
    assert_eq!((play.quiet_since(), play.last_data()), (Some(2900), Some(2900)));
    let arrival = play.counts().last_arrival.unwrap();
    assert_eq!((arrival.at - play.t0).as_millis(), 1700);
    // It cannot have been before the look before, at which there were fewer bytes, nor before us.
    play.look(&open(&[silent(2, 900, 1500)]));
    assert_eq!(play.quiet_since(), Some(3000));
    play.look(&open(&[silent(2, 1800, u64::MAX)]));
    assert_eq!(play.quiet_since(), Some(4000));
    // Of one that has ended, the time is not known.
    play.look(&ended(&[silent(3, 90, 400)]));
    assert_eq!(play.quiet_since(), Some(6000));
}

fn closed(cookie: u64, received: u64, sent: u64) -> Connection {
    Connection { peer_closed: true, sent: Some(sent), ..connection(cookie, received) }
}

#[test]
fn what_comes_with_the_end_of_an_idle_connection_is_no_traffic() {
    let first = open(&[connection(1, 9)]);
    let at_one = || Play::quiet(&first);
    let since = |play: &mut Play| (play.quiet_since(), play.last_data());
    let quiet = (Some(0), None);
    // A close_notify and the FIN, in one look; the app may be slow to let go.
    let mut play = at_one();
    assert_eq!(since(play.look(&open(&[closed(1, 137, 64)]))), quiet);
    assert_eq!(since(play.look(&open(&[closed(1, 137, 64)]))), quiet);
    assert_eq!(since(play.look(&ended(&[closed(1, 137, 64)]))), quiet);
    assert_eq!(since(at_one().look(&ended(&[connection(1, 137)]))), quiet);
    // One byte more in either direction, or an unknown number.
    let traffic = (Some(1000), Some(1000));
    assert_eq!(since(at_one().look(&open(&[closed(1, 138, 0)]))), traffic);
    assert_eq!(since(at_one().look(&open(&[closed(1, 20, 65)]))), traffic);
    let unknown = Connection { sent: None, ..closed(1, 20, 0) };
    assert_eq!(since(at_one().look(&open(&[unknown]))), traffic);
    // A request whose client sends no more, and which is answered later.
    let mut play = at_one();
    assert_eq!(since(play.look(&open(&[closed(1, 60, 0)]))), quiet);
    assert_eq!(since(play.look(&open(&[closed(1, 60, 500)]))), (Some(2000), Some(2000)));
    // New ones, and those that have just been heard of.
    assert_eq!(since(Play::quiet(&Found::default()).look(&open(&[closed(1, 20, 0)]))), traffic);
    let mut play = at_one();
    play.look(&open(&[connection(1, 300)]));
    play.look(&open(&[connection(1, 300)])).look(&open(&[connection(1, 300)]));
    assert_eq!(since(play.look(&open(&[closed(1, 320, 0)]))), traffic, "idle for the window");
    let mut play = at_one();
    play.look(&open(&[connection(1, 300)])).look(&open(&[connection(1, 300)]));
    assert_eq!(since(play.look(&open(&[closed(1, 320, 0)]))), (Some(3000), Some(3000)));
}

#[test]
fn a_close_that_is_seen_a_look_after_its_bytes() {
    let first = open(&[connection(1, 9)]);
    let mut play = Play::quiet(&first);
    // Until then the hold may not end for the want of it.
    play.look(&open(&[connection(1, 33)]));
    assert_eq!((play.quiet_since(), play.last_data()), (Some(1000), Some(1000)));
    let counts = play.counts();
    assert_eq!((counts.old_with_data, counts.active), (1, 1));
    assert_eq!(counts.longest_gap, Duration::from_secs(1));
    play.look(&open(&[closed(1, 34, 31)]));
    assert_eq!((play.quiet_since(), play.last_data()), (Some(0), None));
    assert_eq!((play.counts().old_with_data, play.counts().active), (0, 0));
    // Ended, and with its event late.
    for looks in [vec![ended(&[closed(1, 34, 31)])], vec![open(&[closed(1, 34, 31)])]] {
        let mut play = Play::quiet(&first);
        play.look(&open(&[connection(1, 33)]));
        looks.iter().for_each(|found| {
            play.look(found);
        });
        assert_eq!(play.quiet_since(), Some(0), "{looks:?}");
    }
    // It is still open, or it has gone without a word: it was a request.
    for next in [open(&[connection(1, 33)]), open(&[connection(1, 50)]), Found::default()] {
        let mut play = Play::quiet(&first);
        play.look(&open(&[connection(1, 33)])).look(&next);
        let since = play.quiet_since().unwrap();
        assert!(since >= 1000, "{next:?}");
        assert_eq!(play.counts().old_with_data, 1, "{next:?}");
        play.look(&Found::default());
        assert_eq!(play.quiet_since(), Some(since), "{next:?}");
    }
    // A list between them that could not be read changes nothing.
    let failed = Found { missed: Some(Missed::ListFailed), ..Found::default() };
    for (next, spoke) in [(ended(&[closed(1, 34, 0)]), 0), (Found::default(), 1)] {
        let mut play = Play::quiet(&first);
        play.look(&open(&[connection(1, 33)])).look(&failed);
        assert_eq!(play.last_data(), Some(1000));
        play.look(&next);
        assert_eq!(play.counts().old_with_data, spoke, "{next:?}");
    }
    // When the kernel says that it came, although the look before comes after that.
    let mut play = Play::quiet(&first);
    play.look(&open(&[connection(1, 33)]));
    let silent_for = Some(Duration::from_millis(1200));
    play.look(&open(&[Connection { silent_for, ..connection(1, 33) }]));
    assert_eq!(play.quiet_since(), Some(800));
    // A list that has it twice shows it at one look only.
    let mut play = Play::quiet(&first);
    play.look(&open(&[connection(1, 33), connection(1, 33)]));
    play.look(&ended(&[closed(1, 34, 0)]));
    assert_eq!(play.quiet_since(), Some(0));
}

#[test]
fn how_long_no_data_came_between_data() {
    let gap = |play: &Play| play.counts().longest_gap.as_millis();
    let mut play = Play::quiet(&Found::default());
    assert_eq!(gap(play.look(&Found::default())), 0, "no data has ended it");
    // It came by the second look, and by the third in four connections.
    assert_eq!(gap(play.look(&open_again(90))), 2000);
    let four: Vec<_> = (2..6).map(|cookie| connection(cookie, 90)).collect();
    assert_eq!(gap(play.look(&ended(&four))), 2000);
    assert_eq!(gap(play.look(&Found::default()).look(&Found::default())), 2000);
    assert_eq!(gap(play.look(&Found::default())), 2000);
    // The looks before it found none.
    assert_eq!(gap(play.look(&ended(&four))), 3000);
    assert_eq!(gap(play.look(&ended(&four[..1]))), 3000);
}

#[test]
fn the_hold_lasts_until_nothing_new_comes() {
    let mut play = Play::new(HoldUntil::NoNew, &open(&[connection(1, 9)]));
    play.look(&open(&[connection(1, 900), connection(2, 90)]));
    assert_eq!(play.quiet_since(), Some(1000));
    let kept = play.counts().keeper;
    play.look(&open(&[connection(1, 9000), connection(2, 900)]));
    assert_eq!((play.quiet_since(), play.last_data()), (Some(1000), Some(2000)));
    assert_eq!((play.counts().keeper, kept.is_some()), (kept, true));
    // One that says nothing yet, until it does.
    play.look(&open(&[connection(3, 0)]));
    assert_eq!(play.quiet_since(), Some(1000));
    play.look(&open(&[connection(3, 10)]));
    assert_eq!(play.quiet_since(), Some(4000));
    play.look(&Found { missed: Some(Missed::NotListed), ..Found::default() });
    assert_eq!(play.quiet_since(), Some(5000));
    assert_eq!(play.traffic.counts(play.now() + WINDOW).keeper, None);
}

#[test]
fn the_hold_lasts_until_all_are_closed() {
    let idle = connection(1, 9);
    let mut play = Play::new(HoldUntil::Closed, &open(&[idle]));
    assert_eq!(play.traffic.stops_at(), None);
    let keeper = play.traffic.counts(play.now() + 2 * WINDOW).keeper;
    assert_eq!(keeper, Some(Origin { peer: Some(peer(1)), port: 80 }));
    // The peer has let go of it, and the app has not.
    play.look(&open(&[Connection { peer_closed: true, ..idle }]));
    assert_eq!(play.traffic.stops_at(), None);
    play.look(&open(&[Connection { app_closed: true, ..idle }]));
    assert_eq!((play.quiet_since(), play.counts().open), (Some(0), 0));
    let ignored = Connection { peer: peer(9), ..connection(4, 0) };
    play.look(&open(&[ignored]));
    assert_eq!(play.quiet_since(), Some(0));
    // What is missing in a list that could not be read is open all the same.
    play.look(&open(&[connection(2, 0)]));
    play.look(&Found { missed: Some(Missed::ListFailed), ..Found::default() });
    assert_eq!((play.traffic.stops_at(), play.counts().open), (None, 1));
    play.look(&Found::default());
    assert_eq!((play.quiet_since(), play.counts().open), (Some(5000), 0));
}

#[test]
fn datagrams_are_traffic_from_nobody() {
    for until in [HoldUntil::Quiet, HoldUntil::NoNew, HoldUntil::Closed] {
        let mut play = Play::new(until, &Found::default());
        play.second = 1;
        play.traffic.begin_look(play.now());
        play.traffic.datagrams(53);
        play.traffic.end_look();
        assert_eq!(play.quiet_since(), Some(1000));
        let Counts { arrived, last_arrival, keeper, .. } = play.counts();
        assert_eq!((arrived, last_arrival), (0, None));
        assert_eq!(keeper, Some(Origin { peer: None, port: 53 }));
    }
}

#[test]
fn what_spoke_shortly_before_the_stop_signal_is_active() {
    let silent = |cookie, received, seconds: u64| Connection {
        silent_for: Some(Duration::from_secs(seconds)),
        ..connection(cookie, received)
    };
    // The last has never said anything, and is as young as that.
    let play = Play::quiet(&open(&[silent(1, 9, 1), silent(2, 9, 4), silent(3, 1, 1)]));
    assert_eq!((play.counts().open, play.counts().active), (3, 1));
    assert_eq!(play.traffic.counts(play.t0 + 2 * WINDOW / 3).active, 0);
    // A new one that has not said anything is open.
    let mut play = Play::quiet(&Found::default());
    play.look(&open(&[connection(1, 0)]));
    assert_eq!((play.counts().open, play.counts().active), (1, 0));
    play.look(&open(&[connection(1, 9)]));
    assert_eq!(play.counts().active, 1);
    // The first look is late, and counts from its own time.
    let t0 = Instant::now();
    let mut traffic = Traffic::new(rules(HoldUntil::Quiet), t0);
    let now = t0 + Duration::from_secs(2);
    look(&mut traffic, &open(&[silent(1, 9, 1)]), now);
    assert_eq!(traffic.counts(now + Duration::from_millis(1999)).active, 1);
    assert_eq!(traffic.counts(now + Duration::from_secs(2)).active, 0);
}

#[test]
fn what_is_gone_is_forgotten() {
    let mut play = Play::quiet(&open(&[connection(1, 9), connection(2, 9)]));
    let tracked = |play: &Play| play.traffic.tracked.iter().count();
    play.look(&ended(&[connection(1, 9)]));
    assert_eq!((tracked(&play), play.counts().open), (1, 0));
    play.look(&ended(&[connection(2, 9)]));
    assert_eq!((tracked(&play), play.counts().arrived), (0, 0), "its event was late");
    play.look(&open(&[connection(3, 9)])).look(&Found::default()).look(&Found::default());
    assert_eq!((tracked(&play), play.counts().arrived), (0, 1));
    // A list that could not be read forgets nothing, twice neither.
    let failed = Found { missed: Some(Missed::ListFailed), ..Found::default() };
    play.look(&open(&[connection(4, 9)])).look(&failed).look(&failed);
    assert_eq!(tracked(&play), 1);
    play.look(&open(&[connection(4, 9)]));
    assert_eq!((tracked(&play), play.counts().arrived), (1, 2));
    play.look(&ended(&[connection(4, 9)]));
    assert_eq!(play.counts().missed, Some(Missed::ListFailed), "the first reason is told");
}

#[test]
fn one_look_may_miss_things_for_two_reasons() {
    let mut play = Play::quiet(&open_again(9));
    for _ in 0..2 {
        play.second += 1;
        play.traffic.begin_look(play.now());
        play.traffic.miss(Missed::ListFailed);
        play.traffic.miss(Missed::EventsLost);
        play.traffic.end_look();
    }
    assert_eq!(play.look(&open_again(9)).counts().arrived, 0, "it was kept");
}

#[test]
fn a_first_list_that_could_not_be_read_is_taken_again() {
    let failed = Found { missed: Some(Missed::ListFailed), ..Found::default() };
    let mut play = Play::quiet(&failed);
    play.look(&open(&[connection(1, 900)]));
    assert_eq!((play.quiet_since(), play.counts().arrived), (Some(0), 0));
}

#[test]
fn one_that_is_listed_twice_counts_once() {
    let mut play = Play::quiet(&Found::default());
    let twice = [connection(1, 0), connection(2, 50), connection(1, 90)];
    play.look(&Found { open: twice.to_vec(), ended: vec![connection(2, 60)], missed: None });
    let Counts { arrived, with_data, open, .. } = play.counts();
    assert_eq!((arrived, with_data, open), (2, 2, 1));
    play.look(&open_again(90));
    assert_eq!((play.quiet_since(), play.counts().with_data), (Some(1000), 2));
}

fn open_again(received: u64) -> Found {
    open(&[connection(1, received)])
}

#[test]
fn ends_at_the_first_look_are_no_arrivals() {
    let both =
        Found { ended: vec![connection(1, 90), connection(2, 9)], ..open(&[connection(1, 9)]) };
    let play = Play::quiet(&both);
    assert_eq!((play.counts().arrived, play.quiet_since()), (0, Some(0)));
}

#[test]
fn more_than_can_be_tracked_is_missed() {
    let mut traffic = Traffic::new(rules(HoldUntil::Quiet), Instant::now());
    let now = Instant::now();
    traffic.begin_look(now);
    let mut cookie = 0;
    while traffic.record.counts.missed.is_none() {
        cookie += 1;
        traffic.found(&connection(cookie, 0));
    }
    traffic.end_look();
    let counts = traffic.counts(now);
    assert_eq!(counts.missed, Some(Missed::TooMany));
    let most = tracked::MAX_TRACKED as u64;
    assert!((most..most + most / 8).contains(&counts.open), "{counts:?}");
}

/// How long the judgement of a look takes; the kernel's list of as many takes some 120 ms.
#[test]
#[ignore = "a measurement: cargo test --release --lib -- --ignored --nocapture judgement"]
fn judgement_of_many_connections() {
    const ALL: u64 = 100_000;
    let t0 = Instant::now();
    // In an order like that of the kernel's hash table.
    let mut all: Vec<_> =
        (1..=ALL).map(|n| connection(n.wrapping_mul(48_271) % 99_991 + n * ALL, 9)).collect();
    all.sort_by_key(|connection| connection.cookie.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut traffic = Traffic::new(rules(HoldUntil::Quiet), t0);
    for (name, count, received) in [
        ("first", 90_000, 9),
        ("idle", 90_000, 9),
        ("with a tenth that is new", 100_000, 9),
        ("busy", 100_000, 900),
    ] {
        let began = Instant::now();
        traffic.begin_look(began);
        for connection in &all[..count] {
            traffic.found(&Connection { received: Some(received), ..*connection });
        }
        traffic.end_look();
        println!("{name}: {:.1?}", began.elapsed());
        assert_eq!(traffic.counts(began).open, count as u64);
    }
}

/// What one connection may do from one look to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Idles,
    /// Some bytes that may belong to its end.
    Whispers,
    Speaks,
    /// The peer closes it, with such bytes.
    Closes,
    /// It ends with such bytes, or with more.
    EndsWhispering,
    EndsSpeaking,
    /// It is neither listed nor has it ended.
    IsMissing,
    /// Nothing is listed.
    ListFails,
}

const MOVES: [Move; 8] = [
    Move::Idles,
    Move::Whispers,
    Move::Speaks,
    Move::Closes,
    Move::EndsWhispering,
    Move::EndsSpeaking,
    Move::IsMissing,
    Move::ListFails,
];

/// Plays the moves of one old connection, and checks what has to hold after each.
fn walk(moves: &[Move]) {
    let mut now = closed(1, 9, 0);
    now.peer_closed = false;
    let mut play = Play::quiet(&open(&[now]));
    let mut whispered_at = None;
    for (number, what) in (1..).zip(moves) {
        let spoke = matches!(what, Move::Speaks | Move::EndsSpeaking);
        let more = match what {
            Move::Whispers | Move::Closes | Move::EndsWhispering if !now.peer_closed => 20,
            _ if spoke => 500,
            _ => 0,
        };
        now.received = now.received.map(|received| received + more);
        now.peer_closed |= *what == Move::Closes;
        let has_ended = matches!(what, Move::EndsWhispering | Move::EndsSpeaking);
        let found = match what {
            Move::IsMissing => Found::default(),
            Move::ListFails => Found { missed: Some(Missed::ListFailed), ..Found::default() },
            _ if has_ended => ended(&[now]),
            _ => open(&[now]),
        };
        let before = play.counts();
        play.look(&found);
        let counts = play.counts();
        let since = play.quiet_since().unwrap();
        let this = u128::from(play.second) * 1000;
        if spoke || *what == Move::ListFails {
            assert_eq!(since, this, "{moves:?} at {number}");
        }
        // It stays open for two looks after a whisper: that was a request.
        if let Some(at) = whispered_at
            && *what == Move::Idles
            && !now.peer_closed
        {
            assert!(since >= at && counts.last_data.is_some(), "{moves:?} at {number}");
        }
        whispered_at = (*what == Move::Whispers).then_some(this);
        assert!(since <= this && counts.open <= 1 && counts.active <= counts.open);
        assert!(counts.old_with_data <= 1 && counts.arrived >= before.arrived);
        assert!(counts.with_data <= counts.arrived);
        if has_ended {
            assert_eq!(play.traffic.tracked.iter().count(), 0, "{moves:?} at {number}");
            return;
        }
    }
    play.look(&Found::default()).look(&Found::default());
    assert_eq!(play.traffic.tracked.iter().count(), 0, "{moves:?}");
}

#[test]
fn every_sequence_of_five_moves() {
    let count = MOVES.len();
    for sequence in 0..count.pow(5) {
        let moves: Vec<Move> = (0..5).map(|at| MOVES[sequence / count.pow(at) % count]).collect();
        walk(&moves);
    }
}

fn connections() -> impl Strategy<Value = Vec<Connection>> {
    let bytes = prop_oneof![4 => (0..6u64).prop_map(|few| Some(few * 40)), 1 => Just(None)];
    let connection = (0..6u64, 8..11u8, bytes, any::<[bool; 2]>());
    let connection = connection.prop_map(|(cookie, host, received, [peer_closed, app_closed])| {
        let peer = peer(host);
        Connection { peer, received, peer_closed, app_closed, ..connection_of(cookie) }
    });
    vec(connection, 0..6).prop_map(|mut connections| {
        // As in the kernel, no two have one cookie.
        connections.sort_by_key(|connection| connection.cookie);
        connections.dedup_by_key(|connection| connection.cookie);
        connections
    })
}

fn connection_of(cookie: u64) -> Connection {
    connection(cookie, 0)
}

fn looks() -> impl Strategy<Value = Vec<Found>> {
    let missed = prop_oneof![9 => Just(None), 1 => Just(Some(Missed::EventsLost))];
    let look = (connections(), connections(), missed);
    let look = look.prop_map(|(open, ended, missed)| Found { open, ended, missed });
    vec(look, 1..12)
}

/// All that shows after each look.
fn outcome(t0: Instant, until: HoldUntil, looks: &[Found]) -> Vec<(Option<Instant>, Counts)> {
    let mut traffic = Traffic::new(rules(until), t0);
    let mut outcome = Vec::new();
    for (found, second) in looks.iter().zip(0..) {
        let now = t0 + Duration::from_secs(second);
        look(&mut traffic, found, now);
        outcome.push((traffic.stops_at(), traffic.counts(now)));
    }
    outcome
}

fn until() -> impl Strategy<Value = HoldUntil> {
    prop_oneof![Just(HoldUntil::Quiet), Just(HoldUntil::NoNew), Just(HoldUntil::Closed)]
}

proptest! {
    #[test]
    fn the_counts_agree(looks in looks(), until in until()) {
        let t0 = Instant::now();
        for ((stops_at, counts), second) in outcome(t0, until, &looks).into_iter().zip(0..) {
            let now = t0 + Duration::from_secs(second);
            prop_assert!(stops_at.is_none_or(|at| at >= t0 + WINDOW && at <= now + WINDOW));
            prop_assert_eq!(stops_at.is_none() && counts.open == 0, false);
            prop_assert!(counts.with_data <= counts.arrived && counts.active <= counts.open);
            prop_assert_eq!(counts.with_data > 0, counts.last_arrival.is_some());
            let last_data = counts.last_data.map(|data| data.at);
            prop_assert!(counts.last_arrival.map(|last| last.at) <= last_data);
            if until == HoldUntil::Quiet && counts.missed.is_none() {
                prop_assert_eq!(stops_at, Some(last_data.unwrap_or(t0) + WINDOW));
            }
        }
    }

    #[test]
    fn what_has_not_changed_is_no_traffic(open in connections(), later in 1..9u64) {
        let found = Found { open, ..Found::default() };
        let looks = vec![found.clone(); later as usize];
        let is_uncounted = found.open.iter().any(|connection| {
            connection.received.is_none() && connection.peer != peer(9)
        });
        prop_assert_eq!(busy(&found, &looks).is_empty(), !is_uncounted);
    }

    #[test]
    fn the_order_of_connections_does_not_matter(
        looks in looks(),
        until in until(),
        seed in any::<prop::sample::Index>(),
    ) {
        let mut turned = looks.clone();
        for look in &mut turned {
            for connections in [&mut look.open, &mut look.ended] {
                let middle = if connections.is_empty() { 0 } else { seed.index(connections.len()) };
                connections.rotate_left(middle);
                connections.reverse();
            }
        }
        let t0 = Instant::now();
        prop_assert_eq!(outcome(t0, until, &looks), outcome(t0, until, &turned));
    }

    #[test]
    fn an_ignored_peer_never_matters(looks in looks(), until in until()) {
        let prober: IpAddr = PROBER.parse().unwrap();
        let mut without = looks.clone();
        for look in &mut without {
            look.open.retain(|connection| connection.peer.ip() != prober);
            look.ended.retain(|connection| connection.peer.ip() != prober);
        }
        let t0 = Instant::now();
        prop_assert_eq!(outcome(t0, until, &looks), outcome(t0, until, &without));
    }
}
