//! Hooks: when they run, and that none of them holds up the end (docs/behaviour.md, section 12).

mod leftovers;
mod signals;
mod timeouts;

use std::process::Command;
use std::time::Duration;

use nix::libc;

use crate::harness::*;
use crate::pty::*;

/// The kill comes as without hooks, and nothing outlives the grace period.
const DEADLINE: &str = "--grace-period 8s --margin 7s --hook-timeout 1h --log-format json";

/// A hook that listens under a name, and goes on until it gets SIGUSR1 from [`end_hook`].
pub fn listening(name: &str) -> String {
    format!("{} listen --name {name} --until SIGUSR1", fixture().display())
}

/// A hook that says this and ends.
pub fn saying(text: &str) -> String {
    format!("echo '{text}'")
}

/// A hook that is a script.
pub fn script(lines: &str) -> String {
    assert!(!lines.contains('\''), "it is quoted");
    format!("sh -c '{lines}'")
}

/// Sends a signal to a process whose pid the init's namespace has.
fn send_inside(run: &Run, signal: &str, pid: i32) {
    let kill = ["kill", "-s", signal, &pid.to_string()];
    if run.is_pid1 {
        assert_eq!(run.enter(&kill).rest(), "");
    } else {
        assert!(Command::new(kill[0]).args(&kill[1..]).status().expect("kill").success());
    }
}

/// Lets a listening hook end.
fn end_hook(run: &Run, hook: i32) {
    send_inside(run, "USR1", hook);
}

/// Stops an app that listens, and waits for the plan in the log and the listening hook.
#[track_caller]
fn stop(run: &Run) -> (Line, i32) {
    run.ready("");
    run.signal(libc::SIGTERM);
    (run.hears("\"stop_signal\""), run.ready("hook "))
}

/// The whole lines of the app and the hooks, which share a pipe.
#[track_caller]
pub fn assert_app(ended: &Ended, lines: &[&str]) {
    let said: Vec<&str> = ended.app().into_iter().filter(|line| !line.contains("ready ")).collect();
    assert_eq!(said, lines, "{}", ended.all());
}

/// No hook has failed.
#[track_caller]
pub fn assert_well(ended: &Ended) {
    assert_eq!(ended.report()["failed_hooks"]["count"], 0, "{}", ended.all());
}

/// One hook has failed, and the report says why.
#[track_caller]
pub fn assert_failed(ended: &Ended, hook: &str, why: &str) {
    let failed = &ended.report()["failed_hooks"];
    assert_eq!(failed["count"], 1, "{}", ended.all());
    let [said, because] = ["hook", "why"].map(|key| failed["first"][0][key].as_str());
    assert!(said.is_some_and(|said| said.starts_with(hook)), "{failed}");
    assert!(because.is_some_and(|because| because.contains(why)), "{failed}");
}

/// It was killed at this time after the stop signal, and was over before the grace period.
#[track_caller]
fn assert_killed_in_time(began_at: std::time::Instant, ended: &Ended, kill: Duration, grace: u64) {
    let took = ended.at.saturating_duration_since(began_at);
    assert!(took >= kill, "too early: {took:?}; {}", ended.all());
    assert!(took < Duration::from_secs(grace), "later than the grace period: {took:?}");
}

// The hold

#[test]
fn on_stop_runs_at_once_and_the_stop_signal_waits_for_it() {
    let run = pid1().options(PATIENT).option("--on-stop", listening("hook")).fixture("listen");
    let (_, hook) = stop(&run);
    end_hook(&run, hook);
    let ended = run.ends();
    // What the hook says, it says before it ends.
    assert_app(&ended, &["hook got SIGUSR1", "got SIGTERM"]);
    assert_eq!((ended.code, &ended.report()["hold_ended_by"]), (0, &"hooks".into()));
    assert!(ended.said("forwarding it once the hooks have ended"));
    assert_well(&ended);
}

#[test]
fn a_delay_that_is_shorter_than_the_hook_is_over_with_the_hook() {
    let options = "--delay 300ms --grace-period 2h --hook-timeout 1h --log-format json";
    let run = pid1().options(options).option("--on-stop", listening("hook")).fixture("listen");
    let (plan, hook) = stop(&run);
    wait_until(plan.at + 300 * MS);
    end_hook(&run, hook);
    let ended = run.ends();
    assert_app(&ended, &["hook got SIGUSR1", "got SIGTERM"]);
    assert_eq!(ended.report()["hold_ended_by"], "hooks");
    assert!(at_ms(&ended, "held_ms") >= 300);
}

#[test]
fn a_delay_that_is_longer_than_the_hook_lasts_as_without_it() {
    let options = "--delay 1s --grace-period 2h --log-format json";
    let run = pid1().options(options).option("--on-stop", saying("hook ran")).fixture("listen");
    run.ready("");
    let began_at = run.signal(libc::SIGTERM);
    assert_after(began_at, run.hears("got SIGTERM").at, SECOND);
    let ended = run.ends();
    assert_app(&ended, &["hook ran", "got SIGTERM"]);
    assert_order(&ended, &["\"hook_ended\"", "\"forwarded\""]);
    assert_eq!(ended.report()["hold_ended_by"], "delay");
}

/// Where nothing listens there is no traffic.
#[test]
fn a_quiet_hold_ends_with_the_hook() {
    let options = "--delay 200ms..1h --grace-period 2h --hook-timeout 1h --log-format json";
    let run = pid1().options(options).option("--on-stop", listening("hook")).fixture("listen");
    let (plan, hook) = stop(&run);
    wait_until(plan.at + 300 * MS);
    end_hook(&run, hook);
    let ended = run.ends();
    assert_app(&ended, &["hook got SIGUSR1", "got SIGTERM"]);
    assert_eq!(ended.report()["hold_ended_by"], "quiet");
}

#[test]
fn a_quiet_hold_lasts_its_shortest_time_though_the_hook_has_ended() {
    let options = "--delay 1s..1h --grace-period 2h --log-format json";
    let run = pid1().options(options).option("--on-stop", saying("hook ran")).fixture("listen");
    run.ready("");
    let began_at = run.signal(libc::SIGTERM);
    assert_after(began_at, run.hears("got SIGTERM").at, SECOND);
    assert_eq!(run.ends().report()["hold_ended_by"], "quiet");
}

/// Here the traffic is looked at.
#[test]
fn a_quiet_hold_of_a_server_ends_with_the_hook() {
    let options = "--delay 100ms..1h --quiet-window 200ms --grace-period 2h --hook-timeout 1h";
    let run = pid1()
        .options(options)
        .options("--log-format json")
        .option("--on-stop", listening("hook"))
        .app([network().to_str().expect("UTF-8"), "serve", "tcp:127.0.0.1:0"]);
    run.hears("serving");
    run.signal(libc::SIGTERM);
    let plan = run.hears("\"stop_signal\"");
    let hook = run.ready("hook ");
    wait_until(plan.at + 500 * MS);
    end_hook(&run, hook);
    let ended = run.ends();
    assert_eq!((ended.code, &ended.report()["hold_ended_by"]), (143, &"quiet".into()));
    assert!(!ended.report()["traffic"]["seen_by"].is_null(), "{}", ended.all());
}

#[test]
fn several_run_in_order_and_the_hold_lasts_until_the_last() {
    let run = pid1()
        .options(PATIENT)
        .option("--on-stop", listening("first"))
        .option("--on-stop", saying("second ran"))
        .option("--on-stop", listening("third"))
        .fixture("listen");
    run.ready("");
    run.signal(libc::SIGTERM);
    for name in ["first", "third"] {
        let hook = run.ready(&format!("{name} "));
        end_hook(&run, hook);
    }
    let ended = run.ends();
    assert_app(&ended, &["first got SIGUSR1", "second ran", "third got SIGUSR1", "got SIGTERM"]);
    assert_eq!(ended.times("\"hook_ended\""), 3);
    assert_well(&ended);
}

#[test]
fn a_second_stop_signal_ends_the_hold_and_not_the_hook() {
    let run = pid1()
        .options(ENDLESS)
        .option("--on-stop", listening("hook"))
        .option("--on-exit", saying("after all"))
        .fixture("listen");
    let (plan, hook) = stop(&run);
    wait_until(plan.at + SECOND);
    run.signal(libc::SIGTERM);
    run.hears("\"app_ended\"");
    end_hook(&run, hook);
    let ended = run.ends();
    assert_app(&ended, &["got SIGTERM", "hook got SIGUSR1", "after all"]);
    assert_eq!(ended.report()["hold_ended_by"], "hurry");
    assert_eq!(ended.report()["left_over"]["count"], 0, "a hook is no leftover");
    assert_well(&ended);
}

#[test]
fn an_app_that_ends_meanwhile_ends_the_hold_and_not_the_hooks() {
    let run = pid1()
        .options(ENDLESS)
        .option("--on-stop", listening("hook"))
        .option("--on-stop", saying("the next"))
        .option("--on-exit", saying("after all"))
        .fixture("listen --until SIGUSR1 --code 7");
    let (_, hook) = stop(&run);
    run.signal(libc::SIGUSR1);
    run.hears("\"app_ended\"");
    end_hook(&run, hook);
    let ended = run.ends();
    assert_app(&ended, &["got SIGUSR1", "hook got SIGUSR1", "the next", "after all"]);
    assert_eq!((ended.code, &ended.report()["hold_ended_by"]), (7, &"exit".into()));
    assert_eq!(ended.report()["left_over"]["count"], 0, "a hook is no leftover");
    assert_well(&ended);
}

#[test]
fn on_stop_runs_though_only_leftovers_get_the_stop_signal() {
    let run = pid1()
        .options(PATIENT)
        .options("--leftovers wait")
        .option("--on-stop", listening("hook"))
        .fixture("leave daemon");
    run.hears_times("ready", 2);
    run.signal(libc::SIGUSR1);
    run.hears("got SIGUSR1");
    eventually("the app's end", || (children(run.pid()).len() == 1).then_some(()));
    run.signal(libc::SIGTERM);
    // Nobody is there for whom it would be held back.
    run.hears("left got SIGTERM");
    let hook = run.ready("hook ");
    end_hook(&run, hook);
    let ended = run.ends();
    assert!(ended.said("forwarding it at once"), "{}", ended.all());
    assert_eq!(ended.report()["left_over"]["count"], 1, "{}", ended.all());
    assert_well(&ended);
}

#[test]
fn on_stop_runs_though_leftovers_of_a_crash_are_swept_already() {
    let run = pid1()
        .options(PATIENT)
        .option("--on-stop", saying("hook ran"))
        .fixture("leave daemon --until SIGUSR2");
    run.hears_times("ready", 2);
    send(run.main_pid(), libc::SIGKILL);
    let left = run.ready("left ");
    run.hears("left got SIGTERM");
    run.signal(libc::SIGTERM);
    run.hears("hook ran");
    run.signal(libc::SIGTERM);
    run.hears_times("nothing more is sent to the leftovers", 2);
    send_inside(&run, "USR2", left);
    let ended = run.ends();
    assert_eq!((ended.code, ended.times("hook ran")), (137, 1), "{}", ended.all());
    assert_well(&ended);
}

// After the app

/// The other processes that a hook sees; the shell forks for none of it.
const ALONE: &str = "for p in /proc/[0-9]*; do read -r comm < $p/comm; echo sees $comm; done";

#[test]
fn on_exit_runs_after_the_app_and_its_leftovers() {
    let run = pid1()
        .options(PATIENT)
        .option("--on-exit", script(ALONE))
        .option("--on-exit", saying("the next"))
        .fixture("leave daemon --drain 300");
    run.hears_times("ready", 2);
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    let said = ["left got SIGTERM", "sees reprieve", "sees sh", "the next"];
    assert_order(&ended, &said);
    assert_eq!((ended.code, ended.times("sees ")), (0, 2), "{}", ended.all());
    assert_well(&ended);
}

#[test]
fn on_exit_runs_without_a_stop_signal_too() {
    for (code, end) in [(0, "exit 0"), (3, "exit 3"), (137, "kill -KILL $$")] {
        let hook = script("echo $REPRIEVE_PHASE:$REPRIEVE_SIGNAL:$REPRIEVE_EXIT_CODE");
        let init = pid1().option("--on-exit", hook).option("--on-stop", saying("never"));
        let ended = init.shell(&["sh"], end).ends();
        assert_eq!(ended.code, code, "{}", ended.all());
        assert_app(&ended, &[&format!("on-exit::{code}")]);
    }
}

#[test]
fn a_stop_signal_in_on_exit_is_noted_and_does_not_reach_the_hook() {
    let run = pid1()
        .options(PATIENT)
        .option("--on-exit", listening("hook"))
        .fixture("listen --until SIGUSR1");
    run.ready("");
    run.signal(libc::SIGUSR1);
    let hook = run.ready("hook ");
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
        run.signal(signal);
    }
    run.hears("the app has ended already");
    end_hook(&run, hook);
    let ended = run.ends();
    assert_app(&ended, &["got SIGUSR1", "hook got SIGUSR1"]);
}

/// A program that came in by `docker exec` is none of ours: it is neither waited for nor in the way.
#[test]
fn a_visitor_does_not_hold_up_on_exit() {
    let run = pid1().options(PATIENT).option("--on-exit", saying("after all")).fixture("listen");
    run.ready("");
    let fixture = fixture();
    let mut visitor = run.enter(&[fixture.to_str().expect("UTF-8"), "listen", "--name", "visitor"]);
    assert!(visitor.line().starts_with("visitor ready"));
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_app(&ended, &["got SIGTERM", "after all"]);
    assert_eq!(ended.report()["left_over"]["count"], 0, "{}", ended.all());
    assert_eq!(visitor.rest(), "", "it is signalled by nobody but the kernel");
}
