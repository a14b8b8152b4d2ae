//! A process of ours that does one thing beside its parent, and does not outlive it.

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};

/// Starts a process that does this and ends.
pub fn start(task: impl FnOnce()) -> Result<Pid, Errno> {
    let parent = getpid();
    // SAFETY: there is one thread, so no lock is held that the child would wait for.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            if end_with(parent).is_ok() {
                task();
            }
            // SAFETY: it returns to nobody. What is to run at an exit is the parent's.
            unsafe { libc::_exit(0) }
        }
    }
}

/// Asks for SIGKILL when the parent dies; an error where it is dead already.
pub fn end_with(parent: Pid) -> Result<(), Errno> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    match getppid() == parent {
        true => Ok(()),
        false => Err(Errno::ESRCH),
    }
}
