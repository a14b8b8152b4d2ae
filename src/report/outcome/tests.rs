use std::time::Instant;

use super::*;
use crate::process::target::{Reason, Target};
use crate::report::step::Step;
use crate::shutdown::event::Why;
use crate::signal::Signal;
use crate::test_support::*;

fn outcome(steps: Vec<(u64, Step)>) -> Outcome {
    recorded(plan(), steps).0.outcome()
}

fn stop() -> (u64, Step) {
    (0, began(outside(), Instant::now()))
}

fn over() -> (u64, Step) {
    (15, forwarded(Why::DelayOver))
}

fn died_of(signal: Signal) -> (u64, Step) {
    (16, Step::MainEnded(Ending::Signaled(signal)))
}

#[test]
fn what_became_of_the_app() {
    let gave_up = || (60, Step::GaveUp { names: vec![name(3)] });
    let app_killed = || (59, killed_of(&[2], false, true));
    let left_killed = || (59, killed(&[3], false));
    let dropped = (15, Step::Dropped { signal: Signal::TERM, why: Why::DelayOver });
    let app_ended = |code| (16, exited(code));
    for (steps, expected) in [
        (vec![stop(), over(), app_ended(0)], Outcome::Drained),
        (vec![stop(), over(), app_ended(1)], Outcome::Drained),
        (vec![stop(), over(), died_of(Signal::TERM)], Outcome::EndedBySignal),
        (vec![stop(), (9, exited(0))], Outcome::EndedEarly),
        (vec![stop(), dropped, app_ended(0)], Outcome::EndedByItself),
        (vec![(0, exited(3)), (0, swept(&[3]))], Outcome::EndedByItself),
        (vec![(0, exited(3)), (1, noted())], Outcome::EndedByItself),
        (vec![stop(), over()], Outcome::Unknown),
        (vec![stop(), over(), app_ended(0), left_killed()], Outcome::LeftoversKilled),
        (vec![(0, exited(0)), left_killed()], Outcome::LeftoversKilled),
        (vec![stop(), over(), app_killed(), died_of(Signal::KILL)], Outcome::Killed),
        (vec![stop(), app_killed(), died_of(Signal::KILL)], Outcome::Killed),
        (vec![stop(), over(), app_killed(), gave_up()], Outcome::Survived),
        (vec![stop(), over(), app_ended(0), gave_up()], Outcome::Survived),
    ] {
        let text = format!("{steps:?}");
        assert_eq!(outcome(steps), expected, "{text}");
    }
}

/// 15.15: the app is what the shell ran.
#[test]
fn what_became_of_an_app_behind_a_shell() {
    let behind = |ending| {
        let shell = to(Target::Main(Reason::ShellWithoutTrap("sh")));
        let stand_in = Step::StandInEnded(name(3), ending);
        outcome(vec![stop(), (15, shell), died_of(Signal::TERM), (18, stand_in)])
    };
    assert_eq!(behind(Ending::Exited(0)), Outcome::Drained);
    assert_eq!(behind(Ending::Signaled(Signal::TERM)), Outcome::EndedBySignal);
    assert_eq!(behind(Ending::KILLED), Outcome::EndedBySignal);
    let killed_behind = |ending| {
        let stand_in = Step::StandInEnded(name(3), ending);
        let shell = to(Target::Main(Reason::ShellWithoutTrap("sh")));
        let kill = (59, killed(&[3, 4], false));
        recorded(plan(), vec![stop(), (15, shell), died_of(Signal::TERM), kill, (59, stand_in)]).0
    };
    let with_app = killed_behind(Ending::KILLED);
    assert_eq!((with_app.outcome(), with_app.left_over), (Outcome::Killed, vec![]));
    // In the moment of the kill.
    assert_eq!(killed_behind(Ending::Exited(0)).outcome(), Outcome::LeftoversKilled);
}

#[test]
fn an_app_that_died_of_somebody_else_s_signal() {
    for steps in [vec![stop(), died_of(Signal::KILL)], vec![stop(), over(), died_of(Signal::PIPE)]]
    {
        let (mut timeline, _) = recorded(plan(), steps);
        timeline.died = true;
        assert_eq!(timeline.outcome(), Outcome::Died);
    }
}
