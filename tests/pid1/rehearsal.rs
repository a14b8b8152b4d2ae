//! A rehearsal (docs/behaviour.md, section 14).

mod due;
mod requests;

use std::time::Duration;

use nix::libc;

use crate::harness::*;

/// Long enough for an app to start on a machine that is busy with other tests.
fn rehearsal() -> Init {
    pid1().options("--log-format json --rehearse 1s")
}

/// The last line of a JSON log.
#[track_caller]
fn verdict_line(ended: &Ended) -> serde_json::Value {
    let last = ended.log().last().expect("a line").to_string();
    let line: serde_json::Value = serde_json::from_str(&last).expect("JSON");
    assert_eq!(line["event"], "rehearsal", "{}", ended.all());
    line
}

/// It passed, and says so everywhere.
#[track_caller]
fn passed(ended: &Ended) {
    let report = ended.report();
    let verdict = &report["rehearsal"];
    assert_eq!((ended.code, &verdict["passed"]), (0, &true.into()), "{}", ended.all());
    assert_eq!((&verdict["why_not"], &report["exit_code"]), (&().into(), &0.into()));
    let line = verdict_line(ended);
    let message = line["message"].as_str().expect("a message");
    assert!(line["level"] == "info" && message.starts_with("rehearsal passed: "), "{line}");
}

/// It failed with 1, for this reason.
#[track_caller]
fn failed(ended: &Ended, reason: &str) {
    let verdict = &ended.report()["rehearsal"];
    assert_eq!(verdict["passed"], false, "{}", ended.all());
    let why_not = verdict["why_not"].as_str().expect("a reason");
    assert!(why_not.contains(reason), "{why_not}");
    assert_eq!(ended.code, 1, "{}", ended.all());
    let line = verdict_line(ended);
    assert_eq!(
        (&line["level"], &line["message"]),
        (&"error".into(), &format!("rehearsal failed: {why_not}").into())
    );
}

#[test]
fn an_app_that_stops_by_itself_passes() {
    let run = rehearsal().fixture("listen --drain 300");
    let got = run.hears("got SIGTERM");
    assert_after(run.started_at, got.at, SECOND);
    let ended = run.ends();
    passed(&ended);
    let report = ended.report();
    assert_eq!((&report["trigger"], &report["sender"]), (&"rehearsal".into(), &().into()));
    assert_eq!(report["grace_period_ms"], 30_000);
    assert!(report["drain_ms"].as_u64() >= Some(300), "{}", ended.all());
}

#[test]
fn the_text_log_says_it_too() {
    let ended = pid1().options("--rehearse 1s").fixture("listen").ends();
    assert_eq!(ended.code, 0);
    assert!(ended.said("SIGTERM by rehearsal: forwarding it at once, SIGKILL at +29s"));
    assert_eq!(ended.times("rehearsal passed"), 1);
    let last = ended.log().last().expect("a verdict").to_string();
    assert!(last.starts_with("reprieve: rehearsal passed: the app ended by itself 0"), "{last}");
    assert!(last.ends_with(" after the forward; no requests were sent"), "{last}");
    let ended = pid1().options("-q --rehearse 1s").fixture("listen --code 7").ends();
    let log = ended.log();
    let failed = "reprieve: error: rehearsal failed: the app ended with 7; if that";
    assert!(log.len() == 2 && log[1].starts_with(failed), "{}", ended.all());
}

#[test]
fn it_holds_as_a_real_shutdown_does() {
    let run = rehearsal().options("--delay 500ms").fixture("listen");
    let got = run.hears("got SIGTERM");
    assert_after(run.started_at, got.at, SECOND + Duration::from_millis(500));
    let ended = run.ends();
    passed(&ended);
    assert!(ended.report()["held_ms"].as_u64() >= Some(500), "{}", ended.all());
}

#[test]
fn it_uses_the_first_stop_signal() {
    let options = "--stop-signal QUIT,TERM --grace-period 20s";
    let ended = rehearsal().options(options).fixture("listen --until SIGQUIT").ends();
    passed(&ended);
    assert_eq!(ended.app()[1..], ["got SIGQUIT"]);
    assert_eq!(ended.report()["grace_period_ms"], 20_000);
}

#[test]
fn an_app_that_ends_before_fails() {
    failed(&rehearsal().fixture("state").ends(), "ended before the stop signal");
    let code = rehearsal().app(["sh", "-c", "exit 7"]).ends();
    failed(&code, "ended before the stop signal");
}

#[test]
fn an_app_that_has_to_be_killed_fails() {
    let options = "--grace-period 700ms --margin 300ms";
    let ended = rehearsal().options(options).fixture("listen --ignore SIGTERM").ends();
    failed(&ended, "had to be killed");
    assert_eq!(ended.report()["app_signal"], "SIGKILL");
    assert_eq!(ended.report()["killed"]["count"], 1);
}

#[test]
fn leftovers_that_have_to_be_killed_fail_it() {
    let options = "--grace-period 900ms --margin 300ms";
    let run = rehearsal().options(options).fixture("leave daemon --ignore SIGTERM");
    run.ready("left ");
    let ended = run.ends();
    failed(&ended, "left processes over that had to be killed");
    assert_eq!(ended.report()["app_exit_code"], 0);
}

#[test]
fn leftovers_that_end_in_time_do_not_fail_it() {
    let run = rehearsal().fixture("leave daemon --drain 100");
    run.ready("left ");
    passed(&run.ends());
}

#[test]
fn an_exit_code_fails_it_unless_it_is_expected() {
    failed(&rehearsal().fixture("listen --code 7").ends(), "the app ended with 7");
    passed(&rehearsal().options("-e 7").fixture("listen --code 7").ends());
    // sleep has no handler and dies of the signal.
    let ended = rehearsal().app(["sleep", "1000"]).ends();
    failed(&ended, "--expect-exit 143");
    passed(&rehearsal().options("-e 143").app(["sleep", "1000"]).ends());
}

#[test]
fn the_status_of_a_shell_is_told_from_the_apps() {
    let ended = rehearsal().shell(&["sh"], "$FIXTURE listen && true").ends();
    failed(&ended, "the exit code is 143, the status of sh, a shell that the signal ended");
    failed(&ended, "start the app with exec, or say --expect-exit 143");
}

/// A CI job that is cancelled.
#[test]
fn a_stop_signal_that_comes_before_is_a_real_one() {
    let run = pid1().options("--log-format json --rehearse 1h").fixture("listen");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.times("got SIGTERM"), 1);
    assert_eq!(ended.report()["trigger"], "signal");
}

#[test]
fn it_works_without_being_pid_1() {
    passed(&laptop().options("--log-format json --rehearse 1s").fixture("listen").ends());
}

#[test]
fn the_report_file_is_written_also_when_it_fails_early() {
    let folder = Folder::new();
    let path = folder.path("report");
    let options = format!("--report-file {}", path.display());
    failed(&rehearsal().options(&options).fixture("state").ends(), "ended before");
    let file = std::fs::read_to_string(path).expect("a report file");
    assert!(file.contains("ended before the stop signal"), "{file}");
}
