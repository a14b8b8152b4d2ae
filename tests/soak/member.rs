//! What a process of the app is, as the plan of a run has it.

use serde::{Deserialize, Serialize};

/// One process of the app, with those that it starts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Member {
    /// `m` is the first, `m.0` its first child.
    pub name: String,
    pub born: Born,
    pub on_stop: OnStop,
    /// Waits for signals that it blocks (rt_sigtimedwait(2)), in place of handlers.
    pub waits: bool,
    /// Stops itself once it is ready.
    pub is_stopped: bool,
    /// Milliseconds until it ends without a signal.
    pub ends_after: Option<u64>,
    /// Milliseconds between two orphans that end at once.
    pub forks_every: Option<u64>,
    pub children: Vec<Member>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Born {
    /// Its parent may wait for it.
    Child,
    /// By a double fork.
    Orphan,
    /// The same, with a session of its own.
    Daemon,
}

/// What it does when it is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum OnStop {
    /// Drains for so many milliseconds, and ends with the code.
    Ends { drain: u64, code: i32 },
    /// Says that it was told, and goes on.
    Deaf,
    /// Ignores it, as the kernel sees it.
    Ignores,
    /// Leaves the default action.
    Dies,
    /// Tells its children, and ends with 0 once they have.
    Master,
}

impl OnStop {
    /// Whether it says which signals it got.
    pub fn is_heard(self) -> bool {
        !matches!(self, OnStop::Dies | OnStop::Ignores)
    }

    /// Whether SIGKILL alone ends it.
    pub fn is_deaf(self) -> bool {
        matches!(self, OnStop::Deaf | OnStop::Ignores)
    }
}

impl Member {
    /// This one and all below.
    pub fn all(&self) -> Vec<&Member> {
        std::iter::once(self).chain(self.children.iter().flat_map(Member::all)).collect()
    }
}
