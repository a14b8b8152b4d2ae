//! How a hook is run: a command of the user's, when the stop signal arrives or after the app.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use nix::unistd::dup2_stdin;

use crate::exit::StartError;
use crate::process::helper::{self, Output};
use crate::process::inherited::Inherited;
use crate::process::spawn::{Depth, Program};
use crate::signal::Signal;
use crate::tasks::task::{Hook, Occasion};

impl Hook {
    /// An error where its program cannot be found.
    pub fn check(
        &self,
        occasion: Occasion,
        environment: &[&CStr],
        depth: Depth,
    ) -> Result<(), StartError> {
        let program = Program::new(&self.0, environment);
        let checked = program.check(depth).map(drop);
        checked.map_err(|error| StartError::Failed(format!("--{occasion}: {error}")))
    }
}

/// What a hook gets to know of the shutdown.
pub struct HookContext {
    /// The stop signal, if one came.
    pub signal: Option<Signal>,
    /// The exit code that we are going to have, and the report as JSON; in on-exit alone.
    pub end: Option<(u8, String)>,
}

// The variables in which a hook gets that. It gets no others with our prefix.
const PHASE: &str = "REPRIEVE_PHASE";
const SIGNAL: &str = "REPRIEVE_SIGNAL";
const EXIT_CODE: &str = "REPRIEVE_EXIT_CODE";
const REPORT: &str = "REPRIEVE_REPORT";

/// The names of all of them.
pub const VARIABLES: [&str; 4] = [PHASE, SIGNAL, EXIT_CODE, REPORT];

/// Where hooks run: like the app, in the directory in which we were started.
pub struct Place {
    directory: PathBuf,
    environment: Vec<&'static CStr>,
    inherited: Inherited,
}

impl Place {
    /// Here, where we were started.
    pub fn here(environment: &[&'static CStr], inherited: &Inherited) -> Result<Place, StartError> {
        let directory = std::env::current_dir().map_err(|error| {
            StartError::Failed(format!("cannot find out the directory that hooks run in: {error}"))
        })?;
        // We may run in a hook ourselves; of two variables of one name the first counts.
        let ours = VARIABLES.map(str::as_bytes);
        let is_ours = |entry: &CStr| {
            entry.to_bytes().split(|byte| *byte == b'=').next().is_some_and(|n| ours.contains(&n))
        };
        let environment = environment.iter().copied().filter(|entry| !is_ours(entry)).collect();
        Ok(Place { directory, environment, inherited: *inherited })
    }

    /// Starts a hook in a process group of its own, and returns its pid. It reports its end by SIGCHLD,
    /// as the app does. Its output is why it could not execute its command.
    pub fn start(
        &self,
        occasion: Occasion,
        hook: &Hook,
        context: &HookContext,
    ) -> io::Result<(i32, Output)> {
        let signal = context.signal.map(|signal| signal.to_string()).unwrap_or_default();
        let mut variables = vec![format!("{PHASE}={occasion}"), format!("{SIGNAL}={signal}")];
        if let Some((code, report)) = &context.end {
            variables.extend([format!("{EXIT_CODE}={code}"), format!("{REPORT}={report}")]);
        }
        let variables: Vec<CString> =
            variables.into_iter().filter_map(|variable| CString::new(variable).ok()).collect();
        let environment: Vec<&CStr> = self
            .environment
            .iter()
            .copied()
            .chain(variables.iter().map(CString::as_c_str))
            .collect();
        let program = Program::new(&hook.0, &environment);
        helper::start(c"reprieve-hook", Signal::CHLD, |output| {
            let become_hook = || -> Result<Infallible, StartError> {
                let failed =
                    |what: &str, error: io::Error| StartError::Failed(format!("{what}: {error}"));
                std::env::set_current_dir(&self.directory)
                    .map_err(|error| failed("cannot go back to its directory", error))?;
                // What is on stdin is for the app. Without /dev the hook and the app share it.
                if let Ok(nothing) = File::open("/dev/null") {
                    let _ = dup2_stdin(nothing);
                }
                let Err(errno) = program.run(&environment, &self.inherited);
                Err(program.failure(errno))
            };
            let Err(error) = become_hook();
            let _ = write!(output, "{error}");
            error.code()
        })
    }
}
