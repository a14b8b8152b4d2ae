//! The core: the timeline of a shutdown as a state machine.
//!
//! Events go in, actions come out, and the next deadline can be asked for. There is no system call,
//! no clock, no log and no pid in here: time is a parameter. The table of phases and events in
//! docs/architecture.md has the same rows as [`Shutdown::handle`] and the tests.
//!
//! - `plan.rs`: the options that the core needs, checked against each other.
//! - `event.rs`: what goes in, and what comes out.
//! - `phase.rs`: where a run stands.
//! - `looks.rs`: when to look for processes that are to be signalled.
//! - `ending.rs`: how a process ended.

pub mod ending;
pub mod event;
mod looks;
mod phase;
pub mod plan;

use std::time::{Duration, Instant};

use crate::shutdown::ending::Ending;
use crate::shutdown::event::{Action, Actions, ENDING, Event, Looked, Note, Why};
use crate::shutdown::looks::{Looks, MAX_BETWEEN_LOOKS};
pub use crate::shutdown::looks::{earlier, is_due};
use crate::shutdown::phase::{Phase, Sweep};
use crate::shutdown::plan::{JobControl, Leftovers, OnRepeat, Plan, SAME_REQUEST};
use crate::signal::Signal;

/// So long after such a signal, while the app runs, it is looked for who has not taken it.
const LOOK_WHILE_RUNNING: Duration = Duration::from_secs(3);

/// One supervised run of the app, from its start to its end.
#[derive(Debug)]
pub struct Shutdown {
    plan: Plan,
    phase: Phase,
    /// There are on-stop hooks, and they have not been started.
    on_stop_due: bool,
    /// There is something to run after the app, and it has not been started.
    on_exit_due: bool,
}

impl Shutdown {
    /// The app has just been started.
    pub fn new(plan: Plan, started_at: Instant) -> Shutdown {
        let rehearse_at = plan.rehearse.map(|after| started_at + after);
        let (on_stop_due, on_exit_due) = (plan.on_stop.is_some(), plan.on_exit);
        Shutdown {
            plan,
            phase: Phase::Running { rehearse_at, asked: None, look_until: None, look_at: None },
            on_stop_due,
            on_exit_due,
        }
    }

    /// When to come back with a [`Event::Tick`], if nothing else happens before.
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Running { rehearse_at, look_at, .. } => earlier(rehearse_at, look_at),
            Phase::Holding { forward_at, hooks_run: false, .. } => Some(forward_at),
            Phase::Holding { .. } | Phase::Leaving { .. } => self.kill_due(),
            Phase::Stopping { looks, .. } | Phase::Sweeping { looks, .. } => {
                earlier(self.kill_due(), looks.deadline())
            }
            Phase::Killed { give_up_at, .. } => Some(give_up_at),
            Phase::Exited => None,
        }
    }

    /// When the next [`Event::Tick`] sends SIGKILL to all that is left, if time passes and nothing
    /// else happens: what takes long may not go on beyond it.
    pub fn kill_due(&self) -> Option<Instant> {
        self.phase.kill_at()
    }

    /// Whether a stop signal is held back.
    pub fn holds(&self) -> bool {
        matches!(self.phase, Phase::Holding { .. })
    }

    /// Takes one event at its time. A late wake-up may owe several steps: tick until the deadline
    /// lies in the future.
    pub fn handle(&mut self, event: Event, now: Instant) -> Actions {
        match event {
            Event::Signal(signal) if !self.plan.stop_signals.contains(&signal) => {
                self.on_other_signal(signal, now)
            }
            event => self.handle_seldom(event, now),
        }
    }

    /// What comes a few times in a run. It stands apart, so that the way of a signal that is only passed
    /// on is short.
    #[cold]
    #[inline(never)]
    fn handle_seldom(&mut self, event: Event, now: Instant) -> Actions {
        match event {
            Event::Signal(signal) => self.on_stop_signal(signal, now),
            Event::RehearsalDue => self.on_rehearsal_due(now),
            Event::TrafficStopped => self.on_traffic_stopped(now),
            Event::TasksEnded => self.on_tasks_ended(now),
            Event::Tick if self.deadline().is_some_and(|at| at <= now) => self.on_deadline(now),
            Event::MainEnded(ending) => self.on_main_ended(ending, now),
            Event::MainStopped(signal) => self.on_main_stopped(signal),
            Event::ChildEnded => self.on_child_ended(now),
            Event::Looked(looked) => self.on_looked(looked, now),
            Event::NothingLeft => self.on_nothing_left(now),
            Event::SomeLeft => self.on_some_left(),
            Event::Tick => Actions::NONE,
        }
    }

    fn on_stop_signal(&mut self, signal: Signal, now: Instant) -> Actions {
        match self.phase {
            Phase::Running { .. } => self.hold(signal, now),
            Phase::Holding { began_at, .. } if now < began_at + SAME_REQUEST => {
                Action::Note(Note::SameRequest).into()
            }
            Phase::Holding { .. } if self.plan.on_repeat == OnRepeat::Ignore => {
                Action::Note(Note::StillHeld).into()
            }
            Phase::Holding { kill_at, hooks_run, .. } => {
                self.stop(signal, kill_at, hooks_run, now);
                self.forward(signal, Why::Hurry).into()
            }
            Phase::Stopping { began: true, .. } => self.forward(signal, Why::Again).into(),
            Phase::Stopping { ending, .. } => {
                let kill_at = self.kill_at(now);
                self.stop(signal, kill_at, false, now);
                if let Phase::Stopping { ending: missing, .. } = &mut self.phase {
                    *missing = ending;
                }
                let begin = Action::Begin { signal, may_end_at: now, forward_at: now, kill_at };
                let start = self.start_on_stop();
                Actions::of([Some(begin), start, Some(self.forward(signal, Why::Unheld))])
            }
            Phase::Sweeping { ending, sweep, sweep_until, kill_at, mut looks } => {
                let kill_at = earlier(kill_at, self.kill_at(now));
                let until = earlier(sweep_until, kill_at);
                let next = if sweep == Sweep::StopSignal { Sweep::Deadline } else { sweep };
                if next == Sweep::Deadline {
                    let last_call_at = Looks::new(until, now).last_call;
                    looks.last_call = earlier(looks.last_call, last_call_at);
                }
                self.phase = Phase::Sweeping { ending, sweep: next, sweep_until, kill_at, looks };
                self.sweep_on_signal(sweep, signal, until, now)
            }
            Phase::Leaving { ending, kill_at } => {
                let kill_at = earlier(kill_at, self.kill_at(now));
                self.phase = Phase::Leaving { ending, kill_at };
                Action::Note(Note::Leaving { kill_at }).into()
            }
            Phase::Killed { .. } | Phase::Exited => Actions::NONE,
        }
    }

    /// A stop signal came when only leftovers are there: it has nobody to be held for.
    fn sweep_on_signal(
        &mut self,
        sweep: Sweep,
        signal: Signal,
        kill_at: Option<Instant>,
        now: Instant,
    ) -> Actions {
        let start = self.start_on_stop();
        if sweep != Sweep::StopSignal {
            return Actions::of([Some(Action::Note(Note::SweptAlready { kill_at })), start, None]);
        }
        let begin = Action::Begin { signal, may_end_at: now, forward_at: now, kill_at };
        let sweep = match self.plan.rewrite(signal) {
            Some(signal) => Action::Sweep { signal, kill_at },
            None => Action::Drop { signal, why: Why::Unheld },
        };
        Actions::of([Some(begin), start, Some(sweep)])
    }

    fn on_other_signal(&mut self, signal: Signal, now: Instant) -> Actions {
        match self.phase {
            Phase::Killed { .. } | Phase::Leaving { .. } | Phase::Exited => Actions::NONE,
            Phase::Sweeping { .. } | Phase::Stopping { ending: Some(_), .. } => {
                self.forward(signal, Why::Passing).into()
            }
            // A shell continues its job: the main child's group is ours to continue.
            _ if signal == Signal::CONT && self.plan.job_control == JobControl::Job => {
                Action::Resume(signal).into()
            }
            _ => {
                let action = self.forward(signal, Why::Passing);
                if let (Phase::Running { asked, look_until, .. }, Action::Forward { signal, .. }) =
                    (&mut self.phase, action)
                    && ENDING.contains(signal)
                {
                    (*asked, *look_until) = (Some(signal), Some(now + LOOK_WHILE_RUNNING));
                }
                action.into()
            }
        }
    }

    fn on_deadline(&mut self, now: Instant) -> Actions {
        match self.phase {
            Phase::Running { ref mut look_at, .. } if look_at.is_some_and(|at| at <= now) => {
                *look_at = None;
                Action::LookForStandIns.into()
            }
            Phase::Running { .. } => self.on_rehearsal_due(now),
            Phase::Holding { kill_at, hooks_run: true, .. } => {
                self.kill_all(true, None, kill_at, now)
            }
            Phase::Holding { signal, kill_at, .. } => {
                self.stop(signal, kill_at, false, now);
                self.forward(signal, Why::DelayOver).into()
            }
            Phase::Stopping { ending, kill_at: Some(at), .. } if at <= now => {
                self.kill_all(true, ending, Some(at), now)
            }
            Phase::Sweeping { ending, sweep_until, kill_at, .. }
                if earlier(sweep_until, kill_at).is_some_and(|at| at <= now) =>
            {
                self.kill_all(false, Some(ending), kill_at, now)
            }
            Phase::Stopping { ref mut looks, .. } => looks.due(Action::LookForStandIns, now),
            Phase::Sweeping { ref mut looks, .. } => looks.due(Action::LookForLeftovers, now),
            Phase::Killed { ending, kill_at, .. } => {
                let ending = ending.or(Some(Ending::KILLED));
                // Processes survived SIGKILL, and the grace period is over.
                let is_over = kill_at.is_some_and(|at| at <= now);
                let next =
                    if is_over { self.exit(ending) } else { self.leave(ending, kill_at, now) };
                Actions::of([Some(Action::GiveUp), Some(next), None])
            }
            Phase::Leaving { ending, kill_at } => self.kill_all(false, ending, kill_at, now),
            Phase::Exited => Actions::NONE,
        }
    }

    /// Plays the stop signal, unless a real one came before.
    fn on_rehearsal_due(&mut self, now: Instant) -> Actions {
        match self.phase {
            Phase::Running { .. } if self.plan.rehearse.is_some() => {
                let signal = self.plan.stop_signals.first().copied();
                self.hold(signal.unwrap_or(Signal::TERM), now)
            }
            _ => Actions::NONE,
        }
    }

    fn on_traffic_stopped(&mut self, now: Instant) -> Actions {
        match self.phase {
            // At `forward_at` the delay is over, and that is the reason to give.
            Phase::Holding {
                signal, may_end_at, forward_at, kill_at, hooks_run: false, ..
            } if (may_end_at..forward_at).contains(&now) => {
                self.stop(signal, kill_at, false, now);
                self.forward(signal, Why::Quiet).into()
            }
            _ => Actions::NONE,
        }
    }

    fn on_tasks_ended(&mut self, now: Instant) -> Actions {
        match self.phase {
            Phase::Holding { signal, forward_at, kill_at, .. } if forward_at <= now => {
                self.stop(signal, kill_at, false, now);
                self.forward(signal, Why::TasksEnded).into()
            }
            Phase::Holding { ref mut hooks_run, .. }
            | Phase::Stopping { ref mut hooks_run, .. } => {
                *hooks_run = false;
                Actions::NONE
            }
            Phase::Sweeping { ending, kill_at, sweep: Sweep::HooksEnd, .. } => {
                self.kill_all(false, Some(ending), kill_at, now)
            }
            // What the tasks leave behind is killed: nothing comes after them.
            Phase::Leaving { ending, kill_at } => self.kill_all(false, ending, kill_at, now),
            _ => Actions::NONE,
        }
    }

    fn on_main_ended(&mut self, ending: Ending, now: Instant) -> Actions {
        match &mut self.phase {
            // What it ran is to have the signal too.
            Phase::Running { asked: Some(signal), .. } if ending == Ending::Signaled(*signal) => {
                let mut looks = Looks::default();
                looks.soon(now);
                let (began, ending, kill_at, hooks_run) = (false, Some(ending), None, false);
                self.phase = Phase::Stopping { began, ending, kill_at, hooks_run, looks };
                Actions::NONE
            }
            Phase::Running { .. } => self.sweep(ending, None, false, now),
            Phase::Holding { kill_at, hooks_run, .. } => {
                let (kill_at, hooks_run) = (*kill_at, *hooks_run);
                self.sweep(ending, kill_at, hooks_run, now)
            }
            // What it ran may stand for it now.
            Phase::Stopping { ending: missing @ None, looks, .. } => {
                *missing = Some(ending);
                looks.next = Some(now);
                Actions::NONE
            }
            Phase::Killed { ending: missing @ None, .. } => {
                *missing = Some(ending);
                Actions::NONE
            }
            Phase::Stopping { .. }
            | Phase::Sweeping { .. }
            | Phase::Killed { .. }
            | Phase::Leaving { .. }
            | Phase::Exited => Actions::NONE,
        }
    }

    fn on_child_ended(&mut self, now: Instant) -> Actions {
        match &mut self.phase {
            // While the main child lives, only those that it passed the signal on to count.
            Phase::Stopping { ending: None, looks, .. } if looks.next.is_none() => {}
            Phase::Stopping { looks, .. }
            | Phase::Sweeping { looks, sweep: Sweep::Deadline, .. } => looks.soon(now),
            _ => {}
        }
        Actions::NONE
    }

    fn on_looked(&mut self, looked: Looked, now: Instant) -> Actions {
        let Looked { stand_ins, only_refused, pause, again_at } = looked;
        let next_at = earlier(again_at, Some(now + MAX_BETWEEN_LOOKS));
        match &mut self.phase {
            // For a moment alone: while the app runs nobody is to wake.
            Phase::Running { look_until: Some(until), look_at, .. } => {
                *look_at = again_at.filter(|at| at <= until);
            }
            Phase::Stopping { ending: None, looks, .. } => looks.looked(now, pause, again_at),
            Phase::Stopping { looks, .. } if stand_ins => looks.looked(now, pause, next_at),
            // The last of those that stood for the app has ended.
            Phase::Stopping { ending: Some(ending), kill_at, hooks_run, .. } => {
                let (ending, kill_at, hooks_run) = (*ending, *kill_at, *hooks_run);
                return self.sweep(ending, kill_at, hooks_run, now);
            }
            // The kernel ends them with us where we are PID 1.
            Phase::Sweeping { ending, kill_at, .. }
                if only_refused && self.plan.leftovers != Leftovers::Wait =>
            {
                let (ending, kill_at) = (*ending, *kill_at);
                let next = self.leave(Some(ending), kill_at, now);
                return Actions::of([Some(Action::GiveUp), Some(next), None]);
            }
            Phase::Sweeping { looks, sweep: Sweep::Deadline, .. } => {
                looks.looked(now, pause, next_at);
            }
            _ => {}
        }
        Actions::NONE
    }

    /// The app has ended, and all that stood for it: turns to what it left over.
    fn sweep(
        &mut self,
        ending: Ending,
        kill_at: Option<Instant>,
        hooks_run: bool,
        now: Instant,
    ) -> Actions {
        let by_itself =
            matches!(self.phase, Phase::Running { .. } | Phase::Stopping { began: false, .. });
        match self.plan.leftovers {
            Leftovers::Kill if !hooks_run => self.kill_all(false, Some(ending), kill_at, now),
            Leftovers::Kill => self.wait_for_leftovers(ending, Sweep::HooksEnd, kill_at),
            // A rehearsal has failed by now: nobody would send the signal that ends the wait.
            Leftovers::Wait if by_itself && self.plan.rehearse.is_none() => {
                self.wait_for_leftovers(ending, Sweep::StopSignal, None)
            }
            Leftovers::Wait | Leftovers::Stop => {
                let kill_at = kill_at.map(|at| self.plan.kill_when_late(at, now));
                let sweep_until = self.plan.sweep_time(by_itself).map(|time| now + time);
                let until = earlier(sweep_until, kill_at);
                let (sweep, looks) = (Sweep::Deadline, Looks::new(until, now));
                self.phase = Phase::Sweeping { ending, sweep, sweep_until, kill_at, looks };
                Action::Sweep { signal: Signal::TERM, kill_at: until }.into()
            }
        }
    }

    fn wait_for_leftovers(
        &mut self,
        ending: Ending,
        sweep: Sweep,
        kill_at: Option<Instant>,
    ) -> Actions {
        let looks = Looks::default();
        self.phase = Phase::Sweeping { ending, sweep, sweep_until: None, kill_at, looks };
        Actions::NONE
    }

    fn on_main_stopped(&mut self, signal: Signal) -> Actions {
        let is_there = matches!(
            self.phase,
            Phase::Running { .. } | Phase::Holding { .. } | Phase::Stopping { ending: None, .. }
        );
        match self.plan.job_control {
            JobControl::Leader if is_there && signal != Signal::STOP => {
                Action::Resume(signal).into()
            }
            JobControl::Job if is_there => Action::Suspend(signal).into(),
            // No key sends SIGSTOP: whoever sent it to the child of a leader will continue it.
            JobControl::Absent | JobControl::Leader | JobControl::Job => Actions::NONE,
        }
    }

    /// In Killed it was forked while we killed.
    fn on_some_left(&self) -> Actions {
        match self.phase {
            Phase::Killed { with_app, .. } => Action::KillAll { with_app }.into(),
            _ => Actions::NONE,
        }
    }

    fn on_nothing_left(&mut self, now: Instant) -> Actions {
        let next = match self.phase {
            // The main child is gone, and somebody else took its status.
            Phase::Running { .. } => self.leave(None, None, now),
            Phase::Holding { kill_at, .. } => self.leave(None, kill_at, now),
            Phase::Stopping { ending, kill_at, .. } => self.leave(ending, kill_at, now),
            Phase::Sweeping { ending, kill_at, .. } => self.leave(Some(ending), kill_at, now),
            Phase::Killed { ending, kill_at, .. } => {
                self.leave(ending.or(Some(Ending::KILLED)), kill_at, now)
            }
            // A request to a sidecar may still run: it is not seen among what is left.
            Phase::Leaving { .. } | Phase::Exited => return Actions::NONE,
        };
        next.into()
    }

    fn hold(&mut self, signal: Signal, now: Instant) -> Actions {
        let (may_end_at, forward_at) = (now + self.plan.delay.min, now + self.plan.delay.max);
        let kill_at = self.kill_at(now);
        let start = self.start_on_stop();
        let (began_at, hooks_run) = (now, start.is_some());
        self.phase =
            Phase::Holding { signal, began_at, may_end_at, forward_at, kill_at, hooks_run };
        Actions::of([Some(Action::Begin { signal, may_end_at, forward_at, kill_at }), start, None])
    }

    /// The hold is over. Where a rewrite drops the signal, there is no last call either.
    fn stop(&mut self, signal: Signal, kill_at: Option<Instant>, hooks_run: bool, now: Instant) {
        let is_sent = self.plan.rewrite(signal).is_some();
        let in_time = |at| if is_sent { self.plan.kill_when_late(at, now) } else { at };
        let kill_at = kill_at.map(in_time);
        let looks = Looks::new(kill_at.filter(|_| is_sent), now);
        self.phase = Phase::Stopping { began: true, ending: None, kill_at, hooks_run, looks };
    }

    /// The on-stop hooks start with the first stop signal, and only then.
    fn start_on_stop(&mut self) -> Option<Action> {
        std::mem::take(&mut self.on_stop_due).then_some(Action::StartOnStop)
    }

    fn forward(&self, signal: Signal, why: Why) -> Action {
        match self.plan.rewrite(signal) {
            Some(signal) => Action::Forward { signal, why },
            None => Action::Drop { signal, why },
        }
    }

    fn kill_all(
        &mut self,
        with_app: bool,
        ending: Option<Ending>,
        kill_at: Option<Instant>,
        now: Instant,
    ) -> Actions {
        let give_up_at = now + self.plan.give_up_after();
        self.phase = Phase::Killed { with_app, ending, kill_at, give_up_at };
        Action::KillAll { with_app }.into()
    }

    /// All are gone. What is run then has the time until the kill, and where that has passed half
    /// the margin, so that its own kill is still within the grace period.
    fn leave(&mut self, ending: Option<Ending>, kill_at: Option<Instant>, now: Instant) -> Action {
        if !std::mem::take(&mut self.on_exit_due) {
            return self.exit(ending);
        }
        let kill_at = kill_at.map(|at| at.max(now + self.plan.margin / 2));
        self.phase = Phase::Leaving { ending, kill_at };
        Action::StartOnExit(ending)
    }

    fn exit(&mut self, ending: Option<Ending>) -> Action {
        self.phase = Phase::Exited;
        Action::Exit(ending)
    }

    /// When a shutdown that begins now kills what is left.
    fn kill_at(&self, now: Instant) -> Option<Instant> {
        self.plan.kill_after().map(|after| now + after)
    }
}

#[cfg(test)]
mod tests;
