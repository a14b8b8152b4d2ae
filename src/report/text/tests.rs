use std::time::Duration;

use super::*;
use crate::process::target::Reason;
use crate::shutdown::ending::Ending;
use crate::shutdown::plan::{Delay, Plan};
use crate::test_support::*;

#[test]
fn steps_in_words() {
    let t0 = Instant::now();
    let later = t0 + Duration::from_secs(20);
    let fixed = plan();
    let hooking = Plan { on_stop: Some(Duration::from_secs(11)), ..plan() };
    let none = Plan { delay: Delay::fixed(Duration::ZERO), ..plan() };
    let rewritten = Plan { rewrites: vec![(Signal::TERM, None)], ..plan() };
    let ranged = |min| {
        let Step::Began { signal, sender, forward_at, kill_at, .. } = began(outside(), t0) else {
            unreachable!("it is one")
        };
        let may_end_at = t0 + Duration::from_secs(min);
        Step::Began { signal, sender, may_end_at, forward_at, kill_at }
    };
    let in_words = |plan: &Plan, step: &Step, now, ended| {
        let mut timeline = Timeline::new(name(2), plan.clone());
        timeline.began_at = Some(t0);
        timeline.ended = ended;
        super::step(step, &timeline, now)
    };
    let ended = Some((t0, Ending::Exited(0)));
    let begins = "SIGTERM from outside the container: ";
    for (plan, min, now, ended, text) in [
        (&fixed, 15, t0, None, "forwarding it at +15s, SIGKILL at +59s"),
        (&fixed, 5, t0, None, "forwarding it between +5s and +15s, SIGKILL at +59s"),
        (&fixed, 15, t0 + Duration::from_secs(15), None, "forwarding it at once, SIGKILL at +59s"),
        (&hooking, 15, t0, None, "forwarding it at +15s, SIGKILL at +59s"),
        (&hooking, 15, later, None, "forwarding it once the hooks have ended, SIGKILL at +59s"),
        (&hooking, 15, later, ended, "forwarding it at once, SIGKILL at +59s"),
        (&rewritten, 15, t0, None, "it is rewritten to 0 and not forwarded, SIGKILL at +59s"),
    ] {
        assert_eq!(in_words(plan, &ranged(min), now, ended), format!("{begins}{text}"));
    }
    let says = |plan: &Plan, step: Step| in_words(plan, &step, later, None);
    assert_eq!(
        says(&fixed, forwarded(Why::DelayOver)),
        "forwarded SIGTERM to app (pid 2); the delay is over"
    );
    assert_eq!(says(&none, forwarded(Why::DelayOver)), "forwarded SIGTERM to app (pid 2)");
    let shell = |reason: fn(String) -> Reason| reason("sh".into());
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
        assert_eq!(says(&none, to(target)), format!("forwarded SIGTERM to {whom}"));
    }
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
        assert_eq!(says(&fixed, step), format!("left over by app (pid 2): {text}"));
    }
    assert_eq!(says(&fixed, killed(&[], false)), "sent SIGKILL to all that is left");
    let pending = says(&fixed, killed(&[2], true));
    assert!(
        pending.starts_with("sent SIGKILL to app (pid 2); app (pid 2) has a trap"),
        "{pending}"
    );
    assert_eq!(says(&fixed, exited(3)), "app (pid 2) exited with 3");
}
