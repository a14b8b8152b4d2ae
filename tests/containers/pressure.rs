//! The promises under hardship: a frozen container, and one that has hardly any memory.

use crate::harness::{
    Container, assert_after, busybox, docker, eventually, number, output, scratch, seconds,
    wait_until,
};

/// Freezes the container until so many seconds after it said this. The clocks go on.
fn pauses(app: &Container, after: &str, for_seconds: u64) {
    let said = app.hears(after);
    output(&mut docker(["pause", app.name()]));
    // It has to be late.
    wait_until(said.at + seconds(for_seconds));
    assert!(!app.said("got SIGTERM"));
    output(&mut docker(["unpause", app.name()]));
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_pause_in_the_hold_does_not_lengthen_it() {
    let app = scratch().delay("2s").grace_period("30s").starts();
    app.hears("ready");
    let began_at = app.kill("TERM");
    pauses(&app, "forwarding it at +2s", 3);
    assert_after(began_at, app.hears("got SIGTERM").at, seconds(3));
    assert_eq!(app.ends().code, 0);
}

/// What is late happens at once, in its order, and the report tells when it happened.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_pause_beyond_both_deadlines_forwards_and_kills_at_once() {
    let app = scratch()
        .delay("1s")
        .grace_period("3s")
        .variable("REPRIEVE_LOG_FORMAT", "json")
        .runs(&["/fixture", "listen", "--until", "SIGUSR1"]);
    app.hears("ready");
    let began_at = app.kill("TERM");
    pauses(&app, "\"stop_signal\"", 4);
    let thawed_at = std::time::Instant::now();
    let ended = app.ends();
    assert_eq!(ended.code, 137, "{ended}");
    let told: Vec<u64> =
        ["forwarded_at_ms", "killed_at_ms"].map(|key| number(&ended.report(), key)).into();
    let since = thawed_at.duration_since(began_at).as_millis() as u64;
    assert!(told.is_sorted() && told[0] + 1000 > since && told[1] < told[0] + 500, "{ended}");
    let place = |part: &str| ended.log().iter().position(|line| line.contains(part));
    assert!(place("\"forwarded\"") < place("\"killed\""), "{ended}");
}

/// How often a page that was in use had to be read again (of a cgroup of either version).
fn refaults(app: &Container) -> u64 {
    let script = "cat /sys/fs/cgroup/memory.stat /sys/fs/cgroup/memory/memory.stat 2>/dev/null \
                  | sed -n 's/^pgmajfault //p'";
    let words = ["exec", app.name(), "sh", "-c", script];
    output(&mut docker(words)).trim().parse().expect("a number")
}

/// Pages of ours are thrown out and read again all the time.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn memory_pressure_changes_no_deadline() {
    let app = busybox()
        .delay("2s")
        .grace_period("5s")
        .variable("REPRIEVE_LOG_FORMAT", "json")
        .option(&["--memory", "24m", "--memory-swap", "24m"])
        .runs(&["/fixture", "listen", "--until", "SIGUSR1", "--memory", "10"]);
    app.hears("ready");
    let thrash = "dd if=/dev/zero of=/big bs=1M count=60 && echo written; \
                  for _ in 1 2 3; do while :; do cat /big >/dev/null; done & done; wait";
    let visitor = app.enter(&["sh", "-c", thrash]);
    visitor.hears("written");
    let before = refaults(&app);
    eventually("memory is short", || (refaults(&app) > before + 500).then_some(()));
    let before = refaults(&app);
    let began_at = app.kill("TERM");
    let forwarded = app.hears("got SIGTERM");
    assert_after(began_at, forwarded.at, seconds(2));
    assert!(refaults(&app) > before + 200);
    let ended = app.ends();
    drop(visitor);
    assert_eq!(ended.code, 137, "{ended}");
    for (key, promised) in [("forwarded_at_ms", 2000), ("killed_at_ms", 4000)] {
        let told = number(&ended.report(), key);
        assert!((promised..promised + 1000).contains(&told), "{key} {told}: {ended}");
    }
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn an_app_that_runs_out_of_memory_in_the_hold_is_reported() {
    let script = "trap 'exec tail /dev/zero' USR1; echo ready; while :; do sleep 1 & wait; done";
    let app = busybox()
        .delay("60s")
        .grace_period("90s")
        .option(&["--memory", "16m", "--memory-swap", "16m"])
        .runs(&["sh", "-c", script]);
    app.hears("ready");
    app.kill("TERM");
    app.hears("forwarding it at +60s");
    app.kill("USR1");
    let ended = app.ends();
    assert_eq!(ended.code, 137, "{ended}");
    assert!(ended.said("out of memory?"), "{ended}");
    assert!(ended.said("report: "), "{ended}");
}
