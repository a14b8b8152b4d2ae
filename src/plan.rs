//! The options, validated: what the core needs to know of them.

use std::fmt;
use std::time::Duration;

use crate::signal::Signal;

/// After a voluntary exit of the main child its leftovers have this long at most, so that a crash
/// restarts soon.
pub const SWEEP_AFTER_EXIT: Duration = Duration::from_secs(5);

/// The grace period of a rehearsal for which none is given, as in Kubernetes.
pub const REHEARSED_GRACE_PERIOD: Duration = Duration::from_secs(30);

/// So long a process may take to die of SIGKILL on a busy machine.
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
    /// The orchestrator's whole allowance; without it nothing is ever killed by a stop signal.
    pub grace_period: Option<Duration>,
    /// SIGKILL comes this long before the grace period ends.
    pub margin: Duration,
    /// The signals that begin the shutdown; a rehearsal uses the first.
    pub stop_signals: Vec<Signal>,
    /// What is forwarded in place of a signal; nothing, where the second is `None`.
    pub rewrites: Vec<(Signal, Option<Signal>)>,
    pub on_repeat: OnRepeat,
    pub leftovers: Leftovers,
    /// Behave as if the stop signal had come this long after the start.
    pub rehearse: Option<Duration>,
    pub job_control: JobControl,
    /// The longest that hooks take which run when the stop signal arrives, and until which the hold
    /// lasts at least.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OnRepeat {
    Hurry,
    Ignore,
}

/// What happens to processes that outlive the main child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Leftovers {
    Stop,
    Wait,
    Kill,
}

/// What it asks of us when the main child is stopped (^Z on a terminal).
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
    pub fn patience(&self) -> Duration {
        (self.margin / 2).max(TIME_TO_DIE)
    }

    /// How long leftovers have after a voluntary exit of the main child.
    pub fn sweep_after_exit(&self) -> Duration {
        self.kill_after().map_or(SWEEP_AFTER_EXIT, |limit| limit.min(SWEEP_AFTER_EXIT))
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
            self.on_stop.map(|longest| grace_period.saturating_sub(longest.saturating_add(margin)));
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
    /// If the hooks take as long as they may.
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

/// A duration as people read it in a log: `15s`, `0.25s`, to the millisecond.
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let text = format!("{}.{:03}", self.0.as_secs(), self.0.subsec_millis());
        write!(f, "{}s", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Fifteen seconds of hold in a minute, and else what the options default to.
    pub fn plan() -> Plan {
        Plan {
            delay: Delay::fixed(Duration::from_secs(15)),
            grace_period: Some(Duration::from_secs(60)),
            margin: Duration::from_secs(1),
            stop_signals: vec![Signal::TERM],
            rewrites: Vec::new(),
            on_repeat: OnRepeat::Hurry,
            leftovers: Leftovers::Stop,
            rehearse: None,
            job_control: JobControl::Absent,
            on_stop: None,
            on_exit: false,
        }
    }

    fn check(delay: u64, margin: u64, grace_period: u64) -> Result<Option<Tight>, Misfit> {
        let [delay, margin, grace_period] = [delay, margin, grace_period].map(Duration::from_secs);
        let delay = Delay::fixed(delay);
        Plan { delay, margin, grace_period: Some(grace_period), ..plan() }.check()
    }

    #[test]
    fn a_comfortable_plan_passes() {
        assert_eq!(check(15, 1, 60), Ok(None));
        assert_eq!(check(15, 1, 21), Ok(None));
        assert_eq!(Plan { grace_period: None, ..plan() }.check(), Ok(None));
    }

    #[test]
    fn little_time_to_drain_is_a_warning() {
        let tight = check(15, 1, 20).unwrap().unwrap();
        assert_eq!(tight, Tight { room: Duration::from_secs(4), hooks: false });
        assert!(tight.to_string().contains("only 4s"), "{tight}");
    }

    #[test]
    fn hooks_that_take_as_long_as_they_may_leave_less_time_to_drain() {
        let tight = |on_stop, grace_period| {
            let seconds = |seconds| Some(Duration::from_secs(seconds));
            let (on_stop, grace_period) = (seconds(on_stop), seconds(grace_period));
            Plan { on_stop, grace_period, ..plan() }.check().unwrap().map(|tight| tight.to_string())
        };
        assert_eq!(tight(54, 60), None);
        assert!(
            tight(55, 60).unwrap().contains("hooks take as long as they may, the app has only 4s")
        );
        assert!(tight(70, 60).unwrap().contains("gets SIGKILL before it has heard"));
        // The delay leaves as little.
        for on_stop in [10, 15] {
            assert!(tight(on_stop, 19).unwrap().starts_with("the app has only 3s"));
        }
    }

    #[test]
    fn what_can_die_has_the_time_for_it() {
        let patience =
            |ms| Plan { margin: Duration::from_millis(ms), ..plan() }.patience().as_millis();
        assert_eq!([3000, 0, 150].map(patience), [1500, 100, 100]);
    }

    #[test]
    fn no_time_to_drain_is_an_error_that_says_what_would_fit() {
        assert_eq!(
            check(15, 1, 16).unwrap_err().to_string(),
            "a delay of 15s and a margin of 1s do not fit into a grace period of 16s: \
             use a delay below 15s, or a grace period above 16s"
        );
        assert_eq!(
            check(0, 10, 10).unwrap_err().to_string(),
            "a delay of 0s and a margin of 10s do not fit into a grace period of 10s: \
             use a margin below 10s, or a grace period above 10s"
        );
        assert_eq!(
            check(3, 1, 0).unwrap_err().to_string(),
            "a delay of 3s and a margin of 1s do not fit into a grace period of 0s: \
             use a grace period above 4s"
        );
    }

    #[test]
    fn a_delay_is_a_range_if_it_may_be_shorter() {
        let [short, long] = [5, 20].map(Duration::from_secs);
        let range = Delay { min: short, max: long };
        assert!(range.is_range() && !Delay::fixed(long).is_range());
        assert_eq!([range, Delay::fixed(long)].map(|delay| delay.to_string()), ["5s..20s", "20s"]);
    }

    #[test]
    fn the_last_rewrite_of_a_signal_counts() {
        let rewrites = vec![
            (Signal::TERM, Some(Signal::INT)),
            (Signal::TERM, Some(Signal::QUIT)),
            (Signal::HUP, None),
        ];
        let plan = Plan { rewrites, ..plan() };
        assert_eq!(plan.rewrite(Signal::TERM), Some(Signal::QUIT));
        assert_eq!(plan.rewrite(Signal::HUP), None);
        assert_eq!(plan.rewrite(Signal::INT), Some(Signal::INT));
    }

    #[test]
    fn after_a_voluntary_exit_leftovers_have_five_seconds_at_most() {
        assert_eq!(plan().sweep_after_exit(), Duration::from_secs(5));
        let grace_period = Some(Duration::from_secs(3));
        assert_eq!(Plan { grace_period, ..plan() }.sweep_after_exit(), Duration::from_secs(2));
    }

    #[test]
    fn a_span_is_short() {
        for (ms, text) in [(15_000, "15s"), (250, "0.25s"), (1, "0.001s"), (0, "0s")] {
            assert_eq!(Span(Duration::from_millis(ms)).to_string(), text);
        }
    }
}
