//! The report as one short line for people: first what became of the app, then what matters most.

use crate::process::target::{Name, Reason, Target};
use crate::report::outcome::Outcome;
use crate::report::summary::Summary;
use crate::report::timeline::{FailedHook, HoldEnd, Trigger};
use crate::report::traffic;
use crate::report::words::{Brief, Connections, Limits};
use crate::shutdown::ending::Ending;

/// How many characters a line of the log has at most that is a report, if its first part has no more.
const MAX: usize = 200;

/// How many of them stand before a report, as `reprieve: error: `.
const BEFORE: usize = 17;

/// What of lists and texts is told: the JSON has more.
const LIMITS: Limits = Limits { entries: 2, text: 32 };

/// The report. Its parts come in the order of their weight; what does not fit is left out, which a mark
/// at its end shows.
pub fn report(summary: &Summary) -> String {
    const MARK: &str = "; ...";
    let mut report = format!("report: {}", headline(summary));
    let size = |text: &str| text.chars().count();
    let room = MAX - BEFORE - size(MARK);
    let parts = [
        open_at_kill(summary),
        trap(summary),
        failed_hooks(summary),
        leftovers(summary),
        hold(summary),
        time(summary),
        traffic::parts(summary),
        sender(summary),
    ];
    let mut is_whole = true;
    for part in parts.concat() {
        if size(&report) + size(&part) + 2 > room {
            is_whole = false;
            continue;
        }
        report.push_str("; ");
        report.push_str(&part);
    }
    report.push_str(if is_whole { "" } else { MARK });
    report
}

/// What became of the app.
fn headline(summary: &Summary) -> String {
    let app = summary.app;
    let code = exit_code(summary);
    let drained = Brief(summary.drain.unwrap_or_default());
    let how = match summary.outcome {
        Outcome::Drained => format!("drained in {drained}"),
        Outcome::EndedBySignal => match summary.ending_of_app() {
            Some(Ending::Signaled(signal)) => format!("ended by {signal} after {drained}"),
            _ => format!("ended after {drained}"),
        },
        Outcome::EndedEarly => ended_early(summary),
        Outcome::EndedByItself => format!("{app} ended by itself"),
        Outcome::Died => {
            let (name, ending) = match summary.stand_in {
                Some((name, ending @ Ending::Signaled(_))) => (name, Some(ending)),
                _ => (app, summary.ending),
            };
            let how = ending.map(|ending| ending.to_string()).unwrap_or_default();
            let why = if ending == Some(Ending::KILLED) { ": out of memory?" } else { "" };
            format!("DIED: {name} {how}, not sent by reprieve{why}")
        }
        Outcome::Unknown => format!("how {app} ended was not seen"),
        Outcome::Killed => format!("KILLED {}", killed(summary)),
        Outcome::LeftoversKilled => {
            format!("KILLED what was left over: {}", killed(summary))
        }
        Outcome::Survived => survived(summary),
    };
    format!("{how}, {code}")
}

fn ended_early(summary: &Summary) -> String {
    let at = summary.hold.map(|(held, _)| held).unwrap_or_default();
    let (at, delay) = (Brief(at), summary.plan.delay);
    format!("ended early, at +{at} of a hold of {delay}, before it got the stop signal")
}

/// Whom SIGKILL has ended, and when.
fn killed(summary: &Summary) -> String {
    let Some((at, names)) = summary.killed else { return String::new() };
    let names = match names {
        [] => "all that was left".into(),
        names => processes(summary, names),
    };
    // Its leftovers were signalled at another time.
    let after = match (summary.forwarded, summary.outcome) {
        (Some((forwarded_at, signal, _)), Outcome::Killed) => {
            format!(", {} after {signal}", Brief(at.saturating_sub(forwarded_at)))
        }
        (None, Outcome::Killed) if summary.plan.on_stop.is_some() => {
            ", before it got the stop signal, as on-stop hooks still ran".into()
        }
        _ => String::new(),
    };
    format!("{names} at +{}{after}", Brief(at))
}

fn survived(summary: &Summary) -> String {
    let names = processes(summary, summary.survivors);
    match summary.killed {
        Some((at, _)) => format!("NOT ENDED, not even by SIGKILL at +{}: {names}", Brief(at)),
        None => format!("LEFT to the kernel, as we may not signal it: {names}"),
    }
}

/// Processes with their command lines, where these say more than the names.
fn processes(summary: &Summary, names: &[Name]) -> String {
    let of = |name: &Name| {
        let Name { pid, command } = name;
        match summary.command_line(name).filter(|line| without_folder(line) != command) {
            Some(line) => format!("{command} (pid {pid}, {})", LIMITS.short(without_folder(line))),
            None => name.to_string(),
        }
    };
    let entries = if names.len() > 1 { 1 } else { LIMITS.entries };
    let names: Vec<String> = names.iter().map(of).collect();
    Limits { entries, ..LIMITS }.list(&names)
}

/// A command line without the folder of its program.
fn without_folder(line: &str) -> &str {
    let program = line.split(' ').next().unwrap_or(line);
    &line[program.rfind('/').map_or(0, |slash| slash + 1)..]
}

/// Ours, and the app's own where that is another one: behind a shell.
fn exit_code(summary: &Summary) -> String {
    // In a rehearsal ours is the verdict.
    let code = match summary.ending.filter(|_| summary.verdict.is_some()) {
        Some(Ending::Exited(own)) => own,
        Some(Ending::Signaled(signal)) => 128 + signal.number() as u8,
        None => summary.exit_code,
    };
    if let Some((name, ending)) = summary.stand_in {
        // The headline names whom SIGKILL has ended.
        if summary.outcome == Outcome::Killed && ending == Ending::KILLED {
            return format!("exit code {code} of {}", summary.app.command);
        }
        return format!("exit code {code} of {} ({} {ending})", summary.app.command, name.command);
    }
    match summary.ending {
        Some(Ending::Exited(own)) if own != code => {
            format!("exit code {code} (the app's {own} is expected)")
        }
        _ if summary.ended_as_shell() => {
            format!("exit code {code} of {}, a shell", summary.app.command)
        }
        _ => format!("exit code {code}"),
    }
}

fn open_at_kill(summary: &Summary) -> Vec<String> {
    let traffic = summary.traffic.as_ref().filter(|_| summary.outcome == Outcome::Killed);
    let open = traffic.and_then(|seen| seen.at_kill).map(|at| at.open).filter(|open| *open > 0);
    open.map(|open| format!("{} open then", Connections(open))).into_iter().collect()
}

/// What a trap has to do with it.
fn trap(summary: &Summary) -> Vec<String> {
    let shell = &summary.app.command;
    if summary.trap_pending {
        return vec!["its trap did not run: use exec, or --process-group".into()];
    }
    let has_trap = summary
        .forwarded
        .is_some_and(|(.., to)| matches!(to, Target::Main(Reason::ShellWithTrap(_))));
    match summary.stand_in {
        Some((name, _)) if has_trap => vec![format!(
            "the trap of {shell} did not wait for {}: use exec, or let it wait again",
            name.command
        )],
        _ => Vec::new(),
    }
}

fn failed_hooks(summary: &Summary) -> Vec<String> {
    let of = |FailedHook { hook, why }: &FailedHook| {
        let why = why
            .strip_prefix("cannot run ")
            .and_then(|why| why.split_once(": "))
            .map_or(why.as_str(), |(_, why)| why);
        // Its kind, and its program without the folder.
        let (kind, program) = hook.split_at(hook.find('/').unwrap_or(hook.len()));
        let program = program.rsplit('/').next().unwrap_or_default();
        format!("{} {}", LIMITS.short(&format!("{kind}{program}")), LIMITS.short(why))
    };
    let failed: Vec<String> = summary.failed_hooks.iter().map(of).collect();
    match failed[..] {
        [] => Vec::new(),
        _ => vec![format!("FAILED: {}", Limits { entries: 1, ..LIMITS }.list(&failed))],
    }
}

/// Those that went in time; the others are in the headline.
fn leftovers(summary: &Summary) -> Vec<String> {
    let killed = summary.killed.map_or(&[][..], |(_, names)| names);
    let is_told = |name| killed.contains(name) || summary.survivors.contains(name);
    let names: Vec<&Name> = summary.left_over.iter().filter(|name| !is_told(name)).collect();
    match names[..] {
        [] => Vec::new(),
        _ => vec![format!("left over, and ended in time: {}", LIMITS.list(&names))],
    }
}

/// How long the stop signal was held, and what ended that before its time.
fn hold(summary: &Summary) -> Vec<String> {
    let delay = summary.plan.delay;
    let seen = summary.traffic.as_ref();
    let nothing_listens = seen.is_some_and(|seen| !seen.listens());
    let held = summary.hold.and_then(|(held, why)| {
        let held = Brief(held);
        // Without a delay, hooks can hold it all the same.
        let of = if delay.max.is_zero() { String::new() } else { format!(" of {delay}") };
        Some(match why {
            HoldEnd::Delay if delay.max.is_zero() => return None,
            HoldEnd::Delay => {
                format!("held {held}{}", seen.map(traffic::advice).unwrap_or_default())
            }
            HoldEnd::Quiet if nothing_listens => format!("held {held}{of}: nothing listens"),
            HoldEnd::Quiet => format!("held {held}{of}, until traffic stopped"),
            HoldEnd::Hooks => format!("held {held}, until the hooks ended"),
            HoldEnd::Hurry => format!("held {held}{of}, until the signal came again"),
            HoldEnd::Exit if summary.outcome == Outcome::EndedEarly => return None,
            HoldEnd::Exit => format!("held {held}{of}, until the app ended"),
        })
    });
    let is_dropped =
        summary.forwarded.is_none() && summary.hold.is_some_and(|(_, why)| why != HoldEnd::Exit);
    let dropped = is_dropped.then(|| "the signal is rewritten to 0, and not forwarded".into());
    held.into_iter().chain(dropped).collect()
}

/// How much of the grace period was used, and which one would do. After a kill it says nothing: all
/// but the margin was used.
fn time(summary: &Summary) -> Vec<String> {
    let Some(enough) = summary.sufficient_grace_period.map(Brief) else { return Vec::new() };
    let total = Brief(summary.total);
    vec![match summary.plan.grace_period.map(Brief) {
        Some(all) => format!("{total} of {all} used, {enough} would do"),
        None => format!("{total} used, a grace period of {enough} would do"),
    }]
}

/// What began it.
fn sender(summary: &Summary) -> Vec<String> {
    match (summary.trigger, summary.signal, summary.sender) {
        (Trigger::Signal, Some(signal), Some(sender)) => vec![format!("{signal} {sender}")],
        (Trigger::Rehearsal, Some(signal), _) => vec![format!("{signal} by rehearsal")],
        _ => Vec::new(),
    }
}
