//! A hold of reprieve: what is asked of it, and how long it lasted.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::Try;
use crate::duration::{Range, show};

/// How long reprieve is to hold the stop signal back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    Fixed(Duration),
    /// One that ends by itself.
    Range {
        range: Range,
        until: Until,
        /// For how long there has to be none of what it waits for to end.
        quiet_window: Duration,
    },
}

/// What the hold of a range waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// No data, on any connection.
    Quiet,
    /// No new connection with data; those that are kept do not count.
    NoNew,
    /// No data, and no connection that is open.
    Closed,
}

impl Until {
    pub const ALL: [Until; 3] = [Until::Quiet, Until::NoNew, Until::Closed];

    /// The value of `--hold-until`.
    fn name(self) -> &'static str {
        match self {
            Until::Quiet => "quiet",
            Until::NoNew => "no-new",
            Until::Closed => "closed",
        }
    }
}

impl Delay {
    /// The options of reprieve that ask for it.
    pub fn options(&self) -> Vec<String> {
        match self {
            Delay::Fixed(delay) => vec![format!("--delay={}", show(*delay))],
            Delay::Range { range, until, quiet_window } => vec![
                format!("--delay={range}"),
                format!("--hold-until={}", until.name()),
                format!("--quiet-window={}", show(*quiet_window)),
            ],
        }
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Delay::Fixed(delay) => f.write_str(&show(*delay)),
            Delay::Range { range, until, .. } => write!(f, "{range}, until `{}`", until.name()),
        }
    }
}

/// How a replica ended, as its report has it.
pub struct Shutdown {
    /// How long the stop signal was held back.
    pub held: Duration,
    /// How long the app took to end after that.
    pub drained: Duration,
}

/// What the reports among some lines of JSON say, in their order.
pub fn reported(logs: &str) -> Try<Vec<Shutdown>> {
    let lines = logs.lines().filter_map(|line| serde_json::from_str(line).ok());
    let reports = lines.filter(|line: &Value| line["event"] == "report");
    let shutdown = |report: Value| {
        let time = |key| report[key].as_u64().map(Duration::from_millis);
        let [held, drained] = ["held_ms", "drain_ms"].map(time);
        let shutdown = held.zip(drained).map(|(held, drained)| Shutdown { held, drained });
        shutdown.ok_or_else(|| format!("a replica did not drain: {report}").into())
    };
    reports.map(shutdown).collect()
}
