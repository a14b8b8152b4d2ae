//! Whether something came at its time.

use std::time::{Duration, Instant};

use crate::harness::MAX_LATENESS;

/// Asserts that something came no earlier than a duration after another, and not much later.
#[track_caller]
pub fn assert_after(began_at: Instant, at: Instant, after: Duration) {
    let took = at.saturating_duration_since(began_at);
    assert!(took >= after, "too early: {took:?} instead of {after:?}");
    assert!(took < after + MAX_LATENESS, "too late: {took:?} instead of {after:?}");
}
