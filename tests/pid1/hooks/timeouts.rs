//! Hooks that hang: each has its own time, and none of them moves the kill
//! (docs/behaviour.md, 12.3 and 12.4).

use super::*;

/// It is sent SIGTERM, and SIGKILL a second later, with what is in its group.
#[test]
fn a_late_hook_and_its_group_get_sigterm_and_then_sigkill() {
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
