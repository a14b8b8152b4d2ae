//! The timeline of one shutdown: what a report needs of its steps. It is fed with steps and their
//! times, and reads no clock.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::process::family::{Name, Reason, Target};
use crate::report::step::{Sender, Step};
use crate::shutdown::plan::Plan;
use crate::shutdown::{Ending, Why};
use crate::signal::Signal;
use crate::tasks::queue::{Done, Task};
use crate::traffic::watch::Outcome;

/// What began the shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    Signal,
    Rehearsal,
    /// The main child ended by itself, or crashed.
    Exit,
}

/// Why a hold ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldEnd {
    Delay,
    /// Traffic had stopped.
    Quiet,
    /// The hooks took longer than the delay.
    Hooks,
    Hurry,
    Exit,
}

/// All that happened so far.
#[derive(Debug)]
pub struct Timeline {
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
    pub traffic: Option<Outcome>,
    pub forwarded: Option<(Instant, Signal, Target)>,
    pub ended: Option<(Instant, Ending)>,
    pub group_ended_at: Option<Instant>,
    pub left_over: Vec<Name>,
    pub killed: Option<(Instant, Vec<Name>)>,
    /// The main child was still there when we sent SIGKILL.
    pub app_killed: bool,
    /// A shell with a trap had a command to wait for then, and may not have run it.
    pub deaf: bool,
    /// What not even SIGKILL ended.
    pub survivors: Vec<Name>,
    pub failed_hooks: Vec<FailedHook>,
}

/// A hook that did not do what it was to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedHook {
    pub hook: String,
    pub why: String,
}

impl fmt::Display for FailedHook {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} ({})", self.hook, self.why)
    }
}

impl Timeline {
    pub fn new(app: Name, plan: Plan) -> Timeline {
        Timeline {
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
            left_over: Vec::new(),
            killed: None,
            app_killed: false,
            deaf: false,
            survivors: Vec::new(),
            failed_hooks: Vec::new(),
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

    /// Those of them that we have not told of; none if there is nothing new to tell.
    pub fn not_yet_killed(&self, mut names: Vec<Name>) -> Option<Vec<Name>> {
        let Some((_, told)) = &self.killed else {
            return Some(names);
        };
        names.retain(|name| !told.contains(name));
        (!names.is_empty()).then_some(names)
    }

    /// Whether a stop signal came, or a rehearsal played one.
    pub fn stop_signal_came(&self) -> bool {
        self.signal.is_some()
    }

    /// Whether a stop signal came, or something was killed: until then we are silent.
    pub fn is_worth_reporting(&self) -> bool {
        self.signal.is_some() || self.killed() || self.plan.rehearse.is_some()
    }

    /// Whether at least who asks for more would like to know.
    pub fn has_news(&self) -> bool {
        self.is_worth_reporting() || !self.left_over.is_empty()
    }

    /// The stop signal went to the process group, whose members we do not all know.
    pub fn awaits_group(&self) -> bool {
        let to_group = matches!(self.forwarded, Some((_, _, Target::Group(_))));
        to_group && self.ended.is_some() && self.group_ended_at.is_none()
    }

    /// The main child is a shell that was waiting for a command when its trap should have run.
    pub fn awaits_trap(&self) -> bool {
        let to_trap =
            matches!(self.forwarded, Some((_, _, Target::Main(Reason::ShellWithTrap(_)))));
        to_trap && self.ended.is_none()
    }

    /// Takes a step in.
    pub fn add(&mut self, step: &Step, now: Instant) {
        match step {
            Step::Began { signal, sender, .. } => {
                self.began_at = Some(now);
                self.signal = Some(*signal);
                self.sender = sender.clone();
                self.trigger = if sender.is_some() { Trigger::Signal } else { Trigger::Rehearsal };
            }
            // What a crash began can be asked for later: it is not the trigger, but not lost.
            Step::Noted { signal, sender, .. } if self.signal.is_none() => {
                self.signal = Some(*signal);
                self.sender = sender.clone();
            }
            Step::Noted { .. } => self.repeats += 1,
            Step::Forwarded { why: Why::Passing, .. } => {}
            Step::Forwarded { signal, why, target } => {
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
            Step::GroupEnded => self.group_ended_at = Some(now),
            Step::Swept { swept, .. } => {
                self.left_over = swept.all().cloned().collect();
            }
            Step::Killed { names, deaf } => {
                if self.ended.is_some() {
                    let left_over = &mut self.left_over;
                    let new: Vec<_> =
                        names.iter().filter(|name| !left_over.contains(name)).cloned().collect();
                    left_over.extend(new);
                }
                let (_, killed) = self.killed.get_or_insert((now, Vec::new()));
                killed.extend_from_slice(names);
                self.app_killed |= self.ended.is_none();
                self.deaf |= deaf;
            }
            Step::GaveUp { names } => {
                self.survivors = names.clone();
                if let Some((_, killed)) = &mut self.killed {
                    killed.retain(|name| !names.contains(name));
                }
            }
            Step::TaskEnded(Done { task: task @ Task::Hook(..), how: Err(why), .. }) => {
                self.failed_hooks.push(FailedHook { hook: task.to_string(), why: why.clone() });
            }
            Step::NotRun(task @ Task::Hook(..)) => {
                self.failed_hooks
                    .push(FailedHook { hook: task.to_string(), why: "was not run".into() });
            }
            Step::TaskEnded(_) | Step::NotRun(_) => {}
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
