use std::time::Duration;

use super::*;
use crate::process::target::{Reason, Target};
use crate::shutdown::ending::Ending;
use crate::shutdown::plan::{Delay, Plan};
use crate::test_support::*;

/// What is logged of a step at this time of a shutdown that began at `t0`.
fn in_words(plan: &Plan, step: &Step, t0: Instant, now: Instant, ended: Option<Ending>) -> String {
    let mut timeline = Timeline::new(name(2), plan.clone(), t0);
    timeline.began_at = Some(t0);
    timeline.ended = ended.map(|ending| (t0, ending));
    super::step(step, &timeline, now)
}

/// What is logged of a step after the delay.
fn later(plan: &Plan, step: &Step) -> String {
    let t0 = Instant::now();
    in_words(plan, step, t0, t0 + Duration::from_secs(20), None)
}

#[test]
fn a_shutdown_begins_in_words() {
    let t0 = Instant::now();
    let [delay_over, later] = [15, 20].map(|seconds| t0 + Duration::from_secs(seconds));
    let fixed = plan();
    let hooking = Plan { on_stop: Some(Duration::from_secs(11)), ..plan() };
    let rewritten = Plan { rewrites: vec![(Signal::TERM, None)], ..plan() };
    let ranged = |min| {
        let Step::Began { signal, sender, forward_at, kill_at, .. } = began(outside(), t0) else {
            unreachable!("it is one")
        };
        let may_end_at = t0 + Duration::from_secs(min);
        Step::Began { signal, sender, may_end_at, forward_at, kill_at }
    };
    let ended = Some(Ending::Exited(0));
    let begins = "SIGTERM from outside the container: ";
    for (plan, min, now, ended, text) in [
        (&fixed, 15, t0, None, "forwarding it at +15s, SIGKILL at +59s"),
        (&fixed, 5, t0, None, "forwarding it between +5s and +15s, SIGKILL at +59s"),
        (&fixed, 15, delay_over, None, "forwarding it at once, SIGKILL at +59s"),
        (&hooking, 15, t0, None, "forwarding it at +15s, SIGKILL at +59s"),
        (&hooking, 15, later, None, "forwarding it once the hooks have ended, SIGKILL at +59s"),
        (&hooking, 15, later, ended, "forwarding it at once, SIGKILL at +59s"),
        (&rewritten, 15, t0, None, "it is rewritten to 0 and not forwarded, SIGKILL at +59s"),
    ] {
        assert_eq!(in_words(plan, &ranged(min), t0, now, ended), format!("{begins}{text}"));
    }
}

#[test]
fn a_stop_signal_is_forwarded_in_words() {
    let none = Plan { delay: Delay::fixed(Duration::ZERO), ..plan() };
    let step = forwarded(Why::DelayOver);
    assert_eq!(later(&plan(), &step), "forwarded SIGTERM to app (pid 2); the delay is over");
    assert_eq!(later(&none, &step), "forwarded SIGTERM to app (pid 2)");
    let shell = |reason: fn(&'static str) -> Reason| reason("sh");
    for (target, whom) in [
        (Target::Main(shell(Reason::ShellWithTrap)), "app (pid 2): sh has a trap for it"),
        (
            Target::Group(shell(Reason::ShellWithoutTrap)),
            "the process group of app (pid 2): sh has no trap for it",
        ),
        (
            Target::Group(shell(Reason::OpaqueShell)),
            "the process group of app (pid 2): sh does not show whether it has a trap",
        ),
        (Target::Group(Reason::Option), "the process group of app (pid 2)"),
        (Target::Leftovers(1), "the process that is left"),
        (Target::Leftovers(3), "the 3 processes that are left"),
    ] {
        assert_eq!(later(&none, &to(target)), format!("forwarded SIGTERM to {whom}"));
    }
}

#[test]
fn the_end_in_words() {
    let [signalled, signalled_before, refused] = [3, 4, 5].map(|pid| vec![name(pid)]);
    let all = Swept { signalled, signalled_before, refused };
    for (swept, text) in [
        (
            all,
            "sent SIGTERM to app (pid 3); signalled already: app (pid 4); could not signal app (pid 5)",
        ),
        (Swept::default(), ""),
    ] {
        let step = Step::Swept { signal: Signal::TERM, swept, kill_at: None };
        assert_eq!(later(&plan(), &step), format!("left over by app (pid 2): {text}"));
    }
    assert_eq!(later(&plan(), &killed(&[], false)), "sent SIGKILL to all that is left");
    let pending = later(&plan(), &killed(&[2], true));
    assert!(
        pending.starts_with("sent SIGKILL to app (pid 2); app (pid 2) has a trap"),
        "{pending}"
    );
    assert_eq!(later(&plan(), &exited(3)), "app (pid 2) exited with 3");
}

#[test]
fn what_became_of_a_repeated_stop_signal_in_words() {
    let t0 = Instant::now();
    let kill_at = Some(t0 + Duration::from_secs(59));
    for (note, text) in [
        (Note::SameRequest, "so soon after the first, it counts as the same request"),
        (Note::StillHeld, "still held back"),
        (Note::SweptAlready { kill_at: None }, "nothing more is sent to the leftovers"),
        (Note::SweptAlready { kill_at }, "nothing more is sent to the leftovers; SIGKILL at +59s"),
        (Note::Leaving { kill_at: None }, "the app has ended already"),
        (Note::Leaving { kill_at }, "the app has ended already; hooks get SIGKILL at +59s"),
    ] {
        let step = Step::Noted { signal: Signal::INT, sender: outside(), note };
        let words = in_words(&plan(), &step, t0, t0 + Duration::from_secs(20), None);
        assert_eq!(words, format!("SIGINT from outside the container: {text}"));
    }
}

#[test]
fn whom_we_leave_to_the_kernel_in_words() {
    let gave_up = || Step::GaveUp { names: vec![name(3)] };
    let in_words = |steps| super::step(&gave_up(), &recorded(plan(), steps).0, Instant::now());
    assert_eq!(in_words(vec![]), "app (pid 3) may not be signalled; leaving it to the kernel");
    assert_eq!(
        in_words(vec![(59, killed(&[3], false))]),
        "SIGKILL has not ended app (pid 3); leaving it to the kernel"
    );
}
