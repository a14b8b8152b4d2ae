//! The steps and the report as lines for people.

use std::time::Instant;

use crate::process::target::{Reason, Swept, Target};
use crate::report::step::{Sender, Step};
use crate::report::summary::{Summary, Traffic};
use crate::report::timeline::{FailedHook, HoldEnd, Timeline, Trigger};
use crate::report::words::{Connections, Limits, TrapPending, Whom, bounded};
use crate::shutdown::event::{Note, Why};
use crate::signal::Signal;
use crate::span::Span;
use crate::tasks::task::{Done, Task};
use crate::traffic::counts::Counts;
use crate::traffic::peers::PeerCount;
use crate::traffic::seen::OpenConnections;

/// The text of a step, which the timeline has recorded already.
pub fn step(step: &Step, timeline: &Timeline, now: Instant) -> String {
    let limits = Limits::default();
    let app = &timeline.app;
    match step {
        Step::Began { signal, sender, may_end_at, forward_at, kill_at } => {
            let origin = match sender {
                Some(sender) => sender.to_string(),
                None => "by rehearsal".into(),
            };
            let forward = forward_plan(timeline, *signal, *may_end_at, *forward_at, now);
            let kill = match kill_at {
                Some(at) => format!("SIGKILL at +{}", since(timeline, *at, now)),
                None => "no SIGKILL (no --grace-period is given)".into(),
            };
            format!("{signal} {origin}: {forward}, {kill}")
        }
        Step::Noted { signal, sender, note: what } => {
            let origin = sender.as_ref().map(Sender::to_string).unwrap_or_default();
            format!("{signal} {origin}: {}", note(*what, timeline, now))
        }
        Step::Forwarded { signal, why, target, .. } => {
            format!("forwarded {signal} to {}{}", Whom(target, app), reason(*why, timeline))
        }
        Step::Dropped { signal, .. } => {
            format!("{signal} is not forwarded: it is rewritten to 0")
        }
        Step::MainEnded(ending) => format!("{app} {ending}"),
        Step::PassedOn { names, .. } => format!("passed it on to {}", limits.list(names)),
        Step::StandInEnded(name, ending) => format!("{name} {ending}"),
        Step::GroupEnded => format!("the last process of the group of {app} ended"),
        Step::Swept { signal, swept, kill_at } => {
            let kill = kill_at.map(|at| format!("SIGKILL at +{}", since(timeline, at, now)));
            let parts: Vec<String> =
                who_was_swept(*signal, swept).into_iter().chain(kill).collect();
            format!("left over by {app}: {}", parts.join("; "))
        }
        Step::Killed { names, trap_pending, .. } => {
            let trap = trap_pending.then(|| format!("; {}", TrapPending(app)));
            format!("sent SIGKILL to {}{}", limits.names(names), trap.unwrap_or_default())
        }
        Step::GaveUp { names } if !timeline.killed() => {
            format!("{} may not be signalled; leaving it to the kernel", limits.names(names))
        }
        Step::GaveUp { names } => {
            format!("SIGKILL has not ended {}; leaving it to the kernel", limits.names(names))
        }
        Step::TaskEnded(Done { task, how, took }) => {
            let how = how.as_ref().unwrap_or_else(|why_not| why_not);
            let how = match task {
                Task::Hook(..) => format!(" {how}"),
                Task::Quit(_) => format!(": {how}"),
            };
            format!("{task}{how} ({})", Span(*took))
        }
        Step::NotRun(task) => format!("{task} was not run: the deadline came before its turn"),
    }
}

/// The time from the beginning of the shutdown to this one.
fn since(timeline: &Timeline, at: Instant, now: Instant) -> Span {
    Span(at.saturating_duration_since(timeline.began_at.unwrap_or(now)))
}

fn forward_plan(
    timeline: &Timeline,
    signal: Signal,
    may_end_at: Instant,
    forward_at: Instant,
    now: Instant,
) -> String {
    let until = |at| since(timeline, at, now);
    // Where only leftovers are there, they get it at once.
    let waits_for_hooks = timeline.plan.on_stop.is_some() && timeline.ended.is_none();
    match timeline.plan.rewrite(signal) {
        None => "it is rewritten to 0 and not forwarded".into(),
        Some(_) if forward_at <= now && waits_for_hooks => {
            "forwarding it once the hooks have ended".into()
        }
        Some(_) if forward_at <= now => "forwarding it at once".into(),
        Some(_) if may_end_at < forward_at => {
            format!("forwarding it between +{} and +{}", until(may_end_at), until(forward_at))
        }
        Some(_) => format!("forwarding it at +{}", until(forward_at)),
    }
}

fn note(note: Note, timeline: &Timeline, now: Instant) -> String {
    let kill = |what: &str, kill_at: Option<Instant>| {
        let at = kill_at.map(|at| format!("SIGKILL at +{}", since(timeline, at, now)));
        at.map(|at| format!("{what}{at}")).unwrap_or_default()
    };
    match note {
        Note::SameRequest => "so soon after the first, it counts as the same request".into(),
        Note::StillHeld => "still held back".into(),
        Note::SweptAlready { kill_at } => {
            format!("nothing more is sent to the leftovers{}", kill("; ", kill_at))
        }
        Note::Leaving { kill_at } => {
            format!("the app has ended already{}", kill("; hooks get ", kill_at))
        }
    }
}

fn reason(why: Why, timeline: &Timeline) -> &'static str {
    match why {
        Why::Passing | Why::Unheld => "",
        Why::DelayOver if timeline.plan.delay.max.is_zero() => "",
        Why::DelayOver => "; the delay is over",
        Why::Quiet => "; no traffic comes any more",
        Why::TasksEnded => "; the delay is over and the hooks have ended",
        Why::Hurry => "; a second stop signal ends the hold early",
        Why::Again => ", again",
    }
}

fn who_was_swept(signal: Signal, swept: &Swept) -> Vec<String> {
    let limits = Limits::default();
    let mut parts = Vec::new();
    if !swept.signalled.is_empty() {
        parts.push(format!("sent {signal} to {}", limits.list(&swept.signalled)));
    }
    if !swept.signalled_before.is_empty() {
        parts.push(format!("signalled already: {}", limits.list(&swept.signalled_before)));
    }
    if !swept.refused.is_empty() {
        parts.push(format!("could not signal {}", limits.list(&swept.refused)));
    }
    parts
}

/// The report, in at most `max` bytes: entries of lists are left out and texts are cut until it fits.
pub fn report(summary: &Summary, max: usize) -> String {
    bounded(max, |limits| {
        let parts = [
            vec![beginning(summary)],
            hold(summary, limits),
            forward(summary, limits),
            vec![ending(summary)],
            leftovers(summary, limits),
            time(summary),
            vec![format!("exit code {}", summary.exit_code)],
        ];
        format!("report: {}", parts.concat().join("; "))
    })
}

fn beginning(summary: &Summary) -> String {
    match (summary.trigger, summary.signal, summary.sender) {
        (Trigger::Signal, Some(signal), Some(sender)) => format!("{signal} {sender}"),
        (Trigger::Rehearsal, Some(signal), _) => format!("{signal} by rehearsal"),
        _ => format!("{} ended by itself", summary.app),
    }
}

/// How long the hold was and why, and what came in meanwhile.
fn hold(summary: &Summary, limits: Limits) -> Vec<String> {
    let seen = summary.traffic.as_ref();
    let nothing_listens = seen.is_some_and(|seen| !seen.listens());
    let delay = summary.plan.delay;
    let held = summary.hold.and_then(|(held, why)| {
        let is_killed = summary.killed.is_some_and(|(killed_at, _)| killed_at < held);
        let held = Span(held);
        Some(match why {
            HoldEnd::Delay if delay.max.is_zero() => return None,
            HoldEnd::Delay => format!("held for {held}, the whole delay"),
            HoldEnd::Quiet if nothing_listens => {
                format!("held for {held} of {delay}: nothing listens")
            }
            HoldEnd::Quiet => format!("held for {held} of {delay}, until traffic had stopped"),
            HoldEnd::Hooks => format!("held for {held}, until the hooks had ended"),
            HoldEnd::Hurry => format!("held for {held} of {delay}, until it came again"),
            // The on-stop hooks ran until SIGKILL, so it was never forwarded.
            HoldEnd::Exit if is_killed => format!("held for {held}, until SIGKILL"),
            HoldEnd::Exit => format!("held for {held} of {delay}, until the app ended by itself"),
        })
    });
    let traffic = seen.filter(|seen| seen.listens()).map(|seen| traffic(seen, limits));
    held.into_iter().chain(traffic.into_iter().flatten()).collect()
}

/// What came in, and which delay would have been enough.
fn traffic(seen: &Traffic, limits: Limits) -> Vec<String> {
    let Some(counts) = seen.counts else {
        let why = seen.unseen_because.unwrap_or_default();
        return vec![format!("what came in was not seen: {}", limits.short(why))];
    };
    let mut parts = vec![connections(seen, &counts)];
    parts.extend(peers(seen, &counts));
    if let Some(last) = seen.last_data.map(Span) {
        parts.push(match seen.sufficient_delay.map(Span) {
            Some(delay) => {
                format!(
                    "the last data came at +{last}, which a delay of {delay} would have covered"
                )
            }
            None if seen.missed_because.is_some() => format!("the last data was seen at +{last}"),
            None => format!(
                "the last data came at +{last}, and traffic still came when the hold ended, so no \
                 delay is known to be enough"
            ),
        });
    }
    let is_short = seen.last_data.is_none() && seen.sufficient_delay.is_none();
    if is_short && seen.missed_because.is_none() {
        parts.push("the hold was too short to know that no delay is needed".into());
    }
    if let Some(why) = seen.missed_because {
        parts.push(format!("some may have been missed: {}", limits.short(why)));
    }
    let open = |open: OpenConnections, when| {
        let OpenConnections { open, active } = open;
        format!("{} open {when}, {active} of them with recent data", Connections(open))
    };
    let with_data = |open: &OpenConnections| open.active > 0;
    parts.extend(seen.at_forward.filter(with_data).map(|at| open(at, "at the forward")));
    parts.extend(seen.at_kill.filter(with_data).map(|at| open(at, "at SIGKILL")));
    parts.extend(seen.kept_by.map(|who| format!("{who} prolonged the hold")));
    parts
}

/// Whom the new connections came from: those who sent a quarter of them or the last data, which the
/// advice is for, and who looks like a probe.
fn peers(seen: &Traffic, counts: &Counts) -> Option<String> {
    let last = counts.last_data.and_then(|data| data.from.peer).map(|peer| peer.ip());
    let stands_out = |one: &&PeerCount| {
        one.looks_like_probe || one.connections * 4 >= counts.arrived || Some(one.peer) == last
    };
    let named: Vec<String> = seen.peers.iter().filter(stands_out).map(peer).collect();
    (!named.is_empty()).then(|| named.join(", "))
}

fn peer(PeerCount { peer, connections, looks_like_probe, .. }: &PeerCount) -> String {
    let probe = if *looks_like_probe { " and looks like a probe (see --ignore-peer)" } else { "" };
    format!("{peer} sent {connections} of them{probe}")
}

fn connections(seen: &Traffic, counts: &Counts) -> String {
    let Counts { arrived, with_data, old_with_data, .. } = *counts;
    let least = if seen.missed_because.is_some() { "at least " } else { "" };
    let came = (arrived > 0).then(|| {
        let data = match with_data {
            0 => "without data".into(),
            _ if with_data == arrived => "with data".into(),
            some => format!("{some} with data"),
        };
        let last = seen.last_arrival.map(|last| format!(", the last at +{}", Span(last)));
        format!("{least}{} came in, {data}{}", Connections(arrived), last.unwrap_or_default())
    });
    let spoke = (old_with_data > 0).then(|| match old_with_data {
        1 => format!("{least}one old connection brought data"),
        old => format!("{least}{old} old connections brought data"),
    });
    let parts: Vec<String> = came.into_iter().chain(spoke).collect();
    match parts[..] {
        [] if seen.missed_because.is_some() => "no connection was seen to come in".into(),
        [] if seen.last_data.is_some() => "no connection came in".into(),
        [] => "nothing came in".into(),
        _ => parts.join(", "),
    }
}

fn forward(summary: &Summary, limits: Limits) -> Vec<String> {
    let app = summary.app;
    match summary.forwarded {
        Some((at, signal, target)) => {
            let whom = match target {
                Target::Group(_) => format!("the process group of {app}"),
                Target::Through(_, others) => {
                    format!("{app}, and through it {}", limits.list(others))
                }
                Target::Spared(_, others) => limits.list(others),
                Target::StandIns(names) => limits.names(names),
                Target::Main(_) | Target::Leftovers(_) => app.to_string(),
            };
            vec![format!("{signal} to {whom} at +{}", Span(at))]
        }
        None if summary.hold.is_some_and(|(_, why)| why != HoldEnd::Exit) => {
            vec!["not forwarded, as it is rewritten to 0".into()]
        }
        None => Vec::new(),
    }
}

fn ending(summary: &Summary) -> String {
    let Some(ending) = summary.ending else {
        return "its end was not seen".into();
    };
    if let Some((name, ended)) = summary.stand_in {
        let took = Span(summary.drain.unwrap_or_default());
        return format!("{name} took {took} to end and {ended}; {} {ending}", summary.app);
    }
    let is_shell = summary.ended_as_shell();
    let of_shell = match is_shell {
        true => format!(" (the status of {}, a shell)", summary.app.command),
        false => String::new(),
    };
    let to_group = summary.forwarded.is_some_and(|(.., to)| matches!(to, Target::Group(_)));
    let whole = if to_group { "the group" } else { "it" };
    match summary.drain {
        Some(took) => format!("{whole} took {} to end and {ending}{of_shell}", Span(took)),
        None => format!("it {ending}{of_shell}"),
    }
}

/// Who was left over and who was killed, and which hooks failed.
fn leftovers(summary: &Summary, limits: Limits) -> Vec<String> {
    let killed = summary.killed.map_or(&[][..], |(_, names)| names);
    // Without /proc nobody has a name.
    let nameless = summary.killed.is_some() && killed.is_empty() && summary.survivors.is_empty();
    let mut parts = vec![match summary.left_over {
        [] if nameless => "who was left over cannot be seen".into(),
        [] => "nothing left over".into(),
        names => format!("left over: {}", limits.list(names)),
    }];
    if let Some((at, names)) = summary.killed {
        let at = Span(at);
        parts.push(match names {
            [] if nameless => format!("killed at +{at}: all that was left"),
            [] => format!("SIGKILL at +{at}"),
            names => format!("killed at +{at}: {}", limits.list(names)),
        });
    }
    let has_trap = summary
        .forwarded
        .is_some_and(|(.., to)| matches!(to, Target::Main(Reason::ShellWithTrap(_))));
    if has_trap && summary.stand_in.is_some() {
        parts.push(format!(
            "the trap of {} ended before that (let it wait twice, or start the app with exec)",
            summary.app
        ));
    }
    if summary.trap_pending {
        parts.push(TrapPending(summary.app).to_string());
    }
    if !summary.survivors.is_empty() {
        let survivors = limits.list(summary.survivors);
        parts.push(match summary.killed {
            Some(_) => format!("not even SIGKILL ended {survivors}"),
            None => format!("left to the kernel, as it may not be signalled: {survivors}"),
        });
    }
    if !summary.failed_hooks.is_empty() {
        let of = |FailedHook { hook, why }: &FailedHook| {
            format!("{} ({})", limits.short(hook), limits.short(why))
        };
        let failed: Vec<String> = summary.failed_hooks.iter().map(of).collect();
        parts.push(format!("failed: {}", limits.list(&failed)));
    }
    parts
}

/// How much of the grace period was left, and how long one would have been enough.
fn time(summary: &Summary) -> Vec<String> {
    let unused = summary.unused.zip(summary.plan.grace_period).map(|(unused, all)| {
        format!("{} of the grace period of {} unused", Span(unused), Span(all))
    });
    let enough = summary.sufficient_grace_period;
    let enough =
        enough.map(|enough| format!("a grace period of {} would have been enough", Span(enough)));
    unused.into_iter().chain(enough).collect()
}

#[cfg(test)]
mod tests;
