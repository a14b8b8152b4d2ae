use std::io::{PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::socket::{setsockopt, sockopt};
use tracing::warn;

use super::*;
use crate::log::capture::logged_with;

fn stderr(to: impl Into<OwnedFd>, format: Format) -> &'static Stderr {
    let to: &'static OwnedFd = Box::leak(Box::new(to.into()));
    Box::leak(Box::new(Stderr::new(to.as_fd(), format)))
}

fn info(message: &str) -> Fields {
    Fields { event: Some("reaped".into()), message: message.into(), ..Fields::default() }
}

/// With room for one page.
fn small_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    (reader, writer)
}

fn read(mut from: impl Read) -> String {
    let mut all = vec![0; 1 << 16];
    let length = from.read(&mut all).unwrap();
    all.truncate(length);
    String::from_utf8(all).unwrap()
}

#[test]
fn an_event_is_a_line() {
    let (reader, writer) = small_pipe();
    logged_with(stderr(writer, Format::Text), || warn!(event = "tight", "only {}s", 2));
    assert_eq!(read(&reader), "reprieve: warn: only 2s\n");
}

#[test]
fn a_line_for_which_a_pipe_has_no_room_is_dropped_whole() {
    let (reader, writer) = small_pipe();
    let stderr = stderr(writer, Format::Text);
    stderr.log(Level::INFO, &info("one"));
    for _ in 0..2 {
        stderr.log(Level::INFO, &info(&"x".repeat(MAX_LINE)));
    }
    // There is room for the count, but not for the second one.
    let dropped = "reprieve: warn: lines of the log dropped, as stderr did not take them: 1\n";
    assert_eq!(read(&reader), format!("reprieve: one\n{dropped}"));
    stderr.log(Level::INFO, &info("two"));
    assert_eq!(read(&reader), format!("{dropped}reprieve: two\n"));
    stderr.log(Level::INFO, &info("three"));
    assert_eq!(read(&reader), "reprieve: three\n");
}

/// A pipe would take a part of it.
#[test]
fn an_object_that_is_too_long_is_dropped_and_counted() {
    let (reader, writer) = std::io::pipe().unwrap();
    let stderr = stderr(writer, Format::Json);
    for (length, dropped) in [(MAX_LINE, 1), (MAX_LINE - 1, 0)] {
        let report = Fields { json: Some("1".repeat(length)), ..info("report") };
        stderr.log(Level::INFO, &report);
        assert_eq!(stderr.dropped.load(Ordering::Relaxed), dropped, "{length}");
    }
    let log = read(&reader);
    assert_eq!(log.lines().count(), 2, "{log}");
    assert!(log.contains("\"event\":\"dropped\",") && log.starts_with('{'), "{log}");
    assert!(log.ends_with(&("1".repeat(MAX_LINE - 1) + "\n")), "{log}");
}

#[test]
fn after_a_part_of_a_line_the_next_one_begins_a_new_line() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    // As small as it can be: about half of it is one piece.
    setsockopt(&theirs, sockopt::SndBuf, &1).unwrap();
    let stderr = stderr(theirs, Format::Text);
    stderr.log(Level::INFO, &info("one"));
    stderr.log(Level::INFO, &info(&"x".repeat(MAX_LINE)));
    stderr.log(Level::INFO, &info("two"));
    let log = read(&ours);
    assert!(log.starts_with("reprieve: one\nreprieve: xxx") && log.ends_with('x'), "{log}");
    stderr.log(Level::INFO, &info("three"));
    let log = "\nreprieve: warn: lines of the log dropped, as stderr did not take them: 2\n\
               reprieve: three\n";
    assert_eq!(read(&ours) + &read_more(&ours), log);
}

/// What more there is: a socket gives its pieces one by one.
fn read_more(mut from: &UnixStream) -> String {
    from.set_nonblocking(true).unwrap();
    let mut more = Vec::new();
    let _ = from.read_to_end(&mut more);
    String::from_utf8(more).unwrap()
}
