//! The layer that appends the report to a file.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::libc;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::log::line::{self, Fields, Format, MAX_LINE};

/// Takes the report out of all events (`event = "report"`), and appends it to a file.
///
/// An error is kept for whoever logged the report, who then logs a warning. A layer cannot log it:
/// `tracing` hands an event that is made while another one is handled to nobody, where the
/// subscriber is a thread's own (`dispatcher::get_default`), as in unit tests. And so the warning
/// goes the way of every event, at its level and to all layers.
pub struct ReportFile {
    path: PathBuf,
    format: Format,
    error: OnceLock<io::Error>,
}

impl<S: Subscriber> Layer<S> for &'static ReportFile {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let fields = Fields::of(event);
        if fields.event.as_deref() == Some("report")
            && let Err(error) = append(&self.path, &self.line(fields))
        {
            // There is one report in a run.
            let _ = self.error.set(error);
        }
    }
}

impl ReportFile {
    pub fn new(path: PathBuf, format: Format) -> ReportFile {
        ReportFile { path, format, error: OnceLock::new() }
    }

    /// Why the report could not be written, once it was logged.
    pub fn error(&self) -> Option<(&Path, &io::Error)> {
        Some((&self.path, self.error.get()?))
    }

    fn line(&self, fields: Fields) -> String {
        match (self.format, fields.json) {
            (Format::Json, Some(object)) => format!("{object}\n"),
            _ => line::plain(&fields.message, MAX_LINE),
        }
    }
}

/// Appends a line to a file in one write that does not wait (a FIFO without a reader is an error,
/// not a wait). An error too is a line that is too long, or of which only a part was written.
fn append(path: &Path, line: &str) -> io::Result<()> {
    if line.len() > MAX_LINE {
        return Err(io::Error::other(format!("it has more than {MAX_LINE} bytes")));
    }
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut file = OpenOptions::new().append(true).create(true).custom_flags(flags).open(path)?;
    let written = file.write(line.as_bytes())?;
    if written < line.len() {
        return Err(io::Error::other("no room for all of it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
