//! What happens when: the hold, the forwarded signal and SIGKILL (docs/behaviour.md, sections 5
//! and 6).

use std::time::Duration;

use nix::libc;
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::harness::*;

#[test]
fn the_stop_signal_is_held_for_the_delay() {
    let run = pid1().options("--delay 1s --grace-period 10s").fixture("listen");
    run.hears("ready");
    let began_at = run.signal(libc::SIGTERM);
    let got = run.hears("got SIGTERM");
    assert_after(began_at, got.at, 1000 * MS);
    let ended = run.ends();
    assert_eq!(ended.code, 0, "{}", ended.all());
    let plan = "reprieve: +0.000s SIGTERM from outside the container: \
                forwarding it at +1s, SIGKILL at +9s";
    assert_eq!(ended.log()[0], plan);
}

#[test]
fn running_passes_other_signals_on_and_says_nothing() {
    let init = pid1().options("--delay 1h --grace-period none");
    let run = init.fixture("listen --until SIGUSR1 --code 7");
    run.hears("ready");
    run.signal(libc::SIGHUP);
    run.hears("got SIGHUP");
    run.signal(libc::SIGUSR1);
    let ended = run.ends();
    assert_eq!(ended.code, 7);
    assert_eq!(ended.app()[1..], ["got SIGHUP", "got SIGUSR1"]);
    // But for the hint that this signal may be an image's STOPSIGNAL.
    assert_eq!(ended.log().len(), 1, "{}", ended.all());
    assert!(ended.said("say --stop-signal SIGUSR1"));
}

#[test]
fn running_ends_with_the_main_child() {
    for (code, words) in [(0, "exit 0"), (3, "exit 3"), (137, "kill -KILL $$")] {
        let ended = pid1().options(ENDLESS).shell(&["sh"], words).ends();
        assert_eq!(ended.code, code, "{}", ended.all());
    }
}

#[test]
fn holding_passes_other_signals_on() {
    let run = pid1().options("--delay 500ms").fixture("listen");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    run.hears("forwarding it at +0.5s");
    for (signal, name) in [(libc::SIGUSR1, "SIGUSR1"), (libc::SIGWINCH, "SIGWINCH")] {
        run.signal(signal);
        run.hears(&format!("got {name}"));
    }
    let ended = run.ends();
    assert_eq!(ended.app()[1..], ["got SIGUSR1", "got SIGWINCH", "got SIGTERM"]);
}

#[test]
fn holding_takes_a_second_stop_signal_within_a_second_for_the_same_request() {
    let run = pid1().options("--delay 1500ms --log-format json").fixture("listen");
    run.hears("ready");
    let began_at = run.signal(libc::SIGTERM);
    run.hears("\"stop_signal\"");
    run.signal(libc::SIGTERM);
    run.hears("it counts as the same request");
    assert_after(began_at, run.hears("got SIGTERM").at, 1500 * MS);
    let ended = run.ends();
    assert_eq!(ended.times("got SIGTERM"), 1, "{}", ended.all());
    assert_eq!(ended.report()["hold_ended_by"], "delay");
}

#[test]
fn holding_takes_two_stop_signals_of_one_wake_up_for_the_same_request() {
    let options = "--delay 500ms --stop-signal TERM,INT --log-format json";
    let run = pid1().options(options).fixture("listen --until SIGINT --until SIGTERM");
    run.hears("ready");
    freeze(&run);
    run.signal(libc::SIGTERM);
    run.signal(libc::SIGINT);
    run.signal(libc::SIGCONT);
    let ended = run.ends();
    assert_eq!(ended.times("it counts as the same request"), 1, "{}", ended.all());
    // Of those that are pending the kernel hands out the lowest first.
    assert_eq!(ended.app()[1..], ["got SIGCONT", "got SIGINT"]);
}

#[test]
fn holding_ends_when_a_stop_signal_comes_again() {
    let run = pid1().options(ENDLESS).fixture("listen");
    run.hears("ready");
    let began_at = run.signal(libc::SIGTERM);
    let plan = run.hears("\"stop_signal\"");
    wait_until(plan.at + SECOND);
    run.signal(libc::SIGTERM);
    let got = run.hears("got SIGTERM");
    assert_after(began_at, got.at, SECOND);
    let ended = run.ends();
    assert_eq!(ended.code, 0);
    assert_eq!(ended.times("got SIGTERM"), 1);
    assert_eq!(ended.report()["hold_ended_by"], "hurry");
    assert!(at_ms(&ended, "held_ms") >= 1000);
}

#[test]
fn holding_forwards_the_latest_stop_signal() {
    let run = pid1()
        .options(ENDLESS)
        .options("--stop-signal INT,QUIT")
        .fixture("listen --until SIGINT --until SIGQUIT");
    run.hears("ready");
    // It is none of them.
    run.signal(libc::SIGTERM);
    run.hears("got SIGTERM");
    run.signal(libc::SIGINT);
    let plan = run.hears("\"stop_signal\"");
    wait_until(plan.at + SECOND);
    run.signal(libc::SIGQUIT);
    let ended = run.ends();
    assert_eq!(ended.app()[1..], ["got SIGTERM", "got SIGQUIT"]);
    assert_eq!(ended.report()["signal"], "SIGINT");
    assert_eq!(ended.report()["forwarded_signal"], "SIGQUIT");
}

#[test]
fn holding_goes_on_when_repeats_are_ignored() {
    let options = "--delay 1500ms --on-repeat ignore --log-format json";
    let run = pid1().options(options).fixture("listen");
    run.hears("ready");
    let began_at = run.signal(libc::SIGTERM);
    let plan = run.hears("\"stop_signal\"");
    wait_until(plan.at + SECOND);
    run.signal(libc::SIGTERM);
    run.hears("still held back");
    assert_after(began_at, run.hears("got SIGTERM").at, 1500 * MS);
    let ended = run.ends();
    assert_eq!(ended.times("got SIGTERM"), 1);
    assert_eq!(ended.report()["hold_ended_by"], "delay");
}

#[test]
fn holding_ends_with_the_main_child() {
    let run = pid1().options(ENDLESS).fixture("listen --until SIGUSR1 --code 7");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    run.hears("\"stop_signal\"");
    run.signal(libc::SIGUSR1);
    let ended = run.ends();
    assert_eq!(ended.code, 7);
    assert!(!ended.said("got SIGTERM"));
    let report = ended.report();
    assert_eq!(report["hold_ended_by"], "exit");
    assert!(report["forwarded_at_ms"].is_null() && report["killed_at_ms"].is_null(), "{report}");
}

#[test]
fn without_a_delay_the_stop_signal_passes_at_once() {
    let run = pid1().options("--log-format json").fixture("listen");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert!(ended.said("forwarding it at once"), "{}", ended.all());
    assert!(ended.said("got SIGTERM"));
    // In the same wake-up.
    assert_eq!(at_ms(&ended, "forwarded_at_ms"), 0);
}

#[test]
fn stopping_forwards_the_stop_signal_again_and_others_too() {
    let run = pid1().options("--log-format json").fixture("listen --until SIGINT");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    run.hears("got SIGTERM");
    run.signal(libc::SIGTERM);
    run.hears_times("got SIGTERM", 2);
    run.signal(libc::SIGUSR1);
    run.hears("got SIGUSR1");
    run.signal(libc::SIGINT);
    let ended = run.ends();
    assert_eq!(ended.app()[1..], ["got SIGTERM", "got SIGTERM", "got SIGUSR1", "got SIGINT"]);
    assert_eq!(ended.report()["repeated_stop_signals"], 1);
}

#[test]
fn stopping_kills_a_margin_before_the_grace_period_ends() {
    let options = "--delay 200ms --grace-period 1500ms --margin 500ms --log-format json";
    let run = pid1().options(options).fixture("listen --until SIGUSR1");
    run.hears("ready");
    let began_at = run.signal(libc::SIGTERM);
    assert_after(began_at, run.hears("got SIGTERM").at, 200 * MS);
    let ended = run.ends();
    assert_after(began_at, ended.at, SECOND);
    assert_eq!(ended.code, 137, "{}", ended.all());
    let killed_at = at_ms(&ended, "killed_at_ms");
    assert!((1000..1500).contains(&killed_at), "{killed_at}");
    assert!((200..1000).contains(&at_ms(&ended, "forwarded_at_ms")));
    assert_eq!(ended.report()["killed"]["count"], 1);
}

#[test]
fn without_a_delay_the_kill_comes_at_its_time() {
    let options = "--grace-period 800ms --margin 300ms --log-format json";
    let run = pid1().options(options).fixture("listen --until SIGUSR1");
    run.hears("ready");
    let began_at = run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_after(began_at, ended.at, 500 * MS);
    assert_eq!(ended.code, 137);
    assert_order(&ended, &["got SIGTERM", "sent SIGKILL"]);
}

#[test]
fn stopping_ends_with_the_main_child_and_its_status() {
    let options = "--delay 100ms --grace-period 30s --log-format json";
    let run = pid1().options(options).fixture("listen --drain 300 --code 3");
    run.hears("ready");
    let began_at = run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_after(began_at, ended.at, 400 * MS);
    assert_eq!(ended.code, 3);
    let report = ended.report();
    assert!(report["killed_at_ms"].is_null(), "{report}");
    assert!(at_ms(&ended, "drain_ms") >= 300);
}

#[test]
fn without_a_grace_period_nobody_is_killed() {
    let run = pid1().options("--delay 100ms").fixture("listen --until SIGUSR1 --code 7");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    run.hears("no SIGKILL (no --grace-period is given)");
    run.hears("got SIGTERM");
    eventually("the init to sleep with no deadline", || {
        (patience(run.pid())? == "0x0").then_some(())
    });
    run.signal(libc::SIGUSR1);
    assert_eq!(run.ends().code, 7);
}

/// The third argument of the rt_sigtimedwait(2) in which it sleeps: until when.
fn patience(pid: i32) -> Option<String> {
    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?;
    let mut words = call.split(' ');
    let number = words.next()?.parse().ok();
    if number == Some(libc::SYS_rt_sigtimedwait) { words.nth(2).map(str::to_owned) } else { None }
}

/// As a cgroup's freezer does, or a laptop's lid.
fn freeze(run: &Run) {
    let pid = run.pid();
    send(pid, libc::SIGSTOP);
    eventually("the init to freeze", || (process_state(pid) == 'T').then_some(()));
}

#[test]
fn a_signal_rewritten_to_0_is_held_dropped_and_the_kill_stands() {
    let options = "--delay 300ms --grace-period 1500ms --margin 500ms --rewrite TERM:0";
    let run = pid1().options(options).options("--log-format json").fixture("listen");
    run.hears("ready");
    let began_at = run.signal(libc::SIGTERM);
    let dropped = run.hears("\"dropped_by_rewrite\"");
    assert_after(began_at, dropped.at, 300 * MS);
    let ended = run.ends();
    assert_after(began_at, ended.at, SECOND);
    assert_eq!(ended.code, 137);
    assert_eq!(ended.app().len(), 1, "{}", ended.all());
    let report = ended.report();
    assert!(report["forwarded_at_ms"].is_null(), "{report}");
    assert!(at_ms(&ended, "held_ms") >= 300);
    assert!((1000..1500).contains(&at_ms(&ended, "killed_at_ms")));
}

#[test]
fn a_rewritten_stop_signal_is_held_and_forwarded_as_the_other() {
    let options = "--delay 300ms --rewrite TERM:QUIT --log-format json";
    let run = pid1().options(options).fixture("listen --until SIGQUIT");
    run.hears("ready");
    let began_at = run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_after(began_at, ended.at, 300 * MS);
    assert_eq!(ended.app()[1..], ["got SIGQUIT"]);
    assert_eq!(ended.report()["signal"], "SIGTERM");
    assert_eq!(ended.report()["forwarded_signal"], "SIGQUIT");
}

#[test]
fn what_a_signal_is_rewritten_to_begins_no_shutdown() {
    let run = pid1().options("--delay 1h --rewrite HUP:TERM").fixture("listen");
    run.hears("ready");
    run.signal(libc::SIGHUP);
    let ended = run.ends();
    assert_eq!(ended.app()[1..], ["got SIGTERM"]);
}

#[test]
fn a_late_wake_up_forwards_and_then_kills() {
    let options = "--delay 200ms --grace-period 1200ms --margin 500ms --log-format json";
    let run = pid1().options(options).fixture("listen --until SIGUSR1");
    run.hears("ready");
    let began_at = run.signal(libc::SIGTERM);
    let plan = run.hears("\"stop_signal\"");
    freeze(&run);
    let frozen_in_time = plan.at.elapsed() < 200 * MS;
    wait_until(plan.at + 700 * MS);
    run.signal(libc::SIGCONT);
    let ended = run.ends();
    assert_after(began_at, ended.at, 700 * MS);
    assert_eq!(ended.code, 137);
    assert_order(&ended, &["\"stop_signal\"", "\"forwarded\"", "\"killed\""]);
    assert!(ended.log().last().is_some_and(|last| last.contains("\"report\"")), "{ended}");
    assert!(!frozen_in_time || at_ms(&ended, "forwarded_at_ms") >= 700, "{}", ended.all());
}

/// 6.4: what SIGKILL has ended in time, while a signal with a lower number than SIGCHLD came.
#[test]
fn a_late_wake_up_sees_who_has_ended_before_it_gives_up() {
    const HALF_THE_MARGIN: Duration = Duration::from_secs(2);
    let options = "--grace-period 5s --margin 4s --log-format json";
    let run = pid1().options(options).fixture("listen --until SIGUSR1");
    run.hears("ready");
    // It stops on its way out until the tracer, which is this thread, lets it go.
    let app = Pid::from_raw(run.main_pid());
    ptrace::seize(app, ptrace::Options::PTRACE_O_TRACEEXIT).expect("a tracee");
    run.signal(libc::SIGTERM);
    let killed = run.hears("\"killed\"");
    freeze(&run);
    eventually("the app's way out", || {
        let stopped = waitpid(app, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL));
        matches!(stopped, Ok(WaitStatus::PtraceEvent(..))).then_some(())
    });
    ptrace::detach(app, None).expect("a tracee");
    eventually("the end of the app", || (process_state(app.as_raw()) == 'Z').then_some(()));
    run.signal(libc::SIGTERM);
    let was_in_time = killed.at.elapsed() < HALF_THE_MARGIN;
    wait_until(killed.at + HALF_THE_MARGIN + 100 * MS);
    run.signal(libc::SIGCONT);
    let ended = run.ends();
    assert!(!was_in_time || !ended.said("gave_up"), "{ended}");
    assert_eq!(ended.report()["survivors"]["count"], 0, "{ended}");
}

#[test]
fn the_plan_survives_an_init_that_is_killed_early() {
    let run = pid1().options("--delay 15s --grace-period 1m").fixture("listen");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    run.hears("forwarding it at +15s, SIGKILL at +59s");
    run.signal(libc::SIGKILL);
    let ended = run.ends();
    let ours = ended.log().into_iter().filter(|line| line.starts_with("reprieve"));
    assert_eq!(ours.count(), 1, "{}", ended.all());
}

#[test]
fn sweeping_ends_a_margin_before_the_grace_period_after_a_stop() {
    let options = "--grace-period 1500ms --margin 500ms --log-format json";
    let run = pid1().options(options).fixture("leave child --until SIGUSR2");
    run.hears_times("ready", 2);
    let began_at = run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_after(began_at, ended.at, SECOND);
    // The status is the main child's.
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_eq!(ended.times("left got SIGTERM"), 1);
    assert!((1000..1500).contains(&at_ms(&ended, "killed_at_ms")));
}

#[test]
fn sweeping_takes_no_more_time_for_a_stop_signal() {
    let options = "--grace-period 2s --margin 500ms --log-format json";
    let run = pid1().options(options).fixture("leave child --until SIGUSR2");
    run.hears_times("ready", 2);
    run.signal(libc::SIGUSR1);
    let swept = run.hears("left got SIGTERM");
    wait_until(swept.at + 500 * MS);
    run.signal(libc::SIGTERM);
    run.hears("nothing more is sent to the leftovers; SIGKILL at +1.5s");
    let ended = run.ends();
    assert_eq!(ended.times("left got SIGTERM"), 1, "{}", ended.all());
    assert!((1500..2000).contains(&at_ms(&ended, "killed_at_ms")));
}

/// An app that the init may not signal: it has another uid, and we have no CAP_KILL.
fn untouchable(options: &str) -> Run {
    pid1()
        .options(options)
        .through("exec setpriv --bounding-set=-kill --inh-caps=-kill -- \"$@\"")
        .app(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
                .map(String::from)
                .into_iter()
                .chain([fixture().to_string_lossy().into_owned(), "listen".into()]),
        )
}

#[test]
#[ignore = "needs root: the app changes its uid: cargo test --test pid1 -- --ignored"]
fn what_cannot_be_killed_is_waited_for_no_longer_than_half_the_margin() {
    let run = untouchable("--grace-period 1500ms --margin 1s --log-format json");
    run.hears("ready");
    let began_at = run.signal(libc::SIGTERM);
    run.hears("\"killed\"");
    // Nothing is left that it could change.
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_after(began_at, ended.at, SECOND);
    let report = ended.report();
    assert_eq!(report["repeated_stop_signals"], 0, "{report}");
    let total = at_ms(&ended, "total_ms");
    assert!((1000..1500).contains(&total), "{report}");
    assert_eq!(report["survivors"]["count"], 1, "{report}");
    assert_eq!(report["survivors"]["first"][0]["command"], "fixture");
    assert_eq!(ended.code, 137);
    assert!(!ended.said("got"));
}
