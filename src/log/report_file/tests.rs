use tracing::{Level, debug, info, warn};
use tracing_subscriber::filter::LevelFilter;

use super::*;
use crate::log::FromLevel;
use crate::log::capture::{Logged, logged_with};

/// Logs a report as the journal does, and something else, with this as the report file.
fn log(file: &'static ReportFile, level: Level, text: &str, json: &str) -> Vec<Logged> {
    logged_with(FromLevel(LevelFilter::INFO, file), || {
        warn!(event = "tight", "something else");
        if level == Level::INFO {
            info!(event = "report", json, "{text}");
        } else {
            debug!(event = "report", json, "{text}");
        }
    })
}

fn file(path: &Path, format: Format) -> &'static ReportFile {
    Box::leak(Box::new(ReportFile::new(path.to_owned(), format)))
}

/// A path that no other test has.
fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("reprieve-{}-{name}", std::process::id()))
}

/// What a file has in the end, which is removed.
fn content(path: &Path) -> String {
    let content = std::fs::read_to_string(path).unwrap();
    std::fs::remove_file(path).unwrap();
    content
}

#[test]
fn the_report_and_nothing_else_is_appended_in_the_log_s_format() {
    for (format, lines) in [(Format::Text, "one\ntwo\n"), (Format::Json, "{\"a\":1}\n{\"a\":2}\n")]
    {
        let path = path(&format!("{format:?}"));
        for (text, json) in [("one", "{\"a\":1}"), ("two", "{\"a\":2}")] {
            let file = file(&path, format);
            assert_eq!(log(file, Level::INFO, text, json).len(), 2);
            assert!(file.error.get().is_none());
        }
        assert_eq!(content(&path), lines);
    }
}

/// It is logged all the same, for who debugs.
#[test]
fn a_report_of_nothing_is_not_written() {
    let path = path("nothing");
    let file = file(&path, Format::Text);
    assert_eq!(log(file, Level::DEBUG, "report", "{}").len(), 2);
    assert!(!path.exists() && file.error.get().is_none());
}

#[test]
fn a_text_is_shortened_and_an_object_never() {
    let path = path("long");
    let long = "x".repeat(2 * MAX_LINE);
    log(file(&path, Format::Text), Level::INFO, &long, &long);
    let written = content(&path);
    assert_eq!((written.len(), written.ends_with("x...\n")), (MAX_LINE, true));
    let file = file(&path, Format::Json);
    log(file, Level::INFO, &long, &long);
    let error = file.error.get().unwrap();
    assert_eq!(error.to_string(), "it has more than 4096 bytes");
    assert!(!path.exists());
}

#[test]
fn what_cannot_be_written_is_an_error_and_no_wait() {
    for path in ["/nonexistent/report", "/", "/dev/full"] {
        let file = file(path.as_ref(), Format::Text);
        log(file, Level::INFO, "report", "{}");
        assert!(file.error.get().is_some(), "{path}");
    }
}
