//! Durations as reprieve itself reads and writes them.

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
