//! Whom a signal went to, as plain values that a report can keep.

use std::fmt;

/// Whom a forwarded signal goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// Who is to hear it: the main child, or what a shell runs, and so on down.
    Automatic,
    /// The main child alone (`-c`).
    MainChild,
    /// The main child's process group at once (`-g`).
    ProcessGroup,
}

/// A process as a log or report names it. They are sorted by their pids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
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

/// Whom a signal went to, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The main child alone.
    Main(Reason),
    /// The main child, and these, since it does nothing with the signal.
    Through(Reason, Vec<Name>),
    /// Not the main child, which would end of it, but these that it runs.
    Spared(Reason, Vec<Name>),
    /// The main child's process group.
    Group(Reason),
    /// Those that stand for the main child, which has ended.
    StandIns(Vec<Name>),
    /// So many of the processes that outlive the app.
    Leftovers(usize),
}

impl Target {
    /// Whether the main child was a shell that ran the app, so that its end is not the app's.
    pub fn is_shell(&self) -> bool {
        match self {
            Target::Main(reason)
            | Target::Group(reason)
            | Target::Through(reason, _)
            | Target::Spared(reason, _) => {
                matches!(reason, Reason::ShellWithoutTrap(_) | Reason::OpaqueShell(_))
            }
            Target::StandIns(_) | Target::Leftovers(_) => false,
        }
    }
}

/// Why a signal went to the main child, or to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `-g` or `-c`.
    Option,
    /// It is no shell, as far as we can see.
    NoShell,
    /// It is this shell, which has a trap for the signal.
    ShellWithTrap(&'static str),
    /// It is this shell, which ends of the signal, for it has no trap for it.
    ShellWithoutTrap(&'static str),
    /// It is this shell, which does nothing with the signal while it waits for a command, unless it
    /// has a trap: that cannot be seen.
    OpaqueShell(&'static str),
    /// It ignores the signal.
    Ignored,
    /// We may not send it a signal.
    Refused,
    /// It reads what others write that are to end before it.
    Filter,
}

/// What a sweep found.
#[derive(Debug, Default)]
pub struct Swept {
    /// Those that were sent the signal.
    pub signalled: Vec<Name>,
    /// Those that had it already, as members of the main child's group.
    pub signalled_before: Vec<Name>,
    /// Those that we may not signal.
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

#[cfg(test)]
mod tests;
