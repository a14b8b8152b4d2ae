//! Durations as reprieve itself reads and writes them.

use std::fmt;
use std::time::Duration;

/// A bare number is seconds.
pub fn parse(text: &str) -> Result<Duration, String> {
    let parsed = match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text),
    };
    parsed.map_err(|_| "write 500ms, 2s, 1m30s or a number of seconds".into())
}

pub fn show(duration: Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "")
}

/// `500ms..6s`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub min: Duration,
    pub max: Duration,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}..{}", show(self.min), show(self.max))
    }
}

pub fn parse_range(text: &str) -> Result<Range, String> {
    let (min, max) = text.split_once("..").ok_or("write 500ms..6s")?;
    let [min, max] = [parse(min)?, parse(max)?];
    if min <= max {
        Ok(Range { min, max })
    } else {
        Err("the first is greater than the second".into())
    }
}
