//! Tests wait for conditions, never for time; a condition that does not come is a failure.

use std::time::{Duration, Instant};

/// How long a condition may take on a machine that is busy with other tests.
pub const TIMEOUT: Duration = Duration::from_mins(1);

/// Waits for a condition that nothing announces.
#[track_caller]
pub fn eventually<T>(what: &str, found: impl FnMut() -> Option<T>) -> T {
    eventually_or(|| what.to_owned(), found)
}

/// The same, with a description that is made only where it was in vain.
#[track_caller]
pub fn eventually_or<T>(what: impl Fn() -> String, mut found: impl FnMut() -> Option<T>) -> T {
    let give_up_at = Instant::now() + TIMEOUT;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < give_up_at, "waited in vain for {}", what());
        // The pace of asking, not a guess at when it will be so.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Sleeps up to a moment: for a signal that has to come so late and no earlier.
pub fn wait_until(at: Instant) {
    std::thread::sleep(at.saturating_duration_since(Instant::now()));
}
