//! Helpers: our own processes beside the app. They make requests, answer probes, and start hooks.
//! What comes from a network is parsed in them and not in PID 1, and no helper that hangs delays a
//! signal.
//!
//! A helper is a copy of us. It inherits that all signals are blocked, SIGPIPE too: a write to a pipe
//! or socket that the other side has closed fails with EPIPE and does not kill it.

use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, clone};
use nix::sys::prctl;
use nix::sys::signal::{Signal as NixSignal, killpg};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, setpgid};

use signal_hook::flag;

use crate::process::inherited::set_mask;
use crate::process::slice;
use crate::signal::{Signal, SignalSet};

/// The signal by which the kernel reports the end of a helper that executes nothing.
///
/// A child that reports its end by another signal than SIGCHLD is left out when we ask the kernel for
/// our children (`__WCLONE` in wait(2)), so such a helper is no leftover. No program sends SIGSTKFLT;
/// what a person sends has another `si_code`. It cannot be a real-time signal: the kernel drops
/// those where too many signals are queued (RLIMIT_SIGPENDING), and the end would go unnoticed.
pub const END: Signal = Signal::STKFLT;

/// The stack of helpers. Each has its own copy of it, so in our memory only what clone(2) writes onto it
/// is ever touched; and none is refused when a helper is needed.
#[repr(align(64))]
struct Stack(UnsafeCell<[u8; 256 * 1024]>);

// SAFETY: only `start` uses it, which runs in one thread, and in no helper.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new([0; 256 * 1024]));

/// The longest output of a helper that is read, in bytes.
const MAX_OUTPUT: u64 = 512;

/// So long a helper may take to end of SIGKILL, until it is waited for no longer: it may be frozen, or
/// hang in the kernel.
pub const TIME_TO_END: Duration = Duration::from_millis(100);

/// The exit code of a helper that could not do its work.
pub const FAILED: u8 = 1;

/// The output of a helper: little, and mostly one short text that it writes before it ends.
pub struct Output(PipeReader);

impl Output {
    /// What the helper has written by now, as a text. It never waits.
    pub fn read(&mut self) -> String {
        String::from_utf8_lossy(&self.read_bytes()).into_owned()
    }

    /// What the helper has written by now, and was not read yet. It never waits.
    pub fn read_bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = (&self.0).take(MAX_OUTPUT).read_to_end(&mut bytes);
        bytes
    }
}

/// Kills a helper that is not reaped yet, and its process group.
pub fn kill(pid: i32) {
    let _ = killpg(Pid::from_raw(pid), NixSignal::SIGKILL);
}

/// Reaps a helper if it has ended, and returns whether it is gone.
pub fn reap(pid: i32) -> bool {
    // SAFETY: a null pointer means that no status is wanted.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG | libc::__WALL) != 0 }
}

/// Starts a helper in a process group of its own, under this name (15 bytes at most). It does its
/// work, whose result is its exit code, and is killed when we end. `end` is the signal by which the
/// kernel reports its end: [`END`], or SIGCHLD for what becomes a program. Returns its pid and its
/// output.
///
/// It is fork(2) with a choice of that signal: the helper has a copy of our memory and our one thread.
/// A helper starts none itself, since it runs on the stack that it would give away: it forks
/// ([`fork_task`]).
pub fn start(
    name: &CStr,
    end: Signal,
    mut work: impl FnMut(&mut PipeWriter) -> u8,
) -> io::Result<(i32, Output)> {
    let (reader, mut writer) = io::pipe()?;
    // SAFETY: F_SETFL takes no pointer. Nobody else has this open file.
    unsafe { libc::fcntl(reader.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    let us = getpid();
    let in_child = || {
        let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
        let _ = prctl::set_name(name);
        if end == Signal::CHLD {
            slice::restore();
        }
        let code = die_with(us).map_or(FAILED, |()| work(&mut writer));
        isize::from(code)
    };
    // SAFETY: the memory is copied, so nothing is shared; there is one thread, so no other holds a
    // lock, or the stack, which is large enough for what helpers do.
    let child = unsafe {
        let stack = &mut *STACK.0.get();
        clone(Box::new(in_child), stack, CloneFlags::empty(), Some(end.number()))
    };
    let child = child.map_err(|errno| io::Error::other(why_none(errno)))?;
    // The child does it too: whoever runs first, its group is there before we signal it.
    let _ = setpgid(child, child);
    Ok((child.as_raw(), Output(reader)))
}

/// In a helper: from now on each of these signals of PID 1 sets its flag, also those that were sent since
/// the fork, which are pending. They also wake it, out of poll(2); one that comes right before that is
/// seen at the next wake-up.
pub fn hear<const N: usize>(signals: [Signal; N]) -> io::Result<[Arc<AtomicBool>; N]> {
    let flags = signals.map(|signal| (signal, Arc::new(AtomicBool::new(false))));
    let mut mask = SignalSet::ALL;
    for (signal, flag) in &flags {
        flag::register(signal.number(), flag.clone())?;
        mask.remove(*signal);
    }
    set_mask(mask);
    Ok(flags.map(|(_, flag)| flag))
}

/// Why no process can be started (clone(2)). Its "try again" is a limit, and says neither that nor which.
pub fn why_none(errno: Errno) -> &'static str {
    match errno {
        Errno::EAGAIN => {
            "the limit on processes is reached: pids.max of the cgroup (docker run --pids-limit, \
             podPidsLimit of a kubelet), or ulimit -u"
        }
        _ => errno.desc(),
    }
}

/// In a helper: starts a process that does this task and ends, and is killed when the helper ends.
/// It stays in the helper's process group. Returns its pid.
pub fn fork_task(task: impl FnOnce()) -> Result<Pid, Errno> {
    let parent = getpid();
    // SAFETY: there is one thread, so no other holds a lock that the child would wait for.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            if die_with(parent).is_ok() {
                task();
            }
            // SAFETY: it takes no pointer, and does not return. It does not run what the parent has
            // registered for its own exit.
            unsafe { libc::_exit(0) }
        }
    }
}

/// Asks for SIGKILL when the parent ends (PR_SET_PDEATHSIG in prctl(2)); an error if it has already.
fn die_with(parent: Pid) -> Result<(), Errno> {
    prctl::set_pdeathsig(NixSignal::SIGKILL)?;
    match getppid() == parent {
        true => Ok(()),
        false => Err(Errno::ESRCH),
    }
}
