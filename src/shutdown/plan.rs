//! The options, validated: what the core needs to know of them.

use std::fmt;
use std::time::{Duration, Instant};

use crate::signal::Signal;
use crate::span::Span;

/// Leftovers have this long at most once the app has ended by itself, so that a crash restarts soon;
/// and after a stop signal where no grace period says how long.
pub const LEFTOVERS_TIMEOUT: Duration = Duration::from_secs(5);

/// The grace period of a rehearsal for which none is given, as in Kubernetes.
pub const REHEARSED_GRACE_PERIOD: Duration = Duration::from_secs(30);

/// How long a process may take to die of a signal on a busy machine.
const TIME_TO_DIE: Duration = Duration::from_millis(100);

/// A stop signal this soon after the first one is the same request, delivered twice.
pub const SAME_REQUEST: Duration = Duration::from_secs(1);

/// Less than this between the forward and the kill is too little for most apps.
const COMFORTABLE_DRAIN: Duration = Duration::from_secs(5);

/// How a shutdown is to run. All durations were checked to fit each other by [`Plan::check`].
#[derive(Clone, Debug)]
pub struct Plan {
    /// How long a stop signal is held back.
    pub delay: Delay,
    /// The orchestrator's whole allowance; without it no stop signal leads to SIGKILL.
    pub grace_period: Option<Duration>,
    /// SIGKILL comes this long before the grace period ends.
    pub margin: Duration,
    /// The signals that begin the shutdown; a rehearsal uses the first.
    pub stop_signals: Vec<Signal>,
    /// What is forwarded in place of a signal; nothing, where the second is `None`.
    pub rewrites: Vec<(Signal, Option<Signal>)>,
    pub on_repeat: OnRepeat,
    pub leftovers: Leftovers,
    pub leftovers_timeout: LeftoversTimeout,
    /// Behave as if the stop signal had come: this long after the start at the latest, and before that
    /// where the rehearsal is due.
    pub rehearse: Option<Duration>,
    pub job_control: JobControl,
    /// How long the on-stop hooks may take in all, if there are any: the hold lasts until they end.
    pub on_stop: Option<Duration>,
    /// Something is run after the app and its leftovers are gone.
    pub on_exit: bool,
}

/// How long a hold lasts at least, and at most if traffic goes on. A fixed delay has both alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    pub min: Duration,
    pub max: Duration,
}

impl Delay {
    pub fn fixed(delay: Duration) -> Delay {
        Delay { min: delay, max: delay }
    }

    pub fn is_range(self) -> bool {
        self.min < self.max
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.is_range() {
            true => write!(f, "{}..{}", Span(self.min), Span(self.max)),
            false => write!(f, "{}", Span(self.max)),
        }
    }
}

/// What a second stop signal does to the hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRepeat {
    Hurry,
    Ignore,
}

/// What happens to processes that outlive the main child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftovers {
    Stop,
    Wait,
    Kill,
}

/// How long leftovers have once the app has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftoversTimeout {
    /// [`LEFTOVERS_TIMEOUT`], where the app ended by itself or there is no grace period.
    Default,
    /// This long, or until the kill.
    After(Duration),
    /// Until the kill, if there is one.
    None,
}

/// What we have to do when the main child is stopped (^Z on a terminal).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobControl {
    /// No terminal: nothing.
    Absent,
    /// We lead the session and nobody else could continue the child: we do.
    Leader,
    /// We are a job of a shell: we stop too, and the shell continues us.
    Job,
}

impl Plan {
    /// The time from the first stop signal to SIGKILL.
    pub fn kill_after(&self) -> Option<Duration> {
        self.grace_period.map(|grace_period| grace_period.saturating_sub(self.margin))
    }

    /// How long we wait for what was sent SIGKILL: half the margin, but what can die has to have
    /// the time for it.
    pub fn give_up_after(&self) -> Duration {
        (self.margin / 2).max(TIME_TO_DIE)
    }

    /// When SIGKILL comes to those that are signalled now, where it is due at `kill_at`. Where we wake
    /// so late that it is due already, they have a moment all the same: half of what is left of the
    /// margin, and 100 ms where that is less.
    pub fn kill_when_late(&self, kill_at: Instant, now: Instant) -> Instant {
        let left = (kill_at + self.margin).saturating_duration_since(now);
        if now < kill_at { kill_at } else { now + (left / 2).max(TIME_TO_DIE) }
    }

    /// How long leftovers have once the app has ended, where that is less than until the kill: always
    /// if the app ended by itself, and after a stop signal if there is no kill or it was asked for.
    pub fn sweep_time(&self, by_itself: bool) -> Option<Duration> {
        let asked = match self.leftovers_timeout {
            LeftoversTimeout::Default if by_itself || self.grace_period.is_none() => {
                Some(LEFTOVERS_TIMEOUT)
            }
            LeftoversTimeout::Default | LeftoversTimeout::None => None,
            LeftoversTimeout::After(timeout) => Some(timeout),
        };
        let waits = self.leftovers == Leftovers::Wait && !by_itself;
        let asked = asked.filter(|_| !waits)?;
        Some(self.kill_after().map_or(asked, |limit| limit.min(asked)))
    }

    /// Why a `--leftovers-timeout` that was given cannot be used.
    pub fn unused_leftovers_timeout(&self) -> Option<String> {
        let LeftoversTimeout::After(timeout) = self.leftovers_timeout else { return None };
        let timeout = Span(timeout);
        match (self.leftovers, self.kill_after()) {
            (Leftovers::Wait, _) => Some(format!(
                "a --leftovers-timeout of {timeout} is not used with --leftovers wait"
            )),
            (Leftovers::Kill, _) => Some(format!(
                "a --leftovers-timeout of {timeout} is not used with --leftovers kill"
            )),
            (Leftovers::Stop, Some(kill_after)) if kill_after <= timeout.0 => Some(format!(
                "a --leftovers-timeout of {timeout} is not used: SIGKILL comes {} after the stop \
                 signal, by the grace period and the margin",
                Span(kill_after)
            )),
            (Leftovers::Stop, _) => None,
        }
    }

    /// What is forwarded when this signal has come.
    pub fn rewrite(&self, signal: Signal) -> Option<Signal> {
        let rewritten = self.rewrites.iter().rfind(|(from, _)| *from == signal);
        rewritten.map_or(Some(signal), |(_, to)| *to)
    }

    /// An error where the hold leaves no time before the kill; a warning where it leaves little.
    pub fn check(&self) -> Result<Option<Tight>, Misfit> {
        let Some(grace_period) = self.grace_period else {
            return Ok(None);
        };
        let Plan { delay, margin, .. } = *self;
        let room = grace_period.checked_sub(delay.max + margin).filter(|room| !room.is_zero());
        let room = room.ok_or(Misfit { delay, margin, grace_period })?;
        // Hooks are expected to end long before their timeout.
        let after_hooks =
            self.on_stop.map(|hooks| grace_period.saturating_sub(hooks.saturating_add(margin)));
        let (room, hooks) = match after_hooks {
            Some(less) if less < room => (less, true),
            _ => (room, false),
        };
        Ok((room < COMFORTABLE_DRAIN).then_some(Tight { room, hooks }))
    }
}

/// The delay and the margin use up the grace period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misfit {
    delay: Delay,
    margin: Duration,
    grace_period: Duration,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Misfit { delay, margin, grace_period } = *self;
        write!(
            f,
            "a delay of {} and a margin of {} do not fit into a grace period of {}: ",
            delay,
            Span(margin),
            Span(grace_period)
        )?;
        match grace_period.checked_sub(margin).filter(|below| !below.is_zero()) {
            Some(below) => write!(f, "use a delay below {}, or ", Span(below))?,
            None if grace_period.is_zero() => f.write_str("use ")?,
            None => write!(f, "use a margin below {}, or ", Span(grace_period))?,
        }
        write!(f, "a grace period above {}", Span(delay.max + margin))
    }
}

/// The app has little time between the forward and the kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tight {
    room: Duration,
    /// There is so little only if the on-stop hooks take as long as they may.
    hooks: bool,
}

impl fmt::Display for Tight {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let room = Span(self.room);
        match self.hooks {
            false => write!(
                f,
                "the app has only {room} between the forwarded signal and SIGKILL; \
                 a shorter delay or a longer grace period leaves it more"
            ),
            true if self.room.is_zero() => write!(
                f,
                "if the on-stop hooks take as long as they may, the app gets SIGKILL before it has \
                 heard the stop signal; a shorter --hook-timeout or a longer grace period prevents that"
            ),
            true => write!(
                f,
                "if the on-stop hooks take as long as they may, the app has only {room} between the \
                 forwarded signal and SIGKILL; a shorter --hook-timeout or a longer grace period leaves \
                 it more"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
