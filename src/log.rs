//! The log: lines on stderr that never block us, as text or as JSON, and the report file.
//!
//! An event of `tracing` goes to each layer: to [`Stderr`], which writes it as a line, and to
//! [`ReportFile`], if one is asked for, which takes the report out of all events. Each layer has a
//! level of its own: with `--quiet` the report goes to its file, but not to stderr.

#[cfg(test)]
pub mod capture;
mod line;
mod output;
mod report_file;
mod stderr;

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

pub use crate::log::line::{Format, MAX_LINE, report};
pub use crate::log::report_file::ReportFile;
pub use crate::log::stderr::Stderr;

/// Where the events go from the start on.
pub struct Log {
    pub stderr: &'static Stderr,
    pub report_file: Option<&'static ReportFile>,
}

/// Sends all events of this level and above to stderr from now on, and for good, and the report to
/// a file too, if one is named.
pub fn start(level: Level, format: Format, report_file: Option<PathBuf>) -> Log {
    // They are needed to the end of the program.
    let shared: &'static io::Stderr = Box::leak(Box::new(io::stderr()));
    let stderr: &'static Stderr = Box::leak(Box::new(Stderr::new(shared.as_fd(), format)));
    let report_file = report_file.map(|path| &*Box::leak(Box::new(ReportFile::new(path, format))));
    // The file comes after stderr, so it is written after the report's line.
    let subscriber = NoSpans
        .with(FromLevel(LevelFilter::from_level(level), stderr))
        .with(report_file.map(|file| FromLevel(LevelFilter::INFO, file)));
    // It fails only where one is installed already.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Log { stderr, report_file }
}

/// A layer that gets the events of a level and above. tracing-subscriber has that too
/// (`Layer::with_filter`), but only with the registry that we do without: see [`NoSpans`].
struct FromLevel<L>(LevelFilter, L);

impl<S: Subscriber, L: Layer<S>> Layer<S> for FromLevel<L> {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if *event.metadata().level() <= self.0 {
            self.1.on_event(event, context);
        }
    }

    /// The least of the levels that a layer wants: below that an event costs one comparison.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0)
    }
}

/// The base of the layers: a subscriber that records nothing. The usual base, the `Registry` of
/// tracing-subscriber, stores spans. We have events alone, and it would be half of our memory.
pub struct NoSpans;

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

#[cfg(test)]
mod tests;
