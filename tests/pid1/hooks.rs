//! Hooks: when they run, as what, and that none of them holds up the end.

use std::time::Duration;

use nix::libc;

use crate::harness::*;
use crate::pty::*;

/// A hook that listens under a name, and goes on until it gets SIGUSR1 from [`tell`].
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

/// Sends a signal from inside to one whose pid is the init's.
fn tell(run: &Run, signal: &str, pid: i32) {
    assert_eq!(run.enter(&["kill", "-s", signal, &pid.to_string()]).rest(), "");
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
    run.ready("");
    run.signal(libc::SIGTERM);
    let hook = run.ready("hook ");
    tell(&run, "USR1", hook);
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
    run.ready("");
    run.signal(libc::SIGTERM);
    let plan = run.hears("\"stop_signal\"");
    let hook = run.ready("hook ");
    wait_until(plan.at + 300 * MS);
    tell(&run, "USR1", hook);
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
    run.ready("");
    run.signal(libc::SIGTERM);
    let plan = run.hears("\"stop_signal\"");
    let hook = run.ready("hook ");
    wait_until(plan.at + 300 * MS);
    tell(&run, "USR1", hook);
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
    tell(&run, "USR1", hook);
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
        tell(&run, "USR1", hook);
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
    run.ready("");
    run.signal(libc::SIGTERM);
    let plan = run.hears("\"stop_signal\"");
    let hook = run.ready("hook ");
    wait_until(plan.at + SECOND);
    run.signal(libc::SIGTERM);
    run.hears("\"app_ended\"");
    tell(&run, "USR1", hook);
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
    run.ready("");
    run.signal(libc::SIGTERM);
    let hook = run.ready("hook ");
    run.signal(libc::SIGUSR1);
    run.hears("\"app_ended\"");
    tell(&run, "USR1", hook);
    let ended = run.ends();
    assert_app(&ended, &["got SIGUSR1", "hook got SIGUSR1", "the next", "after all"]);
    assert_eq!((ended.code, &ended.report()["hold_ended_by"]), (7, &"exit".into()));
    assert_eq!(ended.report()["left_over"]["count"], 0, "a hook is no leftover");
    assert_well(&ended);
}

#[test]
fn on_stop_runs_though_only_leftovers_hear_the_stop_signal() {
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
    tell(&run, "USR1", hook);
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
    tell(&run, "USR2", left);
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
    tell(&run, "USR1", hook);
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

// Their time

/// It is told with SIGTERM and killed a second later, with what is in its group.
#[test]
fn a_hook_has_so_long_and_its_group_with_it() {
    for init in [pid1, laptop] {
        let [hook, child] = ["hook", "child"].map(listening);
        let run = init()
            .options("--hook-timeout 500ms --log-format json")
            .option("--on-stop", script(&format!("{child} & exec {hook}")))
            .fixture("listen");
        run.ready("");
        let began_at = run.signal(libc::SIGTERM);
        run.ready("child ");
        let told = run.hears("hook got SIGTERM");
        assert_after(began_at, told.at, 500 * MS);
        run.hears("child got SIGTERM");
        let app = run.hears("got SIGTERM");
        assert!(app.at >= began_at);
        let ended = run.ends();
        assert_after(began_at, ended.at, 1500 * MS);
        assert_failed(
            &ended,
            "on-stop hook sh",
            "was killed by SIGKILL, for its --hook-timeout of 0.5s was over",
        );
        let report = ended.report();
        assert_eq!((ended.code, &report["left_over"]["count"]), (0, &0.into()), "{report}");
        assert_eq!(ended.app().last(), Some(&"got SIGTERM"), "{}", ended.all());
    }
}

#[test]
fn a_hook_that_heeds_sigterm_is_late_all_the_same() {
    for (options, how) in [("", "exited with 0"), ("--code 4", "exited with 4")] {
        let hook = format!("{} listen --name hook {options}", fixture().display());
        let run = pid1()
            .options("--hook-timeout 300ms --log-format json")
            .option("--on-stop", hook)
            .fixture("listen");
        run.ready("");
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_app(&ended, &["hook got SIGTERM", "got SIGTERM"]);
        let why = format!("{how}, for its --hook-timeout of 0.3s was over");
        assert_failed(&ended, "on-stop hook", &why);
    }
}

#[test]
fn each_hook_has_its_own_time() {
    let late = format!("{} listen --name hook", fixture().display());
    let run = pid1()
        .options("--hook-timeout 400ms --log-format json")
        .option("--on-stop", late.clone())
        .option("--on-stop", late)
        .fixture("listen");
    run.ready("");
    let began_at = run.signal(libc::SIGTERM);
    run.hears_times("hook got SIGTERM", 2);
    let ended = run.ends();
    assert_after(began_at, ended.at, 800 * MS);
    assert_eq!(ended.report()["failed_hooks"]["count"], 2);
}

#[test]
fn a_hook_that_stops_itself_is_killed_when_its_time_is_over() {
    let run = pid1()
        .options("--hook-timeout 200ms --log-format json")
        .option("--on-stop", script("kill -STOP $$"))
        .fixture("listen");
    run.ready("");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_failed(&ended, "on-stop hook sh", "was killed by SIGKILL");
}

/// As one that hangs in the kernel: here it has another uid, and we have no CAP_KILL.
#[test]
#[ignore = "needs root: a hook changes its uid: cargo test --test pid1 -- --ignored"]
fn a_hook_that_cannot_be_killed_is_waited_for_no_longer() {
    let hook = "setpriv --reuid=65534 --regid=65534 --clear-groups";
    for option in ["--on-stop", "--on-exit"] {
        let run = pid1()
            .options("--grace-period 20s --hook-timeout 200ms --log-format json")
            .option(option, format!("{hook} {}", listening("hook")))
            .option(option, saying("the next"))
            .through("exec setpriv --bounding-set=-kill --inh-caps=-kill -- \"$@\"")
            .fixture("listen");
        run.ready("");
        let began_at = run.signal(libc::SIGTERM);
        let next = run.hears("the next");
        assert_after(began_at, next.at, 2200 * MS);
        run.hears("got SIGTERM");
        let ended = run.ends();
        assert_eq!((ended.code, ended.times("hook got")), (0, 0), "{}", ended.all());
        assert_failed(&ended, &format!("{} hook", &option[2..]), "was not ended by SIGKILL");
        assert_eq!(ended.report()["survivors"]["count"], 1, "{}", ended.all());
    }
}

#[test]
fn a_hook_that_leaves_its_group_is_killed_all_the_same() {
    // As PID 1 the app has the next pid.
    let hook = format!("{} join 2 --name hook --until SIGUSR1", fixture().display());
    let run = pid1()
        .options("--hook-timeout 300ms --log-format json")
        .option("--on-stop", hook)
        .fixture("listen");
    run.ready("");
    run.signal(libc::SIGTERM);
    run.hears("hook got SIGTERM");
    let ended = run.ends();
    assert_failed(&ended, "on-stop hook", "was killed by SIGKILL");
}

/// The kill comes as without hooks, and nothing outlives the grace period.
const DEADLINE: &str = "--grace-period 8s --margin 7s --hook-timeout 1h --log-format json";

#[test]
fn a_hanging_hook_does_not_move_the_kill_while_the_signal_is_held() {
    for init in [pid1, laptop] {
        let run = init()
            .options(DEADLINE)
            .option("--on-stop", listening("hook"))
            .option("--on-stop", saying("never"))
            .fixture("listen");
        assert!(run.hears("\"tight\"").text.contains("before it has heard"));
        run.ready("");
        let began_at = run.signal(libc::SIGTERM);
        run.ready("hook ");
        let ended = run.ends();
        assert_killed_in_time(began_at, &ended, SECOND, 8);
        assert_eq!(ended.code, 137, "{}", ended.all());
        assert_app(&ended, &[]);
        let failed = &ended.report()["failed_hooks"];
        assert_eq!(failed["count"], 2, "{}", ended.all());
        let whys = [0, 1].map(|n| failed["first"][n]["why"].as_str().expect("a reason"));
        assert!(whys.contains(&"was killed by SIGKILL") && whys.contains(&"was not run"));
        assert_eq!(ended.report()["killed"]["count"], 1, "the app alone is counted");
    }
}

#[test]
fn a_hanging_hook_does_not_move_the_kill_while_the_app_drains() {
    for init in [pid1, laptop] {
        let run = init()
            .options("--grace-period 9s --margin 7s --hook-timeout 1h --log-format json")
            .option("--on-stop", listening("hook"))
            .fixture("listen --until SIGUSR2");
        run.ready("");
        let began_at = run.signal(libc::SIGTERM);
        let plan = run.hears("\"stop_signal\"");
        run.ready("hook ");
        wait_until(plan.at + SECOND);
        run.signal(libc::SIGTERM);
        run.hears("got SIGTERM");
        let ended = run.ends();
        assert_killed_in_time(began_at, &ended, 2 * SECOND, 9);
        assert_eq!(ended.code, 137, "{}", ended.all());
        assert_failed(&ended, "on-stop hook", "was killed by SIGKILL");
    }
}

#[test]
fn a_hanging_hook_does_not_move_the_kill_after_the_app() {
    for init in [pid1, laptop] {
        let run = init()
            .options(DEADLINE)
            .option("--on-exit", listening("hook"))
            .option("--on-exit", saying("never"))
            .fixture("listen --code 3");
        run.ready("");
        let began_at = run.signal(libc::SIGTERM);
        run.ready("hook ");
        let ended = run.ends();
        assert_killed_in_time(began_at, &ended, SECOND, 8);
        assert_eq!(ended.code, 3, "{}", ended.all());
        assert_app(&ended, &["got SIGTERM"]);
        assert_eq!(ended.report()["failed_hooks"]["count"], 2, "{}", ended.all());
        assert_eq!(ended.report()["killed"]["count"], 0, "{}", ended.all());
    }
}

/// The kill at the deadline leaves half the margin for them.
#[test]
fn on_exit_runs_after_a_kill_too_and_not_for_ever() {
    for init in [pid1, laptop] {
        let run = init()
            .options(DEADLINE)
            .option("--on-exit", saying("after all"))
            .option("--on-exit", listening("hook"))
            .fixture("listen --until SIGUSR2");
        run.ready("");
        let began_at = run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_killed_in_time(began_at, &ended, 4500 * MS, 8);
        assert_eq!(ended.code, 137, "{}", ended.all());
        assert_order(&ended, &["after all", "hook ready"]);
        assert!(ended.said("sent SIGKILL to fixture"), "{}", ended.all());
        assert_failed(&ended, "on-exit hook", "was killed by SIGKILL");
    }
}

#[test]
fn a_stop_signal_in_on_exit_sets_the_kill() {
    let run = pid1()
        .options(DEADLINE)
        .option("--on-exit", listening("hook"))
        .fixture("listen --until SIGUSR1 --code 3");
    run.ready("");
    run.signal(libc::SIGUSR1);
    run.ready("hook ");
    let began_at = run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_killed_in_time(began_at, &ended, SECOND, 8);
    assert_eq!(ended.code, 3, "{}", ended.all());
}

// What they leave behind

/// Leaves a daemon that does not heed SIGTERM, and waits until it is one.
fn leaving(folder: &Folder, how: &str) -> String {
    let path = folder.path("daemon");
    let path = path.display();
    let daemon =
        format!("sh -c \"trap : TERM; echo \\$\\$ > {path}; while :; do sleep 1000; done\"");
    let wait = format!("until [ -s {path} ]; do sleep 0.01; done");
    script(&match how {
        "child" => format!("{daemon} & {wait}"),
        "session" => format!("setsid {daemon} & {wait}"),
        "daemon" => format!("(setsid {daemon} &); {wait}"),
        "alive" => format!("(setsid {daemon} &); {wait}; exec sleep 1000"),
        other => panic!("{other}"),
    })
}

fn left(folder: &Folder) -> i32 {
    let pid = std::fs::read_to_string(folder.path("daemon")).expect("a pid");
    pid.trim().parse().expect("a pid")
}

#[test]
fn what_on_exit_leaves_behind_is_killed_at_once() {
    for how in ["child", "session", "daemon"] {
        let folder = Folder::new();
        let run = laptop()
            .options(PATIENT)
            .option("--on-exit", leaving(&folder, how))
            .fixture("listen --code 3");
        run.ready("");
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!((ended.code, process_state(left(&folder))), (3, '0'), "{how}: {}", ended.all());
        let folder = Folder::new();
        let run = pid1()
            .options(PATIENT)
            .option("--on-exit", leaving(&folder, how))
            .fixture("listen --code 3");
        run.ready("");
        run.signal(libc::SIGTERM);
        assert_eq!(run.ends().code, 3, "{how}");
    }
}

#[test]
fn what_on_stop_leaves_behind_is_a_leftover() {
    for how in ["child", "session", "daemon"] {
        for init in [pid1, laptop] {
            let folder = Folder::new();
            let run = init()
                .options("--grace-period 8s --margin 5s --log-format json")
                .option("--on-stop", leaving(&folder, how))
                .option("--on-exit", saying("after all"))
                .fixture("listen --code 3");
            run.ready("");
            let began_at = run.signal(libc::SIGTERM);
            run.hears("\"swept\"");
            let ended = run.ends();
            assert_killed_in_time(began_at, &ended, 3 * SECOND, 8);
            assert_eq!(ended.code, 3, "{how}: {}", ended.all());
            assert_order(&ended, &["\"swept\"", "\"killed\"", "on-exit hook echo exited with 0"]);
            assert!(ended.report()["left_over"]["count"].as_u64() >= Some(1), "{}", ended.all());
            if !ended.said("from outside the container") {
                assert_eq!(process_state(left(&folder)), '0', "{how}: {}", ended.all());
            }
        }
    }
}

/// Both the hook and its daemon hang.
#[test]
fn nothing_of_a_hanging_hook_outlives_a_subreaper() {
    for option in ["--on-stop", "--on-exit"] {
        let folder = Folder::new();
        let run =
            laptop().options(DEADLINE).option(option, leaving(&folder, "alive")).fixture("listen");
        run.ready("");
        let began_at = run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_killed_in_time(began_at, &ended, SECOND, 8);
        assert_eq!(process_state(left(&folder)), '0', "{option}: {}", ended.all());
    }
}

#[test]
fn a_hook_does_not_outlive_a_subreaper_that_is_killed() {
    let run = laptop().options(PATIENT).option("--on-stop", listening("hook")).fixture("listen");
    let app = run.ready("");
    run.signal(libc::SIGTERM);
    let hook = run.ready("hook ");
    run.signal(libc::SIGKILL);
    eventually("the hook's end", || ['0', 'Z'].contains(&process_state(hook)).then_some(()));
    // The app does, as under any other init that is no PID 1.
    send(app, libc::SIGKILL);
}

/// A hook's children that end are reaped as all else is.
#[test]
fn no_zombie_stays() {
    let run = pid1()
        .options(PATIENT)
        .option("--on-stop", script("(sleep 0 &) ; (sleep 0 &) ; true"))
        .option("--on-stop", listening("hook"))
        .fixture("listen");
    run.ready("");
    run.signal(libc::SIGTERM);
    let hook = run.ready("hook ");
    eventually("the app and a hook, and no other child", || {
        let left = children(run.pid());
        (left.len() == 2 && left.iter().all(|pid| process_state(*pid) != 'Z')).then_some(())
    });
    tell(&run, "USR1", hook);
    assert_eq!(run.ends().code, 0);
}

// Signals for the app

#[test]
fn the_signals_for_the_app_do_not_reach_hooks() {
    for (init, options) in [(pid1 as fn() -> Init, ""), (pid1, "-g"), (laptop, ""), (laptop, "-g")]
    {
        let run = init()
            .options(ENDLESS)
            .options(options)
            .option("--on-stop", listening("hook"))
            .fixture("listen");
        run.ready("");
        run.signal(libc::SIGTERM);
        let plan = run.hears("\"stop_signal\"");
        let hook = run.ready("hook ");
        for (signal, name) in
            [(libc::SIGHUP, "SIGHUP"), (libc::SIGUSR2, "SIGUSR2"), (libc::SIGINT, "SIGINT")]
        {
            run.signal(signal);
            run.hears(&format!("got {name}"));
        }
        wait_until(plan.at + SECOND);
        run.signal(libc::SIGTERM);
        run.hears("\"app_ended\"");
        match run.is_pid1 {
            true => tell(&run, "USR1", hook),
            false => send(hook, libc::SIGUSR1),
        }
        let ended = run.ends();
        let got = ["got SIGHUP", "got SIGUSR2", "got SIGINT", "got SIGTERM", "hook got SIGUSR1"];
        assert_app(&ended, &got);
    }
}

/// A sweep and what is forwarded to leftovers are not for hooks either.
#[test]
fn a_hook_is_not_swept_with_the_leftovers() {
    let run = pid1()
        .options(ENDLESS)
        .option("--on-stop", listening("hook"))
        .fixture("leave daemon --until SIGUSR2");
    run.hears_times("ready", 2);
    run.signal(libc::SIGTERM);
    let hook = run.ready("hook ");
    run.signal(libc::SIGUSR1);
    run.hears("left got SIGTERM");
    run.signal(libc::SIGHUP);
    run.hears("left got SIGHUP");
    run.signal(libc::SIGUSR2);
    run.hears("left got SIGUSR2");
    tell(&run, "USR1", hook);
    let ended = run.ends();
    assert_eq!(ended.times("hook got"), 1, "{}", ended.all());
    assert!(ended.said("hook got SIGUSR1"));
    assert_eq!(ended.report()["left_over"]["count"], 1, "{}", ended.all());
}

/// They leave no leftovers; a hook is none.
#[test]
fn leftovers_that_are_killed_at_once_do_not_take_the_hooks_along() {
    for init in [pid1, laptop] {
        let run = init()
            .options(ENDLESS)
            .options("--leftovers kill")
            .option("--on-stop", listening("hook"))
            .fixture("leave daemon --until SIGUSR2");
        run.hears_times("ready", 2);
        run.signal(libc::SIGTERM);
        let hook = run.ready("hook ");
        run.signal(libc::SIGUSR1);
        run.hears("\"app_ended\"");
        match run.is_pid1 {
            true => tell(&run, "USR1", hook),
            false => send(hook, libc::SIGUSR1),
        }
        let ended = run.ends();
        assert!(ended.said("hook got SIGUSR1"), "{}", ended.all());
        assert_well(&ended);
    }
}

#[test]
fn ctrl_c_on_a_terminal_does_not_reach_hooks() {
    let mut command = reprieve();
    command.args(["--delay", "1h", "--hook-timeout", "1h", "--on-stop", &listening("hook")]);
    command.arg("--").arg(fixture()).args(["listen", "--until", "SIGINT"]);
    let pty = Pty::start(command, Output::Terminal);
    pty.ready("");
    send(pty.pid(), libc::SIGTERM);
    let hook = pty.ready("hook ");
    pty.types(CTRL_C);
    pty.hears("got SIGINT");
    pty.hears("exited with 0");
    send(hook, libc::SIGUSR1);
    let (code, said) = pty.ends();
    assert_eq!((code, said.matches("hook got").count()), (0, 1), "{said}");
    assert!(said.contains("hook got SIGUSR1"), "{said}");
}
