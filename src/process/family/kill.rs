//! SIGKILL to all that is left, and the last call before it.

use std::time::{Duration, Instant};

use crate::process::family::Family;
use crate::process::killed::Kill;
use crate::process::proc::Process;
use crate::process::reap;
use crate::process::send::{is_there, kill, send};
use crate::process::target::Name;
use crate::signal::Signal;

/// How long a look right before a SIGKILL that is not due at a time may take.
const LOOK_BEFORE: Duration = Duration::from_millis(10);

impl Family {
    /// Sends SIGTERM to all that is left and was sent nothing.
    pub fn last_call(&mut self, now: Instant) -> Vec<Name> {
        let census = self.census(self.until);
        let group = self.group_signalled.then_some(self.group);
        let main = self.main.filter(|_| self.main_told_unseen);
        let has_it = |process: &Process| Some(process.group) == group || Some(process.pid) == main;
        let names = self.topmost.last_call(&census.living, has_it, now);
        self.killed.before(census);
        names
    }

    /// Sends SIGKILL to all that is left, and then looks whom it has reached: a look may take long.
    /// To be repeated while something is left, since it may fork in the meantime. Returns what there
    /// is to tell, if anything.
    pub fn kill_all(&mut self, now: Instant) -> Option<Kill> {
        if reap::none_left() {
            return None;
        }
        // Where it comes at once, there was no last call; where it is due, there is no time for a look.
        if !self.killed.has_looked() && self.until.is_none_or(|at| at > now) {
            self.killed.before(self.census(Some(now + LOOK_BEFORE)));
        }
        self.killed.sending(is_there);
        if self.us == 1 {
            // Visitors and helpers too: they end with us in any case.
            kill(-1, Signal::KILL, "all processes");
        } else {
            self.kill_our_own();
        }
        let census = self.census(None);
        if self.us != 1 {
            for process in &census.living {
                send(process, Signal::KILL);
            }
        }
        let names = self.killed.after(&census, reap::peek)?;
        let shell = self.main.filter(|_| self.trap_signalled);
        let waited = |shell| self.killed.include_with_another(shell);
        Some(Kill { names, trap_pending: shell.is_some_and(waited) })
    }

    /// Sends SIGKILL to those for whom no /proc is needed, since the pid of an unreaped child cannot be
    /// another's.
    fn kill_our_own(&self) {
        if let Some(main) = self.main {
            kill(-self.group, Signal::KILL, "the process group of the main child");
            kill(main, Signal::KILL, "the main child");
        }
        self.helpers.kill();
    }

    /// Whom SIGKILL has ended so far, as far as it is known now.
    pub fn killed(&self) -> Vec<Name> {
        self.killed.names()
    }
}
