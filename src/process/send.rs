//! How a signal is sent to a process, without a fault being fatal and without hitting another.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use tracing::warn;

use crate::process::proc::Process;
use crate::process::target::Name;
use crate::signal::Signal;

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The process has it.
    Yes,
    /// The process has ended.
    Gone,
    /// We may not send it one (EPERM: another user's).
    Refused,
}

/// Sends a signal to a child of ours that is not reaped, or to a group (kill(2)); returns whether there
/// was anyone to get it. That we may not is a warning: after the spawn nothing is fatal.
pub fn kill(pid: i32, signal: Signal, whom: &str) -> bool {
    outcome(kill_plainly(pid, signal), signal, &whom) != Sent::Gone
}

/// Sends a signal to a process that we looked at before. A descriptor pins it, so that a pid that has
/// passed to another process in the meantime is not signalled (pidfd_open(2)). Where there is none, or
/// a sandbox refuses to signal by it, the pid must do.
pub fn send(process: &Process, signal: Signal) -> Sent {
    // Nobody but us reaps our own children, so until then their pids are theirs.
    if process.parent == std::process::id() as i32 {
        return outcome(kill_plainly(process.pid, signal), signal, &Name::from(process));
    }
    // SAFETY: pidfd_open takes no pointer, and the new descriptor is nobody else's.
    let mut pin = unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, process.pid, 0);
        (fd >= 0).then(|| OwnedFd::from_raw_fd(fd as i32))
    };
    if pin.is_none() && Errno::last() == Errno::ESRCH {
        return Sent::Gone;
    }
    // It may be the last descriptor that there is, and a look needs one.
    let is_there = process.is_still_there() || pin.take().is_some() && process.is_still_there();
    if !is_there {
        return Sent::Gone;
    }
    let sent = match pin.as_ref().map_or(Err(Errno::ENOSYS), |pin| send_to_pin(pin, signal)) {
        Err(errno) if errno != Errno::ESRCH => kill_plainly(process.pid, signal),
        sent => sent,
    };
    outcome(sent, signal, &Name::from(process))
}

/// Whether a process has this pid, whoever's it is (kill(2) with signal 0).
pub fn is_there(pid: i32) -> bool {
    // SAFETY: kill takes no pointer.
    let sent = unsafe { libc::kill(pid, 0) };
    sent == 0 || Errno::last() != Errno::ESRCH
}

/// kill(2). nix's takes no real-time signal.
fn kill_plainly(pid: i32, signal: Signal) -> nix::Result<()> {
    // SAFETY: kill takes no pointer.
    Errno::result(unsafe { libc::kill(pid, signal.number()) }).map(drop)
}

fn send_to_pin(pin: &OwnedFd, signal: Signal) -> nix::Result<()> {
    let (number, info) = (signal.number(), std::ptr::null::<libc::siginfo_t>());
    // SAFETY: no signal information is given, and nothing else is a pointer.
    let sent =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pin.as_raw_fd(), number, info, 0) };
    Errno::result(sent).map(drop)
}

/// What became of a signal, with a warning where it may not be sent.
fn outcome(sent: nix::Result<()>, signal: Signal, whom: &dyn std::fmt::Display) -> Sent {
    match sent {
        Ok(()) => Sent::Yes,
        Err(Errno::ESRCH) => Sent::Gone,
        Err(errno) => {
            warn_of_refusal(errno, signal, whom);
            Sent::Refused
        }
    }
}

/// It needs much of the stack, and mostly does not happen.
#[cold]
#[inline(never)]
fn warn_of_refusal(errno: Errno, signal: Signal, whom: &dyn std::fmt::Display) {
    warn!(event = "not_sent", "cannot send {signal} to {whom}: {}", errno.desc());
}
