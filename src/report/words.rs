//! Names, senders and targets in words, and how a report is kept short.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::process::target::{Name, Reason, Target};
use crate::report::step::Sender;
use crate::span::Span;

/// How much of its lists and texts goes into a report, which has to fit into a line.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many entries of a list are named; the others are counted.
    pub entries: usize,
    /// How many bytes of a text are kept.
    pub text: usize,
}

/// The usual limits first; then stricter ones, until with the last a report fits in any case.
const LIMITS: [Limits; 6] = [
    Limits { entries: 6, text: usize::MAX },
    Limits { entries: 6, text: 256 },
    Limits { entries: 6, text: 64 },
    Limits { entries: 3, text: 64 },
    Limits { entries: 1, text: 32 },
    Limits { entries: 0, text: 24 },
];

/// Writes a report with the first of the limits with which it has at most `max` bytes.
pub fn bounded(max: usize, write: impl Fn(Limits) -> String) -> String {
    let mut line = String::new();
    for limits in LIMITS {
        line = write(limits);
        if line.len() <= max {
            break;
        }
    }
    line
}

impl Limits {
    /// A text, cut where it is too long, with a mark that it was.
    pub fn short(self, text: &str) -> Cow<'_, str> {
        const MARK: &str = "...";
        if text.len() <= self.text {
            return Cow::Borrowed(text);
        }
        let end = text.floor_char_boundary(self.text.saturating_sub(MARK.len()));
        Cow::Owned(format!("{}{MARK}", &text[..end]))
    }

    /// The first entries of a list.
    pub fn first<T>(self, all: &[T]) -> &[T] {
        &all[..all.len().min(self.entries)]
    }

    /// A list in words: the first entries, and how many more there are.
    pub fn list<T: fmt::Display>(self, all: &[T]) -> String {
        let first = self.first(all);
        let words: Vec<String> = first.iter().map(T::to_string).collect();
        match all.len() - first.len() {
            0 => words.join(", "),
            more if first.is_empty() => format!("{more} in all"),
            more => format!("{} and {more} more", words.join(", ")),
        }
    }

    /// Processes by name. Without /proc nobody has one.
    pub fn names(self, names: &[Name]) -> String {
        if names.is_empty() { "all that is left".into() } else { self.list(names) }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        LIMITS[0]
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match (self.pid, &self.command) {
            _ if self.queued => f.write_str("from an unknown sender (by sigqueue)"),
            (0, Some(kernel)) => write!(f, "from the {kernel}"),
            (0, None) => f.write_str("from outside the container"),
            (pid, Some(command)) => write!(f, "from {command} (pid {pid}, uid {})", self.uid),
            (pid, None) => write!(f, "from pid {pid} (uid {})", self.uid),
        }
    }
}

/// Whom a signal went to, with the reason where that is a shell.
pub struct Whom<'a>(pub &'a Target, pub &'a Name);

impl fmt::Display for Whom<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Whom(target, app) = self;
        match target {
            Target::Main(Reason::ShellWithTrap(shell)) => {
                write!(f, "{app}: {shell} has a trap for it")
            }
            Target::Main(Reason::ShellWithoutTrap(shell)) => {
                write!(f, "{app}: {shell} has no trap for it; what it runs is next")
            }
            Target::Main(_) => write!(f, "{app}"),
            Target::Through(reason, others) => {
                let others = Limits::default().list(others);
                write!(f, "{app} and {others}: {}", WhyThrough(reason, app))
            }
            Target::Spared(Reason::Filter, others) => {
                let others = Limits::default().list(others);
                write!(f, "{others}: {app} reads from it and ends after it")
            }
            Target::Spared(_, others) => {
                let others = Limits::default().list(others);
                write!(f, "{others}: {app} would end of it and runs that")
            }
            Target::StandIns(names) => f.write_str(&Limits::default().names(names)),
            Target::Group(Reason::ShellWithoutTrap(shell)) => {
                write!(f, "the process group of {app}: {shell} has no trap for it")
            }
            Target::Group(Reason::OpaqueShell(shell)) => {
                write!(f, "the process group of {app}: {shell} does not show whether it has a trap")
            }
            Target::Group(_) => write!(f, "the process group of {app}"),
            Target::Leftovers(1) => f.write_str("the process that is left"),
            Target::Leftovers(count) => write!(f, "the {count} processes that are left"),
        }
    }
}

/// Why the main child does nothing with a signal.
struct WhyThrough<'a>(&'a Reason, &'a Name);

impl fmt::Display for WhyThrough<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let WhyThrough(reason, app) = self;
        let app = &app.command;
        match reason {
            Reason::Ignored => write!(f, "{app} ignores it"),
            Reason::Refused => write!(f, "{app} may not be signalled"),
            Reason::OpaqueShell(shell) => {
                write!(f, "{shell} does not show whether it has a trap for it")
            }
            _ => write!(f, "{app} does nothing with it"),
        }
    }
}

/// Shows a duration to a tenth of a second; one that is shorter than that to a millisecond.
#[derive(Clone, Copy)]
pub struct Brief(pub Duration);

impl fmt::Display for Brief {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        const TENTH: u64 = 100;
        let ms = self.0.as_millis() as u64;
        let ms = if ms < TENTH { ms } else { (ms + TENTH / 2) / TENTH * TENTH };
        Span(Duration::from_millis(ms)).fmt(f)
    }
}

/// So many connections.
pub struct Connections(pub u64);

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Connections(1) => f.write_str("1 connection"),
            Connections(count) => write!(f, "{count} connections"),
        }
    }
}

/// Why a shell did not run its trap before SIGKILL came.
pub struct TrapPending<'a>(pub &'a Name);

impl fmt::Display for TrapPending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "{} has a trap, which a shell runs only once the command that it waits for has ended, so \
             it may not have run (start the app with exec, or use --process-group)",
            self.0
        )
    }
}

#[cfg(test)]
mod tests;
