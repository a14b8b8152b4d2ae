//! What we ask of the kernel before the spawn: that orphans come to us, and a signal when our parent dies.

use nix::libc;
use nix::sys::prctl;
use nix::unistd::{Pid, getpid, getppid};
use tracing::warn;

use crate::signal::Signal;

/// Before the spawn: makes orphans of ours come to us also where we are not PID 1, and asks for a
/// signal when our own parent dies (prctl(2)).
pub fn adopt(parent_death_signal: Option<Signal>) {
    if getpid() != Pid::from_raw(1)
        && let Err(errno) = prctl::set_child_subreaper(true)
    {
        warn!(event = "no_subreaper", "cannot adopt orphans: {}", errno.desc());
    }
    let Some(signal) = parent_death_signal else {
        return;
    };
    // It is 0 for PID 1 of a container, so only a change shows that the parent has died.
    let parent = getppid();
    // SAFETY: neither call takes a pointer. Not nix's, whose signals know no real-time ones.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, signal.number());
        if getppid() != parent {
            // It has just died: what was asked for would not come any more.
            libc::raise(signal.number());
        }
    }
}
