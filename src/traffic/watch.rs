//! The watch over one hold: looks at the traffic from time to time, and knows when that has stopped.
//! What it needs is opened at the stop signal and closed when the hold ends.

use std::time::{Duration, Instant};

use tracing::{debug, warn};

use crate::span::Span;
use crate::traffic::quiet::{Rules, Traffic};
use crate::traffic::seen::{HoldTraffic, Seen};
use crate::traffic::servers::Ports;
use crate::traffic::sources::{Look, OpenError, SocketSource};

/// How long it has to be quiet until traffic has stopped, unless `--quiet-window` says otherwise.
pub const QUIET_WINDOW: Duration = Duration::from_secs(3);

/// What is to be watched.
#[derive(Clone, Debug)]
pub struct WatchConfig {
    pub rules: Rules,
    pub ports: Ports,
    pub ignored_ports: Vec<u16>,
}

/// When a hold begins, when it may end, and when it has to.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub began_at: Instant,
    pub may_end_at: Instant,
    pub ends_at: Instant,
}

impl Times {
    /// When to look next: after the pause that the source wants, but no later than when traffic may
    /// turn out to have stopped.
    fn next_look(&self, now: Instant, source: &SocketSource, traffic: &Traffic) -> Instant {
        let paused_until = now + source.pause();
        let may_stop_at = traffic.stops_at().map(|at| at.max(self.may_end_at));
        match may_stop_at.filter(|at| *at > now) {
            Some(at) => paused_until.min(at),
            None => paused_until,
        }
    }
}

/// The watch over one hold.
pub struct Watch {
    quiet_window: Duration,
    times: Times,
    next_at: Option<Instant>,
    view: View,
}

/// How much of the traffic can be seen.
#[expect(clippy::large_enum_variant, reason = "there is one, in a hold")]
enum View {
    Traffic(SocketSource, Traffic),
    /// Neither the app nor a descendant of it listens.
    NothingListens,
    /// There may be traffic, but it cannot be seen, for this reason.
    Unseen(String),
}

impl Watch {
    /// Begins with a first look. The pids are the app's and its descendants'.
    pub fn begin(config: &WatchConfig, pids: &dyn Fn() -> Vec<i32>, times: Times) -> Watch {
        let opened = SocketSource::open(&config.ports, &config.ignored_ports, pids);
        let (next_at, view) = match opened {
            Ok((source, first)) => {
                let mut traffic = Traffic::new(config.rules.clone(), times.began_at);
                take_in(&first, &mut traffic, times.began_at);
                let next_at = times.next_look(times.began_at, &source, &traffic);
                (Some(next_at), View::Traffic(source, traffic))
            }
            Err(OpenError::NothingListens) => (Some(times.may_end_at), View::NothingListens),
            Err(OpenError::Unseen(why)) => (None, View::Unseen(why.to_string())),
        };
        if let View::Unseen(why) = &view
            && times.may_end_at < times.ends_at
        {
            let latest = Span(times.ends_at.saturating_duration_since(times.began_at));
            warn!(
                event = "unseen",
                "the hold lasts until +{latest}, for traffic cannot be seen: {why}"
            );
        }
        Watch { quiet_window: config.rules.quiet_window, times, next_at, view }
    }

    /// When to look next.
    pub fn next_at(&self) -> Option<Instant> {
        self.next_at
    }

    /// Looks once. What is found counts as of the time after the look, for which the clock is read.
    pub fn look(&mut self, clock: impl Fn() -> Instant) {
        let View::Traffic(source, traffic) = &mut self.view else {
            self.next_at = self.next_at.filter(|at| *at > clock());
            return;
        };
        let before = traffic.last_arrival();
        let look = source.look();
        let now = clock();
        take_in(&look, traffic, now);
        if let Some(last) = traffic.last_arrival().filter(|last| Some(*last) != before) {
            let at = Span(last.at.saturating_duration_since(self.times.began_at));
            debug!(event = "arrival", "+{at} a connection from {}", last.from);
        }
        self.next_at = Some(self.times.next_look(now, source, traffic));
    }

    /// Whether nothing has come in for the quiet window.
    pub fn traffic_has_stopped(&self, now: Instant) -> bool {
        match &self.view {
            View::Traffic(_, traffic) => traffic.stops_at().is_some_and(|at| at <= now),
            View::NothingListens => true,
            View::Unseen(_) => false,
        }
    }

    /// Ends the watch, and returns what was seen in the hold.
    pub fn end(self, now: Instant) -> HoldTraffic {
        match self.view {
            View::Traffic(source, traffic) => {
                let counts = traffic.counts(now);
                HoldTraffic::Seen(Seen {
                    ports: source.ports().to_vec(),
                    source: source.kind(),
                    counts,
                    quiet_window: self.quiet_window,
                    unseen_because: None,
                    at_forward: Some(counts.into()),
                    at_kill: None,
                })
            }
            View::NothingListens => HoldTraffic::NothingListens,
            View::Unseen(why) => HoldTraffic::Unseen(why),
        }
    }
}

fn take_in(look: &Look, traffic: &mut Traffic, now: Instant) {
    traffic.begin_look(now);
    look.open.iter().for_each(|connection| traffic.found(connection));
    look.ended.iter().for_each(|connection| traffic.ended(connection));
    if let Some(why) = look.missed {
        traffic.miss(why);
    }
    traffic.end_look();
}
