//! The log: lines on stderr that never block us, as text or as JSON.
//!
//! stderr is shared with the app: O_NONBLOCK belongs to the open file, so setting it would break
//! the app's writes. A pipe or terminal is opened a second time instead, and what does not fit is
//! dropped and counted.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::ErrorKind::{BrokenPipe, WouldBlock};
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::libc;
use nix::poll::{PollFd, PollFlags, poll};
use serde::ser::{SerializeMap, Serializer};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// What a pipe takes at once or not at all (pipe(7)), and the longest report.
pub const LONGEST: usize = libc::PIPE_BUF;

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Text,
    Json,
}

/// Sends all events of this level and above to stderr from now on, and for good.
pub fn start(level: Level, format: Format) -> &'static Log {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let color = format == Format::Text && !no_color && io::stderr().is_terminal();
    let log = Log { format, color, way: OnceLock::new(), dropped: AtomicU64::new(0) };
    let log: &'static Log = Box::leak(Box::new(log));
    let subscriber = NoSpans.with(log).with(LevelFilter::from_level(level));
    // It fails only where one is installed already.
    let _ = tracing::subscriber::set_global_default(subscriber);
    log
}

/// Appends a report to a file, as one line in one write that does not wait (a FIFO without a
/// reader is an error, not a wait).
pub fn append(path: &Path, mut report: String) -> io::Result<()> {
    report.truncate(report.floor_char_boundary(LONGEST - 1));
    report.push('\n');
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut file = OpenOptions::new().append(true).create(true).custom_flags(flags).open(path)?;
    let written = file.write(report.as_bytes())?;
    if written < report.len() { Err(io::ErrorKind::WriteZero.into()) } else { Ok(()) }
}

/// The fields that our events have.
#[derive(Default)]
struct Fields {
    event: Option<String>,
    /// Milliseconds since the shutdown began.
    at_ms: Option<u64>,
    message: String,
    /// A whole JSON object that stands for the event.
    json: Option<String>,
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

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "at_ms" {
            self.at_ms = Some(value);
        }
    }
}

/// `reprieve: warning: +15.000s message`, with the parts that there are.
fn text_line(level: Level, fields: &Fields, color: bool) -> String {
    const BOLD: &str = "\x1b[1m";
    const YELLOW: &str = "\x1b[33m";
    const RED: &str = "\x1b[31m";
    let (style, label) = match level {
        Level::ERROR => (RED, "error: "),
        Level::WARN => (YELLOW, "warning: "),
        _ => (BOLD, ""),
    };
    let mut line = match color {
        true => format!("{style}reprieve: {label}\x1b[0m"),
        false => format!("reprieve: {label}"),
    };
    if let Some(ms) = fields.at_ms {
        let _ = write!(line, "+{}.{:03}s ", ms / 1000, ms % 1000);
    }
    // A message has one line, whatever the name of a command contains.
    line.extend(fields.message.chars().map(|c| if c.is_control() { '?' } else { c }));
    // A longer line would not go into a pipe in one piece.
    line.truncate(line.floor_char_boundary(LONGEST - 1));
    line.push('\n');
    line
}

fn json_line(level: Level, fields: &Fields) -> String {
    let mut line = fields.json.clone().unwrap_or_else(|| {
        let mut bytes = Vec::new();
        let mut serializer = serde_json::Serializer::new(&mut bytes);
        // Writing to memory does not fail.
        let _ = serializer.serialize_map(None).and_then(|mut map| {
            // A byte can become six, and a longer line would not go into a pipe in one piece.
            let message = &fields.message;
            let message = &message[..message.floor_char_boundary(LONGEST / 8)];
            map.serialize_entry("level", &level.as_str().to_ascii_lowercase())?;
            map.serialize_entry("event", &fields.event)?;
            map.serialize_entry("at_ms", &fields.at_ms)?;
            map.serialize_entry("message", message)?;
            map.end()
        });
        String::from_utf8(bytes).unwrap_or_default()
    });
    line.push('\n');
    line
}

/// The base of our layers. We have events alone, and the registry of spans that tracing-subscriber
/// has for others would be half of our memory.
struct NoSpans;

impl Subscriber for NoSpans {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Writes each event as a line to stderr, which is reached in the way that suits what it is.
pub struct Log {
    format: Format,
    color: bool,
    way: OnceLock<Way>,
    /// The lines that did not fit since the last one that did.
    dropped: AtomicU64,
}

impl<S: Subscriber> Layer<S> for &'static Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let way = self.way.get_or_init(Way::find);
        let dropped = self.dropped.load(Ordering::Relaxed);
        // A terminal that another one, the app say, writes to this moment refuses us as if it were
        // full (tty_write_lock in drivers/tty/tty_io.c). One that is full costs us this once.
        let mut patience = 10;
        if dropped > 0 {
            let lost = Fields {
                event: Some("dropped".into()),
                message: format!("lines of the log dropped, as stderr was full: {dropped}"),
                ..Fields::default()
            };
            if way.write(self.line(Level::WARN, &lost).as_bytes(), 0).is_ok() {
                self.dropped.store(0, Ordering::Relaxed);
            } else {
                patience = 0;
            }
        }
        let line = self.line(*event.metadata().level(), &fields);
        if way.write(line.as_bytes(), patience).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Log {
    /// The descriptor that this holds, if any yet.
    pub fn descriptor(&self) -> Option<RawFd> {
        match self.way.get()? {
            Way::Own(file) => Some(file.as_raw_fd()),
            Way::Plain | Way::Socket | Way::Asked => None,
        }
    }

    fn line(&self, level: Level, fields: &Fields) -> String {
        match self.format {
            Format::Text => text_line(level, fields, self.color),
            Format::Json => json_line(level, fields),
        }
    }
}

/// How to write without ever waiting.
enum Way {
    /// A regular file (opened anew, its offset would start at 0), or a device such as /dev/null.
    Plain,
    /// A pipe or terminal: an open file of our own, which is non-blocking.
    Own(File),
    /// A socket cannot be opened again, but asked not to wait.
    Socket,
    /// Opening was refused (as another uid's): ask for a single write that does not wait, which
    /// newer kernels know for pipes; else whether there is room, for each byte of a terminal.
    Asked,
}

/// Writes to stderr without waiting, though the open file would (RWF_NOWAIT of pwritev2(2)).
fn write_now(line: &[u8]) -> io::Result<usize> {
    let part = libc::iovec { iov_base: line.as_ptr().cast_mut().cast(), iov_len: line.len() };
    // SAFETY: one part, of one slice, which is only read. The offset -1 is none. The bare call,
    // since not every C library has it.
    let written = unsafe {
        libc::syscall(libc::SYS_pwritev2, 2, &raw const part, 1, -1i64, -1i64, libc::RWF_NOWAIT)
    };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

/// Waits for room, in milliseconds, and no longer.
fn has_room(file: &impl AsFd, patience: u8) -> bool {
    let mut room = [PollFd::new(file.as_fd(), PollFlags::POLLOUT)];
    poll(&mut room, patience).is_ok_and(|ready| ready > 0)
}

impl Way {
    fn find() -> Way {
        let Some(kind) = io::stderr().as_fd().try_clone_to_owned().ok().map(File::from) else {
            return Way::Plain;
        };
        match kind.metadata().map(|metadata| metadata.file_type()) {
            Ok(kind) if kind.is_socket() => Way::Socket,
            Ok(kind) if kind.is_fifo() => Way::own(),
            Ok(_) if io::stderr().is_terminal() => Way::own(),
            _ => Way::Plain,
        }
    }

    fn own() -> Way {
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let own = OpenOptions::new().write(true).custom_flags(flags).open("/proc/self/fd/2");
        own.map_or(Way::Asked, Way::Own)
    }

    /// Has this many milliseconds of patience with a terminal.
    fn write(&self, line: &[u8], patience: u8) -> io::Result<usize> {
        let stderr = io::stderr();
        match self {
            Way::Own(file) => match (&*file).write(line) {
                Err(error)
                    if error.kind() == WouldBlock
                        && file.is_terminal()
                        && has_room(file, patience) =>
                {
                    (&*file).write(line)
                }
                written => written,
            },
            Way::Socket => {
                let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
                // SAFETY: the pointer and the length are of one slice.
                let sent = unsafe {
                    libc::send(stderr.as_raw_fd(), line.as_ptr().cast(), line.len(), flags)
                };
                usize::try_from(sent).map_err(|_| io::Error::last_os_error())
            }
            Way::Asked => match write_now(line) {
                // The pipe is full, or nobody reads it any more.
                Err(error) if [WouldBlock, BrokenPipe].contains(&error.kind()) => Err(error),
                // Not to be had: an older kernel, a terminal, a sandbox. Room in a pipe is room for a
                // line, in a terminal it may be less.
                Err(_) => {
                    let piece = if stderr.is_terminal() { 1 } else { LONGEST };
                    line.chunks(piece).try_fold(0, |written, piece| match has_room(&stderr, 0) {
                        true => Ok(written + stderr.lock().write(piece)?),
                        false => Err(WouldBlock.into()),
                    })
                }
                Ok(written) => Ok(written),
            },
            Way::Plain => stderr.lock().write(line),
        }
    }
}

#[cfg(test)]
mod tests;
