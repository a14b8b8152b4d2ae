//! The watch over one hold: looks at the traffic from time to time, and knows when that has stopped.
//! What it needs is opened at the stop signal and closed when the hold ends.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use crate::span::Span;
use crate::traffic::counts::{Counts, Missed};
use crate::traffic::gateway;
use crate::traffic::listening::{Knowledge, Listening};
use crate::traffic::network::Network;
use crate::traffic::proc_net::DatagramCount;
use crate::traffic::quiet::{Rules, Traffic};
use crate::traffic::seen::{HoldTraffic, Seen};
use crate::traffic::servers::Ports;
use crate::traffic::sources::{Sighting, SocketSource};
use crate::traffic::unseen::UnseenReason;

/// How long it has to be quiet until traffic has stopped, unless `--quiet-window` says otherwise.
pub const QUIET_WINDOW: Duration = Duration::from_secs(3);

/// The pause between two parts of a search for the owners of sockets: of the first one, which a hold that
/// may end waits for, and of later ones, for what listens since.
const SEARCH_PAUSES: [Duration; 2] = [Duration::from_millis(4), Duration::from_millis(50)];

/// What is to be watched.
#[derive(Clone, Debug)]
pub struct WatchConfig {
    pub rules: Rules,
    pub ports: Ports,
    pub ignored_ports: Vec<u16>,
    /// The rules are to ignore those from whom a node's probes come.
    pub ignores_gateway: bool,
}

impl WatchConfig {
    /// Has the rules ignore them, as they are before the app is started. Where they cannot be found,
    /// that is a warning.
    pub fn find_gateway(&mut self) {
        if !self.ignores_gateway {
            return;
        }
        match gateway::probers() {
            Ok(found) => {
                let names: Vec<String> = found.iter().map(IpAddr::to_string).collect();
                debug!(event = "gateway", "ignoring what comes from {}", names.join(", "));
                self.rules.ignored_peers.extend(found.into_iter().map(Network::from));
            }
            Err(why) => warn!(event = "no_gateway", "--ignore-peer gateway ignores nobody: {why}"),
        }
    }
}

/// When a hold begins, when it may end, and when it has to.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub began_at: Instant,
    pub may_end_at: Instant,
    pub ends_at: Instant,
}

impl Times {
    fn may_end_early(&self) -> bool {
        self.may_end_at < self.ends_at
    }
}

/// How a hold ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldEnds {
    WithForward,
    /// The app has ended.
    WithApp,
    /// On-stop hooks ran until SIGKILL.
    WithKill,
}

/// The watch over one hold.
pub struct Watch {
    times: Times,
    quiet_window: Duration,
    next_at: Option<Instant>,
    /// None where neither netlink nor /proc/net can be read.
    source: Option<SocketSource>,
    listening: Listening,
    /// Whether it is known which ports are the app's, or was at a look before.
    knows_owners: bool,
    traffic: Traffic,
    /// What was open at the stop signal has been taken in.
    has_begun: bool,
    /// How many datagrams came in by the last look, once there is a UDP server.
    datagrams: Option<DatagramCount>,
    /// Why traffic could not be seen, and until when; None while it cannot.
    unseen: Option<(UnseenReason, Option<Instant>)>,
    /// It was said that it cannot be known whose the ports are.
    guess_said: bool,
    /// The longest time that a look took: what it found may be as much younger.
    look_took: Duration,
}

impl Watch {
    /// Begins with a first look. The helpers are processes of ours beside the app.
    pub fn begin(config: &WatchConfig, helpers: &[i32], times: Times) -> Watch {
        let began_at = times.began_at;
        let mut watch = Watch {
            times,
            quiet_window: config.rules.quiet_window,
            next_at: None,
            source: None,
            listening: Listening::new(config.ports.clone(), config.ignored_ports.clone()),
            knows_owners: false,
            traffic: Traffic::new(config.rules.clone(), began_at),
            has_begun: false,
            datagrams: None,
            unseen: None,
            guess_said: false,
            look_took: Duration::ZERO,
        };
        match SocketSource::open() {
            Ok(source) => {
                watch.source = Some(source);
                watch.look(helpers, || began_at);
                watch.look_took = began_at.elapsed();
                if times.may_end_at <= began_at && watch.traffic_has_stopped(began_at) {
                    watch.next_at = Some(began_at);
                }
            }
            Err(error) => watch.note(Some(UnseenReason::Refused(error.to_string())), began_at),
        }
        watch
    }

    /// When to look next.
    pub fn next_at(&self) -> Option<Instant> {
        self.next_at
    }

    /// The longest time that a look took.
    pub fn look_took(&self) -> Duration {
        self.look_took
    }

    /// Looks once. It takes a millisecond, and more where there are thousands of connections.
    pub fn look(&mut self, helpers: &[i32], clock: impl Fn() -> Instant) {
        let began_at = clock();
        self.next_at = None;
        let Some(mut source) = self.source.take() else { return };
        // Until a search is done, what is new counts as the app's.
        let is_over = self.listening.go_on();
        if is_over {
            self.find_servers(&mut source, helpers, began_at);
        }
        if is_over || self.knows_owners {
            self.look_from(&mut source, began_at);
        }
        let now = clock();
        self.look_took = self.look_took.max(now.saturating_duration_since(began_at));
        self.next_at = self.next_look(&source, now);
        self.source = Some(source);
    }

    fn find_servers(&mut self, source: &mut SocketSource, helpers: &[i32], now: Instant) {
        let listing = match source.list_servers(&self.listening) {
            Ok(listing) => listing,
            Err(error) => return self.note(Some(UnseenReason::Refused(error.to_string())), now),
        };
        if self.listening.refresh(listing, helpers) == Knowledge::Known {
            self.knows_owners = true;
            self.note(self.listening.servers().unseen.clone(), now);
            self.say_guess();
        }
    }

    fn look_from(&mut self, source: &mut SocketSource, now: Instant) {
        source.watch(&self.listening.servers().tcp_ports);
        if self.has_begun && !self.knows_owners {
            // What comes meanwhile is found once it is known where to look.
            return;
        }
        let before = self.traffic.last_arrival();
        let received = self.datagrams();
        self.traffic.begin_look(now);
        match received {
            Ok(port) => port.into_iter().for_each(|port| self.traffic.datagrams(port)),
            Err(_) => self.traffic.miss(Missed::ListFailed),
        }
        let missed = source.look(&mut |sighting| match sighting {
            Sighting::Open(connection) => self.traffic.found(&connection),
            Sighting::Ended(connection) => self.traffic.ended(&connection),
        });
        missed.into_iter().for_each(|why| self.traffic.miss(why));
        self.traffic.end_look();
        self.has_begun = true;
        if let Some(last) = self.traffic.last_arrival().filter(|last| Some(*last) != before) {
            let at = Span(last.at.saturating_duration_since(self.times.began_at));
            debug!(event = "arrival", "+{at} a connection from {}", last.from);
        }
    }

    /// The UDP port on which something came in since the last look; of several servers that of one.
    fn datagrams(&mut self) -> io::Result<Option<u16>> {
        let servers = self.listening.servers();
        let Some(server) = servers.udp.first() else { return Ok(None) };
        let came = match &mut self.datagrams {
            Some(count) => count.growth()? > 0,
            none => {
                *none = Some(DatagramCount::read()?);
                false
            }
        };
        Ok((came || servers.udp_queued).then_some(server.port))
    }

    /// Notes whether traffic can be seen, and says it where it cannot.
    fn note(&mut self, unseen: Option<UnseenReason>, now: Instant) {
        let Times { began_at, ends_at, .. } = self.times;
        let Some(why) = unseen else {
            if let Some((_, until)) = &mut self.unseen {
                until.get_or_insert(now);
            }
            return;
        };
        if self.unseen.is_none() && self.times.may_end_early() {
            let latest = Span(ends_at.saturating_duration_since(began_at));
            warn!(
                event = "unseen",
                "the hold lasts until +{latest}, for traffic cannot be seen: {why}"
            );
        }
        self.unseen = Some((why, None));
    }

    /// Says that the traffic of others may hold the stop signal back too.
    fn say_guess(&mut self) {
        let servers = self.listening.servers();
        let matters = self.times.may_end_early() && !servers.tcp_ports.is_empty();
        if servers.guessed && matters && !self.guess_said {
            self.guess_said = true;
            let ports: Vec<String> = servers.tcp_ports.iter().map(u16::to_string).collect();
            warn!(
                event = "guessed_ports",
                "it cannot be seen which ports are the app's: watching {} (--traffic-port names them)",
                ports.join(", ")
            );
        }
    }

    /// After the pause that the source wants, but no later than when traffic may turn out to have
    /// stopped. The last one comes shortly before the hold ends, to see what the forward may end, and
    /// not so shortly that it could be in its way; one more comes after the forward.
    fn next_look(&self, source: &SocketSource, now: Instant) -> Option<Instant> {
        const IN_THE_WAY: Duration = Duration::from_millis(50);
        let in_the_way = IN_THE_WAY.max(self.look_took * 2);
        let pause = match (self.listening.is_searching(), self.knows_owners) {
            (true, false) => return Some(now + SEARCH_PAUSES[0]),
            (true, true) => SEARCH_PAUSES[1].max(self.look_took * 50),
            (false, _) => source.pause(),
        };
        let paused_until = now + pause;
        let may_stop_at = self.stops_at().map(|at| at.max(self.times.may_end_at));
        let next_at = match may_stop_at.filter(|at| *at > now) {
            Some(at) => at.min(paused_until),
            None => paused_until,
        };
        let last_at = self.times.ends_at.checked_sub(in_the_way)?;
        // With a fixed delay only the report wants to know, and then the look after the forward is enough.
        let is_idle = self.listening.servers().are_none() && !self.times.may_end_early();
        (now < last_at && !is_idle).then_some(next_at.min(last_at))
    }

    /// When traffic will have stopped, if no more comes than was seen at the last look.
    fn stops_at(&self) -> Option<Instant> {
        let seen_from = match &self.unseen {
            Some((_, until)) => (*until)?,
            None => self.times.began_at,
        };
        if !self.knows_owners {
            return None;
        }
        if self.listening.servers().are_none() {
            return Some(seen_from);
        }
        let stops_at = self.traffic.stops_at()? + self.look_took;
        Some(stops_at.max(seen_from + self.quiet_window))
    }

    /// Whether nothing has come in for the quiet window.
    pub fn traffic_has_stopped(&self, now: Instant) -> bool {
        self.stops_at().is_some_and(|at| at <= now)
    }

    /// The hold ends now: what ends after it is of no interest, and may be very much.
    pub fn stop(&mut self) {
        if let Some(source) = &self.source {
            source.stop();
        }
    }

    /// Ends the watch with a last look, and returns what was seen in the hold.
    pub fn end(mut self, ended_at: Instant, hold_ends: HoldEnds) -> HoldTraffic {
        // What the forward ends is not open any more after it.
        let before = self.traffic.counts(ended_at);
        // Nor can be seen of an app that has ended whose the ports were.
        let mut source = self.source.take();
        if let Some(source) = &mut source {
            self.look_from(source, ended_at);
        }
        let unseen = self.unseen.map(|(why, _)| why.to_string());
        let servers = self.listening.servers();
        let ports = servers.tcp_ports.clone();
        let mut udp_ports: Vec<u16> = servers.udp.iter().map(|server| server.port).collect();
        udp_ports.dedup();
        let serves = !ports.is_empty() || !udp_ports.is_empty();
        match (source, unseen) {
            (Some(_), None) if !self.knows_owners => {
                HoldTraffic::Unseen("there was no time to see which ports are the app's".into())
            }
            (Some(_), None) if !serves => HoldTraffic::NothingListens,
            (Some(source), unseen_because) if serves && self.knows_owners => {
                let after = self.traffic.counts(ended_at);
                let keeper = after.keeper.or(before.keeper);
                let Counts { open, active, .. } = before;
                let counts = Counts { keeper, open, active, ..after };
                HoldTraffic::Seen(Seen {
                    ports,
                    udp_ports,
                    source: source.kind(),
                    counts,
                    peers: self.traffic.peers(),
                    quiet_window: self.quiet_window,
                    unseen_because,
                    at_forward: (hold_ends == HoldEnds::WithForward).then(|| counts.into()),
                    at_kill: (hold_ends == HoldEnds::WithKill).then(|| counts.into()),
                })
            }
            (_, why) => HoldTraffic::Unseen(why.unwrap_or_default()),
        }
    }
}
