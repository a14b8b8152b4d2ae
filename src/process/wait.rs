//! The only place where PID 1 sleeps: rt_sigtimedwait(2), for a signal or until a deadline.
//!
//! All signals are blocked and taken one by one. So we learn who sent each of them, and lose none of
//! a burst of real-time signals. It is the cheapest wait that there is: one system call a signal and
//! no descriptor; a signalfd costs 0.4 microseconds more a signal. It wakes late by the timer slack
//! (50 microseconds, prctl(2)) and never early, while poll's slack grows with the wait.

use std::io;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::time::TimeSpec;
use tracing::warn;

use crate::process::helper;
use crate::signal::{Signal, SignalSet};

/// A signal that reached us, and who sent it.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    pub signal: Signal,
    pub origin: Origin,
}

/// Who sent a signal, as far as the kernel vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// By kill(2) or tgkill(2). The pid is 0 where the sender is outside our PID namespace.
    Process { pid: i32, uid: u32 },
    /// The kernel, not a process: for a key of the terminal, mostly.
    Kernel,
    /// By sigqueue(3) or the like, whose sender writes pid and uid as it pleases (rt_sigqueueinfo(2)).
    Queued,
}

impl Received {
    /// Whether a process outside of our PID namespace has sent it, as a container runtime does.
    pub fn is_from_outside(&self) -> bool {
        matches!(self.origin, Origin::Process { pid: 0, .. })
    }

    /// Whether one of our own writes raised it (to a closed pipe, or above a limit of the file size):
    /// it is not for the app.
    fn is_ours(&self, us: i32) -> bool {
        let by_us = matches!(self.origin, Origin::Process { pid, .. } if pid == us);
        by_us && [Signal::PIPE, Signal::XFSZ].contains(&self.signal)
    }
}

/// Takes the signals that reach us. All signals must be blocked.
pub struct Wait {
    /// Our pid.
    us: i32,
    /// Wake-ups since all pending signals were last taken.
    wake_ups: u32,
    received: Vec<Received>,
    /// It was said that we cannot wait.
    warned: bool,
}

/// After so many wake-ups all pending signals are taken, each once; else one signal a wake-up. The
/// kernel gives the lowest number first: a storm of low ones would keep the others waiting for ever,
/// SIGCHLD among them.
const MAX_WAKE_UPS: u32 = 16;

/// The pause in place of a wait that fails.
const PAUSE: Duration = Duration::from_millis(100);

impl Wait {
    /// Fails where the system call is refused (by seccomp): better before the spawn than in a loop
    /// after it.
    pub fn new() -> io::Result<Wait> {
        match take(SignalSet::default(), Some(Duration::ZERO)) {
            Err(Errno::EAGAIN) => {}
            other => drop(other?),
        }
        Ok(Wait { us: std::process::id() as i32, wake_ups: 0, received: Vec::new(), warned: false })
    }

    /// Sleeps until a signal arrives or the deadline passes, and returns the signals. With a SIGCHLD it
    /// returns all that are pending: that child may be the last one, and then we do not wait again.
    pub fn next(&mut self, deadline: Option<Instant>) -> &[Received] {
        self.next_of(SignalSet::ALL, deadline)
    }

    /// The same for these signals only; others stay pending.
    pub fn next_of(&mut self, mut awaited: SignalSet, deadline: Option<Instant>) -> &[Received] {
        self.received.clear();
        let until = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let mut next = match take(awaited, until) {
            // The time is over, or we were stopped and continued.
            Err(Errno::EAGAIN | Errno::EINTR) => None,
            Err(errno) => Some(self.cannot_wait(errno, until)),
            Ok(received) => Some(received),
        };
        self.wake_ups = (self.wake_ups + 1) % MAX_WAKE_UPS;
        let all = self.wake_ups == 0 || next.is_some_and(|first| first.signal == Signal::CHLD);
        while let Some(received) = next {
            awaited.remove(received.signal);
            if !received.is_ours(self.us) {
                self.received.push(received);
            }
            next = if all { take(awaited, Some(Duration::ZERO)).ok() } else { None };
        }
        &self.received
    }

    /// A sandbox refuses by now what it granted before. Pauses in place of the wait, until the deadline
    /// at most, so that we do not spin; after that a child may have ended.
    #[cold]
    fn cannot_wait(&mut self, errno: Errno, until: Option<Duration>) -> Received {
        if !std::mem::replace(&mut self.warned, true) {
            warn!(event = "no_signals", "cannot wait for signals any more: {}", errno.desc());
        }
        // Nothing can be awaited any more, and without a pause the loop would spin.
        std::thread::sleep(until.map_or(PAUSE, |until| until.min(PAUSE)));
        Received { signal: Signal::CHLD, origin: Origin::Kernel }
    }
}

/// Takes one of these signals, and waits for it up to the timeout (then EAGAIN), or without a limit. When
/// we are stopped and continued meanwhile, it is interrupted (EINTR).
fn take(awaited: SignalSet, timeout: Option<Duration>) -> nix::Result<Received> {
    let timeout = timeout.map(TimeSpec::from);
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
    // It is the bare system call, since libc's masks hide some signals, and musl's sigtimedwait begins
    // the wait anew when it is interrupted.
    // SAFETY: the set has eight bytes, which is the size that is passed, and the kernel fills in all of
    // `info` where it returns a signal.
    let info = unsafe {
        let number = libc::syscall(
            libc::SYS_rt_sigtimedwait,
            &raw const awaited.0,
            info.as_mut_ptr(),
            timeout,
            size_of::<u64>(),
        );
        Errno::result(number).map(|_| info.assume_init())
    }?;
    let origin = match info.si_code {
        // SAFETY: with these codes the sender's pid and uid are there (sigaction(2)).
        libc::SI_USER | libc::SI_TKILL => unsafe {
            Origin::Process { pid: info.si_pid(), uid: info.si_uid() }
        },
        // A process can send such a code to nobody but itself (rt_sigqueueinfo(2)).
        code if code > 0 => Origin::Kernel,
        _ => Origin::Queued,
    };
    let of_child = libc::CLD_EXITED..=libc::CLD_CONTINUED;
    let signal = match Signal::new(info.si_signo).ok_or(Errno::EINVAL)? {
        // It reports the end of a helper. Without such a code somebody has sent it, for the app.
        helper::END if of_child.contains(&info.si_code) => Signal::CHLD,
        signal => signal,
    };
    Ok(Received { signal, origin })
}

#[cfg(test)]
mod tests;
