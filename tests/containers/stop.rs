//! `docker stop` and `docker kill -s`.

use crate::harness::{assert_after, image, scratch, seconds, wait_until};
use crate::images;

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_stop_is_held_back_and_then_forwarded() {
    let app = scratch().delay("2s").grace_period("10s").starts();
    app.hears("ready");
    let stop = app.stop(10);
    let forwarded = app.hears("got SIGTERM");
    assert_after(stop.called_at, forwarded.at, seconds(2));
    let took = stop.returns();
    assert!(took < seconds(10), "docker stop took {took:?}");
    let ended = app.ends();
    assert_eq!((ended.code, ended.times("got")), (0, 1), "{ended}");
}

/// No shell, no root, no capability, nothing to write to; Docker's default seccomp profile.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_locked_down_container_stops_as_any_other() {
    let app = scratch()
        .delay("1s")
        .grace_period("10s")
        .option(&["--user", "65534", "--read-only", "--cap-drop", "ALL", "--network", "none"])
        .option(&["--security-opt", "no-new-privileges"])
        .starts();
    app.hears("ready");
    let stop = app.stop(10);
    assert_after(stop.called_at, app.hears("got SIGTERM").at, seconds(1));
    let ended = app.ends();
    assert_eq!(ended.code, 0, "{ended}");
    assert!(!ended.said("warn: "), "{ended}");
    assert!(ended.said("report: "), "{ended}");
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn other_signals_pass_at_once() {
    let app = scratch().delay("20s").grace_period("60s").starts();
    app.hears("ready");
    for (asked, got) in [
        ("USR1", "got SIGUSR1"),
        ("HUP", "got SIGHUP"),
        ("WINCH", "got SIGWINCH"),
        ("INT", "got SIGINT"),
        ("ABRT", "got SIGABRT"),
        ("SIGRTMIN+3", "got SIGRTMIN+3"),
        ("SIGRTMAX", "got SIGRTMIN+30"),
    ] {
        app.kill(asked);
        app.hears(got);
    }
    // In the hold, too.
    app.kill("TERM");
    app.hears("forwarding it at +20s");
    app.kill("USR2");
    app.hears("got SIGUSR2");
    assert!(!app.said("got SIGTERM"));
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_second_docker_stop_ends_the_hold() {
    let app = scratch().delay("40s").grace_period("60s").starts();
    app.hears("ready");
    let patient = app.stop(60);
    let held = app.hears("forwarding it at +40s");
    // Within a second it would be the same request.
    wait_until(held.at + seconds(1));
    let impatient = app.stop(10);
    app.hears("got SIGTERM");
    assert!(patient.called_at.elapsed() < seconds(40));
    impatient.returns();
    patient.returns();
    let ended = app.ends();
    assert_eq!(ended.code, 0, "{ended}");
    assert!(ended.said("a second stop signal ends the hold early"), "{ended}");
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_stop_twice_within_a_second_is_one_request() {
    let app = scratch().delay("2s").grace_period("20s").starts();
    app.hears("ready");
    let began_at = app.kill("TERM");
    app.hears("forwarding it at +2s");
    app.kill("TERM");
    assert_after(began_at, app.hears("got SIGTERM").at, seconds(2));
    let ended = app.ends();
    assert_eq!((ended.code, ended.times("got SIGTERM")), (0, 1), "{ended}");
}

/// As the image of nginx has it.
fn with_stopsignal() -> String {
    let dockerfile = format!("FROM {}\nSTOPSIGNAL SIGQUIT\n", images::all().scratch);
    images::build("stopsignal", &dockerfile, &[])
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_declared_stopsignal_is_held_back() {
    let app = image(&with_stopsignal())
        .delay("1s")
        .grace_period("10s")
        .variable("REPRIEVE_STOP_SIGNAL", "SIGQUIT")
        .runs(&["/fixture", "listen", "--until", "SIGQUIT"]);
    app.hears("ready");
    let stop = app.stop(10);
    assert_after(stop.called_at, app.hears("got SIGQUIT").at, seconds(1));
    let ended = app.ends();
    assert_eq!(ended.code, 0, "{ended}");
    assert!(!ended.said("warn: ") && ended.said("SIGQUIT from outside"), "{ended}");
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn an_undeclared_stopsignal_passes_with_a_warning_that_names_the_option() {
    let app = image(&with_stopsignal())
        .delay("5s")
        .grace_period("20s")
        .runs(&["/fixture", "listen", "--until", "SIGQUIT"]);
    app.hears("ready");
    let took = app.stop(20).returns();
    assert!(took < seconds(5), "docker stop took {took:?}");
    let ended = app.ends();
    assert_eq!(ended.code, 0, "{ended}");
    assert_eq!(ended.times("warn: "), 1, "{ended}");
    assert!(ended.said("--stop-signal SIGQUIT"), "{ended}");
}
