//! A signal from outside the container that is no stop signal and may have been meant as one: the
//! STOPSIGNAL of an image, which nobody has told us. Where the app does not end of it, the runtime sends
//! SIGKILL to all of us after the whole grace period: no hold, no report, no word.

use std::time::{Duration, Instant};

use crate::process::family::Family;
use crate::report::journal::Journal;
use crate::shutdown::event::ENDING;
use crate::signal::Signal;
use crate::traffic::owners::Search;
use crate::traffic::sources;

/// How long the app has to end, or to show otherwise what it makes of the signal. Less than the 10 s
/// that Docker allows by default.
const PATIENCE: Duration = Duration::from_secs(3);

/// So many listeners are compared. With 10,000 that took 200 ms, for which the signal would wait, and PID 1
/// be busy. Whoever has more is only asked whether it ignores the signal.
const MAX_LISTENERS: usize = 256;

/// Looks what the app makes of such a signal, one at a time.
#[derive(Debug, Default)]
pub struct Undeclared(Option<MaybeStop>);

/// A signal that may have been meant as a stop signal.
#[derive(Debug)]
struct MaybeStop {
    signal: Signal,
    due_at: Instant,
    /// It came again meanwhile. A runtime sends its stop signal once; whoever pulls at the border of a
    /// window sends many.
    came_again: bool,
    /// Who listened before in our network namespace.
    before: Vec<Listener>,
    /// Those of them that are the app's.
    of_app: Vec<Listener>,
}

/// A TCP port, and the inode of a socket that listens there.
type Listener = (u16, u64);

impl Undeclared {
    /// A signal has come from outside that is no stop signal, and will be forwarded next.
    #[cold]
    #[inline(never)]
    pub fn came(&mut self, signal: Signal, journal: &Journal, now: Instant) {
        match &mut self.0 {
            Some(other) if other.signal == signal => other.came_again = true,
            _ if journal.suspects(signal) => self.0 = Some(MaybeStop::new(signal, now)),
            _ => {}
        }
    }

    /// When to see what the app has made of it.
    pub fn due_at(&self) -> Option<Instant> {
        self.0.as_ref().map(|maybe_stop| maybe_stop.due_at)
    }

    /// Warns where that time has come and the app goes on after what was meant as a stop signal.
    pub fn on_deadline(&mut self, family: &mut Family, journal: &mut Journal, now: Instant) {
        if let Some(maybe_stop) = self.0.take_if(|maybe_stop| maybe_stop.due_at <= now)
            && journal.suspects(maybe_stop.signal)
            && let Some(is_ignored) = family.main_ignores(maybe_stop.signal)
        {
            let app = family.main_name();
            // Java answers SIGQUIT with a dump of its threads.
            let asks_for_dump = maybe_stop.signal == Signal::QUIT && app.command == "java";
            if asks_for_dump || !maybe_stop.was_meant(is_ignored) {
                return;
            }
            journal.rename_app(app);
            journal.warn_of_undeclared(maybe_stop.signal, is_ignored);
        }
    }
}

impl MaybeStop {
    fn new(signal: Signal, now: Instant) -> MaybeStop {
        let mut before = if asks_for_end(signal) { Vec::new() } else { sources::listeners() };
        if before.len() > MAX_LISTENERS {
            before.clear();
        }
        let of_app = of_app(&before);
        MaybeStop { signal, due_at: now + PATIENCE, came_again: false, before, of_app }
    }

    /// Whether it was meant so, as far as an app shows that goes on: it ignores the signal, or it has
    /// stopped listening somewhere. With log rotation or a reload it does neither.
    fn was_meant(&self, is_ignored: bool) -> bool {
        let has_closed_a_port = || {
            let now = sources::listeners();
            // Whoever loads its settings anew may listen there again.
            let is_back = |port| now.iter().any(|new| new.0 == port && !self.before.contains(new));
            self.of_app.iter().any(|one| !now.contains(one) && !is_back(one.0))
        };
        asks_for_end(self.signal) || !self.came_again && (is_ignored || has_closed_a_port())
    }
}

/// Those that the app or a descendant of it has open, as far as a millisecond shows it.
fn of_app(listeners: &[Listener]) -> Vec<Listener> {
    let inodes = listeners.iter().map(|(_, inode)| *inode).collect();
    let mut search = Search::begin(std::process::id() as i32, &[], inodes);
    let is_done = search.go_on();
    let owned = search.found();
    let is_of_app = |inode| owned.found.contains(inode) || is_done && owned.may_have(inode);
    listeners.iter().copied().filter(|(_, inode)| is_of_app(*inode)).collect()
}

/// Whoever sends one of these wants an end.
fn asks_for_end(signal: Signal) -> bool {
    ENDING.contains(signal)
}

#[cfg(test)]
mod tests;
