use tracing::{debug, info, trace, warn};

use super::*;
use crate::log::capture::{Capture, Logged, logged, logged_with};

#[test]
fn what_is_logged_can_be_captured() {
    let all = logged(|| {
        warn!(event = "tight", at_ms = 7u64, "only {}s", 2);
        debug!(event = "report", json = "{}", "report");
    });
    let warning = Logged {
        level: Level::WARN,
        event: "tight".into(),
        at_ms: Some(7),
        message: "only 2s".into(),
        json: None,
    };
    let report = Logged {
        level: Level::DEBUG,
        event: "report".into(),
        at_ms: None,
        message: "report".into(),
        json: Some("{}".into()),
    };
    assert_eq!(all, [warning, report]);
}

/// As with a report file in a quiet log.
#[test]
fn each_layer_has_a_level_of_its_own() {
    let quiet = Capture::default();
    let all = logged_with(FromLevel(LevelFilter::WARN, quiet.clone()), || {
        warn!(event = "one", "");
        info!(event = "two", "");
        trace!(event = "three", "");
    });
    let events = |logged: &[Logged]| -> Vec<String> {
        logged.iter().map(|logged| logged.event.clone()).collect()
    };
    assert_eq!(events(&all), ["one", "two", "three"]);
    assert_eq!(events(&quiet.take()), ["one"]);
}

/// Below the least of the levels nothing is even made.
#[test]
fn layers_want_the_least_of_their_levels() {
    let [quiet, verbose] =
        [LevelFilter::WARN, LevelFilter::INFO].map(|level| FromLevel(level, Capture::default()));
    assert_eq!(NoSpans.with(quiet).with(Some(verbose)).max_level_hint(), Some(LevelFilter::INFO));
    let quiet = FromLevel(LevelFilter::WARN, Capture::default());
    let hint = NoSpans.with(quiet).with(None::<FromLevel<Capture>>).max_level_hint();
    assert_eq!(hint, Some(LevelFilter::WARN));
}
