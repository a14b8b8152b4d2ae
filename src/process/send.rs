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

/// Sends a signal to a child of ours that is not reaped, or to a group (kill(2)); whether anyone was
/// there. That we may not is a warning: after the spawn nothing is fatal.
pub fn kill(pid: i32, signal: Signal, whom: &str) -> bool {
    // SAFETY: kill takes no pointer. Not nix's, whose signals know no real-time ones.
    let sent = unsafe { libc::kill(pid, signal.number()) };
    outcome(sent.into(), signal, &whom) != Sent::Gone
}

/// Sends a signal to a process that we looked at before. A descriptor pins it, so that a pid that has
/// passed to another process in the meantime is not signalled (pidfd_open(2)).
pub fn send(process: &Process, signal: Signal) -> Sent {
    // SAFETY: pidfd_open takes no pointer, and the new descriptor is nobody else's.
    let pin = unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, process.pid, 0);
        (fd >= 0).then(|| OwnedFd::from_raw_fd(fd as i32))
    };
    if pin.is_none() && Errno::last() == Errno::ESRCH || !process.is_still_there() {
        return Sent::Gone;
    }
    let number = signal.number();
    // SAFETY: no signal information is given, and nothing else is a pointer. Where the kernel has
    // no such descriptors the pid must do.
    let sent = unsafe {
        match &pin {
            Some(pin) => {
                let info = std::ptr::null::<libc::siginfo_t>();
                libc::syscall(libc::SYS_pidfd_send_signal, pin.as_raw_fd(), number, info, 0)
            }
            None => libc::kill(process.pid, number).into(),
        }
    };
    outcome(sent, signal, &Name::from(process))
}

/// Decodes what a system call returned that was to send a signal.
fn outcome(returned: i64, signal: Signal, whom: &dyn std::fmt::Display) -> Sent {
    match Errno::result(returned) {
        Ok(_) => Sent::Yes,
        Err(Errno::ESRCH) => Sent::Gone,
        Err(errno) => {
            warn!(event = "not_sent", "cannot send {signal} to {whom}: {}", errno.desc());
            Sent::Refused
        }
    }
}
