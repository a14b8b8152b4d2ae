//! The timeline of one shutdown: what a report needs of its steps. It is fed with steps and their
//! times, and reads no clock.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::family::{Name, Reason, Target};
use crate::plan::Plan;
use crate::shutdown::{Ending, Why};
use crate::signal::Signal;
use crate::step::{Sender, Step};
use crate::tasks::{Done, Task};
use crate::watch::Outcome;

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
pub mod tests {
    use super::*;
    use crate::family::Swept;
    use crate::plan::tests::plan;
    use crate::shutdown::Note;
    use crate::tasks::tests::{hook, quit};

    pub fn name(pid: i32) -> Name {
        Name { pid, command: "app".into() }
    }

    pub fn outside() -> Option<Sender> {
        Some(Sender { pid: 0, uid: 0, command: None })
    }

    /// A stop signal that is held for up to 15 s, and kills after 59 s.
    pub fn began(sender: Option<Sender>, now: Instant) -> Step {
        let [forward_at, kill_at] = [15, 59].map(|seconds| now + Duration::from_secs(seconds));
        let (signal, may_end_at, kill_at) = (Signal::TERM, forward_at, Some(kill_at));
        Step::Began { signal, sender, may_end_at, forward_at, kill_at }
    }

    pub fn noted() -> Step {
        Step::Noted { signal: Signal::INT, sender: outside(), note: Note::StillHeld }
    }

    pub fn forwarded(why: Why) -> Step {
        Step::Forwarded { signal: Signal::TERM, why, target: Target::Main(Reason::App) }
    }

    pub fn to(target: Target) -> Step {
        Step::Forwarded { signal: Signal::TERM, why: Why::DelayOver, target }
    }

    pub fn killed(pids: &[i32], deaf: bool) -> Step {
        Step::Killed { names: pids.iter().copied().map(name).collect(), deaf }
    }

    pub fn swept(pids: &[i32]) -> Step {
        let told = pids.iter().copied().map(name).collect();
        Step::Swept {
            signal: Signal::TERM,
            swept: Swept { told, ..Swept::default() },
            kill_at: None,
        }
    }

    pub fn exited(code: u8) -> Step {
        Step::MainEnded(Ending::Exited(code))
    }

    pub fn done(task: Task, how: Result<String, String>) -> Step {
        Step::TaskEnded(Done { task, how, took: Duration::from_secs(1) })
    }

    /// All the steps, each with its second, counted from the time that is returned with them.
    pub fn told(plan: Plan, steps: Vec<(u64, Step)>) -> (Timeline, Instant) {
        let t0 = Instant::now();
        let mut timeline = Timeline::new(name(2), plan);
        for (second, step) in steps {
            timeline.add(&step, t0 + Duration::from_secs(second));
        }
        (timeline, t0)
    }

    fn of(steps: Vec<Step>) -> Timeline {
        told(plan(), steps.into_iter().map(|step| (0, step)).collect()).0
    }

    pub fn start(sender: Option<Sender>) -> Step {
        began(sender, Instant::now())
    }

    #[test]
    fn what_began_it() {
        let timeline = of(vec![start(outside())]);
        assert_eq!((timeline.trigger, timeline.signal), (Trigger::Signal, Some(Signal::TERM)));
        assert_eq!(of(vec![start(None)]).trigger, Trigger::Rehearsal);
        let crashed = of(vec![exited(1), noted()]);
        assert_eq!((crashed.trigger, crashed.signal), (Trigger::Exit, Some(Signal::INT)));
        assert_eq!((crashed.repeats, crashed.sender), (0, outside()));
        assert_eq!(crashed.hold_end, None);
    }

    #[test]
    fn why_the_hold_ended_and_how_often_it_came_again() {
        for (step, hold_end, repeats) in [
            (forwarded(Why::DelayOver), Some(HoldEnd::Delay), 0),
            (forwarded(Why::Quiet), Some(HoldEnd::Quiet), 0),
            (forwarded(Why::TasksEnded), Some(HoldEnd::Hooks), 0),
            (forwarded(Why::Hurry), Some(HoldEnd::Hurry), 1),
            (forwarded(Why::Again), None, 1),
            (forwarded(Why::Passing), None, 0),
            (Step::Dropped { signal: Signal::TERM, why: Why::DelayOver }, Some(HoldEnd::Delay), 0),
            (noted(), None, 1),
            (exited(0), Some(HoldEnd::Exit), 0),
        ] {
            let text = format!("{step:?}");
            let timeline = of(vec![start(outside()), step]);
            assert_eq!(timeline.hold_end.map(|(_, why)| why), hold_end, "{text}");
            assert_eq!(timeline.repeats, repeats, "{text}");
        }
        let again = of(vec![start(outside()), noted(), noted(), forwarded(Why::Hurry)]);
        assert_eq!(again.repeats, 3);
        let again = of(vec![start(outside()), forwarded(Why::Again), forwarded(Why::Again)]);
        assert_eq!(again.repeats, 2);
    }

    #[test]
    fn who_was_killed() {
        let timeline = of(vec![swept(&[3, 4]), killed(&[2, 3], false), killed(&[4], true)]);
        assert!(timeline.killed() && timeline.app_killed && timeline.deaf);
        assert_eq!(timeline.left_over, [3, 4].map(name));
        assert_eq!(timeline.not_yet_killed([3, 5].map(name).into()), Some(vec![name(5)]));
        assert_eq!(timeline.not_yet_killed([3, 4].map(name).into()), None);
        assert_eq!(of(vec![]).not_yet_killed(vec![]), Some(vec![]));
        // What was not there at the sweep is left over too.
        let names = vec![name(4)];
        let steps = vec![exited(0), swept(&[3]), killed(&[3, 4], false), Step::GaveUp { names }];
        let timeline = of(steps);
        assert!(!timeline.app_killed && !timeline.deaf);
        assert_eq!(timeline.left_over, [3, 4].map(name));
        assert_eq!(timeline.survivors, [name(4)]);
        assert_eq!(timeline.killed.unwrap().1, [name(3)]);
        assert!(of(vec![killed(&[2], true), killed(&[3], false)]).deaf);
        assert!(of(vec![killed(&[2], false), exited(0), killed(&[3], false)]).app_killed);
    }

    #[test]
    fn what_is_awaited() {
        let [group, trap] = [
            Target::Group(Reason::ShellWithoutTrap("sh".into())),
            Target::Main(Reason::ShellWithTrap("sh".into())),
        ];
        let awaits = |steps: Vec<Step>| {
            let timeline = of(steps);
            [timeline.awaits_group(), timeline.awaits_trap()]
        };
        assert_eq!(awaits(vec![to(group.clone())]), [false; 2]);
        assert_eq!(awaits(vec![to(group.clone()), exited(0)]), [true, false]);
        assert_eq!(awaits(vec![to(group), exited(0), Step::GroupEnded]), [false; 2]);
        assert_eq!(awaits(vec![to(trap.clone())]), [false, true]);
        assert_eq!(awaits(vec![to(trap), exited(0)]), [false; 2]);
        assert_eq!(awaits(vec![exited(0)]), [false; 2]);
        assert_eq!(awaits(vec![]), [false; 2]);
    }

    #[test]
    fn what_is_worth_telling() {
        let news = |timeline: Timeline| {
            [timeline.stop_signal_came(), timeline.is_worth_reporting(), timeline.has_news()]
        };
        assert_eq!(news(of(vec![exited(1)])), [false; 3]);
        assert_eq!(news(of(vec![exited(1), swept(&[3])])), [false, false, true]);
        assert_eq!(news(of(vec![exited(1), killed(&[3], false)])), [false, true, true]);
        assert_eq!(news(of(vec![start(outside())])), [true; 3]);
        let rehearse = Some(Duration::from_secs(1));
        let rehearsal = told(Plan { rehearse, ..plan() }, vec![]).0;
        assert_eq!(news(rehearsal), [false, true, true]);
    }

    #[test]
    fn only_hooks_fail_in_the_report() {
        let failed = of(vec![
            done(hook(), Ok("exited with 0".into())),
            done(hook(), Err("exited with 3".into())),
            done(quit(), Err("no answer".into())),
            Step::NotRun(hook()),
            Step::NotRun(quit()),
        ]);
        let failed: Vec<_> = failed.failed_hooks.iter().map(FailedHook::to_string).collect();
        let name = "on-stop hook /bin/deregister";
        assert_eq!(failed, [format!("{name} (exited with 3)"), format!("{name} (was not run)")]);
    }
}
