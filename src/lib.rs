//! `reprieve`: a tiny init for containers that holds SIGTERM back until load balancers have let go.
//!
//! It is a program. The library is for the other members of this workspace, which share the
//! declaration of the options and the plan with it; nobody else should rely on it.

#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod exit;
#[doc(hidden)]
pub mod health;
#[doc(hidden)]
pub mod http;
#[doc(hidden)]
pub mod log;
#[doc(hidden)]
pub mod process;
#[doc(hidden)]
pub mod report;
#[doc(hidden)]
pub mod shutdown;
#[doc(hidden)]
pub mod signal;
#[doc(hidden)]
pub mod size;
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

use std::io::Write;
use std::process::ExitCode;

use tracing::{error, warn};

use crate::cli::{Call, Options};
use crate::exit::StartError;
use crate::log::Log;
use crate::process::family::{self, Family};
use crate::process::inherited::{self, Inherited};
use crate::process::spawn::Program;
use crate::process::tty::Tty;
use crate::process::wait::Wait;
use crate::report::journal::ReportOptions;
use crate::shutdown::ending::Ending;
use crate::shutdown::plan::{JobControl, Plan};
use crate::size::stack;
use crate::supervise::{Parts, Supervisor};
use crate::tasks::sidecar::{self, Awaited};

/// The whole program: from the first instruction of `main` to its exit code.
pub fn main() -> ExitCode {
    let inherited = inherited::take_over();
    let code = match cli::parse(std::env::args_os().collect()) {
        Ok(Call::Print(text)) => print(&text),
        Ok(Call::Run(mut options)) => {
            let log = log::start(options.level, options.format, options.report_file.take());
            run(*options, &inherited, &log).unwrap_or_else(|error| fail(&error))
        }
        Err(error) => {
            log::start(tracing::Level::ERROR, log::Format::Text, None);
            fail(&error)
        }
    };
    ExitCode::from(code)
}

/// Up to the spawn every error ends us; after it none does.
fn run(options: Options, inherited: &Inherited, log: &Log) -> Result<u8, StartError> {
    let tight = options.plan.check().map_err(|misfit| StartError::Failed(misfit.to_string()))?;
    if let Some(tight) = tight {
        warn!(event = "tight", "{tight}");
    }
    let tty = Tty::open();
    let job_control = tty.as_ref().map_or(JobControl::Absent, Tty::job_control);
    let plan = Plan { job_control, ..options.plan };
    let mut wait = Wait::new()
        .map_err(|error| StartError::Failed(format!("cannot wait for signals: {error}")))?;
    family::adopt_orphans(options.parent_death_signal);
    let environment = inherited::environment(&options.variables);
    let app = Program::new(&options.command);
    let tasks = options.tasks.prepare(&environment, inherited)?;
    let readiness = options.readiness.prepare()?;
    let started = match options.await_.wait(&mut wait, &plan.stop_signals) {
        Ok(Awaited::Stopped(signal)) => {
            return Ok(exit::code(Some(Ending::Signaled(signal)), &options.expected));
        }
        Ok(Awaited::Ready) => app.spawn(&environment, inherited, tty.as_ref()),
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
    stack::give_back();
    let family = Family::new(main, options.aim, options.warn_on_reap);
    let report = ReportOptions { expected: options.expected, report_file: log.report_file };
    let watched = options.watched;
    let parts = Parts { plan, watched, family, tty, readiness, tasks, report };
    Ok(Supervisor::new(parts).run(wait))
}

fn print(text: &str) -> u8 {
    let mut stdout = std::io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => 0,
        Err(_) => exit::FAILED,
    }
}

fn fail(error: &StartError) -> u8 {
    error!(event = "not_started", "{error}");
    error.code()
}
