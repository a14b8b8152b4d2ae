//! The controlling terminal: which process group is in its foreground, and job control (termios(3),
//! "job control" in bash(1)).
//!
//! The main child leads a process group of its own. That group has to be in the foreground of the
//! terminal for ^C to reach it, and for it to read. SIGTTOU is blocked in us, so none of these calls
//! stops us.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
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
    our_group: Pid,
    /// Whether our group has been in the foreground. Else it is not ours to give, and we leave it.
    had_foreground: Cell<bool>,
}

impl Tty {
    /// The controlling terminal if we have one, on a descriptor that the app does not inherit.
    pub fn open() -> Option<Tty> {
        // Not by std's stdin and stdout, which come with buffers of 8 KiB and 1 KiB.
        // SAFETY: what of them was closed has become /dev/null, and nobody closes them.
        let standard = [0, 1, 2].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
        // tcgetpgrp(3) fails for every terminal but the controlling one.
        let standard = standard.into_iter().find(|fd| tcgetpgrp(fd).is_ok());
        let standard = standard.map(|fd| fd.try_clone_to_owned());
        let open = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).custom_flags(libc::O_NOCTTY);
            options.open("/dev/tty").map(OwnedFd::from)
        };
        let terminal = standard.unwrap_or_else(open).ok()?;
        let tty = Tty { terminal, our_group: getpgrp(), had_foreground: Cell::new(false) };
        tty.had_foreground.set(tty.is_ours());
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

    /// Whether our group is in the foreground.
    fn is_ours(&self) -> bool {
        tcgetpgrp(&self.terminal) == Ok(self.our_group)
    }

    /// In the child: makes its group the foreground group, if the foreground was ours.
    pub fn take(&self) {
        if self.had_foreground.get() {
            let _ = tcsetpgrp(&self.terminal, getpgrp());
        }
    }

    /// Makes ours the foreground group again, unless another group has taken the foreground meanwhile.
    pub fn give_back(&self, main_group: i32) {
        let Ok(now) = tcgetpgrp(&self.terminal) else {
            return;
        };
        if self.had_foreground.get() && (now.as_raw() == main_group || is_empty(now)) {
            let _ = tcsetpgrp(&self.terminal, self.our_group);
        }
    }

    /// To be called when this signal has stopped the main child, and we are a job of a shell: stops our
    /// group too, and continues the main child when the shell continues us.
    pub fn suspend(&self, main_group: i32, signal: Signal) {
        // The shell may have put us into the foreground without a SIGCONT.
        let mut continued = is_background_access(signal) && self.is_ours();
        if !continued {
            self.give_back(main_group);
            let _ = killpg(self.our_group, NixSignal::SIGTSTP);
            // SIGTSTP and not SIGSTOP: the kernel drops it where nobody could continue us (in an
            // orphaned process group), and then we just go on.
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

    /// Puts the main child's group into the foreground, if that is ours to give, and continues it.
    /// Where it stays in the background, and this signal has stopped it for using the terminal from
    /// there, it is not continued: it would only stop again.
    pub fn resume(&self, main_group: i32, signal: Signal) {
        let group = Pid::from_raw(main_group);
        let foreground = tcgetpgrp(&self.terminal);
        let handed_over = match foreground {
            Ok(now) if now == group => true,
            Ok(now) if now == self.our_group || self.had_foreground.get() && is_empty(now) => {
                self.had_foreground.set(true);
                tcsetpgrp(&self.terminal, group).is_ok()
            }
            _ => false,
        };
        if handed_over || !is_background_access(signal) {
            let _ = killpg(group, NixSignal::SIGCONT);
        }
    }
}

/// Whether the kernel sends it to a process that uses the terminal from the background.
fn is_background_access(signal: Signal) -> bool {
    [Signal::TTIN, Signal::TTOU].contains(&signal)
}

fn is_empty(group: Pid) -> bool {
    killpg(group, None) == Err(Errno::ESRCH)
}

/// Takes the pending SIGCONT that continued us, if there is one, so that it is not forwarded as well.
fn take_pending_continue() -> bool {
    let no_time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: zero is an empty set on Linux, and the pointers are valid for the calls.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&raw mut set, libc::SIGCONT);
        libc::sigtimedwait(&raw const set, std::ptr::null_mut(), &raw const no_time)
            == libc::SIGCONT
    }
}
