//! The core: the timeline of a shutdown as a state machine.
//!
//! Events go in, actions come out, and the next deadline can be asked for. There is no system call,
//! no clock, no log and no pid in here: time is a parameter. The table of phases and events in
//! docs/architecture.md has the same rows as [`Shutdown::handle`] and the tests.
//!
//! - `plan.rs`: the options that the core needs, checked against each other.
//! - `ending.rs`: how a process ended.

pub mod ending;
pub mod plan;

use std::time::Instant;

use crate::shutdown::ending::Ending;
use crate::shutdown::plan::{JobControl, Leftovers, OnRepeat, Plan, SAME_REQUEST};
use crate::signal::Signal;

/// What happened. All events of one wake-up carry the same time: first the signals, then what was
/// reaped, then a tick for each deadline that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A signal reached us.
    Signal(Signal),
    /// The main child ended and was reaped.
    MainEnded(Ending),
    /// The main child was stopped by this signal.
    MainStopped(Signal),
    /// After reaping, children of ours are still there.
    SomeLeft,
    /// After reaping, no child of ours is there any more.
    NothingLeft,
    /// Nothing has come in for the quiet window. It is said again as long as that is so.
    TrafficStopped,
    /// All tasks that were started have ended: the on-stop hooks, or what is run after the app.
    TasksEnded,
    /// The deadline has passed.
    Tick,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The shutdown begins with this signal, which is held back: until `may_end_at` at least, until
    /// `forward_at` at most. Where both are now, nothing is held.
    Begin { signal: Signal, may_end_at: Instant, forward_at: Instant, kill_at: Option<Instant> },
    /// Start the on-stop hooks.
    StartOnStop,
    /// Log what became of a repeated stop signal, and do nothing.
    Note(Note),
    /// Send a signal to the main child or its group, and once the main child is gone to the leftovers.
    Forward { signal: Signal, why: Why },
    /// Send nothing, for a rewrite drops the signal that would be forwarded now.
    Drop { signal: Signal, why: Why },
    /// Send a signal to all that is left and has not had the stop signal yet.
    Sweep { signal: Signal, kill_at: Option<Instant> },
    /// Send SIGKILL to all that is left.
    KillAll,
    /// Processes survived SIGKILL for as long as we wait: log who they are.
    GiveUp,
    /// Give the terminal back and stop, as this signal did the main child.
    Suspend(Signal),
    /// Hand the terminal to the main child and continue it. The signal is what stopped it, or the
    /// SIGCONT that continued us.
    Resume(Signal),
    /// The app and its leftovers are gone: start what is to be run after them. The main child's
    /// ending is given where it is known.
    StartOnExit(Option<Ending>),
    /// Exit. The main child's ending is given where it is known.
    Exit(Option<Ending>),
}

/// What is to be done, in this order. There are three at most, so nothing has to be allocated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Actions([Option<Action>; 3]);

impl From<Action> for Actions {
    fn from(action: Action) -> Actions {
        Actions([Some(action), None, None])
    }
}

impl Actions {
    /// Nothing is to be done.
    const NONE: Actions = Actions([None; 3]);
}

impl IntoIterator for Actions {
    type Item = Action;
    type IntoIter = std::iter::Flatten<std::array::IntoIter<Option<Action>, 3>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().flatten()
    }
}

/// Why a signal is forwarded now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is no stop signal.
    Passing,
    /// The delay is over.
    DelayOver,
    /// No traffic comes any more.
    Quiet,
    /// The on-stop hooks have ended, and the delay was over before.
    TasksEnded,
    /// A second stop signal ended the hold.
    Hurry,
    /// The hold is over, and the stop signal came again.
    Again,
    /// It is the first stop signal, and only leftovers are there to get it.
    Unheld,
}

/// What became of a stop signal that moved nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// It came so soon after the first that it is the same request.
    SameRequest,
    /// It is held back as the first one is (`--on-repeat ignore`).
    StillHeld,
    /// The leftovers are not signalled again; this is when they are killed.
    SweptAlready { kill_at: Option<Instant> },
    /// The app and its leftovers are gone; this is when the hooks are killed.
    Leaving { kill_at: Option<Instant> },
}

/// Where a run stands. Each phase has its own deadlines, so that none can be missing or stale.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Running {
        rehearse_at: Option<Instant>,
    },
    Holding {
        signal: Signal,
        began_at: Instant,
        may_end_at: Instant,
        forward_at: Instant,
        kill_at: Option<Instant>,
        /// Until the on-stop hooks have ended nothing is forwarded.
        hooks_run: bool,
    },
    Stopping {
        kill_at: Option<Instant>,
        /// A second stop signal has ended the hold before the hooks ended.
        hooks_run: bool,
    },
    /// The main child has ended.
    Sweeping {
        ending: Ending,
        sweep: Sweep,
        /// The leftovers are killed then, if the app ended by itself.
        sweep_until: Option<Instant>,
        kill_at: Option<Instant>,
    },
    Killed {
        ending: Option<Ending>,
        kill_at: Option<Instant>,
        give_up_at: Instant,
    },
    /// The app and its leftovers are gone, and what is run after them runs.
    Leaving {
        ending: Option<Ending>,
        kill_at: Option<Instant>,
    },
    Exited,
}

/// What is next for the leftovers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sweep {
    /// The stop signal, once one comes (`--leftovers wait`).
    StopSignal,
    /// SIGKILL at the deadline: they have been swept, or a rewrite dropped the signal.
    Deadline,
    /// SIGKILL once the on-stop hooks have ended, which it would not spare (`--leftovers kill`).
    HooksEnd,
}

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
        Shutdown { plan, phase: Phase::Running { rehearse_at }, on_stop_due, on_exit_due }
    }

    /// When to come back with a [`Event::Tick`], if nothing else happens before.
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Running { rehearse_at } => rehearse_at,
            Phase::Holding { kill_at, hooks_run: true, .. } => kill_at,
            Phase::Holding { forward_at, .. } => Some(forward_at),
            Phase::Sweeping { sweep_until, kill_at, .. } => earlier(sweep_until, kill_at),
            Phase::Stopping { kill_at, .. } | Phase::Leaving { kill_at, .. } => kill_at,
            Phase::Killed { give_up_at, .. } => Some(give_up_at),
            Phase::Exited => None,
        }
    }

    /// Whether a stop signal is held back.
    pub fn holds(&self) -> bool {
        matches!(self.phase, Phase::Holding { .. })
    }

    /// Takes one event at its time. A late wake-up may owe several steps: tick until the deadline
    /// lies in the future.
    pub fn handle(&mut self, event: Event, now: Instant) -> Actions {
        match event {
            Event::Signal(signal) if self.plan.stop_signals.contains(&signal) => {
                self.on_stop_signal(signal, now)
            }
            Event::Signal(signal) => self.on_other_signal(signal),
            Event::TrafficStopped => self.on_traffic_stopped(now),
            Event::TasksEnded => self.on_tasks_ended(now),
            Event::Tick if self.deadline().is_some_and(|at| at <= now) => self.on_deadline(now),
            Event::MainEnded(ending) => self.on_main_ended(ending, now),
            Event::MainStopped(signal) => self.on_main_stopped(signal),
            // It was forked while we killed.
            Event::SomeLeft if matches!(self.phase, Phase::Killed { .. }) => Action::KillAll.into(),
            Event::NothingLeft => self.on_nothing_left(now),
            Event::Tick | Event::SomeLeft => Actions::NONE,
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
                self.phase = Phase::Stopping { kill_at, hooks_run };
                self.forward(signal, Why::Hurry).into()
            }
            Phase::Stopping { .. } => self.forward(signal, Why::Again).into(),
            Phase::Sweeping { ending, sweep, sweep_until, kill_at } => {
                let kill_at = earlier(kill_at, self.kill_at(now));
                let next = if sweep == Sweep::StopSignal { Sweep::Deadline } else { sweep };
                self.phase = Phase::Sweeping { ending, sweep: next, sweep_until, kill_at };
                self.sweep_on_signal(sweep, signal, now)
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
    fn sweep_on_signal(&mut self, sweep: Sweep, signal: Signal, now: Instant) -> Actions {
        let kill_at = self.deadline();
        let start = self.start_on_stop();
        if sweep != Sweep::StopSignal {
            return Actions([Some(Action::Note(Note::SweptAlready { kill_at })), start, None]);
        }
        let begin = Action::Begin { signal, may_end_at: now, forward_at: now, kill_at };
        let sweep = match self.plan.rewrite(signal) {
            Some(signal) => Action::Sweep { signal, kill_at },
            None => Action::Drop { signal, why: Why::Unheld },
        };
        Actions([Some(begin), start, Some(sweep)])
    }

    fn on_other_signal(&mut self, signal: Signal) -> Actions {
        match self.phase {
            Phase::Killed { .. } | Phase::Leaving { .. } | Phase::Exited => Actions::NONE,
            Phase::Sweeping { .. } => self.forward(signal, Why::Passing).into(),
            // A shell continues its job: the main child's group is ours to continue.
            _ if signal == Signal::CONT && self.plan.job_control == JobControl::Job => {
                Action::Resume(signal).into()
            }
            _ => self.forward(signal, Why::Passing).into(),
        }
    }

    fn on_deadline(&mut self, now: Instant) -> Actions {
        match self.phase {
            Phase::Running { .. } => {
                let signal = self.plan.stop_signals.first().copied();
                self.hold(signal.unwrap_or(Signal::TERM), now)
            }
            Phase::Holding { signal, kill_at, hooks_run: false, .. } => {
                self.phase = Phase::Stopping { kill_at, hooks_run: false };
                self.forward(signal, Why::DelayOver).into()
            }
            Phase::Holding { kill_at, .. } | Phase::Stopping { kill_at, .. } => {
                self.kill_all(None, kill_at, now)
            }
            Phase::Sweeping { ending, kill_at, .. } => self.kill_all(Some(ending), kill_at, now),
            Phase::Killed { ending, kill_at, .. } => {
                let ending = ending.or(Some(Ending::KILLED));
                // Processes survived SIGKILL, and the grace period is over.
                let is_over = kill_at.is_some_and(|at| at <= now);
                let next =
                    if is_over { self.exit(ending) } else { self.leave(ending, kill_at, now) };
                Actions([Some(Action::GiveUp), Some(next), None])
            }
            Phase::Leaving { ending, kill_at } => self.kill_all(ending, kill_at, now),
            Phase::Exited => Actions::NONE,
        }
    }

    fn on_traffic_stopped(&mut self, now: Instant) -> Actions {
        match self.phase {
            // At `forward_at` the delay is over, and that is the reason to give.
            Phase::Holding {
                signal, may_end_at, forward_at, kill_at, hooks_run: false, ..
            } if (may_end_at..forward_at).contains(&now) => {
                self.phase = Phase::Stopping { kill_at, hooks_run: false };
                self.forward(signal, Why::Quiet).into()
            }
            _ => Actions::NONE,
        }
    }

    fn on_tasks_ended(&mut self, now: Instant) -> Actions {
        match self.phase {
            Phase::Holding { signal, forward_at, kill_at, .. } if forward_at <= now => {
                self.phase = Phase::Stopping { kill_at, hooks_run: false };
                self.forward(signal, Why::TasksEnded).into()
            }
            Phase::Holding { ref mut hooks_run, .. }
            | Phase::Stopping { ref mut hooks_run, .. } => {
                *hooks_run = false;
                Actions::NONE
            }
            Phase::Sweeping { ending, kill_at, sweep: Sweep::HooksEnd, .. } => {
                self.kill_all(Some(ending), kill_at, now)
            }
            // What the tasks leave behind is killed: nothing comes after them.
            Phase::Leaving { ending, kill_at } => self.kill_all(ending, kill_at, now),
            _ => Actions::NONE,
        }
    }

    fn on_main_ended(&mut self, ending: Ending, now: Instant) -> Actions {
        let (by_itself, kill_at, hooks_run) = match self.phase {
            Phase::Running { .. } => (true, None, false),
            Phase::Holding { kill_at, hooks_run, .. } | Phase::Stopping { kill_at, hooks_run } => {
                (false, kill_at, hooks_run)
            }
            Phase::Killed { ending: None, kill_at, give_up_at } => {
                self.phase = Phase::Killed { ending: Some(ending), kill_at, give_up_at };
                return Actions::NONE;
            }
            Phase::Sweeping { .. }
            | Phase::Killed { .. }
            | Phase::Leaving { .. }
            | Phase::Exited => return Actions::NONE,
        };
        match self.plan.leftovers {
            Leftovers::Kill if !hooks_run => self.kill_all(Some(ending), kill_at, now),
            Leftovers::Kill => self.wait_for_leftovers(ending, Sweep::HooksEnd, kill_at),
            // A rehearsal has failed by now: nobody would send the signal that ends the wait.
            Leftovers::Wait if by_itself && self.plan.rehearse.is_none() => {
                self.wait_for_leftovers(ending, Sweep::StopSignal, None)
            }
            Leftovers::Wait | Leftovers::Stop => {
                let sweep_until = by_itself.then(|| now + self.plan.sweep_after_exit());
                self.phase =
                    Phase::Sweeping { ending, sweep: Sweep::Deadline, sweep_until, kill_at };
                Action::Sweep { signal: Signal::TERM, kill_at: self.deadline() }.into()
            }
        }
    }

    fn wait_for_leftovers(
        &mut self,
        ending: Ending,
        sweep: Sweep,
        kill_at: Option<Instant>,
    ) -> Actions {
        self.phase = Phase::Sweeping { ending, sweep, sweep_until: None, kill_at };
        Actions::NONE
    }

    fn on_main_stopped(&mut self, signal: Signal) -> Actions {
        let is_there = matches!(
            self.phase,
            Phase::Running { .. } | Phase::Holding { .. } | Phase::Stopping { .. }
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

    fn on_nothing_left(&mut self, now: Instant) -> Actions {
        let next = match self.phase {
            // The main child is gone, and somebody else took its status.
            Phase::Running { .. } => self.leave(None, None, now),
            Phase::Holding { kill_at, .. } | Phase::Stopping { kill_at, .. } => {
                self.leave(None, kill_at, now)
            }
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
        Actions([Some(Action::Begin { signal, may_end_at, forward_at, kill_at }), start, None])
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
        ending: Option<Ending>,
        kill_at: Option<Instant>,
        now: Instant,
    ) -> Actions {
        let give_up_at = now + self.plan.give_up_after();
        self.phase = Phase::Killed { ending, kill_at, give_up_at };
        Action::KillAll.into()
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

/// The earlier of two deadlines, either of which may be missing.
pub fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests;
