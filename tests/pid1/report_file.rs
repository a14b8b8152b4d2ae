//! Where the report file may be, and when it is opened (docs/behaviour.md, 15.9 and 15.12).

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::harness::*;

fn with_file(path: &Path) -> String {
    format!("--report-file {}", path.display())
}

/// A shutdown of a listening app with these options.
fn stopped(options: &str, app: &str) -> Ended {
    let run = pid1().options(options).fixture(app);
    run.hears("ready");
    run.signal(libc::SIGTERM);
    run.ends()
}

/// 15.9: who deploys it hears of it then, and the app runs.
#[test]
fn a_report_file_that_cannot_be_opened_is_a_warning_at_the_start() {
    let options = "--log-format json --report-file /nonexistent/report";
    let run = pid1().options(options).fixture("listen");
    run.hears("no_report_file");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!((ended.code, ended.times("no_report_file")), (0, 1), "{}", ended.all());
}

/// A cause that comes later is a warning of its own.
#[test]
fn a_report_file_is_opened_again_for_the_report() {
    let folder = Folder::new();
    let path = folder.path("sub/report");
    let run = pid1().options(&with_file(&path)).fixture("listen");
    run.hears("warn: cannot write the report");
    run.hears("ready");
    std::fs::create_dir(folder.path("sub")).expect("a folder");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.times("warn: "), 1, "{}", ended.all());
    assert!(std::fs::read_to_string(&path).expect("a file").starts_with("report: drained"));

    std::fs::remove_file(&path).expect("the file");
    let run = pid1().options(&with_file(&path)).fixture("listen");
    run.hears("ready");
    assert!(!path.exists(), "there is no report yet");
    std::fs::create_dir(&path).expect("a folder");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.times("warn: cannot write the report"), 1, "{}", ended.all());
}

/// A symlink of somebody else's made root's report append to a file of root.
#[test]
fn a_link_that_others_may_have_made_is_not_followed() {
    let folder = Folder::new();
    let victim = folder.file("victim", "as it was", 0o600);
    for mode in [0o1777, 0o775] {
        let open = folder.path(&format!("{mode:o}"));
        std::fs::create_dir(&open).expect("a folder");
        std::fs::set_permissions(&open, PermissionsExt::from_mode(mode)).expect("a mode");
        symlink(&victim, open.join("report")).expect("a link");
        symlink(folder.path(""), open.join("step")).expect("a link");
        for name in ["report", "step/victim"] {
            let ended = stopped(&with_file(&open.join(name)), "listen --code 7");
            let why = "is a link in a directory that others can write; name what it leads to";
            assert_eq!((ended.code, ended.times(why)), (7, 1), "{}", ended.all());
            assert_eq!(std::fs::read(&victim).expect("the file"), b"as it was");
        }
    }
    // In a folder of ours nobody else makes links.
    symlink(&victim, folder.path("link")).expect("a link");
    let ended = stopped(&with_file(&folder.path("link")), "listen");
    assert!(!ended.said("warn: "), "{}", ended.all());
    assert!(std::fs::read(&victim).expect("the file").starts_with(b"as it wasreport: "));
}

/// It would take an end for the end of the report.
#[test]
fn the_reader_of_a_fifo_sees_no_end_before_the_report() {
    let folder = Folder::new();
    let fifo = folder.fifo("fifo");
    let mut reader = File::options();
    let reader = reader.read(true).custom_flags(libc::O_NONBLOCK).open(&fifo).expect("a FIFO");
    // What is seen of those who write: nothing, as long as nobody has opened it.
    let seen = || {
        let mut fifo = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        poll(&mut fifo, PollTimeout::ZERO).expect("poll");
        fifo[0].revents().expect("known flags")
    };
    let run = pid1().options(&with_file(&fifo)).fixture("listen");
    run.hears("ready");
    assert_eq!(seen(), PollFlags::empty());
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(seen(), PollFlags::POLLIN | PollFlags::POLLHUP, "{}", ended.all());
    let report = std::io::read_to_string(reader).expect("UTF-8");
    assert!(report.starts_with("report: drained"), "{report}");
}

/// What such a call of our program, which has to end with this code, has left in the report file.
#[track_caller]
fn left_by(code: i32, words: &[&str], variables: &[(&str, &str)]) -> String {
    let folder = Folder::new();
    let file = folder.path("report");
    let words = words.iter().map(|word| word.replace("FILE", &file.to_string_lossy()));
    let variables = variables.iter().map(|(name, value)| {
        (format!("REPRIEVE_{name}"), value.replace("FILE", &file.to_string_lossy()))
    });
    call(reprieve().args(words).envs(variables)).expect_code(code);
    std::fs::read_to_string(&file).unwrap_or_default()
}

/// 15.14: `kubectl describe` shows it.
#[test]
fn why_the_app_was_not_started_is_in_the_report_file() {
    let file = ("REPORT_FILE", "FILE");
    let not_found = "error: cannot run no-such-app: not found in PATH";
    for (words, code, variables, begins) in [
        (&["no-such-app"][..], 127, &[file][..], not_found),
        (&["--report-file=FILE", "/dev/null"], 126, &[], "error: cannot run /dev/null: "),
        (&["--delay", "9s", "app"], 125, &[file, ("GRACE_PERIOD", "9s")], "error: "),
        (&["app"], 125, &[file, ("DELAY", "soon")], "error: REPRIEVE_DELAY: invalid value 'soon'"),
        (
            &["--delay", "x", "-vg", "--report-file", "FILE", "app"],
            125,
            &[],
            "error: invalid value",
        ),
        (&["--report-file", "FILE", "--bogus", "app"], 125, &[], "error: there is no option"),
        (&["--report-file", "FILE"], 125, &[("REPORT_FILE", "/")], "error: no command is given"),
        (&["--copy-to", "/nowhere"], 125, &[file], "error: --copy-to /nowhere: "),
        (&["--ready-file", "/nowhere/ready", "app"], 125, &[file], "error: --ready-file /nowhere"),
        (&["app"], 127, &[file, ("LOG_FORMAT", "json")], "{\"time\":\"20"),
    ] {
        let left = left_by(code, words, variables);
        assert!(left.starts_with(begins) && left.lines().count() == 1, "{words:?}: {left:?}");
    }
    // What belongs to the app, and what is none of ours.
    for (words, variables) in [
        (&["--delay", "x", "app", "--report-file", "FILE"][..], &[][..]),
        (&["--delay", "x", "--", "--report-file", "FILE"], &[]),
        (&["--delay", "x", "app"], &[("REPORT_FILE", "")]),
    ] {
        assert_eq!(left_by(125, words, variables), "", "{words:?}");
    }
    assert_eq!(left_by(0, &["--report-file", "FILE", "--help"], &[]), "");
}

/// 15.12: as a report.
#[test]
fn a_start_that_fails_follows_no_link_of_others() {
    let folder = Folder::new();
    let victim = folder.file("victim", "as it was", 0o600);
    let open = folder.path("open");
    std::fs::create_dir(&open).expect("a folder");
    std::fs::set_permissions(&open, PermissionsExt::from_mode(0o1777)).expect("a mode");
    symlink(&victim, open.join("report")).expect("a link");
    for app in [&["no-such-app"][..], &["--bogus"]] {
        let words = ["--report-file", &open.join("report").to_string_lossy()].map(str::to_owned);
        assert!(call(reprieve().args(words).args(app)).code >= 125);
        assert_eq!(std::fs::read(&victim).expect("the file"), b"as it was");
    }
}

/// 15.14: an empty line would be at the end of the message that `kubectl describe` shows. A log file is
/// no mount point, and who follows it waits for the end of the line.
#[test]
fn the_message_of_a_container_has_no_empty_line() {
    let folder = Folder::new();
    let [log, message] = ["log", "message"].map(|name| folder.file(name, "", 0o644));
    let report = |before: &str| {
        // A file of another file system than its folder, as the one that the kubelet mounts.
        let script = format!(
            "mkdir {0}.d; mount -t tmpfs none {0}.d; printf '{before}' >{0}.d/file
             mount --bind {0}.d/file {0}; \"$@\"; cat {0} >{0}.d/../seen; umount {0}",
            message.display()
        );
        stopped_through(&script, &with_file(&message));
        std::fs::remove_dir(folder.path("message.d")).expect("a folder");
        std::fs::read_to_string(folder.path("seen")).expect("a message")
    };
    let alone = report("");
    assert!(alone.starts_with("report: ") && !alone.contains('\n'), "{alone:?}");
    let after = report("the app said this");
    let lines: Vec<_> = after.split('\n').collect();
    assert!(lines[0] == "the app said this" && lines[1].starts_with("report: "), "{after:?}");
    assert_eq!(lines.len(), 2, "{after:?}");
    stopped(&with_file(&log), "listen");
    stopped(&with_file(&log), "listen");
    let log = std::fs::read_to_string(&log).expect("a log");
    assert!(log.ends_with('\n') && log.lines().count() == 2, "{log:?}");
}

/// A shutdown within a script that is PID 1 itself, and has a mount namespace of its own.
fn stopped_through(script: &str, options: &str) {
    let app = ["sh", "-c", "kill -TERM $PPID; while :; do sleep 0.01; done"];
    let ended = pid1().through(script).options(options).app(app).ends();
    assert!(ended.said("report: "), "{}", ended.all());
}
