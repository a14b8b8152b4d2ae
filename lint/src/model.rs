//! What a workload says of its own end, whatever the platform: the rules know nothing else.

use std::fmt;
use std::time::Duration;

use reprieve::span::Span;

use crate::tree::Place;

/// What is deployed as one: a pod, a service, a task.
#[derive(Debug)]
pub struct Workload {
    /// As its users call it: `Deployment web`.
    pub name: String,
    /// How many there are at once. None where that is not known, or each serves for itself.
    pub replicas: Option<u64>,
    pub containers: Vec<Container>,
    pub silences: Vec<Silence>,
}

/// A rule that is silenced for a workload, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    pub rule: String,
    pub reason: String,
}

#[derive(Debug)]
pub struct Container {
    pub name: String,
    pub role: Role,
    pub image: Option<Value>,
    /// The command line, or what follows the image's entrypoint.
    pub command: Vec<Value>,
    pub variables: Vec<Variable>,
    /// There are variables that stand elsewhere: in a ConfigMap, in a file.
    pub more_variables: bool,
    pub allowance: Allowance,
    pub stop_signal: Option<StopSignal>,
    pub before_stop: Vec<BeforeStop>,
    pub probes: Vec<Probe>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It serves, or does the work.
    Main,
    /// It ends before the others begin.
    Init,
    /// An init container of Kubernetes that goes on running. It gets the stop signal after the app has ended.
    Sidecar,
}

/// A text and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    pub place: Place,
    /// None where it cannot be known from the file: it comes from elsewhere, or from a template.
    pub text: Option<String>,
}

/// A variable of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    pub name: String,
    /// Where its name is written.
    pub place: Place,
    pub value: Value,
}

/// A duration and where it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    pub place: Place,
    pub time: Duration,
}

/// The time from the platform's stop signal to its SIGKILL, hooks that run before the signal included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// What the platform calls it.
    pub setting: &'static str,
    /// None where it cannot be known.
    pub time: Option<Duration>,
    pub origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is written in the file.
    Given,
    /// It is not written, and this is the platform's default.
    Default,
    /// More is written, and this is the platform's cap, of which this is to be known.
    Capped(&'static str),
}

impl Allowance {
    /// What is written, or else the default; in any case not more than the cap.
    pub fn new(
        setting: &'static str,
        written: Option<Option<Duration>>,
        default: Duration,
        cap: Option<(Duration, &'static str)>,
    ) -> Allowance {
        let (time, origin) = match (written, cap) {
            (None, _) => (Some(default), Origin::Default),
            (Some(Some(time)), Some((cap, note))) if time > cap => {
                (Some(cap), Origin::Capped(note))
            }
            (Some(time), _) => (time, Origin::Given),
        };
        Allowance { setting, time, origin }
    }

    pub fn unknown(setting: &'static str) -> Allowance {
        Allowance { setting, time: None, origin: Origin::Given }
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Some(time) = self.time.map(Span) else { return f.write_str(self.setting) };
        match self.origin {
            Origin::Given => write!(f, "{}, which is {time}", self.setting),
            Origin::Default => write!(f, "{}, which is {time} by default", self.setting),
            Origin::Capped(note) => write!(f, "{}, which is {time} at most ({note})", self.setting),
        }
    }
}

/// The signal that the platform sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopSignal {
    pub value: Value,
    /// Why the platform does not take it.
    pub refused: Option<&'static str>,
}

/// What the platform does before it sends the stop signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeforeStop {
    pub place: Place,
    /// What it is called: `preStop`.
    pub what: &'static str,
    /// How long it takes at least.
    pub time: Duration,
    /// Its time comes out of the allowance.
    pub uses_allowance: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    pub kind: ProbeKind,
    pub how: How,
    pub period: Time,
    /// How long the container has where this probe ends it.
    pub grace_period: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    Readiness,
    Liveness,
    Startup,
}

/// How a probe asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// By a request on a connection of its own: HTTP or gRPC.
    Request(Option<Port>),
    /// By a connection alone.
    Connection(Option<Port>),
    /// By a command in the container.
    Command(Vec<Value>),
    Other,
}

/// The port that a probe asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    pub place: Place,
    pub number: u16,
}
