//! Exit codes, and what can go wrong before the app runs.

use std::fmt;

use crate::shutdown::ending::Ending;

/// The app did not pass its rehearsal.
pub const REHEARSAL_FAILED: u8 = 1;
/// We failed ourselves, or were called wrongly.
pub const FAILED: u8 = 125;
/// The command cannot be executed.
const NOT_EXECUTABLE: u8 = 126;
/// The command is not found.
const NOT_FOUND: u8 = 127;

/// The exit code that stands for the child's ending, as shells count: its own code, or 128 and
/// the signal that killed it. An expected code becomes 0. An unknown ending counts as a failure of
/// our own.
pub fn code(ending: Option<Ending>, expected: &[u8]) -> u8 {
    let code = match ending {
        Some(Ending::Exited(code)) => code,
        Some(Ending::Signaled(signal)) => 128 + signal.number() as u8,
        None => FAILED,
    };
    if expected.contains(&code) { 0 } else { code }
}

/// Why the app was not started. Nothing is left behind.
#[derive(Debug)]
pub enum StartError {
    /// We were called wrongly, or lack something that we need.
    Failed(String),
    NotExecutable(String),
    NotFound(String),
}

impl StartError {
    pub fn code(&self) -> u8 {
        match self {
            StartError::Failed(_) => FAILED,
            StartError::NotExecutable(_) => NOT_EXECUTABLE,
            StartError::NotFound(_) => NOT_FOUND,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            StartError::Failed(text)
            | StartError::NotExecutable(text)
            | StartError::NotFound(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests;
