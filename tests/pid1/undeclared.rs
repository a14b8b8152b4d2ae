//! A signal from outside that is no stop signal and may have been meant as one, and after which the app
//! goes on (docs/behaviour.md, 15.13).

use nix::libc;

use crate::harness::*;

/// What is said of an app that ignores this signal, in one warning that comes in time.
#[track_caller]
fn warns(options: &str, app: &str, signal: i32, name: &str) {
    let hint = format!("--stop-signal {name} --rewrite {name}:SIGTERM");
    let run = pid1().options(options).fixture(app);
    run.hears("ready");
    let sent_at = run.signal(signal);
    let line = run.hears(&format!("reprieve: warn: fixture (pid 2) ignores {name}"));
    assert_after(sent_at, line.at, 3 * SECOND);
    assert!(line.text.contains(&format!("say {hint}, or the runtime kills all")), "{}", line.text);
    // It is said once, and the end of the app says no more.
    run.signal(signal);
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.times("warn: "), 1, "{}", ended.all());
}

/// 15.13: it does nothing then, also by default, and SIGTERM would.
#[test]
fn an_app_that_ignores_it() {
    let quit = "listen --ignore SIGQUIT";
    warns("", quit, libc::SIGQUIT, "SIGQUIT");
    warns("", "listen --ignore SIGUSR1", libc::SIGUSR1, "SIGUSR1");
    warns("", "listen --default SIGWINCH", libc::SIGWINCH, "SIGWINCH");
    warns("-c", quit, libc::SIGQUIT, "SIGQUIT");
}

/// 15.13: who sends one of these wants an end in any case.
#[test]
fn an_app_that_goes_on() {
    for (options, signal, name) in [
        ("", libc::SIGINT, "SIGINT"),
        ("", libc::SIGQUIT, "SIGQUIT"),
        ("--stop-signal SIGUSR2", libc::SIGTERM, "SIGTERM"),
    ] {
        let run = pid1().options(options).fixture("listen --until SIGUSR2 --until SIGHUP");
        run.hears("ready");
        run.signal(signal);
        let hint =
            format!("goes on after {name} from outside the container; if that is the image's");
        let line = run.hears(&hint).text;
        assert!(line.contains(&format!("say --stop-signal {name}, or")), "{line}");
        run.signal(libc::SIGHUP);
        assert_eq!(run.ends().times("warn: "), 1);
    }
}

/// An app that listens on this address and closes it at SIGUSR1, or takes that for something else.
fn server(at_signal: &str) -> Run {
    let script = format!(
        "trap '{at_signal}' USR1; trap 'kill $!; exit 0' TERM
         \"$NETWORK\" serve tcp:{} &
         while :; do wait; done",
        address()
    );
    let network = network().to_string_lossy().into_owned();
    let run = pid1().variable("NETWORK", &network).shell(&["sh"], &script);
    run.hears("serving");
    run
}

/// 15.13: servers close their door at such a signal (HAProxy, Apache httpd, nginx), and what they do
/// besides, as log rotation, leaves it open.
#[test]
fn an_app_that_stops_listening() {
    let (drains, rotates) = (server("kill $!; echo closed"), server("echo rotated"));
    rotates.signal(libc::SIGUSR1);
    rotates.hears("rotated");
    drains.signal(libc::SIGUSR1);
    drains.hears("goes on after SIGUSR1 from outside the container");
    // The time of the other has come before.
    for (run, warnings) in [(rotates, 0), (drains, 1)] {
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!(ended.times("warn: "), warnings, "{}", ended.all());
    }
}

/// 15.13: a window that is drawn larger sends many, and who is inside knows what it does.
#[test]
fn what_is_meant_otherwise() {
    let windows = pid1().options("-v").fixture("listen --default SIGWINCH");
    windows.hears("ready");
    for times in 1..=2 {
        windows.signal(libc::SIGWINCH);
        windows.hears_times("forwarded SIGWINCH", times);
    }
    let inside = "trap '' QUIT; kill -QUIT 1; echo ready; while :; do sleep 0.01; done";
    let inside = pid1().shell(&["sh"], inside);
    inside.hears("ready");
    let told = pid1().options("--stop-signal QUIT").fixture("listen --ignore SIGQUIT");
    told.hears("ready");
    told.signal(libc::SIGQUIT);
    let last = pid1().fixture("listen --ignore SIGQUIT");
    last.hears("ready");
    last.signal(libc::SIGQUIT);
    last.hears("warn: ");
    for run in [windows, inside, told] {
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!(ended.times("warn: "), 0, "{}", ended.all());
    }
}
