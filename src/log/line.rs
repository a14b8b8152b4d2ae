//! An event as a line: as text for people, or as a JSON object.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use nix::libc;

use crate::escape;

/// The most bytes that a line has, its newline included: up to this size, a pipe takes a line as a
/// whole or not at all (PIPE_BUF in pipe(7)).
pub const MAX_LINE: usize = libc::PIPE_BUF;

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

/// What stands for the rest of a message that was too long.
const MARK: &str = "...";

/// The fields that our events have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    pub event: Option<String>,
    /// Milliseconds since the shutdown began.
    pub at_ms: Option<u64>,
    pub message: String,
    /// The report as a whole JSON object ([`report`]), which is written in place of the other fields.
    pub json: Option<String>,
}

impl Fields {
    pub fn of(event: &Event<'_>) -> Fields {
        let mut fields = Fields::default();
        event.record(&mut fields);
        fields
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "event" => self.event = Some(value.to_owned()),
            "json" => self.json = Some(value.to_owned()),
            _ => {}
        }
    }

    // No event has such fields. By default they would be written by record_debug, and bring the code into
    // the file that writes a float: 14 KB.
    fn record_f64(&mut self, _: &Field, _: f64) {}

    fn record_i128(&mut self, _: &Field, _: i128) {}

    fn record_u128(&mut self, _: &Field, _: u128) {}

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "at_ms" {
            self.at_ms = Some(value);
        }
    }
}

/// `reprieve: warn: +15.000s message`, with the parts that there are, in at most [`MAX_LINE`]
/// bytes.
pub fn text(level: Level, fields: &Fields, color: bool) -> String {
    const BOLD: &str = "\x1b[1m";
    const YELLOW: &str = "\x1b[33m";
    const RED: &str = "\x1b[31m";
    let (style, label) = match level {
        Level::ERROR => (RED, "error: "),
        Level::WARN => (YELLOW, "warn: "),
        _ => (BOLD, ""),
    };
    let mut line = match color {
        true => format!("{style}reprieve: {label}\x1b[0m"),
        false => format!("reprieve: {label}"),
    };
    // A report has its times in it.
    if let Some(ms) = fields.at_ms.filter(|_| fields.json.is_none()) {
        let _ = write!(line, "+{}.{:03}s ", ms / 1000, ms % 1000);
    }
    line.push_str(&plain(&fields.message, MAX_LINE - line.len()));
    line
}

/// A message alone, as one line of at most `max` bytes, its newline included.
pub fn plain(message: &str, max: usize) -> String {
    let message = escape::in_text(message);
    let mut line = shorten(&message, max - 1, char::len_utf8).into_owned();
    line.push('\n');
    line
}

/// One object, in at most [`MAX_LINE`] bytes. Only a report can be longer: it comes as an object,
/// which nothing can be cut from.
pub fn json(level: Level, fields: &Fields, now: SystemTime) -> String {
    let object = |message: &str| {
        let event = fields.event.as_deref();
        object(&Line { event, at_ms: fields.at_ms, message, ..Line::of(level, now) })
    };
    let mut line = if let Some(report) = &fields.json {
        report.clone()
    } else {
        let around = object("").len();
        object(&shorten(&fields.message, MAX_LINE - 1 - around, escape::size_in_json))
    };
    line.push('\n');
    line
}

/// The report as one object: the keys of each line, and then those of an object that has its own,
/// which is asked for with the most bytes that it may have.
pub fn report(
    level: Level,
    at_ms: Option<u64>,
    message: &str,
    now: SystemTime,
    own: impl FnOnce(usize) -> String,
) -> String {
    let line = Line { event: Some("report"), at_ms, message, ..Line::of(level, now) };
    let mut object = object(&line);
    // They become one: a comma takes the place of the inner braces. And a newline follows.
    let own = own(MAX_LINE - object.len());
    object.pop();
    object.push(',');
    object.push_str(own.strip_prefix('{').unwrap_or_default());
    object
}

/// The keys of each line, in their order.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    level: &'static str,
    logger: &'static str,
    version: &'static str,
    event: Option<&'a str>,
    at_ms: Option<u64>,
    message: &'a str,
}

impl Line<'_> {
    fn of(level: Level, now: SystemTime) -> Line<'static> {
        let level = match level {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        // Before 1970 there is no such text.
        let time = humantime::format_rfc3339_millis(now.max(UNIX_EPOCH));
        Line {
            time: time.to_string(),
            level,
            logger: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            event: None,
            at_ms: None,
            message: "",
        }
    }
}

fn object(line: &Line) -> String {
    // Plain values can always be serialized.
    escape::in_json(serde_json::to_string(line).unwrap_or_default())
}

/// The message, if it takes no more than `max` bytes where each character takes `size` of them;
/// else as much of it as fits, and a mark.
fn shorten(message: &str, max: usize, size: impl Fn(char) -> usize) -> Cow<'_, str> {
    let (mut taken, mut fits) = (0, 0);
    for (at, c) in message.char_indices() {
        // Up to here there is room for the mark.
        if taken + MARK.len() <= max {
            fits = at;
        }
        taken += size(c);
        if taken > max {
            return format!("{}{MARK}", &message[..fits]).into();
        }
    }
    message.into()
}

#[cfg(test)]
mod tests;
