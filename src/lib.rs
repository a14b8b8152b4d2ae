//! `reprieve`: a tiny init for containers that holds SIGTERM back until load balancers have let go.
//!
//! It is a program. The library is for the other members of this workspace, which share the
//! declaration of the options and the plan with it; nobody else should rely on it.

mod check;
#[doc(hidden)]
pub mod cli;
mod copy;
mod entry;
mod escape;
#[doc(hidden)]
pub mod exit;
#[cfg(any(fuzzing, test))]
pub mod fuzz;
#[doc(hidden)]
pub mod health;
#[doc(hidden)]
pub mod http;
#[doc(hidden)]
pub mod log;
mod pause;
#[doc(hidden)]
pub mod process;
#[doc(hidden)]
pub mod rehearsal;
#[doc(hidden)]
pub mod report;
mod room;
#[doc(hidden)]
pub mod shutdown;
#[doc(hidden)]
pub mod signal;
#[doc(hidden)]
pub mod size;
#[doc(hidden)]
pub mod sorted;
#[doc(hidden)]
pub mod span;
#[doc(hidden)]
pub mod supervise;
#[doc(hidden)]
pub mod tasks;
#[cfg(test)]
mod test_support;
#[doc(hidden)]
pub mod traffic;
mod undeclared;

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

use tracing::{Level, debug, error, info};

use crate::cli::warnings::Warning;
use crate::cli::{Config, Invocation};
use crate::exit::StartError;
use crate::log::Log;
use crate::process::family::Family;
use crate::process::inherited::{self, Inherited};
use crate::process::orphans;
use crate::process::slice;
use crate::process::spawn::Program;
use crate::process::tty::Tty;
use crate::process::wait::Wait;
use crate::report::journal::ReportOptions;
use crate::shutdown::ending::Ending;
use crate::shutdown::plan::{JobControl, Plan};
use crate::supervise::{Parts, Supervisor};
use crate::tasks::sidecar::{self, Awaited};

/// The whole program, from its arguments (the first one is its name) to its exit code.
pub fn main(arguments: &(impl Iterator<Item = OsString> + Clone)) -> u8 {
    let fail_early = |error| fail_early(&error, &arguments.clone().collect::<Vec<_>>());
    let inherited = match inherited::take_over() {
        Ok(inherited) => inherited,
        Err(error) => return fail_early(error),
    };
    match cli::parse(arguments.clone().collect(), inherited::environment()) {
        Ok(Invocation::Print(text)) => print(&text),
        Ok(Invocation::CopyTo(folder)) => {
            copy::to(&folder).map_or_else(fail_early, |path| report_copy(&path))
        }
        Ok(Invocation::Pause) => waiting().map_or_else(fail_early, pause::run),
        Ok(Invocation::Run(mut config)) => {
            let log = log::start(config.log_level, config.log_format, config.report_file.take());
            if config.check {
                let (text, code) = check::run(&config, &log);
                return print(&text).max(code);
            }
            run(*config, inherited, &log).unwrap_or_else(|error| fail(&error))
        }
        Err(error) => fail_early(error),
    }
}

/// Up to the spawn every error ends us; after it none does.
fn run(mut config: Config, inherited: Inherited, log: &Log) -> Result<u8, StartError> {
    if config.log_level >= Level::DEBUG {
        check::plan(&config).iter().for_each(|line| debug!(event = "plan", "{line}"));
    }
    config.warnings()?.iter().for_each(Warning::log);
    config.watched.find_gateway();
    if let Some(file) = log.report_file {
        file.check();
    }
    let tty = Tty::open();
    let job_control = tty.as_ref().map_or(JobControl::Absent, Tty::job_control);
    if tty.is_some() {
        inherited::hear_of_stops();
    }
    let plan = Plan { job_control, ..config.plan };
    let mut wait = waiting()?;
    orphans::adopt(config.parent_death_signal);
    let environment = config.environment;
    let app = Program::new(&config.command, &environment);
    let tasks = config.tasks.prepare(&environment, &inherited)?;
    let readiness = config.readiness.prepare()?;
    let started = match config.await_.wait(&mut wait, &plan.stop_signals) {
        Ok(Awaited::Stopped(signal)) => {
            return Ok(exit::code(Some(Ending::Signaled(signal)), &config.expected_codes));
        }
        Ok(Awaited::Ready) => app.spawn(&environment, &inherited, tty.as_ref()),
        Err(not_ready) => Err(not_ready),
    };
    let main = match started {
        Ok(main) => main,
        Err(error) => {
            sidecar::ask_to_quit(tasks.into_requests(), &mut wait, &plan.stop_signals);
            return Err(error);
        }
    };

    let ours = [tty.as_ref().map(Tty::descriptor), log.stderr.descriptor(), readiness.descriptor()];
    inherited::let_go(ours.into_iter().flatten().collect());
    slice::shorten();
    let family = Family::new(main, config.aim, config.warn_on_reap, tty.is_some());
    let report = ReportOptions { expected: config.expected_codes, report_file: log.report_file };
    let watched = config.watched;
    let rehearsal = config.rehearsal;
    let parts = Parts { plan, watched, family, tty, readiness, rehearsal, tasks, report };
    Ok(Supervisor::new(parts).run(wait))
}

fn waiting() -> Result<Wait, StartError> {
    Wait::new().map_err(|error| StartError::Failed(format!("cannot wait for signals: {error}")))
}

fn print(text: &str) -> u8 {
    let mut stdout = std::io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => 0,
        Err(_) => exit::FAILED,
    }
}

fn report_copy(path: &Path) -> u8 {
    log::start(tracing::Level::INFO, log::Format::Text, None);
    info!("copied reprieve to {}", path.display());
    0
}

/// Reports an error that comes before the format of the log is known: as text.
fn fail_early(error: &StartError, arguments: &[OsString]) -> u8 {
    let report_file = cli::report_file(arguments, &inherited::environment());
    log::start(tracing::Level::ERROR, log::Format::Text, report_file);
    fail(error)
}

/// If there is a report file, a layer of the log writes it there too.
fn fail(error: &StartError) -> u8 {
    error!(event = "not_started", "{error}");
    error.code()
}
