//! How a process ended.

use std::fmt;

use crate::signal::Signal;

/// How a process ended (wait(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this exit code.
    Exited(u8),
    /// By this signal, which it did not catch.
    Signaled(Signal),
}

impl Ending {
    /// That of a process which SIGKILL ended.
    pub const KILLED: Ending = Ending::Signaled(Signal::KILL);
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Ending::Exited(code) => write!(f, "exited with {code}"),
            Ending::Signaled(signal) => write!(f, "was killed by {signal}"),
        }
    }
}

#[cfg(test)]
mod tests;
