//! The layer that writes events to stderr: each as a whole line, or not at all.

use std::io::IsTerminal;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::log::line::{self, Fields, Format, MAX_LINE};
use crate::log::output::Output;

/// How long to wait, in milliseconds, for a terminal that takes nothing. Another process that
/// writes to it this moment, the app say, makes it refuse us as if it were full (tty_write_lock in
/// drivers/tty/tty_io.c).
const TERMINAL_TIMEOUT: u8 = 10;

/// Writes each event as a line to stderr. A line that stderr does not take at once is dropped and
/// counted, and the count is logged before the next line that it takes.
pub struct Stderr {
    format: Format,
    shared: BorrowedFd<'static>,
    /// Opened at the first line: most runs have none.
    output: OnceLock<Output>,
    /// Whether lines have colors, found out at the first one too.
    color: OnceLock<bool>,
    /// The lines that were dropped since the last one that was written.
    dropped: AtomicU64,
    /// The last line has no newline yet, since only a part of it was written.
    is_cut: AtomicBool,
}

impl<S: Subscriber> Layer<S> for &'static Stderr {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.log(*event.metadata().level(), &Fields::of(event));
    }
}

impl Stderr {
    /// For this descriptor, which is shared with the app.
    pub fn new(shared: BorrowedFd<'static>, format: Format) -> Stderr {
        Stderr {
            format,
            shared,
            output: OnceLock::new(),
            color: OnceLock::new(),
            dropped: AtomicU64::new(0),
            is_cut: AtomicBool::new(false),
        }
    }

    /// The descriptor that this has opened, if it has.
    pub fn descriptor(&self) -> Option<RawFd> {
        self.output.get()?.descriptor()
    }

    fn log(&self, level: Level, fields: &Fields) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        // A terminal that is full costs the time of waiting only once.
        let mut timeout = TERMINAL_TIMEOUT;
        if dropped > 0 {
            if self.write(&self.line(Level::WARN, &about_dropped(dropped)), 0) {
                self.dropped.store(0, Ordering::Relaxed);
            } else {
                timeout = 0;
            }
        }
        if !self.write(&self.line(level, fields), timeout) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn line(&self, level: Level, fields: &Fields) -> String {
        match self.format {
            Format::Text => line::text(level, fields, *self.color.get_or_init(|| self.has_color())),
            Format::Json => line::json(level, fields, SystemTime::now()),
        }
    }

    fn has_color(&self) -> bool {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        !no_color && self.shared.is_terminal()
    }

    /// Writes a line, and returns whether that worked. It did too where only the newline is missing:
    /// then the next line begins with a newline.
    fn write(&self, line: &str, timeout: u8) -> bool {
        let output = self.output.get_or_init(|| Output::new(self.shared));
        if line.len() > MAX_LINE {
            return false;
        }
        if self.is_cut.load(Ordering::Relaxed) {
            if output.write(b"\n", timeout) == 0 {
                return false;
            }
            self.is_cut.store(false, Ordering::Relaxed);
        }
        let written = output.write(line.as_bytes(), timeout);
        self.is_cut.store((1..line.len()).contains(&written), Ordering::Relaxed);
        written + 1 >= line.len()
    }
}

fn about_dropped(lines: u64) -> Fields {
    Fields {
        event: Some("dropped".into()),
        message: format!("lines of the log dropped, as stderr did not take them: {lines}"),
        ..Fields::default()
    }
}

#[cfg(test)]
mod tests;
