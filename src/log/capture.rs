//! What a piece of code logs, for unit tests.

use std::sync::{Arc, Mutex};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::log::NoSpans;
use crate::log::line::Fields;

/// An event that was logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    pub level: Level,
    pub event: String,
    pub at_ms: Option<u64>,
    pub message: String,
    pub json: Option<String>,
}

/// A layer that keeps all events.
#[derive(Clone, Default)]
pub struct Capture(Arc<Mutex<Vec<Logged>>>);

impl<S: Subscriber> Layer<S> for Capture {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Fields { event: name, at_ms, message, json } = Fields::of(event);
        let (level, name) = (*event.metadata().level(), name.unwrap_or_default());
        self.0.lock().unwrap().push(Logged { level, event: name, at_ms, message, json });
    }

    /// All of them, whatever the other layers want.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }
}

impl Capture {
    /// Those that there are by now.
    pub fn take(&self) -> Vec<Logged> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Runs this, and returns all that it logged, of every level, in its order.
pub fn logged(run: impl FnOnce()) -> Vec<Logged> {
    logged_with(None::<Capture>, run)
}

/// The same, with one more layer, which comes first.
pub fn logged_with(
    layer: impl Layer<NoSpans> + Send + Sync + 'static,
    run: impl FnOnce(),
) -> Vec<Logged> {
    let capture = Capture::default();
    let subscriber = NoSpans.with(layer).with(capture.clone());
    tracing::subscriber::with_default(subscriber, run);
    capture.take()
}
