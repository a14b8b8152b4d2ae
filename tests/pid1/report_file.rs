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
    run.hears("warning: cannot write the report");
    run.hears("ready");
    std::fs::create_dir(folder.path("sub")).expect("a folder");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.times("warning"), 1, "{}", ended.all());
    assert!(std::fs::read_to_string(&path).expect("a file").starts_with("report: SIGTERM"));

    std::fs::remove_file(&path).expect("the file");
    let run = pid1().options(&with_file(&path)).fixture("listen");
    run.hears("ready");
    assert!(!path.exists(), "there is no report yet");
    std::fs::create_dir(&path).expect("a folder");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.times("warning: cannot write the report"), 1, "{}", ended.all());
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
    assert!(!ended.said("warning"), "{}", ended.all());
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
    assert!(report.starts_with("report: SIGTERM"), "{report}");
}
