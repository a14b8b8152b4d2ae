//! What a timeline comes to, as the report needs it.

use std::time::{Duration, Instant};

use crate::process::target::{Name, Target};
use crate::report::outcome::Outcome;
use crate::report::step::Sender;
use crate::report::timeline::{FailedHook, HoldEnd, Timeline, Trigger};
use crate::report::verdict::Verdict;
use crate::shutdown::ending::Ending;
use crate::shutdown::plan::Plan;
use crate::signal::Signal;
use crate::traffic::counts::{Arrival, Counts, Missed, Origin};
use crate::traffic::peers::PeerCount;
use crate::traffic::seen::{HoldTraffic, OpenConnections, Seen};

/// What happened in one shutdown. A time is counted from its beginning.
#[derive(Debug)]
pub struct Summary<'a> {
    pub plan: &'a Plan,
    pub app: &'a Name,
    pub outcome: Outcome,
    pub trigger: Trigger,
    pub signal: Option<Signal>,
    pub sender: Option<&'a Sender>,
    pub repeats: u32,
    /// How long the hold was, and why it ended.
    pub hold: Option<(Duration, HoldEnd)>,
    pub traffic: Option<Traffic<'a>>,
    /// When the stop signal was first forwarded, as which signal, and to whom.
    pub forwarded: Option<(Duration, Signal, &'a Target)>,
    /// From there to the end of the app, or of its group if that got the signal.
    pub drain: Option<Duration>,
    pub ending: Option<Ending>,
    /// The app behind a shell or a relay that ended before it, and how it ended.
    pub stand_in: Option<(&'a Name, Ending)>,
    pub left_over: &'a [Name],
    /// When SIGKILL was sent, and to whom.
    pub killed: Option<(Duration, &'a [Name])>,
    /// A shell with a trap had not run it when SIGKILL was sent.
    pub trap_pending: bool,
    pub survivors: &'a [Name],
    pub failed_hooks: &'a [FailedHook],
    /// The command lines of some of these processes.
    pub command_lines: &'a [(Name, String)],
    /// From the start of the app to our exit.
    pub uptime: Duration,
    /// From the beginning to our exit.
    pub total: Duration,
    /// What was left of a grace period that had begun, where nothing was killed.
    pub unused: Option<Duration>,
    /// A grace period that would have been enough, in whole seconds.
    pub sufficient_grace_period: Option<Duration>,
    pub exit_code: u8,
    pub verdict: Option<Verdict>,
}

/// What came in during the hold. Where nothing of the app listens, nothing came.
#[derive(Debug, Default)]
pub struct Traffic<'a> {
    /// How it was seen. None where nothing listens, or where nothing could be seen.
    pub seen_by: Option<&'static str>,
    /// Why some of it could not be seen, or all of it.
    pub unseen_because: Option<&'a str>,
    pub ports: &'a [u16],
    pub udp_ports: &'a [u16],
    /// None where nothing could be seen.
    pub counts: Option<Counts>,
    /// The peers that most of the new connections came from.
    pub peers: &'a [PeerCount],
    /// When the last new connection with data came.
    pub last_arrival: Option<Duration>,
    /// When data came in last, on any connection.
    pub last_data: Option<Duration>,
    /// How long none had come in when the hold ended.
    pub silent: Option<Duration>,
    /// The smallest delay that covers the last data, in whole seconds.
    pub least_delay: Duration,
    /// The same, where nothing that came later would have been seen: see `is_sufficient`.
    pub sufficient_delay: Option<Duration>,
    /// Why something may have been missed.
    pub missed_because: Option<&'a str>,
    pub at_forward: Option<OpenConnections>,
    pub at_kill: Option<OpenConnections>,
    /// Who kept the hold from ending, where it has a range and lasted until its MAX.
    pub kept_by: Option<Origin>,
}

impl Traffic<'_> {
    /// Whether something of the app listens, as far as can be seen.
    pub fn listens(&self) -> bool {
        self.seen_by.is_some() || self.unseen_because.is_some()
    }
}

impl Summary<'_> {
    /// The command line of a process, where it was read. A later process with the same pid mostly has
    /// another name.
    pub fn command_line(&self, name: &Name) -> Option<&str> {
        let found = self.command_lines.iter().find(|(known, _)| known == name);
        found.map(|(_, line)| line.as_str())
    }

    /// How the app ended: what stood for it, where a shell or a relay ran it.
    pub fn ending_of_app(&self) -> Option<Ending> {
        self.stand_in.map(|(_, ending)| ending).or(self.ending)
    }

    /// Whether the main child was a shell that ran the app, so that its end is not the app's.
    pub fn ended_as_shell(&self) -> bool {
        self.forwarded.is_some_and(|(.., target)| target.is_shell())
    }
}

impl Timeline {
    /// Sums it up, once it is known with which code we exit.
    pub fn summary(&self, exit_code: u8, verdict: Option<Verdict>, now: Instant) -> Summary<'_> {
        let total = self.at(now);
        Summary {
            plan: &self.plan,
            app: &self.app,
            outcome: self.outcome(),
            trigger: self.trigger,
            signal: self.signal,
            sender: self.sender.as_ref(),
            repeats: self.repeats,
            hold: self.hold_end.map(|(ended_at, why)| (self.at(ended_at), why)),
            traffic: self.traffic.as_ref().map(|seen| self.traffic_seen(seen)),
            forwarded: self.forwarded.as_ref().map(|(at, signal, to)| (self.at(*at), *signal, to)),
            drain: self.drain(now),
            ending: self.ended.map(|(_, ending)| ending),
            stand_in: self.stand_in.as_ref().map(|(_, name, ending)| (name, *ending)),
            left_over: &self.left_over,
            killed: self.killed.as_ref().map(|(at, names)| (self.at(*at), &names[..])),
            trap_pending: self.trap_pending,
            survivors: &self.survivors,
            failed_hooks: &self.failed_hooks,
            command_lines: &self.command_lines,
            uptime: now.saturating_duration_since(self.started_at),
            total,
            unused: self
                .begun_grace_period()
                .filter(|_| self.is_clean())
                .map(|granted| granted.saturating_sub(total)),
            sufficient_grace_period: self.sufficient_grace_period(total),
            exit_code,
            verdict,
        }
    }

    fn at(&self, at: Instant) -> Duration {
        self.since(at).unwrap_or_default()
    }

    /// A shell ends at once: the drain lasts until the last of what stands for it has ended.
    fn drain(&self, now: Instant) -> Option<Duration> {
        let (forwarded_at, _, target) = self.forwarded.as_ref()?;
        let (ended_at, _) = self.ended?;
        let drained_at = match target {
            Target::Group(_) => self.group_ended_at.unwrap_or(now),
            _ => self.stand_in.as_ref().map_or(ended_at, |(at, ..)| ended_at.max(*at)),
        };
        Some(drained_at.saturating_duration_since(*forwarded_at))
    }

    /// Only a stop signal begins the grace period.
    fn begun_grace_period(&self) -> Option<Duration> {
        self.plan.grace_period.filter(|_| self.trigger != Trigger::Exit)
    }

    /// Whether nothing had to be killed, and nothing survived that.
    fn is_clean(&self) -> bool {
        !self.killed() && self.survivors.is_empty()
    }

    /// The time that the shutdown would have taken with the whole delay, and the margin.
    fn sufficient_grace_period(&self, total: Duration) -> Option<Duration> {
        let whole = match self.hold_end {
            Some((ended_at, _)) => total.saturating_sub(self.at(ended_at)) + self.plan.delay.max,
            None => total,
        };
        let needed = whole + self.plan.margin;
        (self.is_clean() && self.trigger != Trigger::Exit).then(|| whole_seconds_above(needed))
    }

    fn traffic_seen<'a>(&'a self, seen: &'a HoldTraffic) -> Traffic<'a> {
        match seen {
            HoldTraffic::Seen(seen) => self.counted(seen),
            HoldTraffic::NothingListens => Traffic {
                counts: Some(Counts::default()),
                silent: self.silence(None),
                sufficient_delay: Some(Duration::ZERO),
                ..Traffic::default()
            },
            HoldTraffic::Unseen(why) => Traffic {
                unseen_because: Some(why),
                missed_because: Some(why),
                ..Traffic::default()
            },
        }
    }

    fn counted<'a>(&'a self, seen: &'a Seen) -> Traffic<'a> {
        let Seen { ports, udp_ports, source, counts, peers, .. } = seen;
        let Seen { unseen_because, at_forward, at_kill, .. } = seen;
        let unseen_because = unseen_because.as_deref();
        let missed_because = unseen_because.or(counts.missed.map(Missed::why));
        let lasted_to_max =
            self.plan.delay.is_range() && matches!(self.hold_end, Some((_, HoldEnd::Delay)));
        let last_data = counts.last_data.map(|data| self.at(data.at));
        let least_delay = last_data.map_or(Duration::ZERO, whole_seconds_above);
        let is_sufficient = missed_because.is_none() && self.is_sufficient(seen);
        Traffic {
            seen_by: Some(source.key()),
            unseen_because,
            ports,
            udp_ports,
            counts: Some(*counts),
            peers,
            last_arrival: counts.last_arrival.map(|last| self.at(last.at)),
            last_data,
            silent: self.silence(counts.last_data),
            least_delay,
            sufficient_delay: is_sufficient.then_some(least_delay),
            missed_because,
            at_forward: *at_forward,
            at_kill: *at_kill,
            kept_by: counts.keeper.filter(|_| lasted_to_max),
        }
    }

    /// Whether a delay that covers the last data that was seen would have covered all: the silence
    /// after it was long. Where the hold cut the traffic off, nobody knows. What has a gap came twice.
    fn is_sufficient(&self, seen: &Seen) -> bool {
        let Counts { last_data, longest_gap, data, .. } = seen.counts;
        let is_long = |silence| {
            silence >= seen.quiet_window || data > 1 && silence > longest_gap.saturating_mul(4)
        };
        self.silence(last_data).is_some_and(is_long)
    }

    /// How long nothing had come in when the hold ended.
    fn silence(&self, last_data: Option<Arrival>) -> Option<Duration> {
        let (ended_at, _) = self.hold_end?;
        let since = last_data.map(|data| data.at).or(self.began_at)?;
        Some(ended_at.saturating_duration_since(since))
    }
}

/// Delays and grace periods are written in seconds, and have to be longer than what they cover.
fn whole_seconds_above(least: Duration) -> Duration {
    Duration::from_secs(least.as_secs() + 1)
}
