//! The core: the timeline of a shutdown as a state machine.
//!
//! Events go in, at most one action comes out, and the next deadline can be asked for. There is
//! no system call, no clock, no log and no pid in here: time is a parameter. The rows of the
//! README's table, the arms of [`Shutdown::handle`] and the names of the tests are the same.

pub mod plan;

use std::fmt;
use std::time::Instant;

use crate::shutdown::plan::{JobControl, Leftovers, OnRepeat, Plan, SAME_REQUEST};
use crate::signal::Signal;

/// What happened. All events of one wake-up carry the same time: first the signals, then what was
/// reaped, then a tick for each deadline that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A signal reached us.
    Signal(Signal),
    /// A child of ours ended and was reaped.
    Ended(Who, Ending),
    /// The main child was stopped by this signal.
    Stopped(Signal),
    /// After reaping, children of ours are still there.
    SomeLeft,
    /// After reaping, no child of ours is there any more.
    NothingLeft,
    /// For the quiet window nothing has come in. It is said again as long as that is so.
    TrafficStopped,
    /// All that was run at the stop signal, or after the app, has ended.
    TasksEnded,
    /// The deadline has passed.
    Tick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Main,
    /// A process that became our child when its parent died.
    Orphan,
    /// A hook or a request: what is run beside the app.
    Task,
    /// The responder that tells the health.
    Responder,
}

/// How a process ended (wait(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Exited(u8),
    Signaled(Signal),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Ending::Exited(code) => write!(f, "exited with {code}"),
            Ending::Signaled(signal) => write!(f, "was killed by {signal}"),
        }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The shutdown has begun with this signal, which is held back: until the first time at least,
    /// until the second at most.
    Hold { signal: Signal, may_end_at: Instant, forward_at: Instant, kill_at: Option<Instant> },
    /// Only to be logged.
    Note(Note),
    /// To the main child or its group; to the leftovers, once the main child is gone.
    Forward { signal: Signal, why: Why },
    /// The same moment for a signal that a rewrite drops.
    Drop { signal: Signal, why: Why },
    /// To all that is left and has not had the stop signal yet.
    Sweep { signal: Signal, kill_at: Option<Instant> },
    /// SIGKILL to all that is left.
    KillAll,
    /// Give the terminal back and stop, as this signal did the main child.
    Suspend(Signal),
    /// Hand the terminal to the main child and continue it. The signal is what stopped it, or the
    /// SIGCONT that continued us.
    Resume(Signal),
    /// The app and its leftovers are gone: run what is to be run then. The main child's ending is
    /// given where it is known.
    Leave(Option<Ending>),
    /// The end, with the same.
    Exit(Option<Ending>),
}

/// Why a signal is forwarded now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is no stop signal.
    Passing,
    DelayOver,
    /// No traffic comes any more.
    Quiet,
    /// The delay was over before the hooks had ended.
    TasksEnded,
    /// A second stop signal ended the hold.
    Hurry,
    /// The hold is over, and the stop signal came again.
    Again,
    /// The first stop signal, when only leftovers are there to hear it.
    Unheld,
}

/// What became of a stop signal that moved nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// So soon after the first that it is the same request.
    SameRequest,
    /// `--on-repeat ignore`.
    StillHeld,
    /// The leftovers have been told already; this is when they are killed.
    SweptAlready { kill_at: Option<Instant> },
    /// The app and its leftovers are gone; this is when the hooks are killed.
    Leaving { kill_at: Option<Instant> },
}

/// Each phase has its own deadlines, so that none can be missing or stale.
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
        /// The hooks have not ended yet, and until then nothing is forwarded.
        tasks: bool,
    },
    Stopping {
        kill_at: Option<Instant>,
        /// As above: a second stop signal has ended the hold.
        tasks: bool,
    },
    Sweeping {
        ending: Ending,
        told: bool,
        /// After a voluntary exit.
        sweep_until: Option<Instant>,
        kill_at: Option<Instant>,
    },
    Killed {
        ending: Option<Ending>,
        kill_at: Option<Instant>,
        give_up_at: Instant,
    },
    /// What is run after the app runs.
    Leaving {
        ending: Option<Ending>,
        kill_at: Option<Instant>,
    },
    Exited,
}

/// The ending of a main child that was sent SIGKILL and has not been reaped.
const KILLED: Option<Ending> = Some(Ending::Signaled(Signal::KILL));

/// One supervised run of the app, from its start to its end.
#[derive(Debug)]
pub struct Shutdown {
    plan: Plan,
    phase: Phase,
    /// Something is still to be run after the app.
    to_leave: bool,
}

impl Shutdown {
    pub fn new(plan: Plan, started_at: Instant) -> Shutdown {
        let rehearse_at = plan.rehearse.map(|after| started_at + after);
        let to_leave = plan.on_exit;
        Shutdown { plan, phase: Phase::Running { rehearse_at }, to_leave }
    }

    /// When to come back with a [`Event::Tick`], if nothing else happens before.
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Running { rehearse_at } => rehearse_at,
            Phase::Holding { kill_at, tasks: true, .. } => kill_at,
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
    pub fn handle(&mut self, event: Event, now: Instant) -> Option<Action> {
        match event {
            Event::Signal(signal) if self.plan.stop_signals.contains(&signal) => {
                self.stop_signal(signal, now)
            }
            Event::Signal(signal) => self.other_signal(signal),
            Event::TrafficStopped => self.traffic_stopped(now),
            Event::TasksEnded => self.tasks_ended(now),
            Event::Tick => self.deadline().filter(|at| *at <= now).and_then(|_| self.passed(now)),
            Event::Ended(Who::Main, ending) => self.main_ended(ending, now),
            Event::Ended(..) => None,
            Event::Stopped(signal) => self.main_stopped(signal),
            // What was forked while we killed.
            Event::SomeLeft => {
                matches!(self.phase, Phase::Killed { .. }).then_some(Action::KillAll)
            }
            Event::NothingLeft => self.nothing_left(now),
        }
    }

    fn stop_signal(&mut self, signal: Signal, now: Instant) -> Option<Action> {
        match self.phase {
            Phase::Running { .. } => Some(self.hold(signal, now)),
            Phase::Holding { began_at, .. } if now < began_at + SAME_REQUEST => {
                Some(Action::Note(Note::SameRequest))
            }
            Phase::Holding { .. } if self.plan.on_repeat == OnRepeat::Ignore => {
                Some(Action::Note(Note::StillHeld))
            }
            Phase::Holding { kill_at, tasks, .. } => {
                self.phase = Phase::Stopping { kill_at, tasks };
                Some(self.forward(signal, Why::Hurry))
            }
            Phase::Stopping { .. } => Some(self.forward(signal, Why::Again)),
            Phase::Sweeping { ending, told, sweep_until, kill_at } => {
                let kill_at = earlier(kill_at, self.kill_at(now));
                self.phase = Phase::Sweeping { ending, told: true, sweep_until, kill_at };
                let kill_at = self.deadline();
                match (told, self.plan.rewrite(signal)) {
                    (true, _) => Some(Action::Note(Note::SweptAlready { kill_at })),
                    (false, Some(signal)) => Some(Action::Sweep { signal, kill_at }),
                    (false, None) => Some(Action::Drop { signal, why: Why::Unheld }),
                }
            }
            Phase::Leaving { ending, kill_at } => {
                let kill_at = earlier(kill_at, self.kill_at(now));
                self.phase = Phase::Leaving { ending, kill_at };
                Some(Action::Note(Note::Leaving { kill_at }))
            }
            Phase::Killed { .. } | Phase::Exited => None,
        }
    }

    fn other_signal(&mut self, signal: Signal) -> Option<Action> {
        match self.phase {
            Phase::Killed { .. } | Phase::Leaving { .. } | Phase::Exited => None,
            Phase::Sweeping { .. } => Some(self.forward(signal, Why::Passing)),
            // A shell continues its job: the child's group is ours to continue.
            _ if signal == Signal::CONT && self.plan.job_control == JobControl::Job => {
                Some(Action::Resume(signal))
            }
            _ => Some(self.forward(signal, Why::Passing)),
        }
    }

    /// The deadline of the phase has passed.
    fn passed(&mut self, now: Instant) -> Option<Action> {
        match self.phase {
            Phase::Running { .. } => {
                let signal = self.plan.stop_signals.first().copied();
                Some(self.hold(signal.unwrap_or(Signal::TERM), now))
            }
            Phase::Holding { signal, kill_at, tasks: false, .. } => {
                self.phase = Phase::Stopping { kill_at, tasks: false };
                Some(self.forward(signal, Why::DelayOver))
            }
            Phase::Holding { kill_at, .. } | Phase::Stopping { kill_at, .. } => {
                Some(self.kill_all(None, kill_at, now))
            }
            Phase::Sweeping { ending, kill_at, .. } => {
                Some(self.kill_all(Some(ending), kill_at, now))
            }
            // What not even SIGKILL has ended used up the time.
            Phase::Killed { ending, kill_at: Some(at), .. } if at <= now => {
                Some(self.exit(ending.or(KILLED)))
            }
            Phase::Killed { ending, kill_at, .. } => {
                Some(self.leave(ending.or(KILLED), kill_at, now))
            }
            Phase::Leaving { ending, kill_at } => Some(self.kill_all(ending, kill_at, now)),
            Phase::Exited => None,
        }
    }

    fn traffic_stopped(&mut self, now: Instant) -> Option<Action> {
        match self.phase {
            // What is over anyway does not end because of that.
            Phase::Holding { signal, may_end_at, forward_at, kill_at, tasks: false, .. }
                if (may_end_at..forward_at).contains(&now) =>
            {
                self.phase = Phase::Stopping { kill_at, tasks: false };
                Some(self.forward(signal, Why::Quiet))
            }
            _ => None,
        }
    }

    fn tasks_ended(&mut self, now: Instant) -> Option<Action> {
        match self.phase {
            Phase::Holding { signal, forward_at, kill_at, .. } if forward_at <= now => {
                self.phase = Phase::Stopping { kill_at, tasks: false };
                Some(self.forward(signal, Why::TasksEnded))
            }
            Phase::Holding { ref mut tasks, .. } | Phase::Stopping { ref mut tasks, .. } => {
                *tasks = false;
                None
            }
            // They were waited for.
            Phase::Sweeping { ending, kill_at, .. } if self.plan.leftovers == Leftovers::Kill => {
                Some(self.kill_all(Some(ending), kill_at, now))
            }
            // What they leave behind has nothing to live for.
            Phase::Leaving { ending, kill_at } => Some(self.kill_all(ending, kill_at, now)),
            _ => None,
        }
    }

    fn main_ended(&mut self, ending: Ending, now: Instant) -> Option<Action> {
        let (voluntary, kill_at, tasks) = match self.phase {
            Phase::Running { .. } => (true, None, false),
            Phase::Holding { kill_at, tasks, .. } | Phase::Stopping { kill_at, tasks } => {
                (false, kill_at, tasks)
            }
            Phase::Killed { ending: None, kill_at, give_up_at } => {
                self.phase = Phase::Killed { ending: Some(ending), kill_at, give_up_at };
                return None;
            }
            Phase::Sweeping { .. }
            | Phase::Killed { .. }
            | Phase::Leaving { .. }
            | Phase::Exited => return None,
        };
        match self.plan.leftovers {
            // Hooks are no leftovers, and SIGKILL to all would not spare them.
            Leftovers::Kill if tasks => {
                self.phase = Phase::Sweeping { ending, told: true, sweep_until: None, kill_at };
                None
            }
            Leftovers::Kill => Some(self.kill_all(Some(ending), kill_at, now)),
            // A rehearsal has failed by now: nobody would send what it waits for.
            Leftovers::Wait if voluntary && self.plan.rehearse.is_none() => {
                self.phase =
                    Phase::Sweeping { ending, told: false, sweep_until: None, kill_at: None };
                None
            }
            Leftovers::Wait | Leftovers::Stop => {
                let sweep_until = voluntary.then(|| now + self.plan.sweep_after_exit());
                self.phase = Phase::Sweeping { ending, told: true, sweep_until, kill_at };
                Some(Action::Sweep { signal: Signal::TERM, kill_at: self.deadline() })
            }
        }
    }

    fn main_stopped(&mut self, signal: Signal) -> Option<Action> {
        match (self.phase, self.plan.job_control) {
            (_, JobControl::Absent) => None,
            (
                Phase::Sweeping { .. }
                | Phase::Killed { .. }
                | Phase::Leaving { .. }
                | Phase::Exited,
                _,
            ) => None,
            // Nobody sends SIGSTOP by a key: whoever did will continue it.
            (_, JobControl::Leader) if signal == Signal::STOP => None,
            (_, JobControl::Leader) => Some(Action::Resume(signal)),
            (_, JobControl::Job) => Some(Action::Suspend(signal)),
        }
    }

    fn nothing_left(&mut self, now: Instant) -> Option<Action> {
        match self.phase {
            // The main child is gone, and somebody else took its status.
            Phase::Running { .. } => Some(self.leave(None, None, now)),
            Phase::Holding { kill_at, .. } | Phase::Stopping { kill_at, .. } => {
                Some(self.leave(None, kill_at, now))
            }
            Phase::Sweeping { ending, kill_at, .. } => Some(self.leave(Some(ending), kill_at, now)),
            Phase::Killed { ending, kill_at, .. } => {
                Some(self.leave(ending.or(KILLED), kill_at, now))
            }
            // A request that runs is not seen among what is left.
            Phase::Leaving { .. } | Phase::Exited => None,
        }
    }

    fn hold(&mut self, signal: Signal, now: Instant) -> Action {
        let (may_end_at, forward_at) = (now + self.plan.delay.min, now + self.plan.delay.max);
        let kill_at = self.kill_at(now);
        let (began_at, tasks) = (now, self.plan.on_stop.is_some());
        self.phase = Phase::Holding { signal, began_at, may_end_at, forward_at, kill_at, tasks };
        Action::Hold { signal, may_end_at, forward_at, kill_at }
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
    ) -> Action {
        let give_up_at = now + self.plan.patience();
        self.phase = Phase::Killed { ending, kill_at, give_up_at };
        Action::KillAll
    }

    /// All are gone. What is run then has the time until the kill, and where that has passed half
    /// the margin, so that its own kill is still within the grace period.
    fn leave(&mut self, ending: Option<Ending>, kill_at: Option<Instant>, now: Instant) -> Action {
        if !std::mem::take(&mut self.to_leave) {
            return self.exit(ending);
        }
        let kill_at = kill_at.map(|at| at.max(now + self.plan.margin / 2));
        self.phase = Phase::Leaving { ending, kill_at };
        Action::Leave(ending)
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
