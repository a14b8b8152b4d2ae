//! Whom a signal went to, as plain values that a report can keep.

use std::fmt;

/// A process as a log or report names it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Name {
    pub pid: i32,
    /// The name of its program, 15 bytes at most (comm in proc_pid_stat(5)).
    pub command: String,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} (pid {})", self.command, self.pid)
    }
}

/// Whom a signal went to, and why to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The main child alone.
    Main(Reason),
    /// The main child's process group.
    Group(Reason),
    /// So many of the processes that outlive the main child.
    Leftovers(usize),
}

/// Why a signal went to the main child, or to its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `-g` or `-c`.
    Option,
    /// It is no shell, as far as we can see.
    NoShell,
    /// It is this shell, which has a trap for the signal.
    ShellWithTrap(String),
    /// It is this shell, which has no trap for the signal.
    ShellWithoutTrap(String),
    /// It is this shell, which does not show whether it has a trap.
    OpaqueShell(String),
}

/// What a sweep found.
#[derive(Debug, Default)]
pub struct Swept {
    /// Those that were sent the signal.
    pub signalled: Vec<Name>,
    /// Those that had it already, as members of the main child's group.
    pub signalled_before: Vec<Name>,
    /// Those that we may not send a signal.
    pub refused: Vec<Name>,
}

impl Swept {
    /// All that outlived the main child.
    pub fn all(&self) -> impl Iterator<Item = &Name> {
        self.signalled.iter().chain(&self.signalled_before).chain(&self.refused)
    }

    /// Whether nothing outlived the main child.
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }
}
