//! The one wait: rt_sigtimedwait(2), for a signal or until the deadline.
//!
//! All signals are blocked and taken one by one, which tells who sent them and loses none of a
//! burst of real-time signals. It is the cheapest wait there is, one system call a signal and no
//! descriptor; a signalfd costs 0.4 microseconds more a signal. It is late by the timer slack (50
//! microseconds, prctl(2)) and never early, where poll's slack grows with the wait.

use std::io;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::time::TimeSpec;

use crate::process::helper;
use crate::signal::{Signal, SignalSet};

/// A signal that reached us, and who sent it.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    pub signal: Signal,
    /// 0 where the sender is outside our PID namespace, or the kernel.
    pub pid: i32,
    pub uid: u32,
    /// A terminal's doing, mostly.
    pub by_kernel: bool,
}

impl Received {
    /// We caused it ourselves by writing: it is not for the app.
    fn is_ours(&self, us: i32) -> bool {
        self.pid == us && [Signal::PIPE, Signal::XFSZ].contains(&self.signal)
    }
}

/// What wakes us: signals, and the next deadline.
pub struct Wait {
    us: i32,
    /// Of the [`ROUND`].
    turn: u32,
    received: Vec<Received>,
}

/// Once in so many signals all that pend are taken, each once. The kernel gives the lowest number
/// first: a storm of low ones would keep the others waiting for ever, SIGCHLD among them.
const ROUND: u32 = 16;

impl Wait {
    /// Fails where the call is refused (by seccomp): better before the spawn than in a loop after it.
    pub fn new() -> io::Result<Wait> {
        match take(SignalSet::default(), Some(Duration::ZERO)) {
            Err(Errno::EAGAIN) => {}
            other => drop(other?),
        }
        Ok(Wait { us: std::process::id() as i32, turn: 0, received: Vec::new() })
    }

    /// Sleeps until a signal arrives or the deadline passes, and returns the signals. What came
    /// together with the end of a child comes with it, for the child may be the last.
    pub fn next(&mut self, deadline: Option<Instant>) -> &[Received] {
        self.next_of(SignalSet::ALL, deadline)
    }

    /// The same with these signals; the others stay pending.
    pub fn next_of(&mut self, mut awaited: SignalSet, deadline: Option<Instant>) -> &[Received] {
        self.received.clear();
        let until = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let mut next = take(awaited, until).ok();
        self.turn = (self.turn + 1) % ROUND;
        let all = self.turn == 0 || next.is_some_and(|first| first.signal == Signal::CHLD);
        while let Some(received) = next {
            awaited.remove(received.signal);
            if !received.is_ours(self.us) {
                self.received.push(received);
            }
            next = if all { take(awaited, Some(Duration::ZERO)).ok() } else { None };
        }
        &self.received
    }
}

/// Takes a signal of these, and waits for one if need be: so long (EAGAIN), or for ever. A stop and
/// continue interrupts it (EINTR).
fn take(awaited: SignalSet, patience: Option<Duration>) -> nix::Result<Received> {
    let patience = patience.map(TimeSpec::from);
    let patience = patience.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
    // SAFETY: the set is the eight bytes that the call is told it is, and the kernel fills in the
    // whole of info where it returns a signal. The bare call, since libc's masks hide some signals
    // and musl's begins the wait anew when it is interrupted.
    let info = unsafe {
        let number = libc::syscall(
            libc::SYS_rt_sigtimedwait,
            &raw const awaited.0,
            info.as_mut_ptr(),
            patience,
            size_of::<u64>(),
        );
        Errno::result(number).map(|_| info.assume_init())
    }?;
    // SAFETY: who sends a signal has these two at the same place in every layout (sigaction(2)).
    let (pid, uid) = unsafe { (info.si_pid(), info.si_uid()) };
    let by_kernel = info.si_code == libc::SI_KERNEL;
    let of_child = libc::CLD_EXITED..=libc::CLD_CONTINUED;
    let signal = match Signal::new(info.si_signo).ok_or(Errno::EINVAL)? {
        // Anybody may send it; this one tells of a child.
        helper::END if of_child.contains(&info.si_code) => Signal::CHLD,
        signal => signal,
    };
    Ok(Received { signal, pid, uid, by_kernel })
}

#[cfg(test)]
mod tests;
