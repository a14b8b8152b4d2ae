//! The report as one JSON object, without the keys that each line of the log has. docs/report.md
//! documents each key; durations are in milliseconds, and `*_at_ms` are counted from the beginning of
//! the shutdown.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::escape;
use crate::process::target::{Name, Reason, Target};
use crate::report::outcome::Outcome;
use crate::report::step::Sender;
use crate::report::summary::{Summary, Traffic};
use crate::report::timeline::{HoldEnd, Trigger};
use crate::report::verdict::Verdict;
use crate::report::words::{Limits, bounded};
use crate::shutdown::ending::Ending;
use crate::signal::Signal;
use crate::traffic::counts::Origin;
use crate::traffic::peers::PeerCount;

/// The most ports that are listed.
const MAX_PORTS: usize = 64;

/// The object, in at most `max` bytes: entries of lists are left out and texts are cut until it fits.
pub fn report(summary: &Summary, max: usize) -> String {
    // Plain values can always be serialized.
    let json = |limits| serde_json::to_string(&Report::of(summary, limits)).unwrap_or_default();
    bounded(max, |limits| escape::in_json(json(limits)))
}

/// A duration as a number of milliseconds.
struct Ms(Duration);

impl Serialize for Ms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0.as_millis() as u64)
    }
}

/// The keys, in their order.
#[derive(Serialize)]
struct Report<'a> {
    outcome: Outcome,
    trigger: Trigger,
    signal: Option<Signal>,
    sender: Option<&'a Sender>,
    repeated_stop_signals: u32,
    app: Process<'a>,
    min_delay_ms: Ms,
    delay_ms: Ms,
    grace_period_ms: Option<Ms>,
    margin_ms: Ms,
    held_ms: Option<Ms>,
    hold_ended_by: Option<HoldEnd>,
    traffic: Option<TrafficSeen<'a>>,
    forwarded_signal: Option<Signal>,
    forwarded_at_ms: Option<Ms>,
    forwarded_to: Option<&'static str>,
    forwarded_because: Option<&'static str>,
    drain_ms: Option<Ms>,
    app_exit_code: Option<u8>,
    app_signal: Option<Signal>,
    main_exit_code: Option<u8>,
    main_signal: Option<Signal>,
    stand_in: Option<StandIn<'a>>,
    left_over: Counted<Process<'a>>,
    killed_at_ms: Option<Ms>,
    killed: Counted<Process<'a>>,
    waited_for_trap: bool,
    survivors: Counted<Process<'a>>,
    failed_hooks: Counted<FailedHook<'a>>,
    uptime_ms: Ms,
    total_ms: Ms,
    unused_ms: Option<Ms>,
    sufficient_grace_period_ms: Option<Ms>,
    exit_code: u8,
    rehearsal: Option<&'a Verdict>,
}

#[derive(Serialize)]
struct TrafficSeen<'a> {
    seen_by: Option<&'static str>,
    unseen_because: Option<Cow<'a, str>>,
    ports: &'a [u16],
    udp_ports: &'a [u16],
    connections: Option<u64>,
    with_data: Option<u64>,
    old_with_data: Option<u64>,
    peers: Vec<PeerSeen>,
    last_arrival_ms: Option<Ms>,
    last_data_ms: Option<Ms>,
    silent_ms: Option<Ms>,
    at_least_ms: Ms,
    sufficient_delay_ms: Option<Ms>,
    missed: bool,
    missed_because: Option<Cow<'a, str>>,
    open_at_forward: Option<u64>,
    active_at_forward: Option<u64>,
    open_at_kill: Option<u64>,
    active_at_kill: Option<u64>,
    kept_by: Option<KeptBy>,
}

/// Who sent new connections.
#[derive(Serialize)]
struct PeerSeen {
    peer: IpAddr,
    local_port: u16,
    connections: u64,
    looks_like_probe: bool,
}

/// Who kept a hold from ending; of UDP it is not known which peer.
#[derive(Serialize)]
struct KeptBy {
    peer: Option<IpAddr>,
    local_port: u16,
}

#[derive(Serialize)]
struct Process<'a> {
    pid: i32,
    command: &'a str,
    command_line: Option<Cow<'a, str>>,
}

/// The app behind a shell or a relay.
#[derive(Serialize)]
struct StandIn<'a> {
    pid: i32,
    command: &'a str,
    command_line: Option<Cow<'a, str>>,
    exit_code: Option<u8>,
    signal: Option<Signal>,
}

/// One of the two is missing, or both.
fn code_and_signal(ending: Option<Ending>) -> (Option<u8>, Option<Signal>) {
    match ending {
        Some(Ending::Exited(code)) => (Some(code), None),
        Some(Ending::Signaled(signal)) => (None, Some(signal)),
        None => (None, None),
    }
}

#[derive(Serialize)]
struct FailedHook<'a> {
    hook: Cow<'a, str>,
    why: Cow<'a, str>,
}

/// How many there are, and the first of them.
#[derive(Serialize)]
struct Counted<T> {
    count: usize,
    first: Vec<T>,
}

fn counted<'a, T, U>(all: &'a [T], limits: Limits, of: impl Fn(&'a T) -> U) -> Counted<U> {
    Counted { count: all.len(), first: limits.first(all).iter().map(of).collect() }
}

impl<'a> Report<'a> {
    fn of(summary: &'a Summary, limits: Limits) -> Report<'a> {
        let target = summary.forwarded.map(|(_, _, target)| target);
        let process = |name: &'a Name| Process {
            pid: name.pid,
            command: &name.command,
            command_line: summary.command_line(name).map(|line| limits.short(line)),
        };
        let names = |all: &'a [Name]| counted(all, limits, process);
        let (app_exit_code, app_signal) = code_and_signal(summary.ending_of_app());
        let (main_exit_code, main_signal) = code_and_signal(summary.ending);
        let stand_in = |(name, ending)| {
            let (exit_code, signal) = code_and_signal(Some(ending));
            let Process { pid, command, command_line } = process(name);
            StandIn { pid, command, command_line, exit_code, signal }
        };
        Report {
            outcome: summary.outcome,
            trigger: summary.trigger,
            signal: summary.signal,
            sender: summary.sender.filter(|sender| !sender.queued),
            repeated_stop_signals: summary.repeats,
            app: process(summary.app),
            min_delay_ms: Ms(summary.plan.delay.min),
            delay_ms: Ms(summary.plan.delay.max),
            grace_period_ms: summary.plan.grace_period.map(Ms),
            margin_ms: Ms(summary.plan.margin),
            held_ms: summary.hold.map(|(held, _)| Ms(held)),
            hold_ended_by: summary.hold.map(|(_, why)| why),
            traffic: summary.traffic.as_ref().map(|traffic| TrafficSeen::of(traffic, limits)),
            forwarded_signal: summary.forwarded.map(|(_, signal, _)| signal),
            forwarded_at_ms: summary.forwarded.map(|(at, ..)| Ms(at)),
            forwarded_to: target.map(forwarded_to),
            forwarded_because: target.and_then(forwarded_because),
            drain_ms: summary.drain.map(Ms),
            app_exit_code,
            app_signal,
            main_exit_code,
            main_signal,
            stand_in: summary.stand_in.map(stand_in),
            left_over: names(summary.left_over),
            killed_at_ms: summary.killed.map(|(at, _)| Ms(at)),
            killed: names(summary.killed.map_or(&[], |(_, names)| names)),
            waited_for_trap: summary.trap_pending,
            survivors: names(summary.survivors),
            failed_hooks: counted(summary.failed_hooks, limits, |failed| FailedHook {
                hook: limits.short(&failed.hook),
                why: limits.short(&failed.why),
            }),
            uptime_ms: Ms(summary.uptime),
            total_ms: Ms(summary.total),
            unused_ms: summary.unused.map(Ms),
            sufficient_grace_period_ms: summary.sufficient_grace_period.map(Ms),
            exit_code: summary.exit_code,
            rehearsal: summary.verdict.as_ref(),
        }
    }
}

impl<'a> TrafficSeen<'a> {
    fn of(traffic: &'a Traffic, limits: Limits) -> TrafficSeen<'a> {
        let Traffic { counts, at_forward, at_kill, .. } = traffic;
        let first = |ports: &'a [u16]| &ports[..ports.len().min(MAX_PORTS)];
        let kept_by =
            |Origin { peer, port }| KeptBy { peer: peer.map(|peer| peer.ip()), local_port: port };
        TrafficSeen {
            seen_by: traffic.seen_by,
            unseen_because: traffic.unseen_because.map(|why| limits.short(why)),
            ports: first(traffic.ports),
            udp_ports: first(traffic.udp_ports),
            connections: counts.map(|counts| counts.arrived),
            with_data: counts.map(|counts| counts.with_data),
            old_with_data: counts.map(|counts| counts.old_with_data),
            peers: limits.first(traffic.peers).iter().map(peer_seen).collect(),
            last_arrival_ms: traffic.last_arrival.map(Ms),
            last_data_ms: traffic.last_data.map(Ms),
            silent_ms: traffic.silent.map(Ms),
            at_least_ms: Ms(traffic.least_delay),
            sufficient_delay_ms: traffic.sufficient_delay.map(Ms),
            missed: traffic.missed_because.is_some(),
            missed_because: traffic.missed_because.map(|why| limits.short(why)),
            open_at_forward: at_forward.map(|at| at.open),
            active_at_forward: at_forward.map(|at| at.active),
            open_at_kill: at_kill.map(|at| at.open),
            active_at_kill: at_kill.map(|at| at.active),
            kept_by: traffic.kept_by.map(kept_by),
        }
    }
}

fn peer_seen(count: &PeerCount) -> PeerSeen {
    let PeerCount { peer, port: local_port, connections, looks_like_probe } = *count;
    PeerSeen { peer, local_port, connections, looks_like_probe }
}

fn forwarded_to(target: &Target) -> &'static str {
    match target {
        Target::Main(_) => "main",
        Target::Through(..) => "through",
        Target::Spared(..) => "children",
        Target::StandIns(_) => "stand_ins",
        Target::Group(_) => "group",
        Target::Leftovers(_) => "leftovers",
    }
}

fn forwarded_because(target: &Target) -> Option<&'static str> {
    match target {
        Target::Main(reason)
        | Target::Through(reason, _)
        | Target::Spared(reason, _)
        | Target::Group(reason) => Some(match reason {
            Reason::Ignored => "ignored",
            Reason::Refused => "refused",
            Reason::Filter => "filter",
            Reason::Option => "option",
            Reason::NoShell => "no_shell",
            Reason::ShellWithTrap(_) => "shell_with_trap",
            Reason::ShellWithoutTrap(_) => "shell_without_trap",
            Reason::OpaqueShell(_) => "opaque_shell",
        }),
        Target::StandIns(_) | Target::Leftovers(_) => None,
    }
}

#[cfg(test)]
mod tests;
