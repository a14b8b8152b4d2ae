//! The options as they are typed, or set by environment variables; the help text.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser};
use tracing::Level;

use crate::exit::StartError;
use crate::family::Aim;
use crate::log::Format;
use crate::plan::{Delay, JobControl, Leftovers, OnRepeat, Plan, REHEARSED_GRACE_PERIOD};
use crate::signal::Signal;
use crate::sockets::Ports;
use crate::traffic::Network;
use crate::values::{self, GracePeriod, Rewrite};
use crate::watch::{QUIET_WINDOW, Watched};

/// What our variables are called: this and the long name of the option.
const PREFIX: &str = "REPRIEVE_";

const ABOUT: &str = "\
A tiny init (PID 1) for containers that gives the app a reprieve: it holds the stop signal back
while load balancers let go of the endpoint and the app still serves, forwards it, and kills what
is left shortly before the grace period ends. It reaps zombies and forwards all other signals.";

const AFTER: &str = "\
Each option but the last three can be set by an environment variable: --grace-period is
REPRIEVE_GRACE_PERIOD. The command line wins; an empty variable is unset; lists are separated by
commas; what has no value takes true or false. The app sees none of them. Durations: 500ms, 15s,
1m30s, 2h; a bare number is seconds. Signals: SIGTERM, TERM, 15, SIGRTMIN+3.

Exit codes: the app's own; 128+N if signal N killed it; 125 if reprieve itself failed or was
called wrongly; 126 if the command cannot be executed; 127 if it is not found; 1 if a rehearsal
failed.

Example: hold SIGTERM for 15 of the 60 seconds that the orchestrator allows, then forward it
  reprieve --delay 15s --grace-period 60s -- node server.js";

const LICENSE: &str = concat!(
    "reprieve is licensed under either of the MIT license and the Apache license 2.0, at your \
     option.\n\n",
    include_str!("../LICENSE-MIT")
);

#[derive(Debug, Parser)]
#[command(
    name = "reprieve",
    version,
    about = ABOUT,
    after_help = AFTER,
    override_usage = "reprieve [OPTIONS] [--] COMMAND [ARG]...",
    disable_help_flag = true,
    disable_version_flag = true,
    args_override_self = true
)]
pub struct Cli {
    #[command(flatten)]
    shutdown: ShutdownOptions,
    #[command(flatten)]
    traffic: TrafficOptions,
    #[command(flatten)]
    signals: SignalOptions,
    #[command(flatten)]
    processes: ProcessOptions,
    #[command(flatten)]
    logging: LoggingOptions,
    #[command(flatten)]
    other: OtherOptions,

    /// The app and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, hide = true)]
    #[arg(required_unless_present = "license")]
    command: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Shutdown")]
struct ShutdownOptions {
    /// Hold the stop signal back this long; with a range at least MIN,
    /// at most MAX, and in between until no traffic comes any more
    #[arg(verbatim_doc_comment, long, value_name = "D|MIN..MAX", default_value = "0s", value_parser = values::delay)]
    delay: Delay,
    /// The orchestrator's whole allowance (docker stop -t, stopTimeout,
    /// terminationGracePeriodSeconds), less a preStop hook of your own;
    /// what is left gets SIGKILL before it is over
    #[arg(verbatim_doc_comment, long, value_name = "D", default_value = "none", value_parser = values::duration_or_none)]
    grace_period: GracePeriod,
    /// SIGKILL comes this long before the grace period ends
    #[arg(long, value_name = "D", default_value = "1s", value_parser = values::duration)]
    margin: Duration,
    /// A second stop signal ends the hold, or not: hurry, ignore
    #[arg(long, value_name = "HOW", default_value = "hurry", hide_possible_values = true)]
    on_repeat: OnRepeat,
    /// Run the app this long, then behave as if the stop signal had come;
    /// exit with 0 only if the app ended by itself, in time, with 0
    /// (the grace period is 30s if none is given)
    #[arg(verbatim_doc_comment, long, value_name = "D", value_parser = values::duration)]
    rehearse: Option<Duration>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Traffic, while the signal is held back")]
struct TrafficOptions {
    /// Traffic has stopped when nothing came in for so long [default: 3s]
    #[arg(long, value_name = "D", value_parser = values::duration)]
    quiet_window: Option<Duration>,
    /// Look at the traffic to these ports [default: all that the app
    /// listens on]
    #[arg(verbatim_doc_comment, long, value_name = "PORT[,PORT]", value_delimiter = ',', value_parser = values::port)]
    traffic_port: Vec<u16>,
    /// Look away from these, as of metrics
    #[arg(long, value_name = "PORT[,PORT]", value_delimiter = ',', value_parser = values::port)]
    ignore_port: Vec<u16>,
    /// Look away from what these send, as a node's probes; repeatable
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = values::network)]
    ignore_peer: Vec<Network>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Signals")]
struct SignalOptions {
    /// What begins the shutdown (an image's STOPSIGNAL)
    #[arg(long, value_name = "SIG[,SIG]", default_value = "SIGTERM")]
    #[arg(value_delimiter = ',', value_parser = values::forwardable)]
    stop_signal: Vec<Signal>,
    /// Forward the first as the second; 0 drops it; repeatable
    #[arg(short, long, value_name = "SIG:SIG", value_delimiter = ',', value_parser = values::rewrite)]
    rewrite: Vec<Rewrite>,
    /// Forward to the app's process group [default: to the app alone,
    /// but to the group of a shell that has no trap for the signal]
    #[arg(verbatim_doc_comment, short = 'g', long, value_parser = values::switch, action = ArgAction::SetTrue)]
    process_group: bool,
    /// Forward to the app alone
    #[arg(short = 'c', long, value_parser = values::switch, action = ArgAction::SetTrue)]
    single_child: bool,
    /// Get this signal when our own parent dies
    #[arg(short, long, value_name = "SIG", value_parser = values::signal)]
    parent_death_signal: Option<Signal>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Processes")]
struct ProcessOptions {
    /// Processes that outlive the app get SIGTERM, then SIGKILL (stop),
    /// are waited for until a stop signal comes (wait), or get SIGKILL
    /// at once (kill)
    #[arg(
        verbatim_doc_comment,
        long,
        value_name = "HOW",
        default_value = "stop",
        hide_possible_values = true
    )]
    leftovers: Leftovers,
    /// Map this exit code of the app to 0; repeatable
    #[arg(short, long, value_name = "CODE", value_delimiter = ',', value_parser = values::exit_code)]
    expect_exit: Vec<u8>,
    /// Accepted as in tini; we are a subreaper whenever we are not PID 1
    #[arg(short, long, value_parser = values::switch, action = ArgAction::SetTrue)]
    subreaper: bool,
    /// Log each orphan that is reaped
    #[arg(short, long, value_parser = values::switch, action = ArgAction::SetTrue)]
    warn_on_reap: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
struct LoggingOptions {
    /// Log more; repeatable
    #[arg(short, long, value_parser = values::times, action = ArgAction::Count)]
    verbose: u8,
    /// Log warnings and errors only
    #[arg(short, long, value_parser = values::switch, action = ArgAction::SetTrue)]
    quiet: bool,
    /// text, or json: one object a line
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_possible_values = true)]
    log_format: Format,
    /// Append the report to this file too (/dev/termination-log)
    #[arg(long, value_name = "PATH")]
    report_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Other")]
struct OtherOptions {
    /// Print this help
    #[arg(short, long, action = ArgAction::Help)]
    help: Option<bool>,
    /// Print the version
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
    /// Print the license
    #[arg(short, long)]
    license: bool,
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Request {
    /// Print this on stdout.
    Print(String),
    Run(Box<Options>),
}

/// The options, checked each for itself and with each other.
#[derive(Debug)]
pub struct Options {
    pub plan: Plan,
    pub watched: Watched,
    pub aim: Aim,
    pub parent_death_signal: Option<Signal>,
    pub expected: Vec<u8>,
    pub warn_on_reap: bool,
    pub level: Level,
    pub format: Format,
    pub report_file: Option<PathBuf>,
    pub command: Vec<OsString>,
    /// The environment variables that are ours and not the app's.
    pub variables: Vec<String>,
}

/// Reads the command line and the environment.
pub fn parse(arguments: Vec<OsString>) -> Result<Request, StartError> {
    let (command, variables) = command(arguments.first());
    let matches = match command.try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) if !error.use_stderr() => return Ok(Request::Print(error.to_string())),
        Err(error) => return Err(StartError::Failed(explain(&error, &variables))),
    };
    let cli = Cli::from_arg_matches(&matches).map_err(|error| failed(error.to_string()))?;
    if cli.other.license {
        return Ok(Request::Print(LICENSE.into()));
    }
    cli.options(&matches, variables).map(|options| Request::Run(Box::new(options)))
}

/// The options as clap knows them, each with the variable that may set it, and the names of all
/// those variables.
fn command(called_as: Option<&OsString>) -> (Command, Vec<String>) {
    let name = called_as.and_then(|path| std::path::Path::new(path).file_name());
    let mut command = Cli::command();
    if name.is_some_and(|name| name == "docker-init" || name == "tini") {
        // dockerd reads the version of its init, and knows only tini's way to say it.
        command = command
            .display_name("tini version")
            .version(concat!(env!("CARGO_PKG_VERSION"), "_reprieve"));
    }
    let mut variables = Vec::new();
    let command = command.mut_args(|argument| {
        let Some(long) = argument.get_long().filter(|long| !NO_VARIABLE.contains(long)) else {
            return argument;
        };
        let variable = variable(long);
        variables.push(variable.clone());
        let is_set = std::env::var_os(&variable).is_some_and(|value| !value.is_empty());
        if is_set { argument.env(variable).hide_env(true) } else { argument }
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
                *name != "REPRIEVE_REPORT_FILE" && value.to_str().is_none()
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
            // What follows the first paragraph is the usage.
            let text = error.to_string();
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
        value.to_string_lossy().split(',').any(|part| part == invalid)
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
    fn watched(self, delay: Delay) -> Result<Watched, StartError> {
        if self.quiet_window.is_some() && !delay.is_range() {
            let why = "--quiet-window is for a hold that may end early: --delay 5s..20s";
            return Err(failed(why.into()));
        }
        Ok(Watched {
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

impl Cli {
    fn options(self, matches: &ArgMatches, variables: Vec<String>) -> Result<Options, StartError> {
        let aim = self.aim(matches)?;
        let level = self.level(matches)?;
        let grace_period = match (self.shutdown.grace_period, self.shutdown.rehearse) {
            (GracePeriod(None), Some(_)) => Some(REHEARSED_GRACE_PERIOD),
            (GracePeriod(given), _) => given,
        };
        let watched = self.traffic.watched(self.shutdown.delay)?;
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
        };
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
            let [one, other] = ids.map(|id| id.replace('_', "-"));
            Err(failed(format!("--{one} and --{other} exclude each other: give one of them")))
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
mod tests {
    use super::*;

    #[test]
    fn clap_finds_no_fault() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_option_is_called_like_a_variable_of_kubernetes() {
        let (_, variables) = command(None);
        assert!(variables.contains(&"REPRIEVE_GRACE_PERIOD".to_owned()));
        for name in variables {
            assert!(!name.starts_with("REPRIEVE_PORT") && !name.starts_with("REPRIEVE_SERVICE"));
        }
    }
}
