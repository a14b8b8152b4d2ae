//! Hooks: commands of the user's that run when the stop signal arrives, and after the app.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use nix::unistd::dup2_stdin;

use crate::exit::StartError;
use crate::process::helper::{self, Words};
use crate::process::inherited::Inherited;
use crate::process::spawn::Program;
use crate::signal::Signal;

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    OnStop,
    OnExit,
}

impl fmt::Display for Occasion {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Occasion::OnStop => "on-stop",
            Occasion::OnExit => "on-exit",
        })
    }
}

/// A command, split into words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook(Vec<String>);

/// The commands of one value, a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hooks(pub Vec<Hook>);

impl Hooks {
    /// Splits lines into words as a shell would; a line ends where no quote is open.
    pub fn parse(text: &str) -> Result<Hooks, String> {
        let mut hooks = Vec::new();
        let mut command = String::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            command.push_str(line);
            let backslashes = line.len() - line.trim_end_matches('\\').len();
            let goes_on = lines.peek().is_some() && backslashes % 2 == 1;
            match shell_words::split(&command) {
                Ok(words) if !goes_on => {
                    hooks.extend((!words.is_empty()).then_some(Hook(words)));
                    command.clear();
                }
                _ if lines.peek().is_some() => command.push('\n'),
                _ => return Err("a quote is not closed".into()),
            }
        }
        match hooks.is_empty() {
            true => Err("write a command, as \"/bin/deregister --now\"".into()),
            false => Ok(Hooks(hooks)),
        }
    }
}

impl Hook {
    /// An error where its program cannot be found.
    pub fn check(&self, occasion: Occasion) -> Result<(), StartError> {
        let checked = Program::new(&self.0).check();
        checked.map_err(|error| StartError::Failed(format!("--{occasion}: {error}")))
    }
}

impl fmt::Display for Hook {
    /// The program alone: arguments are long, and may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.0.first().map_or("", String::as_str))
    }
}

/// What a hook is told of the shutdown.
pub struct Told {
    pub signal: Option<Signal>,
    /// The exit code that we are going to have, and the report as JSON; in on-exit alone.
    pub end: Option<(u8, String)>,
}

/// What a hook is told of the shutdown, by these variables and no others of the name.
const PHASE: &str = "REPRIEVE_PHASE";
const SIGNAL: &str = "REPRIEVE_SIGNAL";
const EXIT_CODE: &str = "REPRIEVE_EXIT_CODE";
const REPORT: &str = "REPRIEVE_REPORT";

/// Where hooks run: as the app did, in the directory in which we were started.
pub struct Place {
    directory: PathBuf,
    environment: Vec<&'static CStr>,
    inherited: Inherited,
}

impl Place {
    /// Here, where we were started.
    pub fn here(environment: &[&'static CStr], inherited: &Inherited) -> Result<Place, StartError> {
        let directory = std::env::current_dir().map_err(|error| {
            StartError::Failed(format!("cannot tell the directory that hooks run in: {error}"))
        })?;
        // We may run in a hook ourselves; of two variables of one name the first counts.
        let told = [PHASE, SIGNAL, EXIT_CODE, REPORT].map(str::as_bytes);
        let is_told = |entry: &CStr| {
            entry.to_bytes().split(|byte| *byte == b'=').next().is_some_and(|n| told.contains(&n))
        };
        let environment = environment.iter().copied().filter(|entry| !is_told(entry)).collect();
        // Theirs is /dev/null, also where the app has none.
        let [_, stdout, stderr] = inherited.closed;
        let inherited = Inherited { closed: [false, stdout, stderr], ..*inherited };
        Ok(Place { directory, environment, inherited })
    }

    /// Starts a hook in a process group of its own. It is a child as the app is one, and what it
    /// says is why it could not execute its command. Returns its pid.
    pub fn start(&self, occasion: Occasion, hook: &Hook, told: &Told) -> io::Result<(i32, Words)> {
        let signal = told.signal.map(|signal| signal.to_string()).unwrap_or_default();
        let mut variables = vec![format!("{PHASE}={occasion}"), format!("{SIGNAL}={signal}")];
        if let Some((code, report)) = &told.end {
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
        let program = Program::new(&hook.0);
        helper::start(c"reprieve-hook", Signal::CHLD, |words| {
            let become_hook = || -> Result<Infallible, StartError> {
                let failed =
                    |what: &str, error: io::Error| StartError::Failed(format!("{what}: {error}"));
                std::env::set_current_dir(&self.directory)
                    .map_err(|error| failed("cannot go back to its directory", error))?;
                // What is on stdin is for the app. Without /dev they share it.
                if let Ok(nothing) = File::open("/dev/null") {
                    let _ = dup2_stdin(nothing);
                }
                let Err(errno) = program.run(&environment, &self.inherited);
                Err(program.failure(errno))
            };
            let Err(error) = become_hook();
            let _ = write!(words, "{error}");
            error.code()
        })
    }
}

#[cfg(test)]
mod tests;
