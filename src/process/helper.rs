//! Processes of ours beside the app: a request, the responder, a hook until it executes its command.
//! What comes from a network is read in them and not in us, and what hangs there holds up no signal.

use std::ffi::CStr;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sched::{CloneFlags, clone};
use nix::sys::prctl;
use nix::sys::signal::{Signal as NixSignal, killpg};
use nix::unistd::{Pid, getpid, setpgid};

use crate::process::fork;
use crate::signal::Signal;

/// What tells us of the end of a process that executes nothing.
///
/// A child that tells of it by another signal than SIGCHLD is left out when we ask the kernel for
/// our children (`__WCLONE` in wait(2)), so that it is no leftover. No program sends this signal;
/// what a person sends is told from it by its code. It is no real-time one, for the kernel drops
/// those where too many signals are queued (RLIMIT_SIGPENDING), and then nothing would tell of it.
pub const END: Signal = Signal::STKFLT;

/// What such a process needs; the pages that it does not touch cost nothing.
const STACK: usize = 256 * 1024;

/// The longest word that is heard of it.
const LONGEST: u64 = 512;

/// What a process of ours ends with when it could not do its work.
pub const FAILED: u8 = 1;

/// What a process of ours says: at most one short text, before it ends.
pub struct Words(PipeReader);

#[cfg(test)]
impl Words {
    /// Of one that has said this.
    pub fn saying(text: &str) -> Words {
        use std::io::Write;
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(text.as_bytes()).expect("a pipe");
        Words(reader)
    }
}

impl Words {
    /// What it has said by now. It never waits.
    pub fn read(&mut self) -> String {
        let mut text = Vec::new();
        let _ = (&self.0).take(LONGEST).read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// Kills a process of ours that is not reaped, and what it has started.
pub fn kill(pid: i32) {
    let _ = killpg(Pid::from_raw(pid), NixSignal::SIGKILL);
}

/// Reaps a process of ours that executes nothing; whether it is gone. Without WNOHANG it waits.
pub fn reap(pid: i32, options: i32) -> bool {
    // SAFETY: the status is not asked for.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), options | libc::__WCLONE) != 0 }
}

/// Starts a process of ours, in a process group of its own, under a name of 15 bytes at most. It
/// does its work and ends with what that returns, and ends when we do. Returns its pid.
///
/// It has a copy of our memory, and our only thread: fork(2) but for the signal of its end.
pub fn start(
    name: &CStr,
    end: Signal,
    mut work: impl FnMut(&mut PipeWriter) -> u8,
) -> io::Result<(i32, Words)> {
    let (reader, mut writer) = io::pipe()?;
    // SAFETY: F_SETFL takes no pointer. Nobody else has this open file.
    unsafe { libc::fcntl(reader.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    let us = getpid();
    let in_child = || {
        let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
        let _ = prctl::set_name(name);
        let code = fork::end_with(us).map_or(FAILED, |()| work(&mut writer));
        isize::from(code)
    };
    let mut stack = vec![0; STACK];
    // SAFETY: the memory is copied, so that nothing is shared; there is one thread, so that no lock
    // is held by another. The stack is large enough for what helpers do.
    let child =
        unsafe { clone(Box::new(in_child), &mut stack, CloneFlags::empty(), Some(end.number())) }?;
    // Whoever is first: a signal to its group may be the next thing that we do.
    let _ = setpgid(child, child);
    Ok((child.as_raw(), Words(reader)))
}
