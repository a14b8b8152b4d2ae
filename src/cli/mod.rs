//! The command line and the environment, read and checked together.

mod args;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};
use tracing::Level;

use crate::cli::args::{Cli, SidecarOptions, TrafficOptions};
use crate::cli::values::{GracePeriod, Rewrite};
use crate::exit::StartError;
use crate::health::readiness::ReadinessConfig;
use crate::http::url::Request;
use crate::log::Format;
use crate::process::family::Aim;
use crate::process::inherited;
use crate::shutdown::plan::{Delay, JobControl, Plan, REHEARSED_GRACE_PERIOD};
use crate::signal::Signal;
use crate::span::Span;
use crate::tasks::TasksConfig;
use crate::tasks::sidecar::{Await, Preset};
use crate::tasks::task::{Hook, Hooks, TIME_TO_END};
use crate::traffic::sources::Ports;
use crate::traffic::watch::{QUIET_WINDOW, WatchConfig};

/// What our variables are called: this and the long name of the option.
const PREFIX: &str = "REPRIEVE_";

/// dockerd reads the version of its init, and knows only tini's way to say it. `docker info` prints
/// the commit alone, so that is our version again. dockerd would not find it with a dot inside, and
/// an old one would panic if it had more than the 7 characters of the commit that it expects.
const AS_TINI: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "_reprieve - git.",
    env!("CARGO_PKG_VERSION_MAJOR"),
    "-",
    env!("CARGO_PKG_VERSION_MINOR"),
    "-",
    env!("CARGO_PKG_VERSION_PATCH")
);

const LICENSE: &str = concat!(
    "reprieve is licensed under either of the MIT license and the Apache license 2.0, at your \
     option.\n\n",
    include_str!("../../LICENSE-MIT")
);

/// What a command line asks for.
#[derive(Debug)]
pub enum Call {
    /// Print this on stdout.
    Print(String),
    Run(Box<Options>),
}

/// The options, checked each for itself and with each other.
#[derive(Debug)]
pub struct Options {
    pub plan: Plan,
    pub watched: WatchConfig,
    pub aim: Aim,
    pub parent_death_signal: Option<Signal>,
    pub expected: Vec<u8>,
    pub warn_on_reap: bool,
    pub level: Level,
    pub format: Format,
    pub report_file: Option<PathBuf>,
    pub readiness: ReadinessConfig,
    pub tasks: TasksConfig,
    pub await_: Await,
    pub command: Vec<OsString>,
    /// The environment variables that are ours and not the app's.
    pub variables: Vec<String>,
}

/// Reads the command line and the environment.
pub fn parse(arguments: Vec<OsString>) -> Result<Call, StartError> {
    let (command, variables) = command(arguments.first());
    let matches = match command.try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) if !error.use_stderr() => return Ok(Call::Print(error.to_string())),
        Err(error) => return Err(StartError::Failed(explain(&error, &variables))),
    };
    let cli = Cli::from_arg_matches(&matches).map_err(|error| failed(error.to_string()))?;
    if cli.other.license {
        return Ok(Call::Print(LICENSE.into()));
    }
    cli.options(&matches, variables).map(|options| Call::Run(Box::new(options)))
}

/// The options as clap knows them, each with the variable that sets it, and the names of those
/// variables that are there.
fn command(called_as: Option<&OsString>) -> (Command, Vec<String>) {
    let name = called_as.and_then(|path| std::path::Path::new(path).file_name());
    let mut command = Cli::command();
    if name.is_some_and(|name| name == "docker-init" || name == "tini") {
        command = command.display_name("tini version").version(AS_TINI);
    }
    let mut variables = Vec::new();
    if !inherited::has_variable(PREFIX) {
        // The names alone are some hundred allocations, and mostly for nothing.
        return (command, variables);
    }
    let command = command.mut_args(|argument| {
        let Some(long) = argument.get_long().filter(|long| !NO_VARIABLE.contains(long)) else {
            return argument;
        };
        let variable = variable(long);
        let Some(value) = std::env::var_os(&variable) else {
            return argument;
        };
        variables.push(variable.clone());
        if value.is_empty() { argument } else { argument.env(variable).hide_env(true) }
    });
    (command, variables)
}

const NO_VARIABLE: [&str; 3] = ["help", "version", "license"];

/// clap's error in one line, which names the variable that the wrong value came from.
fn explain(error: &clap::Error, variables: &[String]) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let option = context(ContextKind::InvalidArg);
    let text = match error.kind() {
        ErrorKind::MissingRequiredArgument => {
            "no command is given; write reprieve [OPTIONS] -- COMMAND [ARG]...".into()
        }
        // clap does not say which one.
        ErrorKind::InvalidUtf8 => {
            let is_culprit = |name: &&String| {
                let value = std::env::var_os(name).unwrap_or_default();
                let is_path =
                    ["REPRIEVE_REPORT_FILE", "REPRIEVE_READY_FILE"].contains(&name.as_str());
                !is_path && value.to_str().is_none()
            };
            match variables.iter().find(is_culprit) {
                Some(variable) => format!("{variable}: its value is not UTF-8"),
                None => "the value of an option is not UTF-8".into(),
            }
        }
        ErrorKind::UnknownArgument => {
            format!("there is no option '{option}'; the app's own come after its name")
        }
        _ => {
            // What follows the first paragraph is the usage; a value may have lines of its own.
            let invalid = context(ContextKind::InvalidValue);
            let text = error.to_string().replace(invalid, &invalid.replace('\n', " "));
            let paragraph = text.split("\n\n").next().unwrap_or_default();
            let lines: Vec<&str> = paragraph.lines().map(str::trim).collect();
            lines.join(" ").trim_start_matches("error: ").to_owned()
        }
    };
    let culprit =
        option.split([' ', '.']).next().unwrap_or_default().strip_prefix("--").map(variable);
    let value = culprit.as_ref().filter(|name| variables.contains(name)).and_then(std::env::var_os);
    // An option on the command line hides the variable; both may be wrong in the same way.
    let from_variable = value.is_some_and(|value| {
        let invalid = context(ContextKind::InvalidValue);
        let value = value.to_string_lossy();
        value == invalid || value.split(',').any(|part| part == invalid)
    });
    match culprit.filter(|_| from_variable) {
        Some(culprit) => format!("{culprit}: {text} (see reprieve --help)"),
        None => format!("{text} (see reprieve --help)"),
    }
}

/// The variable that sets an option.
fn variable(long: &str) -> String {
    format!("{PREFIX}{}", long.to_ascii_uppercase().replace('-', "_"))
}

impl TrafficOptions {
    fn watched(self, delay: Delay) -> Result<WatchConfig, StartError> {
        if self.quiet_window.is_some() && !delay.is_range() {
            let why = "--quiet-window is for a hold that may end early: --delay 5s..20s";
            return Err(failed(why.into()));
        }
        Ok(WatchConfig {
            quiet_window: self.quiet_window.unwrap_or(QUIET_WINDOW),
            ports: match self.traffic_port.is_empty() {
                true => Ports::OfFamily,
                false => Ports::Named(self.traffic_port),
            },
            ignored_ports: self.ignore_port,
            ignored_peers: self.ignore_peer,
        })
    }
}

impl SidecarOptions {
    /// What has to answer before the app is started, and what is told to quit after it.
    fn sidecars(self) -> (Await, Vec<Request>) {
        // A machine without the mesh switches off what an image says on its command line.
        let off = std::env::var_os(variable("sidecar")).is_some_and(|name| name == "none");
        let preset = if off { Preset::None } else { self.sidecar };
        let urls = self.await_url.into_iter().chain(preset.ready());
        let quit = self.quit_url.into_iter().chain(preset.quit());
        let await_ = Await {
            urls: urls.collect(),
            timeout: self.await_timeout,
            or_start: self.await_or_start,
        };
        (await_, quit.collect())
    }
}

/// The longest that these may take, one after the other, if there are any.
fn longest(hooks: &[Hook], timeout: Duration) -> Option<Duration> {
    let each = timeout + TIME_TO_END;
    (!hooks.is_empty()).then(|| each.saturating_mul(hooks.len() as u32))
}

/// The hooks of all values.
fn all(hooks: Vec<Hooks>) -> Vec<Hook> {
    hooks.into_iter().flat_map(|Hooks(some)| some).collect()
}

impl Cli {
    fn options(self, matches: &ArgMatches, variables: Vec<String>) -> Result<Options, StartError> {
        let aim = self.aim(matches)?;
        let level = self.level(matches)?;
        let grace_period = match (self.shutdown.grace_period, self.shutdown.rehearse) {
            (GracePeriod(None), Some(_)) => Some(REHEARSED_GRACE_PERIOD),
            (GracePeriod(given), _) => given,
        };
        let mut watched = self.traffic.watched(self.shutdown.delay)?;
        // What comes there is no traffic of the app's.
        let health_listen = self.readiness.health_listen;
        if self.readiness.health_upstream.is_some() && health_listen.is_none() {
            let why = "--health-upstream is what /readyz asks: --health-listen says where that is";
            return Err(failed(why.into()));
        }
        watched.ignored_ports.extend(health_listen.map(|address| address.port()));
        let ready_file = self.readiness.ready_file.map(std::path::absolute).transpose();
        let (await_, quit) = self.sidecars.sidecars();
        let readiness = ReadinessConfig {
            ready_file: ready_file.map_err(|error| failed(format!("--ready-file: {error}")))?,
            listen: health_listen,
            upstream: self.readiness.health_upstream,
        };
        let tasks = TasksConfig {
            on_stop: all(self.hooks.on_stop),
            on_exit: all(self.hooks.on_exit),
            hook_timeout: self.hooks.hook_timeout,
            quit,
        };
        let plan = Plan {
            delay: self.shutdown.delay,
            grace_period,
            margin: self.shutdown.margin,
            stop_signals: self.signals.stop_signal,
            rewrites: self
                .signals
                .rewrite
                .into_iter()
                .map(|Rewrite(from, to)| (from, to))
                .collect(),
            on_repeat: self.shutdown.on_repeat,
            leftovers: self.processes.leftovers,
            rehearse: self.shutdown.rehearse,
            job_control: JobControl::Absent,
            on_stop: longest(&tasks.on_stop, tasks.hook_timeout),
            on_exit: !tasks.on_exit.is_empty() || !tasks.quit.is_empty(),
        };
        if let (GracePeriod(None), Err(misfit)) = (self.shutdown.grace_period, plan.check()) {
            let whose = Span(REHEARSED_GRACE_PERIOD);
            let why = format!("a rehearsal has {whose} where no --grace-period is given");
            return Err(failed(format!("{misfit} ({why})")));
        }
        let report_file = self.logging.report_file.map(std::path::absolute).transpose();
        Ok(Options {
            plan,
            watched,
            aim,
            parent_death_signal: self.signals.parent_death_signal,
            expected: self.processes.expect_exit,
            warn_on_reap: self.processes.warn_on_reap,
            level,
            format: self.logging.log_format,
            report_file: report_file.map_err(|error| failed(format!("--report-file: {error}")))?,
            readiness,
            tasks,
            await_,
            command: self.command,
            variables,
        })
    }

    fn aim(&self, matches: &ArgMatches) -> Result<Aim, StartError> {
        let [group, single] = either(matches, ["process_group", "single_child"])?;
        Ok(match (group, single) {
            (true, _) => Aim::ProcessGroup,
            (_, true) => Aim::MainChild,
            _ if tini_variable("TINI_KILL_PROCESS_GROUP").is_some() => Aim::ProcessGroup,
            _ => Aim::Automatic,
        })
    }

    fn level(&self, matches: &ArgMatches) -> Result<Level, StartError> {
        let [verbose, quiet] = either(matches, ["verbose", "quiet"])?;
        Ok(match (verbose, quiet) {
            (true, _) if self.logging.verbose > 1 => Level::TRACE,
            (true, _) if self.logging.verbose == 1 => Level::DEBUG,
            (_, true) => Level::WARN,
            _ => match tini_variable("TINI_VERBOSITY") {
                None => Level::INFO,
                Some(number) => match number.trim().parse() {
                    Ok(0u8) => Level::ERROR,
                    Ok(1) => Level::WARN,
                    Ok(2) => Level::INFO,
                    Ok(3) => Level::DEBUG,
                    Ok(_) => Level::TRACE,
                    Err(_) => {
                        let text =
                            "is no number; as in tini, 0 is the least, 1 has warnings, 4 all";
                        return Err(failed(format!("TINI_VERBOSITY: '{number}' {text}")));
                    }
                },
            },
        })
    }
}

/// Which of two options that exclude each other is in force. One on the command line wins over a
/// variable; two of the same kind are an error.
fn either(matches: &ArgMatches, ids: [&str; 2]) -> Result<[bool; 2], StartError> {
    let sources = ids.map(|id| {
        let on = match matches.try_get_one::<bool>(id) {
            Ok(on) => on.copied().unwrap_or_default(),
            Err(_) => matches.get_count(id) > 0,
        };
        matches.value_source(id).filter(|source| on && *source != ValueSource::DefaultValue)
    });
    match sources {
        [Some(one), Some(other)] if one == other => {
            let [one, other] = ids.map(|id| match one {
                ValueSource::EnvVariable => variable(id),
                _ => format!("--{}", id.replace('_', "-")),
            });
            Err(failed(format!("{one} and {other} exclude each other: give one of them")))
        }
        [Some(ValueSource::CommandLine), _] => Ok([true, false]),
        [_, Some(ValueSource::CommandLine)] => Ok([false, true]),
        [one, other] => Ok([one.is_some(), other.is_some()]),
    }
}

/// A variable that tini reads.
fn tini_variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?.to_string_lossy().into_owned();
    (!value.is_empty()).then_some(value)
}

fn failed(text: String) -> StartError {
    StartError::Failed(text)
}

#[cfg(test)]
mod tests;
