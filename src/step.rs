//! The steps of a shutdown, as the log tells them.

use std::fmt;
use std::time::Instant;

use serde::Serialize;

use crate::family::{Name, Reason, Swept, Target};
use crate::plan::Span;
use crate::report::Counted;
use crate::shutdown::{Ending, Note, Why};
use crate::signal::Signal;
use crate::tasks::{Done, Task};
use crate::timeline::Timeline;

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
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::{Delay, Plan, tests::plan};
    use crate::tasks::tests::{hook, quit};
    use crate::timeline::tests::*;

    #[test]
    fn steps_have_a_place_in_the_log() {
        let place = |step: &Step| [step.is_detail(), step.is_failure(), step.is_an_answer()];
        for (step, name, expected) in [
            (start(None), "stop_signal", [false; 3]),
            (noted(), "stop_signal_repeated", [false; 3]),
            (forwarded(Why::DelayOver), "forwarded", [false; 3]),
            (forwarded(Why::Passing), "forwarded", [true, false, false]),
            (Step::GroupEnded, "group_ended", [true, false, false]),
            (exited(0), "app_ended", [false; 3]),
            (done(hook(), Ok(String::new())), "hook_ended", [false; 3]),
            (done(hook(), Err(String::new())), "hook_ended", [false, true, false]),
            (done(quit(), Ok(String::new())), "sidecar_told", [false, false, true]),
            (done(quit(), Err(String::new())), "sidecar_told", [false, true, true]),
            (Step::NotRun(quit()), "not_run", [false, true, false]),
        ] {
            assert_eq!((step.name(), place(&step)), (name, expected), "{step:?}");
        }
    }

    #[test]
    fn steps_in_words() {
        let t0 = Instant::now();
        let later = t0 + Duration::from_secs(20);
        let fixed = plan();
        let hooking = Plan { on_stop: Some(Duration::from_secs(11)), ..plan() };
        let none = Plan { delay: Delay::fixed(Duration::ZERO), ..plan() };
        let rewritten = Plan { rewrites: vec![(Signal::TERM, None)], ..plan() };
        let ranged = |min| {
            let Step::Began { signal, sender, forward_at, kill_at, .. } = began(outside(), t0)
            else {
                unreachable!("it is one")
            };
            let may_end_at = t0 + Duration::from_secs(min);
            Step::Began { signal, sender, may_end_at, forward_at, kill_at }
        };
        let in_words = |plan: &Plan, step: &Step, now, ended| {
            let mut timeline = Timeline::new(name(2), plan.clone());
            timeline.began_at = Some(t0);
            timeline.ended = ended;
            timeline.tell(step, now)
        };
        let ended = Some((t0, Ending::Exited(0)));
        let begins = "SIGTERM from outside the container: ";
        for (plan, min, now, ended, text) in [
            (&fixed, 15, t0, None, "forwarding it at +15s, SIGKILL at +59s"),
            (&fixed, 5, t0, None, "forwarding it between +5s and +15s, SIGKILL at +59s"),
            (
                &fixed,
                15,
                t0 + Duration::from_secs(15),
                None,
                "forwarding it at once, SIGKILL at +59s",
            ),
            (&hooking, 15, t0, None, "forwarding it at +15s, SIGKILL at +59s"),
            (&hooking, 15, later, None, "forwarding it once the hooks have ended, SIGKILL at +59s"),
            (&hooking, 15, later, ended, "forwarding it at once, SIGKILL at +59s"),
            (&rewritten, 15, t0, None, "it is rewritten to 0 and not forwarded, SIGKILL at +59s"),
        ] {
            assert_eq!(in_words(plan, &ranged(min), now, ended), format!("{begins}{text}"));
        }
        let says = |plan: &Plan, step: Step| in_words(plan, &step, later, None);
        assert_eq!(
            says(&fixed, forwarded(Why::DelayOver)),
            "forwarded SIGTERM to app (pid 2); the delay is over"
        );
        assert_eq!(says(&none, forwarded(Why::DelayOver)), "forwarded SIGTERM to app (pid 2)");
        let shell = |reason: fn(String) -> Reason| reason("sh".into());
        for (target, whom) in [
            (Target::Main(shell(Reason::ShellWithTrap)), "app (pid 2): sh has a trap for it"),
            (
                Target::Group(shell(Reason::ShellWithoutTrap)),
                "the process group of app (pid 2): sh has no trap for it",
            ),
            (
                Target::Group(shell(Reason::OpaqueShell)),
                "the process group of app (pid 2): sh does not show whether it has a trap",
            ),
            (Target::Group(Reason::Asked), "the process group of app (pid 2)"),
            (Target::Leftovers(1), "the process that is left"),
            (Target::Leftovers(3), "the 3 processes that are left"),
        ] {
            assert_eq!(says(&none, to(target)), format!("forwarded SIGTERM to {whom}"));
        }
        let [told, told_before, not_told] = [3, 4, 5].map(|pid| vec![name(pid)]);
        let all = Swept { told, told_before, not_told };
        for (swept, text) in [
            (
                all,
                "sent SIGTERM to app (pid 3); told already: app (pid 4); could not tell app (pid 5)",
            ),
            (Swept::default(), ""),
        ] {
            let step = Step::Swept { signal: Signal::TERM, swept, kill_at: None };
            assert_eq!(says(&fixed, step), format!("left over by app (pid 2): {text}"));
        }
        assert_eq!(says(&fixed, killed(&[], false)), "sent SIGKILL to all that is left");
        let deaf = says(&fixed, killed(&[2], true));
        assert!(deaf.starts_with("sent SIGKILL to app (pid 2); app (pid 2) has a trap"), "{deaf}");
        assert_eq!(says(&fixed, exited(3)), "app (pid 2) exited with 3");
    }

    #[test]
    fn senders_in_words() {
        for (pid, command, text) in [
            (0, None, "from outside the container"),
            (0, Some("kernel"), "from the kernel"),
            (7, Some("sh"), "from sh (pid 7, uid 5)"),
            (7, None, "from pid 7 (uid 5)"),
        ] {
            let sender = Sender { pid, uid: 5, command: command.map(str::to_owned) };
            assert_eq!(sender.to_string(), text);
        }
    }
}
