//! Masters have their workers to themselves while they live.

use nix::libc;

use super::*;

const SESSIONS: [&str; 2] = ["", " --session own"];

/// Waits for master and worker.
fn are_ready(run: &Run) {
    run.ready("master ");
    run.ready("worker ");
}

#[track_caller]
fn assert_job_is_done(ended: &Ended, what: &str) {
    assert_eq!(ended.times("worker got"), 0, "{what}: signalled behind its master's back: {ended}");
    assert_eq!(ended.times("master got SIGTERM"), 1, "{what}: {ended}");
    assert!(ended.said("worker finished") && ended.said("master finished"), "{what}: {ended}");
    assert_eq!(ended.report()["killed"]["count"], 0, "{what}: {ended}");
}

#[test]
fn a_worker_behind_a_master_behind_a_shell_finishes_its_job() {
    let forms = [("exec $M", 0), ("$M; true", 143), ("$M & wait", 143), ("sh -c '$M; :'; :", 143)];
    at_once(
        SESSIONS.iter().flat_map(|session| forms.map(|form| (*session, form))),
        |(session, (form, code))| {
            let script = form.replace("$M", &format!("$FIXTURE master --work 300{session}"));
            let run = json().shell(&["sh"], &script);
            are_ready(&run);
            run.signal(libc::SIGTERM);
            let ended = run.ends();
            assert_job_is_done(&ended, &script);
            assert_eq!(ended.code, code, "{script}: {ended}");
        },
    );
}

/// As a subreaper, where none of them becomes the child of PID 1.
#[test]
fn below_pid_1_it_is_the_same() {
    for form in ["exec $M", "$M; true", "$M & wait"] {
        let script = form.replace("$M", "$FIXTURE master --work 300 --session own");
        let run = laptop().options("--log-format json --grace-period 20s");
        let run = run.shell(&["sh"], &script);
        are_ready(&run);
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_job_is_done(&ended, &script);
    }
}

/// A daemon is its own master, whatever is done with leftovers.
#[test]
fn a_worker_behind_a_master_that_became_a_daemon_finishes_its_job() {
    at_once(
        SESSIONS.iter().flat_map(|session| ["stop", "wait"].map(|how| (*session, how))),
        |(session, how)| {
            let daemon = format!("(setsid $FIXTURE master --work 300{session} &)");
            let app = if how == "wait" { "exit 0" } else { "exec $FIXTURE listen --name app" };
            let init = json().options(&format!("--leftovers {how}"));
            let run = init.shell(&["sh"], &format!("{daemon}; {app}"));
            are_ready(&run);
            if how == "wait" {
                eventually("the daemon alone", || (children(run.pid()).len() == 1).then_some(()));
            } else {
                run.ready("app ");
            }
            run.signal(libc::SIGTERM);
            let ended = run.ends();
            assert_job_is_done(&ended, &format!("{how}{session}"));
            assert_eq!(ended.code, 0, "{how}: {ended}");
        },
    );
}

/// What a master leaves is signalled when it has ended.
#[test]
fn a_worker_whose_master_died_is_signalled_then() {
    let master = "$FIXTURE master --work 60000 --session own --hangs yes";
    let run = json().shell(&["sh"], &format!("{master}; true"));
    are_ready(&run);
    run.signal(libc::SIGTERM);
    run.hears("master got SIGTERM");
    let init = run.pid();
    eventually("the master to be topmost", || (children(init).len() == 1).then_some(()));
    assert!(!run.lines().iter().any(|line| line.text.contains("worker got")));
    send(children(init)[0], libc::SIGKILL);
    let ended = run.ends();
    assert_eq!(ended.times("worker got SIGTERM"), 1, "{ended}");
    assert_eq!(ended.code, 143, "{ended}");
}

/// With half of the time that is left, and no more than two seconds before SIGKILL.
#[test]
fn the_worker_of_a_master_that_hangs_hears_before_sigkill() {
    let forms = ["exec $M", "$M; true"];
    let times = [("--grace-period 2s --margin 1s", 500), ("--grace-period 6s --margin 1s", 3000)];
    at_once(
        forms.iter().flat_map(|form| times.map(|times| (*form, times))),
        |(form, (options, hears_after_ms))| {
            let script = form.replace("$M", "$FIXTURE master --session own --hangs yes");
            let run = without_grace().options(options).shell(&["sh"], &script);
            are_ready(&run);
            let began_at = run.signal(libc::SIGTERM);
            let heard = run.hears("worker got SIGTERM");
            assert_after(began_at, heard.at, hears_after_ms * MS);
            let ended = run.ends();
            let what = format!("{script} {options}");
            assert_eq!(ended.times("worker got SIGTERM"), 1, "{what}: {ended}");
            assert_eq!(ended.times("master got SIGTERM"), 1, "{what}: {ended}");
            // Both are gone by SIGKILL, the worker by itself.
            assert_eq!(ended.report()["killed"]["count"], 1, "{what}: {ended}");
            assert!(at_ms(&ended, "killed_at_ms") >= hears_after_ms.into(), "{what}: {ended}");
        },
    );
}

/// A trap that leaves a process behind in the middle of the sweep.
#[test]
fn what_is_forked_in_the_middle_of_a_sweep_is_signalled_too() {
    let script = "trap 'setsid $FIXTURE listen --name late & exit' TERM; echo app ready 3; \
                  while :; do :; done";
    let run = json().variable("SCRIPT", script).shell(&["sh"], "sh -c \"$SCRIPT\"; true");
    let ended = stop(run, libc::SIGTERM);
    // It may have died of the signal before it could catch it.
    assert!(ended.times("late got SIGTERM") <= 1, "{ended}");
    assert_eq!(ended.report()["killed"]["count"], 0, "{ended}");
    assert_eq!(ended.code, 143, "{ended}");
}

// Which signal.

#[test]
fn behind_a_shell_the_app_gets_the_rewritten_signal_if_it_catches_it() {
    at_once(
        [
            ("--until SIGQUIT", "SIGQUIT"),
            ("--default SIGQUIT", "SIGTERM"),
            ("--ignore SIGQUIT", "SIGTERM"),
        ],
        |(option, heard)| {
            let run = json().options("--rewrite TERM:QUIT");
            let run = run.shell(&["sh"], &format!("{APP} {option}; true"));
            let ended = stop(run, libc::SIGTERM);
            assert_heard_once(&ended, option, heard);
        },
    );
}

/// No shell dies of it, and none does anything with it: it is ignored by default. Apache drains on it.
#[test]
fn behind_a_shell_the_app_gets_a_signal_that_is_ignored_by_default() {
    let run = json().options("--rewrite TERM:WINCH");
    let ended = stop(run.shell(&["sh"], &format!("{APP} --until SIGWINCH; true")), libc::SIGTERM);
    assert_heard_once(&ended, "WINCH", "SIGWINCH");
    assert_eq!(ended.code, 0, "{ended}");
}

/// These three are a stop, and need no help.
#[test]
fn behind_a_shell_an_app_that_drains_after_sigquit_gets_no_sigterm() {
    let run = json().options("--rewrite TERM:QUIT");
    let script = "$FIXTURE listen --name app --once 1500 --until SIGQUIT --until SIGTERM; true";
    let ended = stop(run.shell(&["sh"], script), libc::SIGTERM);
    assert_heard_once(&ended, "QUIT", "SIGQUIT");
}

/// Nobody rewrites what was not forwarded: the shell died by itself.
#[test]
fn behind_a_shell_that_died_by_itself_the_app_gets_sigterm() {
    let run = json().options("--rewrite TERM:QUIT").shell(&["sh"], &format!("{APP}; true"));
    run.ready("app ");
    send(run.main_pid(), libc::SIGKILL);
    let ended = run.ends();
    assert_heard_once(&ended, "SIGKILL for the shell", "SIGTERM");
    assert_eq!(ended.code, 137, "{ended}");
}

/// Nor what was not forwarded yet.
#[test]
fn behind_a_shell_that_died_in_the_hold_the_app_gets_sigterm() {
    let run = json().options("--rewrite TERM:QUIT --delay 10s");
    let run = run.shell(&["sh"], &format!("{APP}; true"));
    run.ready("app ");
    run.signal(libc::SIGTERM);
    run.hears("\"stop_signal\"");
    send(run.main_pid(), libc::SIGKILL);
    let ended = run.ends();
    assert_heard_once(&ended, "SIGKILL for the shell", "SIGTERM");
    assert_eq!(ended.code, 137, "{ended}");
}

/// A daemon beside the app is a leftover, and gets SIGTERM whatever the app gets.
#[test]
fn a_daemon_gets_sigterm_where_the_app_gets_sigquit() {
    let daemon = "$FIXTURE listen --name daemon --once 100 --until SIGQUIT --until SIGTERM";
    let script = format!("(setsid {daemon} &); {APP} --until SIGQUIT; true");
    let run = json().options("--rewrite TERM:QUIT").shell(&["sh"], &script);
    run.ready("daemon ");
    let ended = stop(run, libc::SIGTERM);
    assert_heard_once(&ended, "beside a daemon", "SIGQUIT");
    let heard = (ended.times("daemon got SIGTERM"), ended.times("daemon got"));
    assert_eq!(heard, (1, 1), "{ended}");
}
