//! A signal: its number, its name, and how a person writes it.

use std::fmt;
use std::str::FromStr;

use nix::libc;
use serde::{Serialize, Serializer};
use signal_hook::consts::signal as number;
use signal_hook::low_level::signal_name;

/// A Linux signal, 1 to 64, the real-time ones included (signal(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signal(u8);

/// The first real-time signal as the kernel and Docker count; libc's SIGRTMIN is 34 or 35.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

impl Signal {
    pub const HUP: Signal = Signal(number::SIGHUP as u8);
    pub const INT: Signal = Signal(number::SIGINT as u8);
    pub const QUIT: Signal = Signal(number::SIGQUIT as u8);
    pub const KILL: Signal = Signal(number::SIGKILL as u8);
    pub const USR1: Signal = Signal(number::SIGUSR1 as u8);
    pub const USR2: Signal = Signal(number::SIGUSR2 as u8);
    pub const PIPE: Signal = Signal(number::SIGPIPE as u8);
    pub const TERM: Signal = Signal(number::SIGTERM as u8);
    pub const CHLD: Signal = Signal(number::SIGCHLD as u8);
    pub const CONT: Signal = Signal(number::SIGCONT as u8);
    pub const STOP: Signal = Signal(number::SIGSTOP as u8);
    pub const TSTP: Signal = Signal(number::SIGTSTP as u8);
    pub const TTIN: Signal = Signal(number::SIGTTIN as u8);
    pub const TTOU: Signal = Signal(number::SIGTTOU as u8);
    pub const URG: Signal = Signal(number::SIGURG as u8);
    pub const WINCH: Signal = Signal(number::SIGWINCH as u8);
    pub const XFSZ: Signal = Signal(number::SIGXFSZ as u8);
    /// No program sends it: it was for a coprocessor that no machine has any more (signal(7)).
    pub const STKFLT: Signal = Signal(libc::SIGSTKFLT as u8);

    /// The signal of that number, if Linux has one.
    pub fn new(number: i32) -> Option<Signal> {
        (1..=RTMAX).contains(&number).then_some(Signal(number as u8))
    }

    pub fn number(self) -> i32 {
        i32::from(self.0)
    }

    /// Whether a process that does not catch it lives on: by default it is ignored, or stops or
    /// continues the process (signal(7)).
    pub fn is_harmless(self) -> bool {
        let stop_or_go = [Signal::CONT, Signal::STOP, Signal::TSTP, Signal::TTIN, Signal::TTOU];
        stop_or_go.contains(&self) || self.is_ignored_by_default()
    }

    /// Whether a process that does not catch it does not notice it (signal(7)).
    pub fn is_ignored_by_default(self) -> bool {
        [Signal::CHLD, Signal::URG, Signal::WINCH].contains(&self)
    }

    /// Whether it ever reaches us to be forwarded: SIGKILL and SIGSTOP cannot be caught, and
    /// SIGCHLD is about our own children.
    pub fn reaches_us(self) -> bool {
        ![Signal::KILL, Signal::STOP, Signal::CHLD].contains(&self)
    }
}

/// The name of a standard signal; signal-hook leaves out two that only Linux has.
fn standard_name(number: i32) -> Option<&'static str> {
    match number {
        libc::SIGSTKFLT => Some("SIGSTKFLT"),
        libc::SIGPWR => Some("SIGPWR"),
        _ => signal_name(number),
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match (standard_name(self.number()), self.0.checked_sub(RTMIN as u8)) {
            (Some(name), _) => f.write_str(name),
            (None, Some(0)) => f.write_str("SIGRTMIN"),
            (None, Some(offset)) => write!(f, "SIGRTMIN+{offset}"),
            (None, None) => write!(f, "signal {}", self.0),
        }
    }
}

impl Serialize for Signal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text that is neither the name nor the number of a signal.
#[derive(Debug, PartialEq, Eq)]
pub struct ParseSignalError;

impl fmt::Display for ParseSignalError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("no such signal; write SIGTERM, TERM, 15 or SIGRTMIN+3")
    }
}

impl std::error::Error for ParseSignalError {}

impl FromStr for Signal {
    type Err = ParseSignalError;

    /// Takes `SIGTERM`, `TERM`, `term`, `15`, `SIGRTMIN+3`, `RTMAX-1`, and the names that the C
    /// library has twice (`IOT`, `CLD`, `POLL`).
    fn from_str(text: &str) -> Result<Signal, ParseSignalError> {
        let upper = text.trim().to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let offset = |sign, rest: &str| match rest.strip_prefix(sign) {
            Some(digits) => whole_number(digits),
            None => rest.is_empty().then_some(0),
        };
        let found = if let Some(rest) = name.strip_prefix("RTMIN") {
            offset('+', rest).and_then(|n| RTMIN.checked_add(n)).filter(|n| *n <= RTMAX)
        } else if let Some(rest) = name.strip_prefix("RTMAX") {
            offset('-', rest).and_then(|n| RTMAX.checked_sub(n)).filter(|n| *n >= RTMIN)
        } else {
            match name {
                "IOT" => Some(libc::SIGABRT),
                "CLD" => Some(libc::SIGCHLD),
                "POLL" => Some(libc::SIGIO),
                _ if name == upper && whole_number(name).is_some() => whole_number(name),
                _ => (1..RTMIN).find(|n| {
                    standard_name(*n).is_some_and(|known| known.strip_prefix("SIG") == Some(name))
                }),
            }
        };
        found.and_then(Signal::new).ok_or(ParseSignalError)
    }
}

/// Digits alone: `i32::from_str` would take a sign too.
fn whole_number(text: &str) -> Option<i32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// A set of signals, laid out as the kernel's 64-bit mask: the bit of signal n is n - 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalSet(pub u64);

impl SignalSet {
    /// Every signal, with those that a C library keeps for itself.
    pub const ALL: SignalSet = SignalSet(u64::MAX);

    /// These signals.
    pub const fn of(signals: &[Signal]) -> SignalSet {
        let mut set = SignalSet(0);
        let mut rest = signals;
        while let [signal, others @ ..] = rest {
            set.0 |= SignalSet::bit(*signal);
            rest = others;
        }
        set
    }

    pub fn contains(self, signal: Signal) -> bool {
        self.0 & SignalSet::bit(signal) != 0
    }

    pub fn insert(&mut self, signal: Signal) {
        self.0 |= SignalSet::bit(signal);
    }

    pub fn remove(&mut self, signal: Signal) {
        self.0 &= !SignalSet::bit(signal);
    }

    const fn bit(signal: Signal) -> u64 {
        1 << (signal.0 - 1)
    }
}

#[cfg(test)]
mod tests;
