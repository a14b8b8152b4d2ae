//! The log on a stderr that has room for a part of a line: a line goes out whole, or is dropped
//! and counted, and no two lines are ever glued together (docs/behaviour.md, 15.1 and 15.4).

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};
use serde_json::Value;

use crate::harness::*;
use crate::shared::terminal;
use crate::signals::fill;

/// The most that a pipe takes at once or not at all (pipe(7)).
const PIPE_BUF: usize = 4096;

/// A hook that fails, with a name that is so long: the log and the report name it.
fn failing_hook(length: usize) -> String {
    let end = "/bin/false";
    let start = "/.".repeat((length - end.len()) / 2);
    format!("{start}{end}")
}

/// What is there by now.
fn drain(from: impl AsFd) -> String {
    let flags = OFlag::from_bits_retain(fcntl(&from, FcntlArg::F_GETFL).expect("flags"));
    fcntl(&from, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).expect("flags set");
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(length @ 1..) = nix::unistd::read(&from, &mut piece) {
        all.extend_from_slice(&piece[..length]);
    }
    fcntl(&from, FcntlArg::F_SETFL(flags)).expect("flags set");
    String::from_utf8(all).expect("UTF-8").replace('\r', "")
}

/// How many lines the log says were dropped.
fn dropped(log: &str) -> usize {
    let counts = log.lines().filter_map(|line| {
        let (_, count) = line.split_once("warn: lines of the log dropped")?.1.split_once(": ")?;
        Some(count.parse::<usize>().expect("a number"))
    });
    counts.sum()
}

#[track_caller]
fn assert_nothing_is_glued(log: &str) {
    for line in log.lines() {
        assert_eq!(line.matches("reprieve: ").count(), 1, "{line}\n of\n{log}");
    }
}

#[test]
fn a_pipe_of_one_page_has_whole_lines_only() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let page = i32::try_from(PIPE_BUF).expect("a size");
    fcntl(&writer, FcntlArg::F_SETPIPE_SZ(page)).expect("a small pipe");
    let init = pid1().options("--log-format json").option("--on-stop", failing_hook(3900));
    let run = init.stderr(writer).fixture("listen");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 0);
    let mut log = String::new();
    reader.read_to_string(&mut log).expect("a log");
    let lines = log.lines().map(serde_json::from_str);
    let lines: Vec<Value> = lines.collect::<Result<_, _>>().unwrap_or_else(|_| panic!("{log}"));
    assert!(log.ends_with('\n'), "{log}");
    assert!(lines.iter().any(|line| line["event"] == "dropped"), "{log}");
    assert!(lines.iter().any(|line| line["event"] == "app_ended"), "{log}");
}

#[test]
fn a_line_that_a_socket_took_in_part_is_dropped_and_counted() {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    // As small as it can be: about half of it is one piece.
    setsockopt(&theirs, sockopt::SndBuf, &1).expect("a small buffer");
    let init = pid1().option("--on-stop", failing_hook(3000)).stderr(OwnedFd::from(theirs));
    let run = init.fixture("listen --until SIGUSR1");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    run.hears("got SIGTERM");
    // What the forwarding is logged by is over.
    sleeps(run.pid());
    let mut log = drain(&ours);
    assert!(!log.ends_with('\n'), "a part of the line: {log}");
    run.signal(libc::SIGUSR1);
    assert_eq!(run.ends().code, 0);
    log.push_str(&drain(&ours));
    assert_nothing_is_glued(&log);
    // The hook's end, of which there is a part, and the forwarding.
    assert_eq!(dropped(&log), 2, "{log}");
    assert!(log.contains("exited with 0\n"), "{log}");
}

#[test]
fn a_line_that_a_terminal_took_in_part_is_dropped_and_counted() {
    // More lines than the 64 KiB that a terminal may have room for.
    const HANGUPS: usize = 1600;
    let (mut master, slave) = terminal::open();
    fill(&slave);
    let mut some = [0; 4096];
    for _ in 0..2 {
        master.read_exact(&mut some).expect("what filled it");
    }
    let init = pid1().options("-v").variable("NO_COLOR", "1").stderr(slave);
    let run = init.fixture("listen --until SIGUSR1");
    run.hears("ready");
    for n in 1..=HANGUPS {
        run.signal(libc::SIGHUP);
        run.hears_times("got SIGHUP", n);
    }
    sleeps(run.pid());
    let mut log = drain(&master).trim_start_matches('.').to_owned();
    run.signal(libc::SIGUSR1);
    assert_eq!(run.ends().code, 0);
    log.push_str(&drain(&master));
    assert_nothing_is_glued(&log);
    let whole =
        log.lines().filter(|line| *line == "reprieve: forwarded SIGHUP to fixture (pid 2)").count();
    assert!(whole > 0 && dropped(&log) > 0, "{log}");
    assert_eq!(whole + dropped(&log), HANGUPS, "{log}");
}

#[test]
fn a_long_message_is_shortened_and_marked() {
    let name = format!("/nonexistent/{}", "\"\u{e9}".repeat(4000));
    for format in ["text", "json"] {
        let ended = pid1().options(&format!("--log-format {format}")).app([&name]).ends();
        let log = ended.log();
        assert_eq!((ended.code, log.len()), (126, 1), "{}", ended.all());
        let message = match format {
            "json" => serde_json::from_str::<Value>(log[0]).expect("an object")["message"].clone(),
            _ => log[0].into(),
        };
        let message = message.as_str().expect("a message");
        assert!(message.contains("cannot run /nonexistent/\""), "{message}");
        assert!(message.ends_with("..."), "{message}");
        // A character of two bytes may leave one byte of room.
        let length = log[0].len() + 1;
        assert!((PIPE_BUF - 1..=PIPE_BUF).contains(&length), "{length} bytes");
    }
}

/// A report of which only a part was written is none.
#[test]
fn a_report_file_on_a_full_file_system_is_a_warning() {
    let folder = Folder::new();
    let mount = "mount -t tmpfs -o size=4k none \"$FOLDER\" || exit; \
                 head -c 4000 /dev/zero >\"$FOLDER/report\"; exec \"$@\"";
    let path = folder.path("report");
    let run = pid1()
        .variable("FOLDER", folder.path("").to_str().expect("a path in UTF-8"))
        .options(&format!("--report-file {}", path.display()))
        .through(mount)
        .fixture("listen --code 7");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.code, 7, "{}", ended.all());
    let log = ended.log();
    let warning = format!("reprieve: warn: cannot write the report to {}: ", path.display());
    assert!(log.last().is_some_and(|line| line.starts_with(&warning)), "{}", ended.all());
    assert!(log[log.len() - 2].starts_with("reprieve: report: "), "{}", ended.all());
}
