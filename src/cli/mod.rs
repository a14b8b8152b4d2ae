//! The command line and the environment, parsed and checked together.
//!
//! - `mod.rs`: the configuration that the options make, checked
//! - `args.rs`: the options as clap declares them, and the text of `--help`
//! - `plain.rs`: reads a plain command line without clap
//! - `settings.rs`: what was given, as it was given
//! - `given.rs`: the same as the plan shows it, and the defaults
//! - `variables.rs`: which variables of the environment are ours, and which look like it
//! - `switches.rs`: the options that exclude each other
//! - `values.rs`: parsers for the values of options
//! - `error.rs`: clap's errors in one line, with a remedy
//! - `nearest.rs`: the option that was probably meant
//! - `warnings.rs`: what is allowed, and probably not meant

pub mod args;
pub mod error;
#[cfg(any(fuzzing, test))]
pub mod fuzz;
pub mod given;
mod nearest;
mod plain;
pub mod settings;
mod switches;
pub mod values;
pub mod variables;
pub mod warnings;

use std::ffi::{CStr, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};
use tracing::Level;

pub use crate::cli::args::command;
use crate::cli::args::{
    Args, COMMON, HookArgs, ProcessArgs, ReadinessArgs, ShutdownArgs, SidecarArgs, SignalArgs,
    TrafficArgs, variable,
};
use crate::cli::given::Given;
use crate::cli::settings::{Setting, Source};
use crate::cli::switches::Switches;
use crate::cli::values::{GracePeriod, Rewrite};
use crate::cli::variables::Kind;
use crate::exit::StartError;
use crate::health::readiness::ReadinessConfig;
use crate::http::url::Request;
use crate::log::Format;
use crate::process::target::Aim;
use crate::rehearsal::{RehearsalConfig, When};
use crate::shutdown::plan::{JobControl, LeftoversTimeout, Plan, REHEARSED_GRACE_PERIOD};
use crate::signal::Signal;
use crate::span::Span;
use crate::tasks::TasksConfig;
use crate::tasks::sidecar::{Await, Preset};
use crate::tasks::task::{Hook, Hooks, TIME_TO_END};
use crate::traffic::network::IgnoredPeer;
use crate::traffic::quiet::Rules;
use crate::traffic::servers::Ports;
use crate::traffic::watch::{QUIET_WINDOW, WatchConfig};

/// The version as dockerd expects it of its init, which is as tini prints it. `docker info` shows
/// only the commit, so the commit is our version again. With a dot inside dockerd would not find
/// it, and an old dockerd would panic if it had more than the 7 characters of a commit.
const VERSION_FOR_DOCKERD: &str = concat!(
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
pub enum Invocation {
    /// Print this text (the help, the version or the license) on stdout.
    Print(String),
    /// Run an app.
    Run(Box<Config>),
    /// Run nothing, and copy the program itself into this folder (an absolute path).
    CopyTo(PathBuf),
    /// Run nothing, and wait for SIGTERM or SIGINT (`-P` of catatonit).
    Pause,
}

/// The options, each checked for itself and against the others. Whether the delay and the margin
/// fit into a grace period that was given is left to [`Plan::check`].
#[derive(Debug)]
pub struct Config {
    /// The shutdown, without the job control: that depends on the terminal.
    pub plan: Plan,
    /// Which traffic keeps a hold going.
    pub watched: WatchConfig,
    /// Whom signals are forwarded to.
    pub aim: Aim,
    /// The signal that we get when our parent dies.
    pub parent_death_signal: Option<Signal>,
    /// The exit codes of the app that become 0.
    pub expected_codes: Vec<u8>,
    /// Whether each orphan that is reaped is logged.
    pub warn_on_reap: bool,
    /// The least important level that is logged.
    pub log_level: Level,
    /// The format of the log and the report.
    pub log_format: Format,
    /// Where the report is appended, as an absolute path.
    pub report_file: Option<PathBuf>,
    /// When the stop signal of a rehearsal is due, if it is one.
    pub rehearsal: Option<RehearsalConfig>,
    /// How load balancers see whether the app is ready.
    pub readiness: ReadinessConfig,
    /// The hooks, and the requests that end sidecars.
    pub tasks: TasksConfig,
    /// What has to be ready before the app is started.
    pub await_: Await,
    /// The app and its arguments, at least one word.
    pub command: Vec<OsString>,
    /// The environment of the app, which is ours without the variables that set options, or look as if
    /// they should.
    pub environment: Vec<&'static CStr>,
    /// Start nothing: check all, and show the plan.
    pub check: bool,
    /// What was given; empty where the plan is not shown.
    pub given: Vec<Given>,
    /// A grace period was given, perhaps as `none`.
    has_grace_period: bool,
    /// The variables that look like ours, and set nothing.
    strays: Vec<&'static CStr>,
}

/// Parses and checks the command line, which begins with the name of the program, and the variables
/// in the environment, which is that of this process. The error has one line that says what is wrong.
#[allow(clippy::needless_pass_by_value, reason = "nobody has any use for them afterwards")]
pub fn parse(
    arguments: Vec<OsString>,
    environment: Vec<&'static CStr>,
) -> Result<Invocation, StartError> {
    if let Some((args, settings)) = plain::read(&arguments, &environment) {
        return Invocation::run(args, &settings, environment);
    }
    match Judged::by_clap(&arguments, &environment)? {
        Judged::Other(invocation) => Ok(invocation),
        // None of the lines that are tried in tests/options leads here.
        Judged::App(_) => Err(failed("the options cannot be read (see reprieve --help)".into())),
    }
}

/// Where to append why such a command line is wrong, as an absolute path.
pub fn report_file(arguments: &[OsString], environment: &[&CStr]) -> Option<PathBuf> {
    std::path::absolute(plain::report_file(arguments, environment)?).ok()
}

/// As [`parse`], by clap alone, for comparison: the program never calls it, as what clap needs to hand out
/// values is 20 KB.
#[allow(clippy::needless_pass_by_value, reason = "it is called as `parse` is")]
pub fn parse_with_clap(
    arguments: Vec<OsString>,
    environment: Vec<&'static CStr>,
) -> Result<Invocation, StartError> {
    let matches = match Judged::by_clap(&arguments, &environment)? {
        Judged::Other(invocation) => return Ok(invocation),
        Judged::App(matches) => matches,
    };
    let args = Args::from_arg_matches(&matches).map_err(|error| failed(error.to_string()))?;
    let settings: Vec<Setting> =
        plain::longs().filter_map(|long| found_by_clap(&matches, long)).collect();
    Invocation::run(args, &settings, environment)
}

/// What clap was given for an option.
fn found_by_clap(matches: &ArgMatches, long: &'static str) -> Option<Setting<'static>> {
    let command = Args::command();
    let option = command.get_arguments().find(|option| option.get_long() == Some(long))?;
    let source = match matches.value_source(option.get_id().as_str())? {
        ValueSource::CommandLine => Source::CommandLine,
        ValueSource::EnvVariable => Source::Variable,
        _ => return None,
    };
    let has_value = option.get_action().takes_values() || source == Source::Variable;
    let values = matches.get_raw(option.get_id().as_str()).into_iter().flatten();
    let values: Vec<&[u8]> = values.filter(|_| has_value).map(OsStr::as_bytes).collect();
    Some(Setting { long, value: values.join(&b',').into(), source })
}

/// What clap finds right.
enum Judged {
    /// An app is to run, with these options.
    App(ArgMatches),
    /// No app is to run.
    Other(Invocation),
}

impl Judged {
    fn by_clap(arguments: &[OsString], environment: &[&CStr]) -> Result<Judged, StartError> {
        if let Some(folder) = copy_to(arguments) {
            let folder = absolute("--copy-to", Some(folder))?;
            return Ok(Judged::Other(Invocation::CopyTo(folder.unwrap_or_default())));
        }
        let command = command_to_parse(arguments.first(), environment);
        let matches = match command.try_get_matches_from(arguments) {
            Ok(matches) => matches,
            // The help or the version.
            Err(error) if !error.use_stderr() => {
                return Ok(Judged::Other(Invocation::Print(error.to_string())));
            }
            Err(error) => return Err(failed(error::one_line(&error, arguments, environment))),
        };
        let has = |id| matches!(matches.try_get_one(id), Ok(Some(true)));
        if matches.contains_id("copy_to") {
            let text = "--copy-to DIR runs nothing: give it no command and no other options";
            return Err(failed(text.into()));
        }
        Ok(if has("pause") {
            Judged::Other(Invocation::Pause)
        } else if has("license") {
            Judged::Other(Invocation::Print(LICENSE.into()))
        } else {
            Judged::App(matches)
        })
    }
}

/// The folder of a `--copy-to` that stands alone, as it has to. No variable matters to it: a container
/// that only copies may have those of the one that the copy is for.
fn copy_to(arguments: &[OsString]) -> Option<PathBuf> {
    let folder = match arguments.get(1..)? {
        [option, folder] if option == "--copy-to" && !folder.as_bytes().starts_with(b"-") => {
            folder.as_bytes()
        }
        [option] => option.as_bytes().strip_prefix(b"--copy-to=")?,
        _ => return None,
    };
    (!folder.is_empty()).then(|| OsStr::from_bytes(folder).into())
}

/// All options, with those of our variables that are not empty.
fn command_to_parse(called_as: Option<&OsString>, environment: &[&CStr]) -> Command {
    let name = called_as.and_then(|path| Path::new(path).file_name());
    let mut command = Args::command();
    if name.is_some_and(|name| ["docker-init", "tini", "catatonit"].iter().any(|n| name == *n)) {
        command = command.display_name("tini version").version(VERSION_FOR_DOCKERD);
    }
    if name.is_some_and(|name| name == "catatonit") {
        command = with_options_of_catatonit(command);
    }
    let is_set =
        |long: &&str| plain::variable_of(long, environment).is_some_and(|value| !value.is_empty());
    command.mut_args(|option| {
        let is_common = option.get_long().is_none_or(|long| COMMON.contains(&long));
        let option = option.hide_short_help(!is_common);
        match option.get_long().filter(is_set).map(variable) {
            Some(variable) => option.env(variable).hide_env(true),
            None => option,
        }
    })
}

/// The two options of catatonit that we lack. podman runs `catatonit -P` as the infra container of a pod.
fn with_options_of_catatonit(command: Command) -> Command {
    let pause = Arg::new("pause").short('P').action(ArgAction::SetTrue).help_heading("Other");
    let pause = pause.help("Run nothing: reap, and exit with 0 on SIGTERM or SIGINT");
    command
        .arg(pause)
        .mut_arg("command", |command| command.required_unless_present("pause"))
        .mut_arg("license", |license| license.short_alias('L'))
}

impl Invocation {
    fn run(
        args: Args,
        settings: &[Setting],
        environment: Vec<&'static CStr>,
    ) -> Result<Invocation, StartError> {
        Ok(Invocation::Run(Box::new(Config::new(args, settings, environment)?)))
    }
}

impl Config {
    fn new(
        args: Args,
        settings: &[Setting],
        mut environment: Vec<&'static CStr>,
    ) -> Result<Config, StartError> {
        let switches = Switches::new(&args, settings);
        let aim = switches.aim(&environment)?;
        let log_level = switches.level(args.logging.verbose, &environment)?;
        let mut watched = args.traffic.watched(&args.shutdown)?;
        // Requests for our own health are not traffic of the app.
        watched.ignored_ports.extend(args.readiness.health_listen.map(|address| address.port()));
        let rehearsal = args.shutdown.rehearsal(args.sidecars.await_timeout);
        let (await_, quit) = args.sidecars.requests(&environment);
        let readiness = args.readiness.config()?;
        let tasks = args.hooks.tasks(quit);
        let parent_death_signal = args.signals.parent_death_signal;
        let check = args.other.check;
        // Most runs show no plan.
        let shows_plan = check || log_level >= Level::DEBUG;
        let given = if shows_plan { Given::all(settings, &environment) } else { Vec::new() };
        let strays = without_ours(&mut environment);
        Ok(Config {
            plan: plan(&args.shutdown, rehearsal.as_ref(), args.signals, &args.processes, &tasks)?,
            watched,
            aim,
            parent_death_signal,
            expected_codes: args.processes.expect_exit,
            warn_on_reap: args.processes.warn_on_reap,
            log_level,
            log_format: args.logging.log_format,
            report_file: absolute("--report-file", args.logging.report_file)?,
            rehearsal,
            readiness,
            tasks,
            await_,
            command: args.command,
            environment,
            check,
            given,
            has_grace_period: settings.iter().any(|setting| setting.long == "grace-period"),
            strays,
        })
    }
}

/// Takes from the environment what is ours, and what looks like it. Returns the variables that are to
/// be warned of.
fn without_ours(environment: &mut Vec<&'static CStr>) -> Vec<&'static CStr> {
    let mut strays = Vec::new();
    environment.retain(|entry| {
        let kind = variables::kind(entry);
        if let Kind::Stray | Kind::Misspelt = kind {
            strays.push(*entry);
        }
        matches!(kind, Kind::Misspelt | Kind::Other)
    });
    strays
}

/// The plan of the shutdown, which knows of the hooks only how long they may take.
fn plan(
    shutdown: &ShutdownArgs,
    rehearsal: Option<&RehearsalConfig>,
    signals: SignalArgs,
    processes: &ProcessArgs,
    tasks: &TasksConfig,
) -> Result<Plan, StartError> {
    let GracePeriod(given) = shutdown.grace_period;
    let rewrites = signals.rewrite.into_iter().map(|Rewrite(from, to)| (from, to));
    let plan = Plan {
        delay: shutdown.delay,
        grace_period: given.or(rehearsal.map(|_| REHEARSED_GRACE_PERIOD)),
        margin: shutdown.margin,
        stop_signals: match signals.stop_signal.is_empty() {
            true => vec![Signal::TERM],
            false => signals.stop_signal,
        },
        rewrites: rewrites.collect(),
        on_repeat: shutdown.on_repeat,
        leftovers: processes.leftovers,
        leftovers_timeout: processes.leftovers_timeout.unwrap_or(LeftoversTimeout::Default),
        rehearse: rehearsal.map(RehearsalConfig::latest),
        job_control: JobControl::Absent,
        on_stop: max_time(&tasks.on_stop, tasks.hook_timeout),
        on_exit: !tasks.on_exit.is_empty() || !tasks.quit.is_empty(),
    };
    if let (None, Err(misfit)) = (given, plan.check()) {
        let assumed = Span(REHEARSED_GRACE_PERIOD);
        let why = format!("a rehearsal has one of {assumed} where no --grace-period is given");
        return Err(failed(format!("{misfit} ({why})")));
    }
    Ok(plan)
}

/// How long these hooks may take in all, one after the other; `None` without hooks.
fn max_time(hooks: &[Hook], timeout: Duration) -> Option<Duration> {
    let each = timeout + TIME_TO_END;
    (!hooks.is_empty()).then(|| each.saturating_mul(hooks.len() as u32))
}

impl ShutdownArgs {
    fn rehearsal(&self, timeout: Duration) -> Option<RehearsalConfig> {
        let when = self.rehearse.clone()?;
        let urls = match &when {
            When::Answers(url) if self.rehearse_url.is_empty() => vec![url.clone()],
            _ => self.rehearse_url.clone(),
        };
        Some(RehearsalConfig { when, urls, timeout })
    }
}

impl ReadinessArgs {
    fn config(self) -> Result<ReadinessConfig, StartError> {
        if self.health_upstream.is_some() && self.health_listen.is_none() {
            let text =
                "--health-upstream needs --health-listen, the address where /readyz is served";
            return Err(failed(text.into()));
        }
        if let (Some(upstream), Some(listen)) = (&self.health_upstream, self.health_listen)
            && upstream.is_at(listen)
        {
            let text =
                "--health-upstream is where --health-listen itself answers: write the app's port";
            return Err(failed(text.into()));
        }
        Ok(ReadinessConfig {
            ready_file: absolute("--ready-file", self.ready_file)?,
            listen: self.health_listen,
            upstream: self.health_upstream,
        })
    }
}

impl HookArgs {
    /// The hooks, and these requests after them.
    fn tasks(self, quit: Vec<Request>) -> TasksConfig {
        let flat = |hooks: Vec<Hooks>| hooks.into_iter().flat_map(|Hooks(lines)| lines).collect();
        TasksConfig {
            on_stop: flat(self.on_stop),
            on_exit: flat(self.on_exit),
            hook_timeout: self.hook_timeout,
            quit,
        }
    }
}

impl TrafficArgs {
    fn watched(self, shutdown: &ShutdownArgs) -> Result<WatchConfig, StartError> {
        let for_ranges = [
            ("--quiet-window", self.quiet_window.is_some()),
            ("--hold-until", self.hold_until.is_some()),
        ];
        if let Some((option, _)) = for_ranges.iter().find(|(_, is_given)| *is_given)
            && !shutdown.delay.is_range()
        {
            let text = "needs a delay that can end early, such as --delay 5s..20s";
            return Err(failed(format!("{option} {text}")));
        }
        let network = |peer: &IgnoredPeer| match peer {
            IgnoredPeer::Network(network) => Some(*network),
            IgnoredPeer::Gateway => None,
        };
        Ok(WatchConfig {
            ignores_gateway: self.ignore_peer.contains(&IgnoredPeer::Gateway),
            rules: Rules {
                ignored_peers: self.ignore_peer.iter().filter_map(network).collect(),
                until: self.hold_until.unwrap_or_default(),
                quiet_window: self.quiet_window.unwrap_or(QUIET_WINDOW),
            },
            ports: match self.traffic_port.is_empty() {
                true => Ports::OfFamily,
                false => Ports::Named(self.traffic_port),
            },
            ignored_ports: self.ignore_port,
        })
    }
}

impl SidecarArgs {
    /// What has to be ready before the app is started, and the requests to send after its end.
    fn requests(self, environment: &[&CStr]) -> (Await, Vec<Request>) {
        let preset = if given::is_sidecar_off(environment) { Preset::None } else { self.sidecar };
        let await_ = Await {
            urls: self.await_url.into_iter().chain(preset.ready()).collect(),
            timeout: self.await_timeout,
            or_start: self.await_or_start,
        };
        (await_, self.quit_url.into_iter().chain(preset.quit()).collect())
    }
}

/// The path from the root: later we leave the working directory.
fn absolute(option: &str, path: Option<PathBuf>) -> Result<Option<PathBuf>, StartError> {
    if let Some(path) = &path
        && let [quote @ (b'"' | b'\''), .., last] = path.as_os_str().as_bytes()
        && quote == last
    {
        let why = "leave the quotes out (in an env file they are part of the path)";
        return Err(failed(format!("{option} {}: {why}", path.display())));
    }
    let path = path.map(std::path::absolute).transpose();
    path.map_err(|error| failed(format!("{option}: {error}")))
}

fn failed(text: String) -> StartError {
    StartError::Failed(text)
}

#[cfg(test)]
mod tests;
