//! How an init ended, and all that it and its app have written.

use std::fmt;
use std::time::Instant;

use serde_json::Value;

use super::said::{Line, show};

/// The source of an app's lines, which come from stdout.
pub const APP: &str = "app";

/// The source of the log's lines, which come from stderr.
pub const LOG: &str = "log";

pub struct Ended {
    pub code: i32,
    pub started_at: Instant,
    pub at: Instant,
    pub lines: Vec<Line>,
}

impl Ended {
    /// The lines of the log.
    pub fn log(&self) -> Vec<&str> {
        self.from(LOG)
    }

    /// The lines of one source.
    pub fn from(&self, source: &str) -> Vec<&str> {
        let lines = self.lines.iter().filter(|line| line.source == source);
        lines.map(|line| line.text.as_str()).collect()
    }

    /// Whether any line has this in it.
    pub fn said(&self, part: &str) -> bool {
        self.times(part) > 0
    }

    /// How many lines have this in them.
    pub fn times(&self, part: &str) -> usize {
        self.lines.iter().filter(|line| line.text.contains(part)).count()
    }

    /// The report, as the JSON log has it.
    #[track_caller]
    pub fn report(&self) -> Value {
        let log = self.log();
        let reports = log.iter().filter_map(|line| serde_json::from_str(line).ok());
        let mut reports = reports.filter(|value: &Value| value["event"] == "report");
        reports.next().unwrap_or_else(|| panic!("no report in:\n{self}"))
    }
}

/// All of it, for the message of an assertion.
impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let took = self.at.saturating_duration_since(self.started_at);
        write!(f, "exit code {} after {took:.3?}, was said:\n{}", self.code, show(&self.lines))
    }
}

/// A number in a report; the key of one within an object is `traffic/ports`.
#[track_caller]
pub fn number(report: &Value, key: &str) -> u64 {
    let value = report.pointer(&format!("/{key}")).and_then(Value::as_u64);
    value.unwrap_or_else(|| panic!("no number {key} in {report}"))
}
