//! The timeline of one shutdown: what is kept of its steps. It is fed with steps and their times,
//! and reads no clock.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::process::target::{Name, Target};
use crate::report::step::{Sender, Step};
use crate::shutdown::ending::Ending;
use crate::shutdown::event::Why;
use crate::shutdown::plan::Plan;
use crate::signal::Signal;
use crate::tasks::task::{Done, Task};
use crate::traffic::seen::HoldTraffic;

/// What began the shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A stop signal.
    Signal,
    /// The stop signal that a rehearsal plays.
    Rehearsal,
    /// The main child ended, before any stop signal.
    Exit,
}

/// Why a hold ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldEnd {
    /// The delay was over.
    Delay,
    /// Traffic had stopped.
    Quiet,
    /// The hooks had ended, which took longer than the delay.
    Hooks,
    /// A second stop signal came.
    Hurry,
    /// The app ended: by itself, or by SIGKILL where on-stop hooks ran until then.
    Exit,
}

/// A hook that failed, or was not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedHook {
    pub hook: String,
    pub why: String,
}

/// The command lines of so many processes are kept at most.
const MAX_COMMAND_LINES: usize = 64;

/// All that happened so far.
#[derive(Debug)]
pub struct Timeline {
    /// When the app was started.
    pub started_at: Instant,
    /// The main child, by the name that it has now or had last.
    pub app: Name,
    pub plan: Plan,
    /// The first stop signal, or without one the end of the main child.
    pub began_at: Option<Instant>,
    pub trigger: Trigger,
    pub signal: Option<Signal>,
    pub sender: Option<Sender>,
    pub repeats: u32,
    pub hold_end: Option<(Instant, HoldEnd)>,
    /// What was seen of the traffic while the stop signal was held back.
    pub traffic: Option<HoldTraffic>,
    /// The first time that the stop signal was forwarded.
    pub forwarded: Option<(Instant, Signal, Target)>,
    pub ended: Option<(Instant, Ending)>,
    pub group_ended_at: Option<Instant>,
    /// The last of those that stood for the app which has ended.
    pub stand_in: Option<(Instant, Name, Ending)>,
    pub left_over: Vec<Name>,
    pub killed: Option<(Instant, Vec<Name>)>,
    /// The main child, or what stood for it, was still there when SIGKILL was sent.
    pub app_killed: bool,
    /// When SIGKILL was sent, the main child was a shell that had not run its trap yet.
    pub trap_pending: bool,
    /// Those who survived SIGKILL.
    pub survivors: Vec<Name>,
    pub failed_hooks: Vec<FailedHook>,
    /// A signal ended the app, or what stood for it, that we neither sent nor forwarded.
    pub died: bool,
    /// The command lines of some processes, as far as they were read in time.
    pub command_lines: Vec<(Name, String)>,
}

impl Timeline {
    /// Nothing has happened yet.
    pub fn new(app: Name, plan: Plan, started_at: Instant) -> Timeline {
        Timeline {
            started_at,
            app,
            plan,
            began_at: None,
            trigger: Trigger::Exit,
            signal: None,
            sender: None,
            repeats: 0,
            hold_end: None,
            traffic: None,
            forwarded: None,
            ended: None,
            group_ended_at: None,
            stand_in: None,
            left_over: Vec::new(),
            killed: None,
            app_killed: false,
            trap_pending: false,
            survivors: Vec::new(),
            failed_hooks: Vec::new(),
            died: false,
            command_lines: Vec::new(),
        }
    }

    /// Keeps the command line of a process, in place of the one that it had before. Of further ones
    /// nothing is kept, so that no limit of memory can be in the way.
    pub fn keep_command_line(&mut self, name: &Name, line: String) {
        if let Some(known) = self.command_lines.iter_mut().find(|(known, _)| known.pid == name.pid)
        {
            *known = (name.clone(), line);
        } else if self.command_lines.len() < MAX_COMMAND_LINES
            && self.command_lines.try_reserve(1).is_ok()
        {
            self.command_lines.push((name.clone(), line));
        }
    }

    /// The time since the shutdown began.
    pub fn since(&self, now: Instant) -> Option<Duration> {
        self.began_at.map(|began_at| now.saturating_duration_since(began_at))
    }

    /// Whether we have sent SIGKILL to anyone.
    pub fn killed(&self) -> bool {
        self.killed.is_some()
    }

    /// Whether a stop signal came, or a rehearsal played one.
    pub fn stop_signal_came(&self) -> bool {
        self.signal.is_some()
    }

    /// Whether a stop signal came, something was killed, or a rehearsal runs: until then the log has
    /// only warnings.
    pub fn is_worth_reporting(&self) -> bool {
        self.signal.is_some() || self.killed() || self.plan.rehearse.is_some()
    }

    /// Whether there is anything to report, if only with `--verbose`.
    pub fn has_news(&self) -> bool {
        self.is_worth_reporting() || !self.left_over.is_empty()
    }

    /// Keeps what the report needs of a step.
    pub fn record(&mut self, step: &Step, now: Instant) {
        match step {
            Step::Began { signal, sender, .. } => {
                self.began_at = Some(now);
                self.signal = Some(*signal);
                self.sender.clone_from(sender);
                self.trigger = if sender.is_some() { Trigger::Signal } else { Trigger::Rehearsal };
            }
            // The shutdown began with the end of the app, and the stop signal came after that.
            Step::Noted { signal, sender, .. } if self.signal.is_none() => {
                self.signal = Some(*signal);
                self.sender.clone_from(sender);
            }
            Step::Noted { .. } => self.repeats += 1,
            Step::Forwarded { why: Why::Passing, .. } | Step::PassedOn { left_over: false, .. } => {
            }
            Step::PassedOn { names, .. } => self.add_left_over(names),
            Step::Forwarded { signal, why, target, .. } => {
                self.end_hold(*why, now);
                self.forwarded.get_or_insert_with(|| (now, *signal, target.clone()));
            }
            Step::Dropped { why, .. } => self.end_hold(*why, now),
            Step::MainEnded(ending) => {
                self.began_at.get_or_insert(now);
                self.ended = Some((now, *ending));
                if self.signal.is_some() {
                    self.hold_end.get_or_insert((now, HoldEnd::Exit));
                }
            }
            Step::StandInEnded(name, ending) => {
                self.stand_in = Some((now, name.clone(), *ending));
                self.note_killed_stand_in(*ending);
            }
            Step::GroupEnded => self.group_ended_at = Some(now),
            Step::Swept { swept, .. } => self.left_over = swept.all().cloned().collect(),
            Step::Killed { names, trap_pending, of_app } => {
                self.record_kill(names, *of_app, now);
                self.trap_pending |= trap_pending;
            }
            Step::GaveUp { names } => {
                self.survivors.clone_from(names);
                if let Some((_, killed)) = &mut self.killed {
                    killed.retain(|name| !names.contains(name));
                }
            }
            Step::TaskEnded(Done { task: task @ Task::Hook(..), how: Err(why), .. }) => {
                self.failed_hooks.push(FailedHook { hook: task.to_string(), why: why.clone() });
            }
            Step::NotRun(task @ Task::Hook(..)) => {
                let why = "was not run".into();
                self.failed_hooks.push(FailedHook { hook: task.to_string(), why });
            }
            Step::TaskEnded(_) | Step::NotRun(_) => {}
        }
    }

    fn record_kill(&mut self, names: &[Name], of_app: bool, now: Instant) {
        if !of_app {
            self.add_left_over(names);
        }
        let (_, killed) = self.killed.get_or_insert((now, Vec::new()));
        killed.extend_from_slice(names);
        self.app_killed |= of_app;
    }

    /// What stands for the app is the app: if our SIGKILL has ended it, what that ended with it was not
    /// left over.
    fn note_killed_stand_in(&mut self, ending: Ending) {
        if let Some((_, killed)) = &self.killed
            && ending == Ending::KILLED
        {
            self.app_killed = true;
            self.left_over.retain(|name| !killed.contains(name));
        }
    }

    /// Whom SIGKILL has ended turns out when they are reaped. Where all had ended by themselves just
    /// before it, nothing had to be killed.
    pub fn correct_killed(&mut self, mut names: Vec<Name>) {
        let Some((_, killed)) = self.killed.as_mut().filter(|(_, killed)| !killed.is_empty())
        else {
            return;
        };
        names.retain(|name| !self.survivors.contains(name));
        killed.clone_from(&names);
        if names.is_empty() && self.survivors.is_empty() {
            (self.killed, self.app_killed, self.trap_pending) = (None, false, false);
        } else if !self.app_killed {
            self.add_left_over(&names);
        }
    }

    fn add_left_over(&mut self, names: &[Name]) {
        let known = self.left_over.len();
        for name in names {
            if !self.left_over[..known].contains(name) {
                self.left_over.push(name.clone());
            }
        }
    }

    fn end_hold(&mut self, why: Why, now: Instant) {
        match why {
            Why::Passing | Why::Unheld => {}
            Why::Again => self.repeats += 1,
            Why::DelayOver => self.hold_end = Some((now, HoldEnd::Delay)),
            Why::Quiet => self.hold_end = Some((now, HoldEnd::Quiet)),
            Why::TasksEnded => self.hold_end = Some((now, HoldEnd::Hooks)),
            Why::Hurry => {
                self.repeats += 1;
                self.hold_end = Some((now, HoldEnd::Hurry));
            }
        }
    }
}

#[cfg(test)]
mod tests;
