//! The rules, each a function over a container and what it tells reprieve.
//!
//! - `mod.rs`: the list of rules, and what a finding is
//! - `budget.rs`: times that have to fit into the allowance
//! - `settings.rs`: what reprieve is told
//! - `probes.rs`: probes that get in the way of a hold
//! - `subject.rs`: what several rules ask of a container

mod budget;
mod probes;
mod settings;
mod subject;

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

use crate::model::{Container, Workload};
use crate::settings::Settings;
use crate::tree::Place;

/// How bad a finding is, from the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It can be better.
    Note,
    /// Requests may be lost.
    Warning,
    /// The app will be killed, or will not start.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        })
    }
}

/// What is looked for.
#[derive(Debug)]
pub struct Rule {
    pub id: &'static str,
    pub level: Level,
    /// What is wrong, as a sentence.
    pub summary: &'static str,
    /// What to do, as a sentence.
    pub fix: &'static str,
    check: fn(&Subject) -> Vec<Fault>,
}

/// A container, as the rules see it.
pub struct Subject<'a> {
    pub workload: &'a Workload,
    pub container: &'a Container,
    pub settings: &'a Settings,
}

/// What a rule finds wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    pub place: Place,
    pub message: String,
}

impl Fault {
    fn new(place: Place, message: impl Into<String>) -> Fault {
        Fault { place, message: message.into() }
    }
}

/// All rules, in the order of the docs.
pub static RULES: [Rule; 12] = [
    Rule {
        id: "does-not-fit",
        level: Level::Error,
        summary: "The delay and the margin use up the time that the platform allows.",
        fix: "Shorten the delay, or raise the platform's allowance.",
        check: budget::does_not_fit,
    },
    Rule {
        id: "differs-from-allowance",
        level: Level::Error,
        summary: "The grace period that reprieve is told is not the one that the platform allows.",
        fix: "Set REPRIEVE_GRACE_PERIOD to what the platform allows.",
        check: budget::differs_from_allowance,
    },
    Rule {
        id: "prestop-beside-delay",
        level: Level::Warning,
        summary: "A sleep before the stop signal and a delay after it add up.",
        fix: "Remove the sleep: the delay does the same.",
        check: budget::prestop_beside_delay,
    },
    Rule {
        id: "prestop-takes-grace-period",
        level: Level::Warning,
        summary: "A sleep before the stop signal leaves the app next to no time.",
        fix: "Shorten the sleep, or raise the platform's allowance.",
        check: budget::prestop_takes_grace_period,
    },
    Rule {
        id: "delay-without-grace-period",
        level: Level::Warning,
        summary: "There is a delay, but reprieve does not know when the platform kills.",
        fix: "Set REPRIEVE_GRACE_PERIOD to what the platform allows.",
        check: budget::delay_without_grace_period,
    },
    Rule {
        id: "native-sidecar",
        level: Level::Warning,
        summary: "A native sidecar gets the stop signal after the app has ended, with what time is left.",
        fix: "Remove REPRIEVE_DELAY and REPRIEVE_GRACE_PERIOD from the sidecar.",
        check: budget::native_sidecar,
    },
    Rule {
        id: "unknown-variable",
        level: Level::Warning,
        summary: "reprieve has no such variable.",
        fix: "Correct the name, or remove the variable.",
        check: settings::unknown_variable,
    },
    Rule {
        id: "unreadable-value",
        level: Level::Error,
        summary: "reprieve would not start with this.",
        fix: "Write what the message says.",
        check: settings::unreadable_value,
    },
    Rule {
        id: "stop-signal",
        level: Level::Warning,
        summary: "The platform sends another stop signal than reprieve expects, which is not held back.",
        fix: "List the signal in REPRIEVE_STOP_SIGNAL.",
        check: settings::stop_signal,
    },
    Rule {
        id: "probe-grace-period",
        level: Level::Warning,
        summary: "A probe has a grace period of its own, which is over before the delay is.",
        fix: "Raise the probe's terminationGracePeriodSeconds above the delay, or remove it.",
        check: probes::probe_grace_period,
    },
    Rule {
        id: "readiness-window",
        level: Level::Warning,
        summary: "The readiness probe asks so often that the traffic never counts as stopped.",
        fix: "Raise its periodSeconds above the quiet window, or name its address in REPRIEVE_IGNORE_PEER.",
        check: probes::readiness_window,
    },
    Rule {
        id: "readiness-on-health-port",
        level: Level::Warning,
        summary: "The readiness of the only replica ends with the stop signal, when no other one is ready.",
        fix: "Let the readiness probe ask the app, or run two replicas.",
        check: probes::readiness_on_health_port,
    },
];

/// All that is wrong in a workload, with the container that it is about.
pub fn check(workload: &Workload) -> Vec<(&Container, &'static Rule, Fault)> {
    let mut found = Vec::new();
    for container in &workload.containers {
        let settings = Settings::of(container);
        let subject = Subject { workload, container, settings: &settings };
        for rule in &RULES {
            let faults = (rule.check)(&subject).into_iter();
            found.extend(faults.map(|fault| (container, rule, fault)));
        }
    }
    found
}
