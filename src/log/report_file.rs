//! The layer that appends the report to a file, or why the app was not started.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::stat::fstat;
use tracing::{Event, Level, Subscriber, warn};
use tracing_subscriber::layer::{Context, Layer};

use crate::entry::{self, Entry, LastLink};
use crate::log::line::{self, Fields, Format, MAX_LINE};

/// Takes the report out of all events, or the error in its place (`event = "report"` or
/// `"not_started"`), and appends it to a file.
///
/// An error is kept for whoever logged the report, who then logs a warning. A layer cannot log it:
/// `tracing` hands an event that is made while another one is handled to nobody, where the
/// subscriber is a thread's own (`dispatcher::get_default`), as in unit tests. And so the warning
/// goes the way of every event, at its level and to all layers.
pub struct ReportFile {
    path: PathBuf,
    format: Format,
    error: OnceLock<io::Error>,
    /// The error that was warned of at the start, in words.
    warned_of: OnceLock<String>,
}

impl<S: Subscriber> Layer<S> for &'static ReportFile {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let fields = Fields::of(event);
        if matches!(fields.event.as_deref(), Some("report" | "not_started"))
            && let Err(error) = append(&self.path, &self.line(*event.metadata().level(), &fields))
        {
            // There is one of them in a run.
            let _ = self.error.set(error);
        }
    }
}

impl ReportFile {
    pub fn new(path: PathBuf, format: Format) -> ReportFile {
        ReportFile { path, format, error: OnceLock::new(), warned_of: OnceLock::new() }
    }

    /// Warns before the app is started where the report could not be written.
    pub fn check(&self) {
        self.check_by(|entry| entry.open(APPEND).map(drop));
    }

    /// The same without opening the file.
    pub fn check_unopened(&self) {
        self.check_by(|entry| Ok(entry.may_be_written()?));
    }

    fn check_by(&self, is_writable: fn(&Entry) -> io::Result<()>) {
        if let Err(error) = check(&self.path, is_writable) {
            self.warn(&error);
            let _ = self.warned_of.set(error.to_string());
        }
    }

    /// Warns after the report was logged where it could not be written, unless that is known since the
    /// start.
    pub fn warn_if_unwritten(&self) {
        if let Some(error) = self.error.get()
            && self.warned_of.get() != Some(&error.to_string())
        {
            self.warn(error);
        }
    }

    fn warn(&self, error: &io::Error) {
        let path = self.path.display();
        warn!(event = "no_report_file", "cannot write the report to {path}: {error}");
    }

    fn line(&self, level: Level, fields: &Fields) -> String {
        match self.format {
            Format::Json => line::json(level, fields, SystemTime::now()),
            Format::Text if level == Level::ERROR && fields.json.is_none() => {
                line::plain(&format!("error: {}", fields.message), MAX_LINE)
            }
            Format::Text => line::plain(&fields.message, MAX_LINE),
        }
    }
}

/// Without waiting for the reader of a FIFO.
const APPEND: OFlag = OFlag::O_APPEND.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY);

/// Whether the file can be opened, or made where there is none. It is not made here: an empty report
/// would be taken for one.
fn check(path: &Path, is_writable: fn(&Entry) -> io::Result<()>) -> io::Result<()> {
    let entry = Entry::find(path, LastLink::Followed)?;
    match entry.status()? {
        None => Ok(entry.can_be_made()?),
        // Opened and closed, it would show its reader an end; and a reader may come later.
        Some(found) if entry::is_kind(&found, libc::S_IFIFO) => Ok(entry.may_be_written()?),
        Some(found) if entry::is_kind(&found, libc::S_IFDIR) => Err(Errno::EISDIR.into()),
        Some(_) => is_writable(&entry),
    }
}

/// Appends a line to a file in one write that does not wait (a FIFO without a reader is an error,
/// not a wait). An error too is a line that is too long, or of which only a part was written.
///
/// A file that is a mount point is that of a termination message of Kubernetes. There a newline at the
/// end would be an empty line, and what is there already is the app's, which may end without one.
fn append(path: &Path, line: &str) -> io::Result<()> {
    if line.len() > MAX_LINE {
        return Err(io::Error::other(format!("it has more than {MAX_LINE} bytes")));
    }
    let entry = Entry::find(path, LastLink::Followed)?;
    let mut file = entry.open(APPEND | OFlag::O_CREAT)?;
    let status = fstat(&file)?;
    let line = match entry.is_mount_point(&status)? {
        true if status.st_size > 0 => format!("\n{}", line.trim_end()),
        true => line.trim_end().into(),
        false => line.into(),
    };
    let written = file.write(line.as_bytes())?;
    if written < line.len() {
        return Err(io::Error::other("no room for all of it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
