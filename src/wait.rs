//! The one wait: a signalfd, and a timerfd for the deadline.
//!
//! All signals are blocked and read from a signalfd, which tells who sent them and loses none of
//! a burst of real-time signals. The timerfd is armed with an absolute time: it is 0.1 ms late
//! after seconds, where ppoll's slack grows with the wait. With no deadline pending a wake-up is
//! one blocking read.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::signal::{Signal, SignalSet};

/// How many signals are read at once; more wait in the kernel.
const BATCH: usize = 16;

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

/// What wakes us: signals, and the next deadline.
pub struct Wait {
    signals: OwnedFd,
    timer: TimerFd,
    /// What the timer is set to, from the first deadline on.
    armed: Option<Instant>,
    /// The same moment on std's clock and on the timer's, which are one clock (CLOCK_MONOTONIC),
    /// but std does not give its number.
    anchor: (Instant, Duration),
    batch: [libc::signalfd_siginfo; BATCH],
    us: u32,
}

impl Wait {
    pub fn new() -> io::Result<Wait> {
        let mask = SignalSet::ALL;
        // SAFETY: the mask is the eight bytes that signalfd4(2) is told it is; the descriptor is
        // new and nobody else's. The bare call, since libc's masks hide some signals.
        let signals = unsafe {
            let fd = libc::syscall(
                libc::SYS_signalfd4,
                -1,
                &raw const mask.0,
                size_of::<u64>(),
                libc::SFD_CLOEXEC,
            );
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd as RawFd)
        };
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        // In this order the timer is late by the time between the two calls, and never early.
        let here = Instant::now();
        let there = nix::time::ClockId::CLOCK_MONOTONIC.now()?;
        let anchor = (here, Duration::from(there));
        // SAFETY: a structure of plain integers, for which zero is a value.
        let batch = unsafe { std::mem::zeroed() };
        Ok(Wait { signals, timer, armed: None, anchor, batch, us: std::process::id() })
    }

    /// The descriptors that this holds.
    pub fn descriptors(&self) -> [RawFd; 2] {
        [self.signals.as_raw_fd(), self.timer.as_fd().as_raw_fd()]
    }

    /// Sleeps until a signal arrives or the deadline passes, and returns the signals; those that
    /// we caused ourselves by writing (SIGPIPE, SIGXFSZ) are not for the app and left out.
    pub fn next(&mut self, deadline: Option<Instant>) -> impl Iterator<Item = Received> {
        let count = match deadline {
            None if self.armed.is_none() => self.read(),
            _ if self.signal_before(deadline) => self.read(),
            _ => 0,
        };
        let us = self.us;
        self.batch[..count].iter().filter_map(move |info| {
            let signal = Signal::new(info.ssi_signo as i32)?;
            let ours = info.ssi_pid == us && [Signal::PIPE, Signal::XFSZ].contains(&signal);
            let by_kernel = info.ssi_code == libc::SI_KERNEL;
            let received =
                Received { signal, pid: info.ssi_pid as i32, uid: info.ssi_uid, by_kernel };
            (!ours).then_some(received)
        })
    }

    /// Waits for both; whether a signal is there to be read.
    fn signal_before(&mut self, deadline: Option<Instant>) -> bool {
        if let Some(deadline) = deadline.filter(|_| self.armed != deadline) {
            self.arm(deadline);
        }
        let both = [self.signals.as_fd(), self.timer.as_fd()];
        let mut both = both.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        // Once armed, a timer that has expired says so for ever.
        let awaited = if deadline.is_some() { &mut both[..] } else { &mut both[..1] };
        let woken = poll(awaited, PollTimeout::NONE).is_ok();
        woken && both[0].any() == Some(true)
    }

    /// From the first deadline on no read may wait: between poll and read a pending SIGCONT can
    /// be cancelled by a SIGSTOP that has no effect on PID 1.
    fn arm(&mut self, deadline: Instant) {
        let at = self.anchor.1 + deadline.saturating_duration_since(self.anchor.0);
        let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME;
        let at_once = FcntlArg::F_SETFL(OFlag::O_NONBLOCK);
        if self.timer.set(Expiration::OneShot(at.into()), flags).is_ok()
            && fcntl(&self.signals, at_once).is_ok()
        {
            self.armed = Some(deadline);
        }
    }

    /// Reads what is pending; nothing where a stop and continue interrupted.
    fn read(&mut self) -> usize {
        // SAFETY: the kernel writes whole records into the batch, whose size it is told.
        let bytes = unsafe {
            libc::read(
                self.signals.as_raw_fd(),
                self.batch.as_mut_ptr().cast(),
                size_of_val(&self.batch),
            )
        };
        bytes.max(0) as usize / size_of::<libc::signalfd_siginfo>()
    }
}
