//! The options as they are declared; the help text.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser};

use crate::cli::values::{self, GracePeriod, Rewrite};
use crate::http::url::{Request, Url};
use crate::log::Format;
use crate::shutdown::plan::{Delay, Leftovers, OnRepeat};
use crate::signal::Signal;
use crate::tasks::sidecar::Preset;
use crate::tasks::task::Hooks;
use crate::traffic::network::Network;

const ABOUT: &str = "\
A tiny init (PID 1) for containers that gives the app a reprieve: it holds the stop signal back
while load balancers let go of the endpoint and the app still serves, forwards it, and kills what
is left shortly before the grace period ends. It reaps zombies and forwards all other signals.";

const AFTER: &str = "\
Each option but the last three can be set by an environment variable: --grace-period is
REPRIEVE_GRACE_PERIOD. The command line wins; an empty variable is unset; lists are separated by
commas, hooks stand one a line; what has no value takes true or false. The app sees none of them.
Durations: 500ms, 15s, 1m30s, 2h; a bare number is seconds. Signals: SIGTERM, TERM, 15, SIGRTMIN+3.

Exit codes: the app's own; 128+N if signal N killed it; 125 if reprieve itself failed or was
called wrongly; 126 if the command cannot be executed; 127 if it is not found; 1 if a rehearsal
failed.

Example: hold SIGTERM for 15 of the 60 seconds that the orchestrator allows, then forward it
  reprieve --delay 15s --grace-period 60s -- node server.js";

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
    pub shutdown: ShutdownOptions,
    #[command(flatten)]
    pub traffic: TrafficOptions,
    #[command(flatten)]
    pub signals: SignalOptions,
    #[command(flatten)]
    pub processes: ProcessOptions,
    #[command(flatten)]
    pub logging: LoggingOptions,
    #[command(flatten)]
    pub readiness: ReadinessOptions,
    #[command(flatten)]
    pub hooks: HookOptions,
    #[command(flatten)]
    pub sidecars: SidecarOptions,
    #[command(flatten)]
    pub other: OtherOptions,

    /// The app and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, hide = true)]
    #[arg(required_unless_present = "license")]
    pub command: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Shutdown")]
pub struct ShutdownOptions {
    /// Hold the stop signal back this long; with a range at least MIN, at
    /// most MAX, and in between until no traffic comes any more
    #[arg(verbatim_doc_comment, long, value_name = "D|MIN..MAX", default_value = "0s", value_parser = values::delay)]
    pub delay: Delay,
    /// The orchestrator's whole allowance (docker stop -t, stopTimeout,
    /// terminationGracePeriodSeconds), less a preStop hook of your own;
    /// what is left gets SIGKILL before it is over
    #[arg(verbatim_doc_comment, long, value_name = "D", default_value = "none", value_parser = values::duration_or_none)]
    pub grace_period: GracePeriod,
    /// SIGKILL comes this long before the grace period ends
    #[arg(long, value_name = "D", default_value = "1s", value_parser = values::duration)]
    pub margin: Duration,
    /// A second stop signal ends the hold, or not: hurry,
    /// ignore
    #[arg(
        verbatim_doc_comment,
        long,
        value_name = "HOW",
        default_value = "hurry",
        hide_possible_values = true
    )]
    pub on_repeat: OnRepeat,
    /// Run the app this long, then behave as if the stop signal had come;
    /// exit with 0 only if the app ended by itself, in time, with 0
    /// (the grace period is 30s if none is given)
    #[arg(verbatim_doc_comment, long, value_name = "D", value_parser = values::duration)]
    pub rehearse: Option<Duration>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Traffic, while the signal is held back")]
pub struct TrafficOptions {
    /// Traffic has stopped when nothing came in for so long
    /// [default: 3s]
    #[arg(verbatim_doc_comment, long, value_name = "D", value_parser = values::duration)]
    pub quiet_window: Option<Duration>,
    /// Look at the traffic to these ports [default: all that the app
    /// listens on]
    #[arg(verbatim_doc_comment, long, value_name = "PORT[,PORT]", value_delimiter = ',', value_parser = values::port)]
    pub traffic_port: Vec<u16>,
    /// Look away from these, as of metrics
    #[arg(long, value_name = "PORT[,PORT]", value_delimiter = ',', value_parser = values::port)]
    pub ignore_port: Vec<u16>,
    /// Look away from what these send, as a node's probes; repeatable
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = values::network)]
    pub ignore_peer: Vec<Network>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Signals")]
pub struct SignalOptions {
    /// What begins the shutdown (image's STOPSIGNAL)
    #[arg(long, value_name = "SIG[,SIG]", default_value = "SIGTERM")]
    #[arg(value_delimiter = ',', value_parser = values::forwardable)]
    pub stop_signal: Vec<Signal>,
    /// Forward the first as the second; 0 drops it; repeatable
    #[arg(short, long, value_name = "SIG:SIG", value_delimiter = ',', value_parser = values::rewrite)]
    pub rewrite: Vec<Rewrite>,
    /// Forward to the app's process group [default: to the app alone,
    /// but to the group of a shell that has no trap for the signal]
    #[arg(verbatim_doc_comment, short = 'g', long, value_parser = values::switch, action = ArgAction::SetTrue)]
    pub process_group: bool,
    /// Forward to the app alone
    #[arg(short = 'c', long, value_parser = values::switch, action = ArgAction::SetTrue)]
    pub single_child: bool,
    /// Get this signal when our own parent dies
    #[arg(short, long, value_name = "SIG", value_parser = values::signal)]
    pub parent_death_signal: Option<Signal>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Processes")]
pub struct ProcessOptions {
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
    pub leftovers: Leftovers,
    /// Map this exit code of the app to 0; repeatable
    #[arg(short, long, value_name = "CODE", value_delimiter = ',', value_parser = values::exit_code)]
    pub expect_exit: Vec<u8>,
    /// Accepted as in tini; we are a subreaper whenever we are not PID 1
    #[arg(short, long, value_parser = values::switch, action = ArgAction::SetTrue)]
    pub subreaper: bool,
    /// Log each orphan that is reaped
    #[arg(short, long, value_parser = values::switch, action = ArgAction::SetTrue)]
    pub warn_on_reap: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
pub struct LoggingOptions {
    /// Log more; repeatable
    #[arg(short, long, value_parser = values::times, action = ArgAction::Count)]
    pub verbose: u8,
    /// Log warnings and errors only
    #[arg(short, long, value_parser = values::switch, action = ArgAction::SetTrue)]
    pub quiet: bool,
    /// text, or json: one object a line
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_possible_values = true)]
    pub log_format: Format,
    /// Append the report to this file too (/dev/termination-log)
    #[arg(long, value_name = "PATH")]
    pub report_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Readiness, for load balancers that check it themselves")]
pub struct ReadinessOptions {
    /// A file that is there from the start of the app to the stop signal
    #[arg(long, value_name = "PATH")]
    pub ready_file: Option<PathBuf>,
    /// Answer GET /readyz and /livez here: not ready from the stop
    /// signal on, alive until the app has ended
    #[arg(verbatim_doc_comment, long, value_name = "ADDR:PORT", value_parser = values::address)]
    pub health_listen: Option<SocketAddr>,
    /// Until then /readyz answers as this does
    #[arg(long, value_name = "URL")]
    pub health_upstream: Option<Url>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Hooks")]
pub struct HookOptions {
    /// Run this when the stop signal arrives; the hold lasts at least until
    /// it has ended; repeatable, in order
    #[arg(verbatim_doc_comment, long, value_name = "CMD", value_parser = Hooks::parse)]
    pub on_stop: Vec<Hooks>,
    /// Run this after the app and its leftovers are gone; repeatable, in order
    #[arg(long, value_name = "CMD", value_parser = Hooks::parse)]
    pub on_exit: Vec<Hooks>,
    /// Each gets SIGTERM after so long, and SIGKILL 1s later
    #[arg(long, value_name = "D", default_value = "10s", value_parser = values::duration)]
    pub hook_timeout: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Sidecars")]
pub struct SidecarOptions {
    /// Start the app once a GET of this answers 2xx; repeatable
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    pub await_url: Vec<Url>,
    /// If not after so long, exit with 125
    #[arg(long, value_name = "D", default_value = "60s", value_parser = values::duration)]
    pub await_timeout: Duration,
    /// Or start the app all the same
    #[arg(long, value_parser = values::switch, action = ArgAction::SetTrue)]
    pub await_or_start: bool,
    /// When the app has ended, POST (or METHOD) to this; repeatable
    #[arg(long, value_name = "[METHOD=]URL", value_delimiter = ',')]
    pub quit_url: Vec<Request>,
    /// Both for linkerd, istio, cloud-sql-proxy, consul, dapr or kuma;
    /// REPRIEVE_SIDECAR=none switches that off
    #[arg(
        verbatim_doc_comment,
        long,
        value_name = "NAME",
        default_value = "none",
        hide_possible_values = true
    )]
    pub sidecar: Preset,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Other")]
pub struct OtherOptions {
    /// Print this help
    #[arg(short, long, action = ArgAction::Help)]
    pub help: Option<bool>,
    /// Print the version
    #[arg(short = 'V', long, action = ArgAction::Version)]
    pub version: Option<bool>,
    /// Print the license
    #[arg(short, long)]
    pub license: bool,
}
