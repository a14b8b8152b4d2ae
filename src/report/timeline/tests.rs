use super::*;
use crate::test_support::*;

fn of(steps: Vec<Step>) -> Timeline {
    recorded(plan(), steps.into_iter().map(|step| (0, step)).collect()).0
}

#[test]
fn what_began_it() {
    let timeline = of(vec![start(outside())]);
    assert_eq!((timeline.trigger, timeline.signal), (Trigger::Signal, Some(Signal::TERM)));
    assert_eq!(of(vec![start(None)]).trigger, Trigger::Rehearsal);
    let crashed = of(vec![exited(1), noted()]);
    assert_eq!((crashed.trigger, crashed.signal), (Trigger::Exit, Some(Signal::INT)));
    assert_eq!((crashed.repeats, crashed.sender), (0, outside()));
    assert_eq!(crashed.hold_end, None);
}

#[test]
fn why_the_hold_ended_and_how_often_it_came_again() {
    for (step, hold_end, repeats) in [
        (forwarded(Why::DelayOver), Some(HoldEnd::Delay), 0),
        (forwarded(Why::Quiet), Some(HoldEnd::Quiet), 0),
        (forwarded(Why::TasksEnded), Some(HoldEnd::Hooks), 0),
        (forwarded(Why::Hurry), Some(HoldEnd::Hurry), 1),
        (forwarded(Why::Again), None, 1),
        (forwarded(Why::Passing), None, 0),
        (Step::Dropped { signal: Signal::TERM, why: Why::DelayOver }, Some(HoldEnd::Delay), 0),
        (noted(), None, 1),
        (exited(0), Some(HoldEnd::Exit), 0),
    ] {
        let text = format!("{step:?}");
        let timeline = of(vec![start(outside()), step]);
        assert_eq!(timeline.hold_end.map(|(_, why)| why), hold_end, "{text}");
        assert_eq!(timeline.repeats, repeats, "{text}");
    }
    let again = of(vec![start(outside()), noted(), noted(), forwarded(Why::Hurry)]);
    assert_eq!(again.repeats, 3);
    let again = of(vec![start(outside()), forwarded(Why::Again), forwarded(Why::Again)]);
    assert_eq!(again.repeats, 2);
}

#[test]
fn who_was_killed() {
    let timeline =
        of(vec![swept(&[3, 4]), killed_of(&[2, 3], false, true), killed_of(&[4], true, true)]);
    assert!(timeline.killed() && timeline.app_killed && timeline.trap_pending);
    assert_eq!(timeline.left_over, [3, 4].map(name));
    // What was not there at the sweep is left over too.
    let names = vec![name(4)];
    let steps = vec![exited(0), swept(&[3]), killed(&[3, 4], false), Step::GaveUp { names }];
    let timeline = of(steps);
    assert!(!timeline.app_killed && !timeline.trap_pending);
    assert_eq!(timeline.left_over, [3, 4].map(name));
    assert_eq!(timeline.survivors, [name(4)]);
    assert_eq!(timeline.killed.unwrap().1, [name(3)]);
    assert!(of(vec![killed_of(&[2], true, true), killed(&[3], false)]).trap_pending);
    assert!(of(vec![killed_of(&[2], false, true), exited(0), killed(&[3], false)]).app_killed);
}

#[test]
fn what_is_worth_reporting() {
    let news = |timeline: Timeline| {
        [timeline.stop_signal_came(), timeline.is_worth_reporting(), timeline.has_news()]
    };
    assert_eq!(news(of(vec![exited(1)])), [false; 3]);
    assert_eq!(news(of(vec![exited(1), swept(&[3])])), [false, false, true]);
    assert_eq!(news(of(vec![exited(1), killed(&[3], false)])), [false, true, true]);
    assert_eq!(news(of(vec![start(outside())])), [true; 3]);
    let rehearse = Some(Duration::from_secs(1));
    let rehearsal = recorded(Plan { rehearse, ..plan() }, vec![]).0;
    assert_eq!(news(rehearsal), [false, true, true]);
}

#[test]
fn only_hooks_fail_in_the_report() {
    let failed = of(vec![
        done(hook(), Ok("exited with 0".into())),
        done(hook(), Err("exited with 3".into())),
        done(quit(), Err("no answer".into())),
        Step::NotRun(hook()),
        Step::NotRun(quit()),
    ]);
    let expected = ["exited with 3", "was not run"]
        .map(|why| FailedHook { hook: "on-stop hook /bin/deregister".into(), why: why.into() });
    assert_eq!(failed.failed_hooks, expected);
}

#[test]
fn whom_sigkill_ended_is_what_the_statuses_say() {
    let now = Instant::now();
    let sent = |pids: &[i32], of_app| {
        let mut timeline = Timeline::new(name(2), plan(), Instant::now());
        timeline.record(&killed_of(pids, true, of_app), now);
        timeline
    };
    let of = |timeline: &Timeline| timeline.killed.as_ref().map(|(_, names)| names.clone());
    let mut of_app = sent(&[2, 3], true);
    of_app.correct_killed(vec![name(2), name(4)]);
    assert_eq!(of(&of_app), Some(vec![name(2), name(4)]));
    assert_eq!(of_app.left_over, []);
    // Who was not seen at the look outlived the app as well.
    let mut left = sent(&[3], false);
    left.correct_killed(vec![name(3), name(4)]);
    assert_eq!(
        (of(&left), &left.left_over),
        (Some(left.left_over.clone()), &vec![name(3), name(4)])
    );
    // All had ended by themselves.
    let mut none = sent(&[2], true);
    none.correct_killed(vec![]);
    assert!(!none.killed() && !none.app_killed && !none.trap_pending);
    // Those who survived are none of them, and without /proc nobody has a name.
    let mut survived = sent(&[2], true);
    survived.record(&Step::GaveUp { names: vec![name(2)] }, now);
    survived.correct_killed(vec![name(2)]);
    assert_eq!(of(&survived), Some(vec![]));
    let mut nameless = sent(&[], true);
    nameless.correct_killed(vec![]);
    assert_eq!(of(&nameless), Some(vec![]));
}
