use std::time::Instant;

use super::*;
use crate::process::target::{Reason, Target};
use crate::report::step::Step;
use crate::shutdown::event::Why;
use crate::signal::Signal;
use crate::test_support::*;

fn rehearsal() -> (u64, Step) {
    (0, began(None, Instant::now()))
}

/// After these steps, and with this code of the app.
fn verdict(steps: Vec<(u64, Step)>, code: u8, rehearsed: Rehearsed) -> Verdict {
    Verdict::of(&recorded(plan(), steps).0, code, rehearsed)
}

/// Of an app that ended well.
fn with(rehearsed: Rehearsed) -> Verdict {
    let steps = vec![rehearsal(), (15, forwarded(Why::DelayOver)), (16, exited(0))];
    verdict(steps, 0, rehearsed)
}

fn requests(tally: Tally) -> Rehearsed {
    let failed_url = tally.has_failures().then(|| "http://app/slow".into());
    Rehearsed { requests: Some(tally), failed_url, ..Rehearsed::default() }
}

#[track_caller]
fn fails(verdict: &Verdict, why: &str) {
    assert!(!verdict.passed);
    assert!(verdict.why_not.as_deref().unwrap_or_default().contains(why), "{verdict}");
    assert_eq!(
        verdict.to_string(),
        format!("rehearsal failed: {}", verdict.why_not.as_ref().unwrap())
    );
}

#[track_caller]
fn passes(verdict: &Verdict, what: &str) {
    assert!(verdict.passed && verdict.why_not.is_none(), "{verdict}");
    assert_eq!(verdict.to_string(), format!("rehearsal passed: {what}"));
}

#[test]
fn the_end_of_the_app_is_judged() {
    let given_up = || (60, Step::GaveUp { names: vec![name(3)] });
    for (steps, code, why_not) in [
        (vec![rehearsal(), (16, exited(7))], 7, "--expect-exit 7"),
        (vec![(0, exited(3))], 0, "before the stop signal of the rehearsal: it exited with 3"),
        (vec![rehearsal()], 0, "did not end by itself"),
        (
            vec![rehearsal(), (59, killed_of(&[2], false, true)), (59, exited(0))],
            0,
            "did not end by itself",
        ),
        (vec![rehearsal(), (16, exited(0)), (59, killed(&[3], false))], 0, "left processes"),
        (vec![rehearsal(), (16, exited(0)), given_up()], 0, "left processes"),
    ] {
        fails(&verdict(steps, code, Rehearsed::default()), why_not);
    }
    let steps = vec![rehearsal(), (16, exited(0))];
    let without_forward = verdict(steps, 0, Rehearsed::default());
    passes(&without_forward, "the app ended by itself; no requests were sent");
    let app = "the app ended by itself 1s after the forward";
    passes(&with(Rehearsed::default()), &format!("{app}; no requests were sent"));
}

#[test]
fn the_status_of_a_shell_is_not_the_apps() {
    let to_shell = Target::Main(Reason::ShellWithoutTrap("sh"));
    let of_shell =
        |ending| vec![rehearsal(), (15, to(to_shell.clone())), (15, Step::MainEnded(ending))];
    let died = of_shell(Ending::Signaled(Signal::TERM));
    let verdict_of_shell = verdict(died, 143, Rehearsed::default());
    fails(&verdict_of_shell, "the exit code is 143, the status of app, a shell");
    fails(&verdict_of_shell, "start the app with exec, or say --expect-exit 143");
    let exited = of_shell(Ending::Exited(143));
    fails(&verdict(exited, 143, Rehearsed::default()), "the app ended with 143; if that");
}

#[test]
fn requests_that_complete_are_told() {
    let app = "the app ended by itself 1s after the forward";
    let tally = Tally { answered: 40, in_flight: 4, in_flight_answered: 4, ..Tally::default() };
    let told = "40 requests were answered; 4 of them had been sent before the forward";
    passes(&with(requests(tally)), &format!("{app}; {told}"));
    let errors = Tally { client_errors: 1, server_errors: 2, ..tally };
    let told = "40 requests were answered, 1 of them with 4xx, 2 of them with 5xx; 4 of them had";
    assert!(with(requests(errors)).to_string().contains(told));
    let none = Tally { in_flight: 0, in_flight_answered: 0, ..tally };
    let verdict = with(requests(none)).to_string();
    assert!(verdict.contains("none of them was in flight at the forward, so whether"), "{verdict}");
    assert!(verdict.ends_with("use a slower URL (--rehearse-url)"), "{verdict}");
}

#[test]
fn requests_that_fail_fail_it() {
    let tally = Tally { answered: 9, in_flight: 4, in_flight_answered: 1, ..Tally::default() };
    let cut = with(requests(Tally { cut: 3, ..tally }));
    let text = "3 requests were in flight when the stop signal was forwarded, and cut \
                (http://app/slow); 9 requests were answered";
    fails(&cut, text);
    let late = with(requests(Tally { cut: 4, late_cut: 1, ..tally }));
    let text =
        "cut and 1 request was sent after the stop signal was forwarded, let in, and cut (http";
    fails(&late, text);
    let before = with(requests(Tally { cut: 2, ..Tally::default() }));
    fails(&before, "2 requests were cut (http://app/slow); 0 requests were answered");
    let refused = with(requests(Tally { refused: 2, ..Tally::default() }));
    fails(&refused, "2 requests were refused before the stop signal was forwarded (http");
}

/// 14.9: of a rehearsal that fails too.
#[test]
fn answers_that_are_errors_are_told_in_any_case() {
    let tally = Tally { answered: 9, server_errors: 4, ..Tally::default() };
    let errors = "; 9 requests were answered, 4 of them with 5xx";
    let cut = with(requests(Tally { cut: 3, ..tally })).to_string();
    assert_eq!(cut, format!("rehearsal failed: 3 requests were cut (http://app/slow){errors}"));
    let steps = vec![rehearsal(), (15, forwarded(Why::DelayOver)), (16, exited(7))];
    let code = verdict(steps, 7, requests(tally)).to_string();
    assert!(code.contains("the app ended with 7") && code.ends_with(errors), "{code}");
}

/// Our own SIGKILL ends all, and so those who send requests.
#[test]
fn a_kill_is_no_fault_of_ours() {
    let rehearsed =
        Rehearsed { asker_died: Some("was killed by SIGKILL".into()), ..Rehearsed::default() };
    let kill = (29, killed_of(&[2], false, true));
    let steps = vec![rehearsal(), (15, forwarded(Why::DelayOver)), kill];
    let verdict = verdict(steps, 137, rehearsed);
    assert_eq!(
        verdict.why_not.as_deref(),
        Some("the app did not end by itself and had to be killed")
    );
}

#[test]
fn all_reasons_are_told() {
    let rehearsed = Rehearsed {
        not_due: Some("the app did not listen".into()),
        asker_died: Some("was killed by SIGKILL".into()),
        ..requests(Tally { cut: 1, ..Tally::default() })
    };
    let verdict = verdict(vec![rehearsal(), (16, exited(7))], 7, rehearsed);
    fails(&verdict, "the app did not listen; and the app ended with 7; ");
    fails(
        &verdict,
        "; and 1 request was cut (http://app/slow); 0 requests were answered; and a process",
    );
}
