//! The plan in words: what happens at a stop and when, whom signals go to, what is watched, and where
//! each value came from. And `--check`, which prints it, and starts, opens, makes and asks nothing.

use std::time::Duration;

use tracing::error;

use crate::cli::Config;
use crate::cli::args::variable;
use crate::cli::given::{DEFAULTS, Given};
use crate::cli::settings::Source;
use crate::cli::warnings::Warning;
use crate::exit::StartError;
use crate::log::Log;
use crate::process::inherited;
use crate::process::spawn::{Depth, Program};
use crate::process::target::Aim;
use crate::process::wait::Wait;
use crate::rehearsal::{RehearsalConfig, When};
use crate::shutdown::plan::{Leftovers, Plan};
use crate::span::Span;
use crate::traffic::gateway;
use crate::traffic::quiet::HoldUntil;
use crate::traffic::servers::Ports;

/// The last line of `--check`: whoever left it in a variable sees why no app runs.
const LAST_LINE: &str = "checked, nothing was started";

/// Variables of other inits that set something.
const OF_OTHERS: [&str; 4] =
    ["TINI_KILL_PROCESS_GROUP", "TINI_VERBOSITY", "DUMB_INIT_SETSID", "DUMB_INIT_DEBUG"];

/// Checks all that can be checked without a trace, logs what is wrong, and returns what is to be
/// printed and the exit code.
pub fn run(config: &Config, log: &Log) -> (String, u8) {
    let Config { command, environment, tasks, readiness, .. } = config;
    let mut errors = Vec::new();
    match config.warnings() {
        Ok(warnings) => warnings.iter().for_each(Warning::log),
        Err(error) => errors.push(error),
    }
    config.watched.clone().find_gateway();
    if let Some(file) = log.report_file {
        file.check_unopened();
    }
    errors.extend(
        Wait::new()
            .err()
            .map(|error| StartError::Failed(format!("cannot wait for signals: {error}"))),
    );
    errors.extend(tasks.check(environment, Depth::File).err());
    errors.extend(readiness.check().err());
    let mut lines = plan(config);
    match Program::new(command, environment).check(Depth::File) {
        Ok(file) => lines.insert(2, format!("found: {}", file.display())),
        Err(error) => errors.push(error),
    }
    // Not as `not_started`, which would go to the report file too.
    errors.iter().for_each(|error| error!(event = "unfit", "{error}"));
    lines.push(LAST_LINE.into());
    lines.push(String::new());
    (lines.join("\n"), errors.first().map_or(0, StartError::code))
}

/// The plan, a line for each part of it.
pub fn plan(config: &Config) -> Vec<String> {
    let Config { plan, command, .. } = config;
    let program = command.first().map(|word| word.to_string_lossy()).unwrap_or_default();
    let arguments = command.len().saturating_sub(1);
    let mut lines = vec![
        format!("reprieve {}: the plan", env!("CARGO_PKG_VERSION")),
        // They may be secrets.
        format!(
            "command: {program}, with {arguments} argument{}",
            if arguments == 1 { "" } else { "s" }
        ),
    ];
    lines.extend(config.rehearsal.as_ref().map(|rehearsal| rehearsed(rehearsal, plan)));
    lines.extend(hold(config));
    lines.extend(end(plan));
    lines.push(format!("signals go to: {}", whom(config.aim)));
    lines.push(format!("watched: {}", watched(config)));
    lines.extend(config.given.iter().map(value));
    let of_others = OF_OTHERS.iter().filter_map(|name| {
        let value =
            inherited::value(&config.environment, name).filter(|value| !value.is_empty())?;
        Some(format!(
            "value: {name}={}, by a variable of another init",
            String::from_utf8_lossy(value)
        ))
    });
    lines.extend(of_others);
    let is_given = |long: &str| config.given.iter().any(|given| given.long == long);
    let defaults = DEFAULTS.iter().filter(|(long, _)| !is_given(long));
    let defaults: Vec<_> = defaults.map(|(long, value)| format!("--{long} {value}")).collect();
    lines.push(format!("by default: {}; all other options are off", defaults.join(", ")));
    lines
}

/// When the stop signal of a rehearsal is played, and what is asked for meanwhile.
fn rehearsed(rehearsal: &RehearsalConfig, plan: &Plan) -> String {
    let timeout = Span(rehearsal.timeout);
    let when = match &rehearsal.when {
        When::After(time) => format!("{} after the start", Span(*time)),
        When::Listening => format!("once the app listens on a port, within {timeout}"),
        When::Answers(url) => format!("once {url} answers 2xx, within {timeout}"),
    };
    let urls: Vec<_> = rehearsal.urls.iter().map(ToString::to_string).collect();
    let requests = match urls.is_empty() {
        true => "no requests".into(),
        false => format!("requests to {}", urls.join(", ")),
    };
    let grace_period = Span(plan.grace_period.unwrap_or_default());
    format!(
        "a rehearsal: the stop is played {when}, with {requests} and a grace period of {grace_period}"
    )
}

/// From the stop signal to its forward.
fn hold(config: &Config) -> Vec<String> {
    let Plan { delay, on_stop, stop_signals, .. } = &config.plan;
    let names: Vec<_> = stop_signals.iter().map(ToString::to_string).collect();
    let comes = format!("+0s: {} comes", names.join(" or "));
    let rewritten = stop_signals.first().map(|signal| (signal, config.plan.rewrite(*signal)));
    let forwarded = match rewritten {
        Some((_, None)) => "it is not forwarded (--rewrite)".into(),
        Some((from, Some(to))) if *from != to => format!("it is forwarded as {to} (--rewrite)"),
        _ => "it is forwarded".to_owned(),
    };
    let hooks = on_stop.map(|most| format!("; on-stop hooks run, {} at most", Span(most)));
    let late = if hooks.is_some() { ", or later if a hook still runs" } else { "" };
    if delay.max.is_zero() && hooks.is_none() {
        return vec![format!("{comes}, and {forwarded} at once")];
    }
    let window = Span(config.watched.rules.quiet_window);
    let until = match config.watched.rules.until {
        HoldUntil::Quiet => format!("no data came in for {window}"),
        HoldUntil::NoNew => format!("no new connection brought data for {window}"),
        HoldUntil::Closed => format!("no data came in for {window} and connections are closed"),
    };
    let when = match delay.is_range() {
        true => {
            format!("+{} to +{}: {forwarded}, once {until}{late}", Span(delay.min), Span(delay.max))
        }
        false => format!("+{}: {forwarded}{late}", Span(delay.max)),
    };
    vec![format!("{comes}, and is held back{}", hooks.unwrap_or_default()), when]
}

/// From the forward to the end.
fn end(plan: &Plan) -> Vec<String> {
    let mut lines = match (plan.kill_after(), plan.grace_period) {
        (Some(kill), Some(grace_period)) => vec![
            format!("+{}: SIGKILL to what is left", Span(kill)),
            format!("+{}: the grace period is over", Span(grace_period)),
        ],
        _ => vec!["no SIGKILL to the app, as there is no grace period".into()],
    };
    let later = |time: Option<Duration>| {
        time.map_or_else(|| "at the time above".into(), |time| format!("{} later", Span(time)))
    };
    lines.push(match plan.leftovers {
        Leftovers::Stop => format!(
            "leftovers: SIGTERM when the app has ended, SIGKILL {}; without a stop signal {}",
            later(plan.sweep_time(false)),
            later(plan.sweep_time(true))
        ),
        Leftovers::Wait => "leftovers: waited for".into(),
        Leftovers::Kill => "leftovers: SIGKILL when the app has ended".into(),
    });
    lines
}

fn whom(aim: Aim) -> &'static str {
    match aim {
        Aim::Automatic => {
            "the process that is started, and what it leaves when it ends; to what it runs, where it \
             is a shell or does nothing with the signal"
        }
        Aim::MainChild => "the process that is started alone",
        Aim::ProcessGroup => "the process group of the process that is started",
    }
}

/// The traffic that is watched while the stop signal is held back.
fn watched(config: &Config) -> String {
    let Config { plan, watched, .. } = config;
    if plan.delay.max.is_zero() {
        return "nothing, as there is no delay".into();
    }
    let list = |ports: &[u16]| ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    let mut text = match &watched.ports {
        Ports::Named(ports) => format!("ports {}", list(ports)),
        Ports::OfFamily => "the ports on which the app listens".into(),
    };
    if !watched.ignored_ports.is_empty() {
        text += &format!(", without ports {}", list(&watched.ignored_ports));
    }
    let mut ignored: Vec<_> = watched.rules.ignored_peers.iter().map(ToString::to_string).collect();
    if watched.ignores_gateway {
        // Where nobody is found, a warning says why.
        let found = gateway::probers().unwrap_or_default();
        ignored.extend(found.iter().map(|address| format!("{address} (gateway)")));
    }
    if !ignored.is_empty() {
        text += &format!(", without what comes from {}", ignored.join(", "));
    }
    text + if plan.delay.is_range() { "" } else { "; for the report alone, as the delay is fixed" }
}

fn value(given: &Given) -> String {
    let Given { long, value, source } = given;
    let space = if value.is_empty() { "" } else { " " };
    match source {
        Source::CommandLine => format!("value: --{long}{space}{value}, by an option"),
        Source::Variable => {
            format!("value: --{long}{space}{value}, by the variable {}", variable(long))
        }
    }
}
