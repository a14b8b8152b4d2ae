//! The terminal: its foreground process group, and job control (termios(3), "job control" in
//! bash(1)).
//!
//! The main child leads a group of its own, so that group has to be the terminal's foreground
//! group for ^C and reading to work. SIGTTOU is blocked in us, so none of these calls stops us.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal as NixSignal, killpg};
use nix::unistd::{Pid, getpgrp, getpid, getsid, tcgetpgrp, tcsetpgrp};

use crate::process::inherited::set_mask;
use crate::shutdown::plan::JobControl;
use crate::signal::{Signal, SignalSet};

/// Our controlling terminal.
pub struct Tty {
    terminal: OwnedFd,
    ours: Pid,
    /// Whether the foreground has been ours to give: else we never touch it.
    given: Cell<bool>,
}

impl Tty {
    /// The controlling terminal, on a descriptor that the app does not inherit.
    pub fn open() -> Option<Tty> {
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        // Only of a controlling terminal the foreground group can be asked.
        let standard = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()]
            .into_iter()
            .find(|fd| tcgetpgrp(fd).is_ok())
            .map(|fd| fd.try_clone_to_owned());
        let open = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).custom_flags(libc::O_NOCTTY);
            options.open("/dev/tty").map(OwnedFd::from)
        };
        let terminal = standard.unwrap_or_else(open).ok()?;
        let tty = Tty { terminal, ours: getpgrp(), given: Cell::new(false) };
        tty.given.set(tty.is_ours());
        Some(tty)
    }

    /// The descriptor that this holds.
    pub fn descriptor(&self) -> RawFd {
        self.terminal.as_raw_fd()
    }

    /// Who can continue us after a stop. PID 1 cannot be stopped by its own namespace.
    pub fn job_control(&self) -> JobControl {
        let us = getpid();
        let leader = us.as_raw() == 1 || getsid(None) == Ok(us);
        if leader { JobControl::Leader } else { JobControl::Job }
    }

    fn is_ours(&self) -> bool {
        tcgetpgrp(&self.terminal) == Ok(self.ours)
    }

    /// In the child: makes its group the foreground group, if the foreground was ours.
    pub fn take(&self) {
        if self.given.get() {
            let _ = tcsetpgrp(&self.terminal, getpgrp());
        }
    }

    /// Makes ours the foreground group again, unless somebody else has taken it meanwhile.
    pub fn give_back(&self, main_group: i32) {
        let Ok(now) = tcgetpgrp(&self.terminal) else {
            return;
        };
        if self.given.get() && (now.as_raw() == main_group || is_empty(now)) {
            let _ = tcsetpgrp(&self.terminal, self.ours);
        }
    }

    /// The main child was stopped by this signal, and we are a job of a shell: stop the whole job,
    /// and when the shell continues us, continue the main child.
    pub fn suspend(&self, main_group: i32, signal: Signal) {
        // The shell may have put us into the foreground without a word.
        let mut continued = is_background_access(signal) && self.is_ours();
        if !continued {
            self.give_back(main_group);
            let _ = killpg(self.ours, NixSignal::SIGTSTP);
            // Not SIGSTOP: where nobody could continue us (an orphaned process group) the kernel
            // drops this one, and so we go on.
            let mut all_but_stop = SignalSet::ALL;
            all_but_stop.remove(Signal::TSTP);
            set_mask(all_but_stop);
            set_mask(SignalSet::ALL);
            continued = take_pending_continue();
        }
        if continued || !is_background_access(signal) {
            self.resume(main_group, Signal::CONT);
        }
    }

    /// Hands the terminal to the main child, if it is ours to give, and continues it. One that was
    /// stopped because it is in the background would only stop again there.
    pub fn resume(&self, main_group: i32, signal: Signal) {
        let group = Pid::from_raw(main_group);
        let foreground = tcgetpgrp(&self.terminal);
        let handed_over = match foreground {
            Ok(now) if now == group => true,
            Ok(now) if now == self.ours || self.given.get() && is_empty(now) => {
                self.given.set(true);
                tcsetpgrp(&self.terminal, group).is_ok()
            }
            _ => false,
        };
        if handed_over || !is_background_access(signal) {
            let _ = killpg(group, NixSignal::SIGCONT);
        }
    }
}

fn is_background_access(signal: Signal) -> bool {
    [Signal::TTIN, Signal::TTOU].contains(&signal)
}

fn is_empty(group: Pid) -> bool {
    killpg(group, None) == Err(Errno::ESRCH)
}

/// Takes the SIGCONT that continued us, so that it is not forwarded on top; whether there was one.
fn take_pending_continue() -> bool {
    let no_time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: an empty set to which one signal is added; the pointers live for the calls.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, libc::SIGCONT);
        libc::sigtimedwait(&set, std::ptr::null_mut(), &no_time) == libc::SIGCONT
    }
}
