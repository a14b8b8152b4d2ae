//! The processes of ours beside the app that run now, each of which leads a group of its own.

use std::time::Instant;

use nix::libc;
use nix::unistd::{Pid, getpgid};

use crate::process::helper;
use crate::process::reap::{self, Status};
use crate::process::send::kill;
use crate::process::wait::Wait;
use crate::signal::{Signal, SignalSet};

/// A process of ours beside the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helper {
    /// A hook, or a request to a sidecar.
    Task,
    /// It answers health probes.
    Responder,
    /// It asks the app in a rehearsal.
    Rehearsal,
}

/// What each is, and its pid. None of them is reaped.
#[derive(Default)]
pub struct Helpers(Vec<(Helper, i32)>);

impl Helpers {
    /// Takes one in.
    pub fn add(&mut self, helper: Helper, pid: i32) {
        self.0.push((helper, pid));
    }

    /// From now on those of this kind are none of ours.
    pub fn forget(&mut self, helper: Helper) {
        self.0.retain(|(kind, _)| *kind != helper);
    }

    /// Takes out the one with this pid, which was reaped.
    pub fn take(&mut self, pid: i32) -> Option<Helper> {
        let index = self.0.iter().position(|(_, helper)| *helper == pid)?;
        Some(self.0.swap_remove(index).0)
    }

    /// Whether this pid is that of one.
    pub fn have(&self, pid: i32) -> bool {
        self.0.iter().any(|(_, helper)| *helper == pid)
    }

    /// Whether one of this kind runs.
    pub fn include(&self, helper: Helper) -> bool {
        self.0.iter().any(|(kind, _)| *kind == helper)
    }

    /// All pids.
    pub fn pids(&self) -> Vec<i32> {
        self.0.iter().map(|(_, pid)| *pid).collect()
    }

    /// Sends a signal to those of a kind, and to their groups.
    pub fn signal(&self, helper: Helper, signal: Signal) {
        for (_, pid) in self.0.iter().filter(|(kind, _)| *kind == helper) {
            send(*pid, signal);
        }
    }

    /// Sends SIGKILL to all of them.
    pub fn kill(&self) {
        for (_, pid) in &self.0 {
            send(*pid, Signal::KILL);
        }
    }

    /// Reaps those that have ended, and waits for the others, but not for long: one may be frozen, or
    /// hang in the kernel.
    pub fn await_end(&mut self, wait: &mut Wait) {
        let mut ends = SignalSet::default();
        [Signal::CHLD, helper::END].into_iter().for_each(|signal| ends.insert(signal));
        let until = Instant::now() + helper::TIME_TO_END;
        loop {
            self.0.retain(|(_, pid)| !helper::reap(*pid));
            if self.0.is_empty() || Instant::now() >= until {
                return;
            }
            wait.next_of(ends, Some(until));
        }
    }

    /// Reaps one that executes nothing, if one has ended: the kernel leaves these out unless `__WCLONE`
    /// asks for them.
    pub fn reap(&self) -> Option<(i32, Status)> {
        if self.0.is_empty() {
            return None;
        }
        reap::take(libc::__WCLONE).ok().flatten()
    }
}

/// Sends a signal to a process of ours and to its group.
fn send(pid: i32, signal: Signal) {
    kill(-pid, signal, "a process of ours");
    // A hook may leave the group that it led.
    if getpgid(Some(Pid::from_raw(pid))) != Ok(Pid::from_raw(pid)) {
        kill(pid, signal, "a process of ours");
    }
}
