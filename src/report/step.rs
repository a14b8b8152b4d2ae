//! The steps of a shutdown, as the log tells them.

use std::fmt;
use std::time::Instant;

use serde::Serialize;

use crate::process::family::{Name, Reason, Swept, Target};
use crate::report::json::Counted;
use crate::report::timeline::Timeline;
use crate::shutdown::plan::Span;
use crate::shutdown::{Ending, Note, Why};
use crate::signal::Signal;
use crate::tasks::queue::{Done, Task};

/// Who sent a signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sender {
    /// 0 is a process outside our PID namespace, or the kernel, which then is the command.
    pub pid: i32,
    pub uid: u32,
    pub command: Option<String>,
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match (self.pid, &self.command) {
            (0, Some(kernel)) => write!(f, "from the {kernel}"),
            (0, None) => f.write_str("from outside the container"),
            (pid, Some(command)) => write!(f, "from {command} (pid {pid}, uid {})", self.uid),
            (pid, None) => write!(f, "from pid {pid} (uid {})", self.uid),
        }
    }
}

/// One step of a shutdown, as the log tells it.
#[derive(Debug)]
pub enum Step {
    /// Without a sender it is a rehearsal.
    Began {
        signal: Signal,
        sender: Option<Sender>,
        may_end_at: Instant,
        forward_at: Instant,
        kill_at: Option<Instant>,
    },
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
    Dropped {
        signal: Signal,
        why: Why,
    },
    MainEnded(Ending),
    /// The last member of the main child's process group is gone.
    GroupEnded,
    Swept {
        signal: Signal,
        swept: Swept,
        kill_at: Option<Instant>,
    },
    Killed {
        names: Vec<Name>,
        deaf: bool,
    },
    GaveUp {
        names: Vec<Name>,
    },
    /// A hook or a request has ended, or could not be started.
    TaskEnded(Done),
    /// The time was over before its turn.
    NotRun(Task),
}

impl Step {
    /// Whether only who asks for more wants to see it.
    pub fn is_detail(&self) -> bool {
        matches!(
            self,
            Step::GroupEnded
                | Step::Forwarded { why: Why::Passing, .. }
                | Step::Dropped { why: Why::Passing, .. }
        )
    }

    /// Whether it is a warning.
    pub fn is_failure(&self) -> bool {
        matches!(self, Step::TaskEnded(Done { how: Err(_), .. }) | Step::NotRun(_))
    }

    /// Whether it is asked for, and so told also where no stop signal came.
    pub fn is_an_answer(&self) -> bool {
        matches!(self, Step::TaskEnded(Done { task: Task::Quit(_), .. }))
    }

    /// Its name in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Step::Began { .. } => "stop_signal",
            Step::Noted { .. } => "stop_signal_repeated",
            Step::Forwarded { .. } => "forwarded",
            Step::Dropped { .. } => "dropped_by_rewrite",
            Step::MainEnded(_) => "app_ended",
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

impl Timeline {
    /// How the log tells a step.
    pub fn tell(&self, step: &Step, now: Instant) -> String {
        let until = |at: &Instant| Span(at.saturating_duration_since(self.began_at.unwrap_or(now)));
        let app = &self.app;
        match step {
            Step::Began { signal, sender, may_end_at, forward_at, kill_at } => {
                let whence = match sender {
                    Some(sender) => sender.to_string(),
                    None => "by rehearsal".into(),
                };
                let forward = match self.plan.rewrite(*signal) {
                    None => "it is rewritten to 0 and not forwarded".into(),
                    // Leftovers hear it at once.
                    Some(_)
                        if *forward_at <= now
                            && self.plan.on_stop.is_some()
                            && self.ended.is_none() =>
                    {
                        "forwarding it once the hooks have ended".into()
                    }
                    Some(_) if *forward_at <= now => "forwarding it at once".into(),
                    Some(_) if may_end_at < forward_at => format!(
                        "forwarding it between +{} and +{}",
                        until(may_end_at),
                        until(forward_at)
                    ),
                    Some(_) => format!("forwarding it at +{}", until(forward_at)),
                };
                let kill = match kill_at {
                    Some(at) => format!("SIGKILL at +{}", until(at)),
                    None => "no SIGKILL (no --grace-period is given)".into(),
                };
                format!("{signal} {whence}: {forward}, {kill}")
            }
            Step::Noted { signal, sender, note } => {
                let whence = sender.as_ref().map(Sender::to_string).unwrap_or_default();
                let what = match note {
                    Note::SameRequest => "so soon, it is the same request".into(),
                    Note::StillHeld => "still held back".into(),
                    Note::SweptAlready { kill_at: Some(at) } => {
                        format!("the leftovers know already; SIGKILL at +{}", until(at))
                    }
                    Note::SweptAlready { kill_at: None } => "the leftovers know already".into(),
                    Note::Leaving { kill_at: Some(at) } => {
                        format!("the app has ended already; hooks get SIGKILL at +{}", until(at))
                    }
                    Note::Leaving { kill_at: None } => "the app has ended already".into(),
                };
                format!("{signal} {whence}: {what}")
            }
            Step::Forwarded { signal, why, target } => {
                let why = match why {
                    Why::Passing | Why::Unheld => "",
                    Why::DelayOver if self.plan.delay.max.is_zero() => "",
                    Why::DelayOver => "; the delay is over",
                    Why::Quiet => "; no traffic comes any more",
                    Why::TasksEnded => "; the delay is over and the hooks have ended",
                    Why::Hurry => "; asked twice, the hold ends early",
                    Why::Again => ", again",
                };
                format!("forwarded {signal} to {}{why}", Whom(target, app))
            }
            Step::Dropped { signal, .. } => {
                format!("{signal} is not forwarded: it is rewritten to 0")
            }
            Step::MainEnded(ending) => format!("{app} {ending}"),
            Step::GroupEnded => format!("the last process of the group of {app} ended"),
            Step::Swept { signal, swept, kill_at } => {
                let mut parts = Vec::new();
                if !swept.told.is_empty() {
                    parts.push(format!("sent {signal} to {}", Names(&swept.told)));
                }
                if !swept.told_before.is_empty() {
                    parts.push(format!("told already: {}", Names(&swept.told_before)));
                }
                if !swept.not_told.is_empty() {
                    parts.push(format!("could not tell {}", Names(&swept.not_told)));
                }
                if let Some(at) = kill_at {
                    parts.push(format!("SIGKILL at +{}", until(at)));
                }
                format!("left over by {app}: {}", parts.join("; "))
            }
            Step::Killed { names, deaf } => {
                let trap = if *deaf { format!("; {}", Deaf(app)) } else { String::new() };
                format!("sent SIGKILL to {}{trap}", Names(names))
            }
            Step::GaveUp { names } => {
                format!("SIGKILL has not ended {}; leaving it to the kernel", Names(names))
            }
            Step::TaskEnded(Done { task, how, took }) => {
                let how = how.as_ref().unwrap_or_else(|why_not| why_not);
                let how = match task {
                    Task::Hook(..) => format!(" {how}"),
                    Task::Quit(_) => format!(": {how}"),
                };
                format!("{task}{how} ({})", Span(*took))
            }
            Step::NotRun(task) => format!("{task} was not run: the time was over"),
        }
    }
}

/// Whom a signal went to, in words.
struct Whom<'a>(&'a Target, &'a Name);

impl fmt::Display for Whom<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Whom(target, app) = self;
        match target {
            Target::Main(Reason::ShellWithTrap(shell)) => {
                write!(f, "{app}: {shell} has a trap for it")
            }
            Target::Main(_) => write!(f, "{app}"),
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

/// Processes by name.
struct Names<'a>(&'a [Name]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.0 {
            // Without /proc nobody has a name.
            [] => f.write_str("all that is left"),
            names => Counted::new(names).fmt(f),
        }
    }
}

/// Why a shell with a trap did not hear.
pub struct Deaf<'a>(pub &'a Name);

impl fmt::Display for Deaf<'_> {
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
