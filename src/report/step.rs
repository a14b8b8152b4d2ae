//! The steps of a shutdown, and how much each matters.

use std::time::Instant;

use serde::Serialize;

use crate::process::target::{Name, Swept, Target};
use crate::shutdown::ending::Ending;
use crate::shutdown::event::{Note, Why};
use crate::signal::Signal;
use crate::tasks::task::{Done, Task};

/// Who sent a signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sender {
    /// 0 is a process outside our PID namespace, or the kernel: then the command is `kernel`.
    pub pid: i32,
    pub uid: u32,
    pub command: Option<String>,
    /// It came by sigqueue(3), so that nobody vouches for its sender: then the rest says nothing.
    #[serde(skip)]
    pub queued: bool,
}

/// One step of a shutdown, as it is recorded.
#[derive(Debug)]
pub enum Step {
    /// The shutdown began with a stop signal. Where it has no sender, a rehearsal played it.
    Began {
        signal: Signal,
        sender: Option<Sender>,
        may_end_at: Instant,
        forward_at: Instant,
        kill_at: Option<Instant>,
    },
    /// A stop signal came that changed nothing.
    Noted {
        signal: Signal,
        sender: Option<Sender>,
        note: Note,
    },
    Forwarded {
        signal: Signal,
        why: Why,
        target: Target,
    },
    /// A rewrite dropped the signal that would have been forwarded.
    Dropped {
        signal: Signal,
        why: Why,
    },
    MainEnded(Ending),
    /// The stop signal, or SIGTERM in its place, went to those that have become topmost since.
    PassedOn {
        names: Vec<Name>,
        /// They outlive the app.
        left_over: bool,
    },
    /// A process has ended that stood for the app, since a shell or a relay that ran it had ended.
    StandInEnded(Name, Ending),
    /// The last member of the main child's process group is gone.
    GroupEnded,
    /// A signal was sent to what outlived the main child.
    Swept {
        signal: Signal,
        swept: Swept,
        kill_at: Option<Instant>,
    },
    /// SIGKILL was sent.
    Killed {
        names: Vec<Name>,
        /// The main child is a shell that has not run its trap yet.
        trap_pending: bool,
        /// The app was among them: the main child, or what stood for it.
        of_app: bool,
    },
    /// These processes survived SIGKILL, and are no longer waited for.
    GaveUp {
        names: Vec<Name>,
    },
    /// A hook or a request has ended, or could not be started.
    TaskEnded(Done),
    /// A task was not run, as SIGKILL's deadline came before its turn.
    NotRun(Task),
}

impl Step {
    /// Whether only `--verbose` logs it.
    pub fn is_detail(&self) -> bool {
        !self.is_failure()
            && matches!(
                self,
                Step::GroupEnded
                    | Step::Forwarded { why: Why::Passing, .. }
                    | Step::Dropped { why: Why::Passing, .. }
            )
    }

    /// Whether it is logged as a warning, and makes one of the report.
    pub fn is_failure(&self) -> bool {
        matches!(
            self,
            Step::Killed { .. }
                | Step::GaveUp { .. }
                // By a rewrite.
                | Step::Forwarded { signal: Signal::KILL, .. }
                | Step::TaskEnded(Done { how: Err(_), .. })
                | Step::NotRun(_)
        )
    }

    /// Who was signalled: those of whom the report may tell.
    pub fn signalled(&self) -> &[Name] {
        match self {
            Step::Forwarded { target, .. } => match target {
                Target::Through(_, names) | Target::Spared(_, names) | Target::StandIns(names) => {
                    names
                }
                Target::Main(_) | Target::Group(_) | Target::Leftovers(_) => &[],
            },
            Step::PassedOn { names, .. } => names,
            Step::Swept { swept, .. } => &swept.signalled,
            _ => &[],
        }
    }

    /// Whether it is logged even where no stop signal came, as what became of a request to a sidecar:
    /// whoever configured that wants to know.
    pub fn is_logged_without_stop_signal(&self) -> bool {
        matches!(self, Step::TaskEnded(Done { task: Task::Quit(_), .. }))
    }

    /// The value of `event` in JSON (docs/report.md).
    pub fn event(&self) -> &'static str {
        match self {
            Step::Began { .. } => "stop_signal",
            Step::Noted { .. } => "stop_signal_repeated",
            Step::Forwarded { .. } => "forwarded",
            Step::Dropped { .. } => "dropped_by_rewrite",
            Step::MainEnded(_) => "app_ended",
            Step::PassedOn { .. } => "passed_on",
            Step::StandInEnded(..) => "stand_in_ended",
            Step::GroupEnded => "group_ended",
            Step::Swept { .. } => "swept",
            Step::Killed { .. } => "killed",
            Step::GaveUp { .. } => "gave_up",
            Step::TaskEnded(Done { task: Task::Hook(..), .. }) => "hook_ended",
            Step::TaskEnded(Done { task: Task::Quit(_), .. }) => "sidecar_told",
            Step::NotRun(_) => "not_run",
        }
    }
}

#[cfg(test)]
mod tests;
