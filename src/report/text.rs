//! The steps as lines for people.

use std::time::Instant;

use crate::process::target::Swept;
use crate::report::step::{Sender, Step};
use crate::report::timeline::Timeline;
use crate::report::words::{Limits, TrapPending, Whom};
use crate::shutdown::event::{Note, Why};
use crate::signal::Signal;
use crate::span::Span;
use crate::tasks::task::{Done, Task};

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

#[cfg(test)]
mod tests;
