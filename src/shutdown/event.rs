//! What goes into the core, and what comes out of it.

use std::time::{Duration, Instant};

use crate::shutdown::ending::Ending;
use crate::signal::{Signal, SignalSet};

/// Whoever sends one of these wants an end, also where it is no stop signal (^C of `docker run`).
pub const ENDING: SignalSet = SignalSet::of(&[Signal::TERM, Signal::INT, Signal::QUIT]);

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
    /// Another child of ours ended and was reaped: its own children have become ours.
    ChildEnded,
    /// A forward, a sweep or a look was performed.
    Looked(Looked),
    /// After reaping, children of ours are still there.
    SomeLeft,
    /// After reaping, no child of ours is there any more.
    NothingLeft,
    /// Nothing has come in for the quiet window. It is said again as long as that is so.
    TrafficStopped,
    /// What a rehearsal waits for has come: its stop signal is due.
    RehearsalDue,
    /// All tasks that were started have ended: the on-stop hooks, or what is run after the app.
    TasksEnded,
    /// The deadline has passed.
    Tick,
}

/// What a look found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Processes are there that stand for the app: a shell or a relay that has ended ran them.
    pub stand_ins: bool,
    /// All that is left may not be signalled.
    pub only_refused: bool,
    /// So long there is to be no other look, beyond what is usual: many children make a look dear.
    pub pause: Duration,
    /// When something is to be looked at again, whether or not a child ends before.
    pub again_at: Option<Instant>,
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
    /// Send a signal to the main child or its group; once the main child is gone to what stands for
    /// it, or to the leftovers. A [`Event::Looked`] follows.
    Forward { signal: Signal, why: Why },
    /// Send nothing, for a rewrite drops the signal that would be forwarded now.
    Drop { signal: Signal, why: Why },
    /// Send a signal to all topmost processes that are left and have not had the stop signal yet. A
    /// [`Event::Looked`] follows.
    Sweep { signal: Signal, kill_at: Option<Instant> },
    /// The main child has ended, or something it ran: signal those that have become topmost since the
    /// last look and stand for it. A [`Event::Looked`] follows.
    LookForStandIns,
    /// Signal those that have become topmost since the last look. A [`Event::Looked`] follows.
    LookForLeftovers,
    /// Send SIGTERM to all that is left and was sent nothing: SIGKILL is near.
    LastCall,
    /// Send SIGKILL to all that is left: with the app, or what stands for it, or without.
    KillAll { with_app: bool },
    /// Processes survived SIGKILL for as long as we wait, or may not be signalled: log who they are.
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
    /// These, in this order.
    pub fn of(actions: [Option<Action>; 3]) -> Actions {
        Actions(actions)
    }

    /// Nothing is to be done.
    pub const NONE: Actions = Actions([None; 3]);

    /// They stay where they are: to move them all costs more than most signals do.
    pub fn in_order(&self) -> impl Iterator<Item = Action> {
        self.0.iter().flatten().copied()
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
