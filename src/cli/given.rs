//! What was given, as the plan shows it, and what is so by default.

use std::ffi::CStr;

use crate::cli::plain;
use crate::cli::settings::{Setting, Source};
use crate::tasks::task::Hooks;

/// What options are that nobody gives, as far as they are not off.
pub const DEFAULTS: [(&str, &str); 13] = [
    ("delay", "0s"),
    ("grace-period", "none"),
    ("margin", "1s"),
    ("on-repeat", "hurry"),
    ("hold-until", "quiet"),
    ("quiet-window", "3s"),
    ("stop-signal", "SIGTERM"),
    ("leftovers", "stop"),
    ("leftovers-timeout", "5s"),
    ("log-format", "text"),
    ("hook-timeout", "10s"),
    ("await-timeout", "60s"),
    ("sidecar", "none"),
];

/// All that was given for an option, to be shown.
#[derive(Debug)]
pub struct Given {
    pub long: &'static str,
    /// Several values are separated by commas. Of hooks there are the programs alone: arguments may be
    /// secrets.
    pub value: String,
    pub source: Source,
}

impl Given {
    /// All options that were given, in the order of the help.
    pub fn all(settings: &[Setting], environment: &[&CStr]) -> Vec<Given> {
        let given = |long| {
            if long == "sidecar" && is_sidecar_off(environment) {
                return Some(Given { long, value: "none".into(), source: Source::Variable });
            }
            let settings = || settings.iter().filter(move |setting| setting.long == long);
            let source = settings().next()?.source;
            let values = settings().map(|setting| shown(long, &setting.value));
            Some(Given { long, value: values.collect::<Vec<_>>().join(","), source })
        };
        plain::longs().filter_map(given).collect()
    }
}

/// A machine without the mesh overrides what an image has on its command line.
pub fn is_sidecar_off(environment: &[&CStr]) -> bool {
    plain::variable_of("sidecar", environment) == Some(b"none")
}

fn shown(long: &str, value: &[u8]) -> String {
    let value = String::from_utf8_lossy(value);
    match Hooks::parse(&value) {
        Ok(Hooks(hooks)) if ["on-stop", "on-exit"].contains(&long) => {
            hooks.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        }
        _ => value.into_owned(),
    }
}

#[cfg(test)]
mod tests;
