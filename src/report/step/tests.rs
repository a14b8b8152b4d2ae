use super::*;
use crate::process::target::Reason;
use crate::test_support::*;

#[test]
fn steps_have_a_place_in_the_log() {
    let place =
        |step: &Step| [step.is_detail(), step.is_failure(), step.is_logged_without_stop_signal()];
    for (step, name, expected) in [
        (start(None), "stop_signal", [false; 3]),
        (noted(), "stop_signal_repeated", [false; 3]),
        (forwarded(Why::DelayOver), "forwarded", [false; 3]),
        (forwarded(Why::Passing), "forwarded", [true, false, false]),
        (forwarded_as(Signal::KILL, Why::DelayOver), "forwarded", [false, true, false]),
        (forwarded_as(Signal::KILL, Why::Passing), "forwarded", [false, true, false]),
        (Step::GroupEnded, "group_ended", [true, false, false]),
        (exited(0), "app_ended", [false; 3]),
        (done(hook(), Ok(String::new())), "hook_ended", [false; 3]),
        (done(hook(), Err(String::new())), "hook_ended", [false, true, false]),
        (done(quit(), Ok(String::new())), "sidecar_told", [false, false, true]),
        (done(quit(), Err(String::new())), "sidecar_told", [false, true, true]),
        (Step::NotRun(quit()), "not_run", [false, true, false]),
        (killed(&[3], false), "killed", [false, true, false]),
        (Step::GaveUp { names: vec![name(3)] }, "gave_up", [false, true, false]),
    ] {
        assert_eq!((step.event(), place(&step)), (name, expected), "{step:?}");
    }
}

#[test]
fn who_was_signalled() {
    let others = || vec![name(3)];
    for target in [
        Target::Through(Reason::Ignored, others()),
        Target::Spared(Reason::Filter, others()),
        Target::StandIns(others()),
    ] {
        assert_eq!(to(target).signalled(), others());
    }
    assert_eq!(to(Target::Group(Reason::Option)).signalled(), []);
    assert_eq!(Step::PassedOn { names: others(), left_over: true }.signalled(), others());
    assert_eq!(swept(&[3]).signalled(), others());
    assert_eq!(killed(&[3], false).signalled(), [], "their command lines are gone");
}
