//! The report as one line (docs/behaviour.md, 15.6): of each kind of end, with names that are long, it says
//! first what became of the app, and has 200 characters at most. `src/report/tests.rs` has more kinds; here it
//! is the line that is in the log.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;

use nix::libc;

use crate::harness::*;

/// Longer than the kernel's name of a program, and than what a report has of a command line.
const NAME: &str = "sörver-with-a-name-that-has-no-end-at-all";
const WORDS: [&str; 2] = ["--configuration=/etc/a/folder/with/a/long/name/configuration.toml", "ü"];

/// A server, below a folder.
fn server(folder: &Folder) -> String {
    let path = folder.path(NAME);
    symlink(fixture(), &path).expect("a link");
    path.into_os_string().into_string().expect("a path in UTF-8")
}

/// Runs it with these options, and stops it while visitors come; `plays` is what it does then, in the words
/// of `fixture listen`. A signal may follow.
fn stops(options: &str, plays: &str, in_shell: bool, then: Option<i32>) -> Ended {
    let folder = Folder::new();
    let failing = folder.script("hook-with-a-name-that-has-no-end-at-all", "#!/bin/sh\nexit 3\n");
    let options = options.replace("HOOK", &failing.display().to_string());
    let init = pid1().variable("PLAYS", plays).options(&options);
    let mut words = vec![server(&folder)];
    words.extend(WORDS.map(str::to_owned));
    if in_shell {
        words.splice(0..0, ["sh", "-c", "\"$@\"; true", "sh"].map(str::to_owned));
    }
    let run = init.app(words);
    let port = run.hears("listening on ").text;
    let port: u16 = port.rsplit(' ').next().and_then(|port| port.parse().ok()).expect("a port");
    run.hears("ready ");
    let began_at = run.signal(libc::SIGTERM);
    run.hears("forwarding it ");
    // What comes before the first look may be missed.
    wait_until(began_at + 300 * MS);
    let visits: Vec<TcpStream> = (0..12)
        .map(|_| {
            let mut visit = TcpStream::connect(("127.0.0.1", port)).expect("the server");
            visit.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("the server");
            visit.read_exact(&mut [0; 12]).expect("an answer");
            visit
        })
        .collect();
    if let Some(signal) = then {
        run.signal(signal);
    }
    let ended = run.ends();
    drop(visits);
    ended
}

#[track_caller]
fn is_short(ended: &Ended, first: &str, parts: &[&str]) {
    let log = ended.log();
    let report = log.iter().find(|line| line.contains("report: ")).expect("a report");
    assert!(report.starts_with(first), "{report}");
    for part in parts {
        assert!(report.contains(part), "{part} is missing: {report}");
    }
    assert!(report.chars().count() <= 200, "{}: {report}", report.chars().count());
}

#[test]
fn of_an_app_that_drained() {
    let ended = stops("--delay 700ms --grace-period 10s", "--drain 100", false, None);
    let parts = ["exit code 0; held 0.7s", "of 10s used", "12 connections came"];
    is_short(&ended, "reprieve: report: drained in 0", &parts);
}

#[test]
fn of_an_app_that_ended_early() {
    let options = "--delay 1h --grace-period 2h";
    let ended = stops(options, "--until SIGUSR1", false, Some(libc::SIGUSR1));
    let parts = ["of a hold of 3600s, before it got the stop signal, exit code 0"];
    is_short(&ended, "reprieve: report: ended early, at +0", &parts);
}

#[test]
fn of_an_app_that_was_killed() {
    let options = "--delay 700ms --grace-period 1500ms --margin 500ms";
    let ended = stops(options, "--ignore SIGTERM --until SIGUSR2", false, None);
    let parts = ["at +1s, 0.3s after SIGTERM, exit code 137; 12 connections open then; held 0.7s"];
    is_short(&ended, "reprieve: warn: report: KILLED s", &parts);
    // Nothing is told of the grace period, all of which it would have taken. What delay would do is told where the
    // visitors were silent for long enough before the forward, which a busy machine decides.
    assert!(!ended.said("used"), "{}", ended.all());
}

#[test]
fn of_an_app_behind_a_shell() {
    let ended = stops("--delay 700ms --grace-period 10s", "--drain 100 --code 3", true, None);
    let parts = ["exit code 143 of sh (s", "exited with 3)", "held 0.7s"];
    is_short(&ended, "reprieve: report: drained in 0", &parts);
}

#[test]
fn of_an_app_with_hooks() {
    let options =
        "--delay 700ms --grace-period 20s --hook-timeout 1s --on-stop HOOK --on-exit HOOK";
    let ended = stops(options, "--drain 100", false, None);
    let parts =
        ["exit code 0; FAILED: on-stop hook hook-with-", " exited with 3 and 1 more; held 0.7s"];
    is_short(&ended, "reprieve: warn: report: drained in 0", &parts);
}

/// The worst of all together.
#[test]
fn of_an_app_behind_a_shell_that_was_killed_with_hooks() {
    let options = "--delay 700ms --grace-period 2s --margin 1s --hook-timeout 300ms \
                   --on-stop HOOK --on-exit HOOK";
    let ended = stops(options, "--ignore SIGTERM --until SIGUSR2", true, None);
    let parts = ["at +1s, 0.3s after SIGTERM", "exit code 143 of sh; 12 connections open then"];
    is_short(&ended, "reprieve: warn: report: KILLED s", &parts);
}
