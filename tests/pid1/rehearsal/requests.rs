//! The requests of a rehearsal (docs/behaviour.md, 14.8 to 14.13).

use nix::libc;
use serde_json::Value;

use super::due::rehearses;
use super::{failed, passed};
use crate::harness::*;

/// So slow that four requests side by side are in flight at any time.
const SLOW: &str = "--time 400";

const URL: &str = "--rehearse http://localhost:8080/slow";

#[track_caller]
fn requests(ended: &Ended) -> Value {
    ended.report()["rehearsal"]["requests"].clone()
}

#[test]
fn a_server_that_finishes_what_it_has_begun_passes() {
    at_once(["", "--delay 700ms"], |delay| {
        let ended = rehearses(&format!("{URL} {delay}"), SLOW).ends();
        passed(&ended);
        let requests = requests(&ended);
        let in_flight = number(&requests, "in_flight");
        assert!(in_flight >= 2, "{requests}");
        assert_eq!(number(&requests, "in_flight_answered"), in_flight);
        assert_eq!((number(&requests, "cut"), number(&requests, "refused")), (0, 0));
        assert!(ended.said("of them had been sent before the forward"), "{}", ended.all());
        let is_held = !delay.is_empty();
        let of_others = "no connection came but those of the rehearsal";
        assert_eq!(ended.said(of_others), is_held, "{}", ended.all());
    });
}

#[test]
fn a_server_that_cuts_them_fails() {
    at_once(["cut", "half"], |how| {
        let ended = rehearses(URL, &format!("{SLOW} --stops {how}")).ends();
        // A server that cuts them in the moment of the forward has been faster than who says that they were in
        // flight then.
        failed(&ended, "cut");
        assert!(number(&requests(&ended), "cut") >= 2, "{}", ended.all());
    });
}

#[test]
fn a_server_that_refuses_before_the_forward_fails() {
    let run = rehearses(&format!("{URL} --delay 1h --grace-period 2h"), "--serves 20");
    let stop = run.hears("\"stop_signal\"");
    run.hears("closed");
    // Later than that it is a second request, which ends the hold.
    wait_until(stop.at + SECOND);
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    failed(&ended, "refused before the stop signal was forwarded (http://localhost:8080/slow)");
}

#[test]
fn kept_connections_may_be_closed_between_two_requests() {
    let ended = rehearses(&format!("{URL} --delay 500ms"), "--time 5 --keeps 1").ends();
    passed(&ended);
}

#[test]
fn answers_with_5xx_are_told_and_do_not_fail_it() {
    let ended = rehearses(URL, &format!("{SLOW} --late 503")).ends();
    passed(&ended);
    assert!(number(&requests(&ended), "server_errors") >= 2, "{}", ended.all());
    assert!(ended.said(" of them with 5xx"), "{}", ended.all());
}

#[test]
fn another_url_than_that_of_the_wait_can_be_asked_for() {
    let options =
        "--rehearse listening --rehearse-url http://localhost:8080/a,http://127.0.0.1:8080/b";
    let ended = rehearses(options, SLOW).ends();
    passed(&ended);
    assert!(number(&requests(&ended), "in_flight") >= 2, "{}", ended.all());
}

/// What ends the hold is no clock of a busy machine: it would last for an hour.
#[test]
fn our_own_requests_are_no_traffic() {
    let options = "--delay 0s..1h --grace-period 2h --quiet-window 1s";
    let ended = rehearses(&format!("{URL} {options}"), SLOW).ends();
    passed(&ended);
    let report = ended.report();
    assert_eq!(report["hold_ended_by"], "quiet", "{}", ended.all());
    let traffic = &report["traffic"];
    assert_eq!((number(traffic, "connections"), number(traffic, "old_with_data")), (0, 0));
    assert!(number(&requests(&ended), "answered") > 0, "{}", ended.all());
}

/// They are neither signalled nor left over, and hooks come after them.
#[test]
fn who_sends_them_is_none_of_the_app() {
    let options = format!("{URL} --warn-on-reap --on-exit true --leftovers kill");
    let ended = rehearses(&options, SLOW).ends();
    passed(&ended);
    let report = ended.report();
    assert_eq!((&report["left_over"]["count"], &report["killed"]["count"]), (&0.into(), &0.into()));
    assert!(!ended.said("reaped"), "{}", ended.all());
}

#[test]
fn who_sends_them_may_not_be_killed() {
    let run = rehearses(&format!("{URL} --delay 1h --grace-period 2h"), SLOW);
    let stop = run.hears("\"stop_signal\"");
    let asker = eventually("a process that asks", || {
        children(run.pid()).into_iter().find(|pid| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
            name.is_ok_and(|name| name.trim() == "reprieve-ask")
        })
    });
    send(asker, libc::SIGKILL);
    wait_until(stop.at + SECOND);
    run.signal(libc::SIGTERM);
    failed(&run.ends(), "a process of ours that sent requests was killed by SIGKILL");
}

/// An app that does not end takes them with it, and says what it was.
#[test]
fn an_app_that_has_to_be_killed_fails() {
    let options = "--grace-period 1500ms --margin 500ms";
    let ended = rehearses(&format!("{URL} {options}"), &format!("{SLOW} --stops never")).ends();
    failed(&ended, "the app did not end by itself and had to be killed");
    assert!(!ended.said("a process of ours"), "{}", ended.all());
}

#[test]
fn it_works_without_being_pid_1() {
    let words = [server().into_os_string(), "18765".into(), "--time".into(), "400".into()];
    let init = laptop().options("--log-format json --rehearse http://localhost:18765/");
    passed(&init.app(words).ends());
}
