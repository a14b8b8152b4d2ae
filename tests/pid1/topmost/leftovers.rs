//! When it is over: what no deadline bounds, what may not be signalled, and what is stopped.

use nix::libc;

use super::*;

/// A daemon beside the app, which ignores SIGTERM.
const DEAF: &str = "(setsid $FIXTURE listen --name left --ignore SIGTERM &)";

/// Its process is ours, and not in the middle of becoming it.
fn deaf_is_ours(run: &Run) {
    run.ready("left ");
    eventually("a daemon beside the app", || (children(run.pid()).len() == 2).then_some(()));
}

#[test]
fn without_a_grace_period_what_ignores_sigterm_is_killed_five_seconds_after_the_app() {
    at_once([("", 0), ("; true", 143)], |(end, code)| {
        let exec = if end.is_empty() { "exec " } else { "" };
        let script = format!("{DEAF}; {exec}$FIXTURE listen --name app --once 1500{end}");
        let run = without_grace().shell(&["sh"], &script);
        deaf_is_ours(&run);
        run.ready("app ");
        let began_at = run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_after(began_at, ended.at, 6500 * MS);
        assert!(ended.said("app finished"), "{ended}");
        assert_eq!(ended.code, code, "{ended}");
        assert_eq!(ended.report()["killed"]["count"], 1, "{ended}");
    });
}

#[test]
fn without_a_grace_period_an_app_behind_a_shell_may_drain_for_long() {
    at_once(["stop", "wait", "kill"], |how| {
        let script = "$FIXTURE listen --name app --once 7000; true";
        let run = without_grace().options(&format!("--leftovers {how}")).shell(&["sh"], script);
        let ended = stop(run, libc::SIGTERM);
        assert_heard_once(&ended, how, "SIGTERM");
        assert_eq!(ended.code, 143, "{how}: {ended}");
    });
}

/// It is for leftovers, and the app behind a shell is none.
#[test]
fn with_kill_a_daemon_is_killed_when_the_app_behind_the_shell_has_ended() {
    let script = format!("{DEAF}; {APP}; true");
    let run = without_grace().options("--leftovers kill").shell(&["sh"], &script);
    deaf_is_ours(&run);
    let ended = stop(run, libc::SIGTERM);
    assert!(ended.said("app finished"), "{ended}");
    assert_eq!(ended.times("app got"), 1, "{ended}");
    assert_eq!(ended.times("left got SIGTERM"), 0, "{ended}");
    assert_eq!(ended.report()["killed"]["count"], 1, "{ended}");
}

/// After a stop, and after an exit by itself.
#[test]
fn leftovers_timeout_says_how_long_they_have() {
    let option = |init: Init| init.options("--leftovers-timeout 1s");
    let variable = |init: Init| init.variable("REPRIEVE_LEFTOVERS_TIMEOUT", "1s");
    let with_grace = |init: Init| init.options("--leftovers-timeout 1s --grace-period 2h");
    let sets: [fn(Init) -> Init; 3] = [option, variable, with_grace];
    at_once(
        sets.iter().flat_map(|set| [libc::SIGTERM, libc::SIGUSR1].map(|end| (*set, end))),
        |(set, end)| {
            let script =
                format!("{DEAF}; exec $FIXTURE listen --name app --until SIGTERM --until SIGUSR1");
            let run = set(without_grace()).shell(&["sh"], &script);
            deaf_is_ours(&run);
            run.ready("app ");
            let began_at = run.signal(end);
            let ended = run.ends();
            assert_after(began_at, ended.at, SECOND);
            let killed_at = at_ms(&ended, "killed_at_ms");
            assert!((1000..4500).contains(&killed_at), "{ended}");
            assert_eq!(ended.report()["killed"]["count"], 1, "{ended}");
        },
    );
}

/// More than the five seconds that are the default.
#[test]
fn leftovers_timeout_none_gives_them_all_the_time() {
    at_once([libc::SIGTERM, libc::SIGUSR1], |end| {
        let left = "(setsid $FIXTURE listen --name left --once 6500 &)";
        let script =
            format!("{left}; exec $FIXTURE listen --name app --until SIGTERM --until SIGUSR1");
        let run = without_grace().options("--leftovers-timeout none").shell(&["sh"], &script);
        deaf_is_ours(&run);
        run.ready("app ");
        run.signal(end);
        let ended = run.ends();
        assert!(ended.said("left finished"), "{ended}");
        assert_eq!(ended.report()["killed"]["count"], 0, "{ended}");
    });
}

/// Image and manifest are written by different people: it is no error.
#[test]
fn a_leftovers_timeout_that_cannot_be_used_is_a_warning() {
    for options in [
        "--leftovers-timeout 1h --grace-period 3s --margin 1s",
        "--leftovers-timeout 1s --leftovers wait",
    ] {
        let run = pid1().options(options).fixture("listen --code 7");
        run.ready("");
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!(ended.code, 7, "{options}: {ended}");
        let log = ended.log();
        let warned = |line: &&str| line.contains("warn: ") && line.contains("leftovers-timeout");
        assert_eq!(log.into_iter().filter(warned).count(), 1, "{options}: {ended}");
    }
    // As it is, by default or asked for, nothing is to be warned of.
    for options in ["--leftovers wait", "--grace-period 3s --margin 1s", "--leftovers-timeout 1s"] {
        let run = pid1().options(options).fixture("listen");
        run.ready("");
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert!(!ended.said("leftovers-timeout"), "{options}: {ended}");
    }
}

/// The kill deadline counts where it is earlier.
#[test]
fn the_earlier_of_leftovers_timeout_and_the_deadline_counts() {
    let options = "--leftovers-timeout 1h --grace-period 1500ms --margin 500ms";
    let script = format!("{DEAF}; exec $FIXTURE listen --name app");
    let run = without_grace().options(options).shell(&["sh"], &script);
    deaf_is_ours(&run);
    let ended = stop(run, libc::SIGTERM);
    let killed_at = at_ms(&ended, "killed_at_ms");
    assert!((1000..1500).contains(&killed_at), "{ended}");
}

// What may not be signalled.

const WITHOUT_KILL: &str = "exec setpriv --bounding-set=-kill --inh-caps=-kill -- \"$@\"";
const NOBODY: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups";

#[test]
#[ignore = "needs root: a process changes its uid: cargo test --test pid1 -- --ignored"]
fn what_we_may_not_signal_does_not_keep_us() {
    at_once([libc::SIGTERM, libc::SIGUSR1], |end| {
        let script = format!(
            "(setsid {NOBODY} $FIXTURE listen --name left &); \
             exec $FIXTURE listen --name app --until SIGTERM --until SIGUSR1"
        );
        let run = without_grace().options("--grace-period 1h").through(WITHOUT_KILL);
        let run = run.shell(&["sh"], &script);
        deaf_is_ours(&run);
        run.ready("app ");
        let began_at = run.signal(end);
        let ended = run.ends();
        // At once, and not when some time is over.
        assert_after(began_at, ended.at, NOW);
        assert_eq!((ended.code, ended.times("left got")), (0, 0), "{ended}");
    });
}

#[test]
#[ignore = "needs root: a process changes its uid: cargo test --test pid1 -- --ignored"]
fn the_children_of_what_we_may_not_signal_hear_and_may_finish() {
    let left = format!(
        "$FIXTURE listen --name child --once 500 & exec {NOBODY} $FIXTURE listen --name left"
    );
    let script = format!("(setsid sh -c '{left}' &); exec $FIXTURE listen --name app");
    let run = without_grace().options("--grace-period 1h").through(WITHOUT_KILL);
    let run = run.shell(&["sh"], &script);
    deaf_is_ours(&run);
    run.ready("child ");
    let ended = stop(run, libc::SIGTERM);
    let heard =
        ["child got SIGTERM", "child finished", "left got SIGTERM"].map(|part| ended.times(part));
    assert_eq!((heard, ended.code), ([1, 1, 0], 0), "{ended}");
}

/// The main child of another uid is looked through: sudo's child may be one of ours.
#[test]
#[ignore = "needs root: a process changes its uid: cargo test --test pid1 -- --ignored"]
fn behind_a_main_child_that_we_may_not_signal_the_app_hears_once() {
    let script = format!("{APP} & exec {NOBODY} sh -c 'echo main is ready 2; exec sleep 3'");
    let run = json().through(WITHOUT_KILL).shell(&["sh"], &script);
    run.hears("main is ready");
    run.ready("app ");
    run.signal(libc::SIGTERM);
    run.hears("app got SIGTERM");
    assert!(runs(run.main_pid()), "not before the main child had ended by itself");
    let ended = run.ends();
    assert_heard_once(&ended, "EPERM", "SIGTERM");
    assert_eq!(ended.code, 0, "{ended}");
}

#[test]
#[ignore = "needs root: a process changes its uid: cargo test --test pid1 -- --ignored"]
fn below_pid_1_the_report_lists_what_we_may_not_signal() {
    let script = format!("{NOBODY} $FIXTURE listen --name left & exec $FIXTURE listen --name app");
    let run = laptop().options("--log-format json --grace-period 1h").through(WITHOUT_KILL);
    let run = run.shell(&["sh"], &script);
    let left = run.ready("left ");
    run.ready("app ");
    let began_at = run.signal(libc::SIGTERM);
    let ended = run.ends();
    let survived = runs(left);
    send(left, libc::SIGKILL);
    assert_after(began_at, ended.at, NOW);
    assert!(survived && ended.code == 0, "{ended}");
    assert_eq!(ended.report()["left_over"]["count"], 1, "{ended}");
}

/// There they are waited for, signalled or not.
#[test]
#[ignore = "needs root: a process changes its uid: cargo test --test pid1 -- --ignored"]
fn with_wait_what_we_may_not_signal_is_waited_for() {
    let left = "sh -c 'echo left ready 4; sleep 1; echo left done'";
    let init = without_grace().options("--leftovers wait").through(WITHOUT_KILL);
    let run = init.shell(&["sh"], &format!("({NOBODY} {left} &); exit 7"));
    let ended = run.ends();
    assert!(ended.said("left done") && ended.code == 7, "{ended}");
}

// What is stopped.

#[test]
fn a_main_child_that_is_stopped_is_continued_after_the_stop_signal() {
    at_once(["exec ", ""], |exec| {
        let run = json().shell(&["sh"], &format!("{exec}{APP}; true"));
        run.ready("app ");
        let main = run.main_pid();
        send(main, libc::SIGSTOP);
        eventually("a main child that is stopped", || (process_state(main) == 'T').then_some(()));
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!(ended.times("app got SIGTERM"), 1, "{exec}: {ended}");
        assert_finished(&ended, exec);
    });
}

/// Behind a shell, beside the app, or the app itself.
#[test]
fn what_is_not_stopped_gets_no_sigcont() {
    let left = "(setsid $FIXTURE listen --name left --once 100 &)";
    at_once(["exec $APP", "$APP; true", "$LEFT; exec $APP", "$LEFT; $APP; true"], |form| {
        let script = form.replace("$APP", APP).replace("$LEFT", left);
        let run = json().shell(&["sh"], &script);
        if form.contains("LEFT") {
            deaf_is_ours(&run);
        }
        let ended = stop(run, libc::SIGTERM);
        assert_heard_once(&ended, form, "SIGTERM");
        assert_eq!(ended.times("got SIGCONT"), 0, "{form}: {ended}");
    });
}
