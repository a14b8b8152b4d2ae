//! Where a run stands.

use std::time::Instant;

use crate::shutdown::ending::Ending;
use crate::shutdown::looks::{Looks, earlier};
use crate::signal::Signal;

/// Where a run stands. Each phase has its own deadlines, so that none can be missing or stale.
#[derive(Clone, Copy, Debug)]
pub enum Phase {
    Running {
        rehearse_at: Option<Instant>,
        /// A signal was forwarded by which somebody wants an end, though it is no stop signal.
        asked: Option<Signal>,
        /// Until then it is looked for who has not taken that.
        look_until: Option<Instant>,
        look_at: Option<Instant>,
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
    /// The stop signal was forwarded, or another one that ended the main child.
    Stopping {
        /// By a stop signal, which begins the grace period.
        began: bool,
        /// That of the main child, once only those that stand for it are there.
        ending: Option<Ending>,
        kill_at: Option<Instant>,
        /// A second stop signal has ended the hold before the hooks ended.
        hooks_run: bool,
        looks: Looks,
    },
    /// The main child has ended, and all that stood for it.
    Sweeping {
        ending: Ending,
        sweep: Sweep,
        /// The leftovers are killed then, if that is before the grace period is over.
        sweep_until: Option<Instant>,
        kill_at: Option<Instant>,
        looks: Looks,
    },
    Killed {
        with_app: bool,
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

impl Phase {
    /// When SIGKILL is next to be sent to all that is left. A hold without hooks ends by a forward,
    /// however late that is.
    pub fn kill_at(&self) -> Option<Instant> {
        match *self {
            Phase::Holding { kill_at, hooks_run: true, .. }
            | Phase::Stopping { kill_at, .. }
            | Phase::Leaving { kill_at, .. } => kill_at,
            Phase::Sweeping { sweep_until, kill_at, .. } => earlier(sweep_until, kill_at),
            Phase::Running { .. }
            | Phase::Holding { .. }
            | Phase::Killed { .. }
            | Phase::Exited => None,
        }
    }
}

/// What is next for the leftovers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// The stop signal, once one comes (`--leftovers wait`).
    StopSignal,
    /// SIGKILL at the deadline: they have been swept, or a rewrite dropped the signal.
    Deadline,
    /// SIGKILL once the on-stop hooks have ended, which it would not spare (`--leftovers kill`).
    HooksEnd,
}
