//! The options as clap declares them, and the text of `--help`.
//!
//! clap is built without its `wrap_help`, so the lines of the help are broken here: they have 70
//! columns. The first paragraph of an option is its line in `-h`, where it is one of [`COMMON`].

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Command, CommandFactory, Parser};

use crate::cli::values::{self, GracePeriod, Rewrite};
use crate::health::upstream::Upstream;
use crate::http::url::{Request, Url};
use crate::log::Format;
use crate::rehearsal::When;
use crate::shutdown::plan::{Delay, Leftovers, LeftoversTimeout, OnRepeat};
use crate::signal::Signal;
use crate::tasks::sidecar::Preset;
use crate::tasks::task::Hooks;
use crate::traffic::network::IgnoredPeer;
use crate::traffic::quiet::HoldUntil;

/// The options in `-h`.
pub const COMMON: [&str; 10] = [
    "delay",
    "grace-period",
    "rehearse",
    "stop-signal",
    "rewrite",
    "expect-exit",
    "verbose",
    "report-file",
    "health-listen",
    "check",
];

const ABOUT: &str = "\
A tiny init (PID 1) for containers. It holds the stop signal back while load
balancers stop sending traffic and the app still serves, then forwards it, and
sends SIGKILL to what is left shortly before the grace period ends. It also
reaps zombies and forwards all other signals.";

const AFTER_SHORT_HELP: &str = "\
An option can be set by a variable too: --delay by REPRIEVE_DELAY.

Example: of the 60 seconds that the orchestrator allows, hold SIGTERM back for
15, then forward it
  reprieve --delay 15s --grace-period 60s -- node server.js

All options: --help";

const AFTER_HELP: &str = "\
D is a duration: 500ms, 15s, 1m30s, 2h; a bare number is seconds.
SIG is a signal: SIGTERM, TERM, 15, SIGRTMIN+3.
A repeatable option takes several values at once too, separated by commas
(commands: by newlines).

Every option but those under Other can be set by an environment variable:
--grace-period by REPRIEVE_GRACE_PERIOD. The command line wins, and an empty
variable counts as unset. The variable of an option without a value is true or
false (of --verbose, also a number). The app does not get these variables.

Exit codes: the app's own; 128+N if signal N killed it; 125 if reprieve itself
failed or was called wrongly; 126 if the command cannot be executed; 127 if it
is not found; 1 if a rehearsal failed.

Example: of the 60 seconds that the orchestrator allows, hold SIGTERM back for
15, then forward it
  reprieve --delay 15s --grace-period 60s -- node server.js";

/// The name of an option's variable is this and the option's long name.
pub const VARIABLE_PREFIX: &str = "REPRIEVE_";

/// The long names of the options that no variable sets.
pub const WITHOUT_VARIABLE: [&str; 4] = ["help", "version", "license", "copy-to"];

/// All options, each with the environment variable that sets it (`Arg::get_env`): for a manual page
/// or a check of names. clap reads the variables of this process when this is called; what reprieve
/// itself parses with leaves out those that are empty, see [`crate::cli::parse`].
pub fn command() -> Command {
    let has_variable = |long: &&str| !WITHOUT_VARIABLE.contains(long);
    Args::command().mut_args(|option| match option.get_long().filter(has_variable).map(variable) {
        Some(variable) => option.env(variable),
        None => option,
    })
}

/// The name of the variable for the long name of an option.
pub fn variable(long: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", long.to_ascii_uppercase().replace('-', "_"))
}

/// The command line and its environment variables, each value parsed, and not yet checked against
/// the others. The default is what clap makes of a command line without options.
#[derive(Debug, Default, Parser)]
#[command(
    name = "reprieve",
    version,
    about = ABOUT,
    after_help = AFTER_SHORT_HELP,
    after_long_help = AFTER_HELP,
    override_usage = "reprieve [OPTIONS] [--] COMMAND [ARG]...",
    disable_help_flag = true,
    disable_version_flag = true,
    args_override_self = true
)]
pub struct Args {
    #[command(flatten)]
    pub shutdown: ShutdownArgs,
    #[command(flatten)]
    pub traffic: TrafficArgs,
    #[command(flatten)]
    pub signals: SignalArgs,
    #[command(flatten)]
    pub processes: ProcessArgs,
    #[command(flatten)]
    pub logging: LoggingArgs,
    #[command(flatten)]
    pub readiness: ReadinessArgs,
    #[command(flatten)]
    pub hooks: HookArgs,
    #[command(flatten)]
    pub sidecars: SidecarArgs,
    #[command(flatten)]
    pub other: OtherArgs,

    /// The app and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, hide = true)]
    #[arg(required_unless_present_any = ["license", "copy_to"])]
    pub command: Vec<OsString>,
}

/// When the stop signal is forwarded, and when SIGKILL is sent.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Shutdown")]
pub struct ShutdownArgs {
    /// Hold the stop signal back this long
    ///
    /// Then it is forwarded. With MIN..MAX it is held at least MIN, at most
    /// MAX, and in between until traffic has stopped.
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "D|MIN..MAX", default_value = "0s", value_parser = values::delay)]
    pub delay: Delay,
    /// How long the orchestrator waits
    ///
    /// From the stop signal to the orchestrator's own SIGKILL (docker stop
    /// -t, stopTimeout, terminationGracePeriodSeconds), less the time that a
    /// preStop hook takes. What is left shortly before its end gets SIGKILL;
    /// none: no deadline.
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "D", default_value = "none", value_parser = values::grace_period)]
    pub grace_period: GracePeriod,
    /// Send SIGKILL this long before the grace period ends
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "D", default_value = "1s", value_parser = values::duration)]
    pub margin: Duration,
    /// On a second stop signal, forward at once (hurry) or go on holding it
    /// back (ignore)
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "HOW", default_value = "hurry", hide_possible_values = true)]
    #[arg(value_parser = values::one_of::<OnRepeat>())]
    pub on_repeat: OnRepeat,
    /// Run the app until WHEN, then act as if
    /// a stop signal had come
    ///
    /// WHEN is a duration; or listening, until the app listens on a port; or
    /// a URL, until a GET of it has returned 2xx. Exit with 0 only if the app
    /// ends by itself, in time, with 0. The grace period is 30s if none is
    /// given.
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "WHEN", value_parser = values::when)]
    pub rehearse: Option<When>,
    /// In a rehearsal, send requests to this URL until the app accepts no
    /// more connections, and fail if one is refused too early or cut;
    /// repeatable [default: the URL of --rehearse]
    #[arg(verbatim_doc_comment, long, value_name = "URL", value_delimiter = ',')]
    pub rehearse_url: Vec<Url>,
}

impl Default for ShutdownArgs {
    fn default() -> ShutdownArgs {
        ShutdownArgs {
            delay: Delay::fixed(Duration::ZERO),
            grace_period: GracePeriod(None),
            margin: Duration::from_secs(1),
            on_repeat: OnRepeat::Hurry,
            rehearse: None,
            rehearse_url: Vec::new(),
        }
    }
}

/// How it is decided that traffic has stopped.
#[derive(Debug, Default, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Traffic, watched while the stop signal is held back")]
pub struct TrafficArgs {
    /// The hold ends when no data comes (quiet), none on new connections
    /// (no-new), or none and all are closed (closed); needs --delay MIN..MAX
    /// [default: quiet]
    #[arg(verbatim_doc_comment, long, value_name = "WHAT", hide_possible_values = true)]
    #[arg(value_parser = values::one_of::<HoldUntil>())]
    pub hold_until: Option<HoldUntil>,
    /// Traffic has stopped when nothing came in for this long; needs
    /// --delay MIN..MAX [default: 3s]
    #[arg(verbatim_doc_comment, long, value_name = "D", value_parser = values::duration)]
    pub quiet_window: Option<Duration>,
    /// Watch the traffic to these ports; repeatable [default: all TCP ports
    /// on which the app or what it started listens]
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "PORT[,PORT]", value_delimiter = ',', value_parser = values::port)]
    pub traffic_port: Vec<u16>,
    /// Do not count traffic to these ports (for example metrics); repeatable
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "PORT[,PORT]", value_delimiter = ',', value_parser = values::port)]
    pub ignore_port: Vec<u16>,
    /// Do not count traffic from these addresses; gateway: from where most
    /// nodes send probes; repeatable
    #[arg(verbatim_doc_comment, long, value_name = "CIDR[,CIDR]")]
    #[arg(value_delimiter = ',', value_parser = values::ignored_peer)]
    pub ignore_peer: Vec<IgnoredPeer>,
}

/// Which signals are forwarded, as what, and to whom.
#[derive(Debug, Default, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Signals")]
pub struct SignalArgs {
    /// The signals that begin the shutdown
    ///
    /// For example an image's STOPSIGNAL; repeatable [default: SIGTERM]
    #[arg(verbatim_doc_comment, long, value_name = "SIG[,SIG]")]
    #[arg(value_delimiter = ',', value_parser = values::forwardable_signal)]
    pub stop_signal: Vec<Signal>,
    /// Forward the second signal in place of the first
    ///
    /// SIG:0 forwards nothing; repeatable
    #[arg(verbatim_doc_comment)]
    #[arg(short, long, value_name = "SIG:SIG")]
    #[arg(value_delimiter = ',', value_parser = values::rewrite)]
    pub rewrite: Vec<Rewrite>,
    /// Forward signals to the app's process group at once
    ///
    /// By default they go to the process that is started, and to what it
    /// leaves when it ends; where that is a shell, or does nothing with the
    /// signal, to what it runs.
    #[arg(verbatim_doc_comment)]
    #[arg(short = 'g', long, value_parser = values::switch, action = ArgAction::SetTrue)]
    pub process_group: bool,
    /// Forward signals to the process that is started alone, even if it is a
    /// shell
    #[arg(verbatim_doc_comment)]
    #[arg(short = 'c', long, value_parser = values::switch, action = ArgAction::SetTrue)]
    pub single_child: bool,
    /// Signal that reprieve gets when its parent process dies
    #[arg(verbatim_doc_comment, short, long, value_name = "SIG", value_parser = values::signal)]
    pub parent_death_signal: Option<Signal>,
}

/// Leftovers, orphans and the exit code.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Processes")]
pub struct ProcessArgs {
    /// Processes that outlive the app: send SIGTERM, later SIGKILL (stop),
    /// wait until a stop signal comes (wait), or SIGKILL at once (kill)
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "HOW", default_value = "stop", hide_possible_values = true)]
    #[arg(value_parser = values::one_of::<Leftovers>())]
    pub leftovers: Leftovers,
    /// Send SIGKILL to leftovers this long after the end of the app, or none
    /// [default: 5s if it ended by itself or there is no grace period]
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "D", value_parser = values::leftovers_timeout)]
    pub leftovers_timeout: Option<LeftoversTimeout>,
    /// Exit with 0 where the app ends with this code
    ///
    /// Repeatable.
    #[arg(verbatim_doc_comment)]
    #[arg(short, long, value_name = "CODE")]
    #[arg(value_delimiter = ',', value_parser = values::exit_code)]
    pub expect_exit: Vec<u8>,
    /// No effect, accepted because tini has it: reprieve is a subreaper
    /// whenever it is not PID 1
    #[arg(verbatim_doc_comment)]
    #[arg(short, long, value_parser = values::switch, action = ArgAction::SetTrue)]
    pub subreaper: bool,
    /// Log each orphaned process that is reaped
    #[arg(short, long, value_parser = values::switch, action = ArgAction::SetTrue)]
    pub warn_on_reap: bool,
}

impl Default for ProcessArgs {
    fn default() -> ProcessArgs {
        ProcessArgs {
            leftovers: Leftovers::Stop,
            leftovers_timeout: None,
            expect_exit: Vec::new(),
            subreaper: false,
            warn_on_reap: false,
        }
    }
}

/// The log and the report.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Logging")]
pub struct LoggingArgs {
    /// Log more, and first the plan
    ///
    /// Repeatable: -vv logs everything.
    #[arg(verbatim_doc_comment)]
    #[arg(short, long, value_parser = values::count, action = ArgAction::Count)]
    pub verbose: u8,
    /// Log only warnings and errors
    #[arg(short, long, value_parser = values::switch, action = ArgAction::SetTrue)]
    pub quiet: bool,
    /// Format of the log: text, or json with one object per line
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_possible_values = true)]
    #[arg(value_parser = values::one_of::<Format>())]
    pub log_format: Format,
    /// Also append the report to this file
    ///
    /// For example /dev/termination-log.
    #[arg(verbatim_doc_comment, long, value_name = "PATH")]
    pub report_file: Option<PathBuf>,
}

impl Default for LoggingArgs {
    fn default() -> LoggingArgs {
        LoggingArgs { verbose: 0, quiet: false, log_format: Format::Text, report_file: None }
    }
}

/// What load balancers see.
#[derive(Debug, Default, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Readiness, for load balancers that check health themselves")]
pub struct ReadinessArgs {
    /// Create this file once the app has started; remove it at the stop
    /// signal or when the app ends
    #[arg(verbatim_doc_comment, long, value_name = "PATH")]
    pub ready_file: Option<PathBuf>,
    /// Answer GET /readyz and /livez here
    ///
    /// /readyz with 200, from the stop signal on with 503; /livez with 200
    /// until the app has ended.
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "ADDR:PORT", value_parser = values::listen_address)]
    pub health_listen: Option<SocketAddr>,
    /// Before the stop signal, /readyz returns this URL's status; with
    /// tcp://HOST:PORT, 200 once somebody listens there; needs
    /// --health-listen
    #[arg(verbatim_doc_comment, long, value_name = "URL")]
    pub health_upstream: Option<Upstream>,
}

/// Commands of the user's, run beside the app.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Hooks")]
pub struct HookArgs {
    /// Run this command when the stop signal comes, and hold the signal back
    /// at least until it has ended; repeatable, run in order
    #[arg(verbatim_doc_comment, long, value_name = "CMD", value_parser = Hooks::parse)]
    pub on_stop: Vec<Hooks>,
    /// Run this command once the app and its leftovers have ended;
    /// repeatable, run in order
    #[arg(verbatim_doc_comment, long, value_name = "CMD", value_parser = Hooks::parse)]
    pub on_exit: Vec<Hooks>,
    /// Send SIGTERM to a hook that takes longer than this, and SIGKILL 1s
    /// later
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "D", default_value = "10s", value_parser = values::duration)]
    pub hook_timeout: Duration,
}

impl Default for HookArgs {
    fn default() -> HookArgs {
        HookArgs { on_stop: Vec::new(), on_exit: Vec::new(), hook_timeout: Duration::from_secs(10) }
    }
}

/// Processes in other containers that the app needs, and that have to end after it.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Sidecars")]
pub struct SidecarArgs {
    /// Start the app only once a GET of this URL has returned 2xx;
    /// repeatable
    #[arg(verbatim_doc_comment, long, value_name = "URL", value_delimiter = ',')]
    pub await_url: Vec<Url>,
    /// Exit with 125 if not ready within this time; a rehearsal has failed
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "D", default_value = "60s", value_parser = values::duration)]
    pub await_timeout: Duration,
    /// Start the app anyway if not ready within --await-timeout
    #[arg(verbatim_doc_comment, long, value_parser = values::switch, action = ArgAction::SetTrue)]
    pub await_or_start: bool,
    /// When the app has ended, send a POST (or METHOD) to this URL;
    /// repeatable
    #[arg(verbatim_doc_comment, long, value_name = "[METHOD=]URL", value_delimiter = ',')]
    pub quit_url: Vec<Request>,
    /// Preset of --await-url and --quit-url for linkerd, istio,
    /// cloud-sql-proxy, consul, dapr or kuma; the variable
    /// REPRIEVE_SIDECAR=none switches it off
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "NAME", default_value = "none", hide_possible_values = true)]
    #[arg(value_parser = values::one_of::<Preset>())]
    pub sidecar: Preset,
}

impl Default for SidecarArgs {
    fn default() -> SidecarArgs {
        SidecarArgs {
            await_url: Vec::new(),
            await_timeout: Duration::from_mins(1),
            await_or_start: false,
            quit_url: Vec::new(),
            sidecar: Preset::None,
        }
    }
}

/// Options that print something and run no app.
#[derive(Debug, Default, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Other")]
pub struct OtherArgs {
    /// Run nothing: copy reprieve itself into this folder, for a container
    /// whose image lacks it
    #[arg(verbatim_doc_comment, long, value_name = "DIR")]
    pub copy_to: Option<PathBuf>,
    /// Check all, print the plan, and start nothing
    ///
    /// The plan has what happens at a stop and when, whom signals go to, what
    /// is watched, and where each value comes from. Exit with 0, or with 125,
    /// 126 or 127 and what is wrong.
    #[arg(verbatim_doc_comment, long, value_parser = values::switch, action = ArgAction::SetTrue)]
    pub check: bool,
    /// Print the common options (-h) or all of them (--help)
    #[arg(short, long, action = ArgAction::Help)]
    pub help: Option<bool>,
    /// Print the version
    #[arg(short = 'V', long, action = ArgAction::Version)]
    pub version: Option<bool>,
    /// Print the license
    #[arg(short, long)]
    pub license: bool,
}
