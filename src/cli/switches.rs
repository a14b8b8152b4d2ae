//! The options that exclude each other, and what they decide together with the variables of other inits.

use std::ffi::CStr;

use tracing::Level;

use crate::cli::args::{Args, variable};
use crate::cli::settings::{Setting, Source};
use crate::exit::StartError;
use crate::process::inherited;
use crate::process::target::Aim;

/// Where each of the options that exclude each other was switched on, if it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    pub process_group: Option<Source>,
    pub single_child: Option<Source>,
    pub verbose: Option<Source>,
    pub quiet: Option<Source>,
}

impl Switches {
    /// Those that are on, with where each of them was given.
    pub fn new(args: &Args, settings: &[Setting]) -> Switches {
        let source = |long, is_on: bool| {
            let setting = settings.iter().find(|setting| setting.long == long)?;
            is_on.then_some(setting.source)
        };
        Switches {
            process_group: source("process-group", args.signals.process_group),
            single_child: source("single-child", args.signals.single_child),
            verbose: source("verbose", args.logging.verbose > 0),
            quiet: source("quiet", args.logging.quiet),
        }
    }

    /// Whom signals are forwarded to.
    pub fn aim(self, environment: &[&CStr]) -> Result<Aim, StartError> {
        let [group, single] =
            one_of([("process-group", self.process_group), ("single-child", self.single_child)])?;
        Ok(match (group, single) {
            (true, _) => Aim::ProcessGroup,
            (_, true) => Aim::MainChild,
            _ if variable_of_another(environment, "TINI_KILL_PROCESS_GROUP").is_some() => {
                Aim::ProcessGroup
            }
            // dumb-init signals a group unless this is 0; any other value means nothing to it.
            _ if variable_of_another(environment, "DUMB_INIT_SETSID")
                .is_some_and(|value| value == "0") =>
            {
                Aim::MainChild
            }
            _ => Aim::Automatic,
        })
    }

    /// The least important level that is logged, where `--verbose` was given so often.
    pub fn level(self, verbosity: u8, environment: &[&CStr]) -> Result<Level, StartError> {
        match one_of([("verbose", self.verbose), ("quiet", self.quiet)])? {
            [true, _] if verbosity > 1 => Ok(Level::TRACE),
            [true, _] => Ok(Level::DEBUG),
            [_, true] => Ok(Level::WARN),
            _ => match variable_of_another(environment, "TINI_VERBOSITY") {
                Some(text) => tini_level(&text),
                None if debugs_as_dumb_init(environment) => Ok(Level::DEBUG),
                None => Ok(Level::INFO),
            },
        }
    }
}

/// Which of two options that exclude each other is on, by their long names. One on the command line wins
/// over a variable; two on the command line, or two variables, are an error.
fn one_of(options: [(&str, Option<Source>); 2]) -> Result<[bool; 2], StartError> {
    match options.map(|(_, source)| source) {
        [Some(one), Some(other)] if one == other => {
            let [one, other] = options.map(|(long, _)| match one {
                Source::Variable => variable(long),
                Source::CommandLine => format!("--{long}"),
            });
            Err(StartError::Failed(format!(
                "{one} and {other} exclude each other: give only one of them"
            )))
        }
        [Some(Source::CommandLine), _] => Ok([true, false]),
        [_, Some(Source::CommandLine)] => Ok([false, true]),
        [one, other] => Ok([one.is_some(), other.is_some()]),
    }
}

/// The level for a value of `TINI_VERBOSITY`, which tini counts from 0 (errors) to 4.
fn tini_level(text: &str) -> Result<Level, StartError> {
    match text.trim().parse() {
        Ok(0u8) => Ok(Level::ERROR),
        Ok(1) => Ok(Level::WARN),
        Ok(2) => Ok(Level::INFO),
        Ok(3) => Ok(Level::DEBUG),
        Ok(_) => Ok(Level::TRACE),
        Err(_) => {
            let right = "write 0 (errors only) to 4 (everything), as for tini";
            Err(StartError::Failed(format!("TINI_VERBOSITY: '{text}' is not a number; {right}")))
        }
    }
}

/// dumb-init logs more where this is 1; any other value means nothing to it.
fn debugs_as_dumb_init(environment: &[&CStr]) -> bool {
    variable_of_another(environment, "DUMB_INIT_DEBUG").is_some_and(|value| value == "1")
}

/// The value of a variable of another init, unless it is empty.
fn variable_of_another(environment: &[&CStr], name: &str) -> Option<String> {
    let value = inherited::value(environment, name).filter(|value| !value.is_empty())?;
    Some(String::from_utf8_lossy(value).into_owned())
}
