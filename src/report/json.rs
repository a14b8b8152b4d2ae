//! The report at the end of a shutdown, as text and as JSON, and the verdict of a rehearsal.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::process::family::{Name, Reason, Target};
use crate::report::step::{Deaf, Sender};
use crate::report::timeline::{FailedHook, HoldEnd, Timeline, Trigger};
use crate::shutdown::Ending;
use crate::shutdown::plan::{Delay, Span};
use crate::signal::Signal;
use crate::traffic::watch::Outcome;

/// So many processes are named; the others are counted.
const NAMED: usize = 6;

/// So many ports are listed: a report has to go into a pipe in one piece.
const LISTED: usize = 64;

impl Timeline {
    /// The report, once it is known with which code we exit.
    pub fn report(&self, exit_code: u8, rehearsal: Option<Verdict>, now: Instant) -> Report<'_> {
        let ms = |duration: Duration| duration.as_millis() as u64;
        let at = |at: Instant| ms(self.since(at).unwrap_or_default());
        let total = self.since(now).unwrap_or_default();
        let forwarded_at = self.forwarded.as_ref().map(|(at, ..)| *at);
        // A shell dies at once: the drain of what it started ends with the group.
        let drained_at = self.ended.map(|(ended_at, _)| match self.forwarded {
            Some((_, _, Target::Group(_))) => self.group_ended_at.unwrap_or(now),
            _ => ended_at,
        });
        let killed = self.killed.as_ref().map_or(&[][..], |(_, names)| names);
        // Of a grace period that has begun.
        let grace_period = self.plan.grace_period.filter(|_| self.trigger != Trigger::Exit);
        // As long as it would have taken with the whole hold.
        let uncut = match self.hold_end {
            Some((ended_at, _)) => {
                total.saturating_sub(self.since(ended_at).unwrap_or_default()) + self.plan.delay.max
            }
            None => total,
        };
        let clean = !self.killed() && self.survivors.is_empty();
        Report {
            level: "info",
            event: "report",
            trigger: self.trigger,
            signal: self.signal,
            sender: self.sender.as_ref(),
            repeated_stop_signals: self.repeats,
            app: &self.app,
            min_delay_ms: ms(self.plan.delay.min),
            delay_ms: ms(self.plan.delay.max),
            grace_period_ms: self.plan.grace_period.map(ms),
            margin_ms: ms(self.plan.margin),
            held_ms: self.hold_end.map(|(ended_at, _)| at(ended_at)),
            hold_ended_by: self.hold_end.map(|(_, why)| why),
            traffic: self.traffic.as_ref().map(|outcome| self.traffic_seen(outcome)),
            forwarded_signal: self.forwarded.as_ref().map(|(_, signal, _)| *signal),
            forwarded_at_ms: forwarded_at.map(at),
            forwarded_to: self.forwarded.as_ref().map(|(_, _, target)| target.key()),
            forwarded_because: self.forwarded.as_ref().and_then(|(_, _, target)| target.because()),
            drain_ms: forwarded_at
                .zip(drained_at)
                .map(|(from, to)| ms(to.saturating_duration_since(from))),
            app_exit_code: self.ended.and_then(|(_, ending)| match ending {
                Ending::Exited(code) => Some(code),
                Ending::Signaled(_) => None,
            }),
            app_signal: self.ended.and_then(|(_, ending)| match ending {
                Ending::Exited(_) => None,
                Ending::Signaled(signal) => Some(signal),
            }),
            left_over: Counted::new(&self.left_over),
            killed_at_ms: self.killed.as_ref().map(|(killed_at, _)| at(*killed_at)),
            killed: Counted::new(killed),
            waited_for_trap: self.deaf,
            survivors: Counted::new(&self.survivors),
            failed_hooks: Counted::new(&self.failed_hooks),
            total_ms: ms(total),
            unused_ms: grace_period.map(|grace_period| ms(grace_period.saturating_sub(total))),
            sufficient_grace_period_ms: (clean && self.trigger != Trigger::Exit)
                .then(|| whole_seconds_above(ms(uncut + self.plan.margin))),
            exit_code,
            rehearsal,
        }
    }

    fn traffic_seen<'a>(&'a self, outcome: &'a Outcome) -> TrafficSeen<'a> {
        let at_ms = |at: Instant| self.since(at).unwrap_or_default().as_millis() as u64;
        match outcome {
            Outcome::Traffic { ports, way, traffic } => {
                let kept_to_the_end = self.plan.delay.is_range()
                    && matches!(self.hold_end, Some((_, HoldEnd::Delay)));
                let last_arrival = traffic.last_arrival.map(|last| at_ms(last.at));
                TrafficSeen {
                    seen_by: Some(way.key()),
                    unseen_because: None,
                    ports: &ports[..ports.len().min(LISTED)],
                    connections: traffic.arrived,
                    with_data: traffic.with_data,
                    last_arrival_ms: last_arrival,
                    sufficient_delay_ms: last_arrival.map_or(0, whole_seconds_above),
                    kept_by: traffic
                        .last_data
                        .filter(|_| kept_to_the_end)
                        .map(|last| last.peer.ip()),
                }
            }
            Outcome::NothingListens => TrafficSeen::default(),
            Outcome::Nothing(why) => {
                TrafficSeen { unseen_because: Some(why), ..TrafficSeen::default() }
            }
        }
    }

    /// Whether a rehearsal went well, with its reason where it did not.
    pub fn verdict(&self, app_code: u8) -> Verdict {
        let why_not = if self.trigger == Trigger::Exit {
            Some("the app ended before the stop signal of the rehearsal".into())
        } else if self.app_killed || self.ended.is_none() {
            Some("the app did not end by itself and had to be killed".into())
        } else if self.killed() || !self.survivors.is_empty() {
            Some("the app left processes over that had to be killed".into())
        } else if app_code != 0 {
            Some(format!(
                "the app ended with {app_code}; if that is how it stops, \
                 --expect-exit {app_code} says so"
            ))
        } else {
            None
        };
        Verdict { passed: why_not.is_none(), why_not }
    }
}

/// What came in while the stop signal was held back. All is 0 or null where none of ours listens,
/// or where nothing could be seen.
#[derive(Debug, Default, Serialize)]
pub struct TrafficSeen<'a> {
    seen_by: Option<&'static str>,
    unseen_because: Option<&'a str>,
    ports: &'a [u16],
    connections: u64,
    with_data: u64,
    last_arrival_ms: Option<u64>,
    sufficient_delay_ms: u64,
    kept_by: Option<IpAddr>,
}

impl TrafficSeen<'_> {
    fn listens(&self) -> bool {
        self.seen_by.is_some() || self.unseen_because.is_some()
    }
}

/// One part of a line for people; nothing where nothing was seen.
impl fmt::Display for TrafficSeen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match (self.connections, self.with_data, self.last_arrival_ms) {
            (0, ..) => f.write_str("no connection came in")?,
            (1, 0, _) => f.write_str("a connection came in without data")?,
            (all, 0, _) => write!(f, "{all} connections came in, none with data")?,
            (all, some, last) => {
                let last = Span(Duration::from_millis(last.unwrap_or_default()));
                let enough = Span(Duration::from_millis(self.sufficient_delay_ms));
                write!(
                    f,
                    "{all} connections came in, {some} with data, the last at +{last}, which a delay \
                     of {enough} would have covered"
                )?;
            }
        }
        match self.kept_by {
            Some(peer) => write!(f, "; data from {peer} kept it"),
            None => Ok(()),
        }
    }
}

/// A grace period has to be longer than the delay and the margin, and is written in seconds.
fn whole_seconds_above(ms: u64) -> u64 {
    (ms / 1000 + 1) * 1000
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub passed: bool,
    pub why_not: Option<String>,
}

/// What happened, in one object. The README documents each key; durations are in milliseconds,
/// and `*_at_ms` are counted from the beginning of the shutdown.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    level: &'static str,
    event: &'static str,
    trigger: Trigger,
    signal: Option<Signal>,
    sender: Option<&'a Sender>,
    repeated_stop_signals: u32,
    app: &'a Name,
    min_delay_ms: u64,
    delay_ms: u64,
    grace_period_ms: Option<u64>,
    margin_ms: u64,
    held_ms: Option<u64>,
    hold_ended_by: Option<HoldEnd>,
    traffic: Option<TrafficSeen<'a>>,
    forwarded_signal: Option<Signal>,
    forwarded_at_ms: Option<u64>,
    forwarded_to: Option<&'static str>,
    forwarded_because: Option<&'static str>,
    drain_ms: Option<u64>,
    app_exit_code: Option<u8>,
    app_signal: Option<Signal>,
    left_over: Counted<'a>,
    killed_at_ms: Option<u64>,
    killed: Counted<'a>,
    waited_for_trap: bool,
    survivors: Counted<'a>,
    failed_hooks: Counted<'a, FailedHook>,
    total_ms: u64,
    unused_ms: Option<u64>,
    sufficient_grace_period_ms: Option<u64>,
    exit_code: u8,
    rehearsal: Option<Verdict>,
}

/// How many, and the first of them.
#[derive(Debug, Serialize)]
pub struct Counted<'a, T = Name> {
    count: usize,
    first: &'a [T],
}

impl<T> Counted<'_, T> {
    pub fn new(all: &[T]) -> Counted<'_, T> {
        Counted { count: all.len(), first: &all[..all.len().min(NAMED)] }
    }
}

impl Report<'_> {
    pub fn json(&self) -> String {
        // Every field is a plain value.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn hold(&self) -> Option<String> {
        let held = Span(Duration::from_millis(self.held_ms?));
        let [min, max] = [self.min_delay_ms, self.delay_ms].map(Duration::from_millis);
        let delay = Delay { min, max };
        Some(match self.hold_ended_by? {
            HoldEnd::Delay if self.delay_ms == 0 => return None,
            HoldEnd::Delay => format!("held for {held}, the whole delay"),
            HoldEnd::Quiet if self.traffic.as_ref().is_some_and(|seen| !seen.listens()) => {
                format!("held for {held} of {delay}: nothing listens")
            }
            HoldEnd::Quiet => format!("held for {held} of {delay}, until traffic had stopped"),
            HoldEnd::Hooks => format!("held for {held}, until the hooks had ended"),
            HoldEnd::Hurry => format!("held for {held} of {delay}, until it came again"),
            HoldEnd::Exit => format!("held for {held} of {delay}, until the app ended by itself"),
        })
    }

    fn ending(&self) -> String {
        let ending = match (self.app_exit_code, self.app_signal) {
            (Some(code), _) => Ending::Exited(code).to_string(),
            (_, Some(signal)) => Ending::Signaled(signal).to_string(),
            (None, None) => return "its end was not seen".into(),
        };
        let of_shell = match self.forwarded_because {
            Some("shell_without_trap" | "opaque_shell") => {
                format!(" (the status of {}, a shell)", self.app.command)
            }
            _ => String::new(),
        };
        let whole = if of_shell.is_empty() { "it" } else { "the group" };
        match self.drain_ms {
            Some(ms) => {
                let took = Span(Duration::from_millis(ms));
                format!("{whole} took {took} to end and {ending}{of_shell}")
            }
            None => format!("it {ending}{of_shell}"),
        }
    }
}

/// One line for people, with the same facts.
impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut parts = Vec::new();
        parts.push(match (self.trigger, self.signal, self.sender) {
            (Trigger::Signal, Some(signal), Some(sender)) => format!("{signal} {sender}"),
            (Trigger::Rehearsal, Some(signal), _) => format!("{signal} by rehearsal"),
            _ => format!("{} ended by itself", self.app),
        });
        parts.extend(self.hold());
        let seen = self.traffic.as_ref().filter(|seen| seen.seen_by.is_some());
        parts.extend(seen.map(TrafficSeen::to_string));
        if let (Some(signal), Some(at)) = (self.forwarded_signal, self.forwarded_at_ms) {
            let whom = match self.forwarded_to {
                Some("group") => "the process group of ",
                _ => "",
            };
            parts.push(format!(
                "{signal} to {whom}{} at +{}",
                self.app,
                Span(Duration::from_millis(at))
            ));
        }
        let at_its_end = |why| why != HoldEnd::Exit;
        if self.forwarded_signal.is_none() && self.hold_ended_by.is_some_and(at_its_end) {
            parts.push("not forwarded, as it is rewritten to 0".into());
        }
        parts.push(self.ending());
        // Without /proc nobody has a name.
        let nameless = self.killed_at_ms.is_some() && self.killed.count + self.survivors.count == 0;
        parts.push(match self.left_over.count {
            0 if nameless => "who was left over cannot be seen".into(),
            0 => "nothing left over".into(),
            _ => format!("left over: {}", self.left_over),
        });
        if let Some(at) = self.killed_at_ms {
            let at = Span(Duration::from_millis(at));
            parts.push(match self.killed.count {
                0 if nameless => format!("killed at +{at}: all that was left"),
                0 => format!("SIGKILL at +{at}"),
                _ => format!("killed at +{at}: {}", self.killed),
            });
        }
        if self.waited_for_trap {
            parts.push(Deaf(self.app).to_string());
        }
        if self.survivors.count > 0 {
            parts.push(format!("not even SIGKILL ended {}", self.survivors));
        }
        if self.failed_hooks.count > 0 {
            parts.push(format!("failed: {}", self.failed_hooks));
        }
        if let (Some(unused), Some(grace_period)) = (self.unused_ms, self.grace_period_ms) {
            let [unused, all] = [unused, grace_period].map(|ms| Span(Duration::from_millis(ms)));
            parts.push(format!("{unused} of the grace period of {all} unused"));
        }
        if let Some(ms) = self.sufficient_grace_period_ms {
            let enough = Span(Duration::from_millis(ms));
            parts.push(format!("a grace period of {enough} would have been enough"));
        }
        parts.push(format!("exit code {}", self.exit_code));
        match &self.rehearsal {
            Some(Verdict { why_not: Some(why_not), .. }) => {
                parts.push(format!("rehearsal failed: {why_not}"));
            }
            Some(_) => parts.push("rehearsal passed".into()),
            None => {}
        }
        write!(f, "report: {}", parts.join("; "))
    }
}

impl<T: fmt::Display> fmt::Display for Counted<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let names: Vec<String> = self.first.iter().map(T::to_string).collect();
        f.write_str(&names.join(", "))?;
        match self.count - self.first.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl Target {
    fn key(&self) -> &'static str {
        match self {
            Target::Main(_) => "main",
            Target::Group(_) => "group",
            Target::Leftovers(_) => "leftovers",
        }
    }

    fn because(&self) -> Option<&'static str> {
        match self {
            Target::Main(reason) | Target::Group(reason) => Some(match reason {
                Reason::Asked => "option",
                Reason::App => "no_shell",
                Reason::ShellWithTrap(_) => "shell_with_trap",
                Reason::ShellWithoutTrap(_) => "shell_without_trap",
                Reason::OpaqueShell(_) => "opaque_shell",
            }),
            Target::Leftovers(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
