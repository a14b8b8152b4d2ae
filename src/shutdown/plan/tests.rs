use super::*;
use crate::test_support::plan;

fn check(delay: u64, margin: u64, grace_period: u64) -> Result<Option<Tight>, Misfit> {
    let [delay, margin, grace_period] = [delay, margin, grace_period].map(Duration::from_secs);
    let delay = Delay::fixed(delay);
    Plan { delay, margin, grace_period: Some(grace_period), ..plan() }.check()
}

#[test]
fn a_comfortable_plan_passes() {
    assert_eq!(check(15, 1, 60), Ok(None));
    assert_eq!(check(15, 1, 21), Ok(None));
    assert_eq!(Plan { grace_period: None, ..plan() }.check(), Ok(None));
}

#[test]
fn little_time_to_drain_is_a_warning() {
    let tight = check(15, 1, 20).unwrap().unwrap();
    assert_eq!(tight, Tight { room: Duration::from_secs(4), hooks: false });
    assert!(tight.to_string().contains("only 4s"), "{tight}");
}

#[test]
fn hooks_that_take_as_long_as_they_may_leave_less_time_to_drain() {
    let tight = |on_stop, grace_period| {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let (grace_period, on_stop) = (seconds(grace_period), seconds(on_stop));
        Plan { grace_period, on_stop, ..plan() }.check().unwrap().map(|tight| tight.to_string())
    };
    assert_eq!(tight(54, 60), None);
    assert!(tight(55, 60).unwrap().contains("hooks take as long as they may, the app has only 4s"));
    assert!(tight(70, 60).unwrap().contains("gets SIGKILL before it has heard"));
    // The delay leaves as little.
    for on_stop in [10, 15] {
        assert!(tight(on_stop, 19).unwrap().starts_with("the app has only 3s"));
    }
}

#[test]
fn what_can_die_has_the_time_for_it() {
    let after =
        |ms| Plan { margin: Duration::from_millis(ms), ..plan() }.give_up_after().as_millis();
    assert_eq!([3000, 0, 150].map(after), [1500, 100, 100]);
}

#[test]
fn no_time_to_drain_is_an_error_that_says_what_would_fit() {
    assert_eq!(
        check(15, 1, 16).unwrap_err().to_string(),
        "a delay of 15s and a margin of 1s do not fit into a grace period of 16s: \
         use a delay below 15s, or a grace period above 16s"
    );
    assert_eq!(
        check(0, 10, 10).unwrap_err().to_string(),
        "a delay of 0s and a margin of 10s do not fit into a grace period of 10s: \
         use a margin below 10s, or a grace period above 10s"
    );
    assert_eq!(
        check(3, 1, 0).unwrap_err().to_string(),
        "a delay of 3s and a margin of 1s do not fit into a grace period of 0s: \
         use a grace period above 4s"
    );
}

#[test]
fn a_delay_is_a_range_if_it_may_be_shorter() {
    let [short, long] = [5, 20].map(Duration::from_secs);
    let range = Delay { min: short, max: long };
    assert!(range.is_range() && !Delay::fixed(long).is_range());
    assert_eq!([range, Delay::fixed(long)].map(|delay| delay.to_string()), ["5s..20s", "20s"]);
}

#[test]
fn the_last_rewrite_of_a_signal_counts() {
    let rewrites = vec![
        (Signal::TERM, Some(Signal::INT)),
        (Signal::TERM, Some(Signal::QUIT)),
        (Signal::HUP, None),
    ];
    let plan = Plan { rewrites, ..plan() };
    assert_eq!(plan.rewrite(Signal::TERM), Some(Signal::QUIT));
    assert_eq!(plan.rewrite(Signal::HUP), None);
    assert_eq!(plan.rewrite(Signal::INT), Some(Signal::INT));
}

#[test]
fn leftovers_have_five_seconds_where_nothing_else_says_how_long() {
    let after = |timeout| LeftoversTimeout::After(Duration::from_secs(timeout));
    let time = |leftovers_timeout, grace_period: Option<u64>, leftovers| {
        let grace_period = grace_period.map(Duration::from_secs);
        let plan = Plan { grace_period, leftovers, leftovers_timeout, ..plan() };
        [true, false].map(|by_itself| plan.sweep_time(by_itself).map(|time| time.as_secs()))
    };
    let (default, none) = (LeftoversTimeout::Default, LeftoversTimeout::None);
    for (timeout, grace_period, leftovers, expected) in [
        (default, Some(60), Leftovers::Stop, [Some(5), None]),
        (default, Some(3), Leftovers::Stop, [Some(2), None]),
        (default, None, Leftovers::Stop, [Some(5), Some(5)]),
        (after(9), Some(60), Leftovers::Stop, [Some(9), Some(9)]),
        (after(9), Some(5), Leftovers::Stop, [Some(4), Some(4)]),
        (after(9), None, Leftovers::Stop, [Some(9), Some(9)]),
        (none, Some(60), Leftovers::Stop, [None, None]),
        (none, None, Leftovers::Stop, [None, None]),
        (default, None, Leftovers::Wait, [Some(5), None]),
        (after(9), None, Leftovers::Wait, [Some(9), None]),
    ] {
        assert_eq!(
            time(timeout, grace_period, leftovers),
            expected,
            "{timeout:?} {grace_period:?}"
        );
    }
}

#[test]
fn a_leftovers_timeout_that_cannot_be_used_is_named() {
    let plan = |timeout, leftovers| {
        let leftovers_timeout = LeftoversTimeout::After(Duration::from_secs(timeout));
        Plan { leftovers, leftovers_timeout, ..plan() }.unused_leftovers_timeout()
    };
    assert_eq!(plan(58, Leftovers::Stop), None);
    assert!(plan(59, Leftovers::Stop).unwrap().contains("SIGKILL comes 59s after"));
    assert!(plan(9, Leftovers::Wait).unwrap().contains("--leftovers wait"));
    assert!(plan(9, Leftovers::Kill).unwrap().contains("--leftovers kill"));
}
