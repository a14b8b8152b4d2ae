//! The watch over a hold: it looks at the traffic from time to time, and tells when that has
//! stopped. What it needs is opened at the stop signal and closed when the hold ends.

use std::time::{Duration, Instant};

use tracing::{debug, warn};

use crate::span::Span;
use crate::traffic::quiet::{Network, Traffic};
use crate::traffic::sources::{Ports, Unwatched, Watcher, Way};

/// What is quiet for so long has stopped, unless `--quiet-window` says otherwise.
pub const QUIET_WINDOW: Duration = Duration::from_secs(3);

/// What is to be watched.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Traffic has stopped when nothing came in for so long.
    pub quiet_window: Duration,
    pub ports: Ports,
    pub ignored_ports: Vec<u16>,
    pub ignored_peers: Vec<Network>,
}

/// When a hold begins, and when it may end and has to.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub began_at: Instant,
    pub may_end_at: Instant,
    pub ends_at: Instant,
}

impl Times {
    /// When to look next: many connections make it later, but not the verdict.
    fn next_look(
        &self,
        now: Instant,
        watcher: &Watcher,
        traffic: &Traffic,
        quiet_window: Duration,
    ) -> Instant {
        let soon = now + watcher.pause();
        let verdict_at = (traffic.quiet_since() + quiet_window).max(self.may_end_at);
        if verdict_at > now { soon.min(verdict_at) } else { soon }
    }
}

/// The watch over one hold.
pub struct Watch {
    quiet_window: Duration,
    times: Times,
    next_at: Option<Instant>,
    seen: Seen,
}

/// What can be seen.
#[expect(clippy::large_enum_variant, reason = "there is one, in a hold")]
enum Seen {
    Traffic(Watcher, Traffic),
    /// None of ours listens.
    NothingListens,
    /// There may be traffic; why it cannot be seen.
    Nothing(String),
}

/// What was seen in a hold.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one, in a shutdown")]
pub enum Outcome {
    Traffic {
        ports: Vec<u16>,
        way: Way,
        traffic: Traffic,
    },
    NothingListens,
    /// Why nothing was seen.
    Nothing(String),
}

impl Watch {
    /// Begins with a first look. The pids are the app's and its descendants'.
    pub fn begin(watched: &Watched, pids: &[i32], times: Times) -> Watch {
        let opened = Watcher::open(&watched.ports, &watched.ignored_ports, pids);
        let (next_at, seen) = match opened {
            Ok((watcher, first)) => {
                let traffic = Traffic::new(watched.ignored_peers.clone(), &first, times.began_at);
                let next_at =
                    times.next_look(times.began_at, &watcher, &traffic, watched.quiet_window);
                (Some(next_at), Seen::Traffic(watcher, traffic))
            }
            Err(Unwatched::NothingListens) => (Some(times.may_end_at), Seen::NothingListens),
            Err(Unwatched::Unseen(why)) => (None, Seen::Nothing(why.to_string())),
        };
        if let Seen::Nothing(why) = &seen
            && times.may_end_at < times.ends_at
        {
            let latest = Span(times.ends_at.saturating_duration_since(times.began_at));
            warn!(
                event = "unseen",
                "the hold lasts until +{latest}, for traffic cannot be seen: {why}"
            );
        }
        Watch { quiet_window: watched.quiet_window, times, next_at, seen }
    }

    /// When to look next.
    pub fn next_at(&self) -> Option<Instant> {
        self.next_at
    }

    /// Looks, and takes what is found as having come by the time that the clock then tells.
    pub fn look(&mut self, clock: impl Fn() -> Instant) {
        let Seen::Traffic(watcher, traffic) = &mut self.seen else {
            self.next_at = self.next_at.filter(|at| *at > clock());
            return;
        };
        let before = traffic.last_arrival;
        let look = watcher.look();
        let now = clock();
        traffic.take(&look, now);
        if let Some(last) = traffic.last_arrival.filter(|last| Some(*last) != before) {
            let at = Span(last.at.saturating_duration_since(self.times.began_at));
            debug!(event = "arrival", "+{at} a connection from {}", last.peer);
        }
        self.next_at = Some(self.times.next_look(now, watcher, traffic, self.quiet_window));
    }

    /// Whether nothing has come in for the quiet window.
    pub fn traffic_has_stopped(&self, now: Instant) -> bool {
        match &self.seen {
            Seen::Traffic(_, traffic) => traffic.quiet_since() + self.quiet_window <= now,
            Seen::NothingListens => true,
            Seen::Nothing(_) => false,
        }
    }

    /// What was seen, when the hold is over.
    pub fn end(self) -> Outcome {
        match self.seen {
            Seen::Traffic(watcher, traffic) => {
                Outcome::Traffic { ports: watcher.ports().to_vec(), way: watcher.way(), traffic }
            }
            Seen::NothingListens => Outcome::NothingListens,
            Seen::Nothing(why) => Outcome::Nothing(why),
        }
    }
}
