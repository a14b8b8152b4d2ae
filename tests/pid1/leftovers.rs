//! Processes that outlive the main child (docs/behaviour.md, section 7).

use std::os::fd::AsFd;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::harness::*;

/// tini, dumb-init and catatonit leave them all to the kernel's SIGKILL, with no chance to finish:
/// peers.rs shows it.
fn are_signalled_once_and_may_drain(what: &str) {
    for (end, options) in [(libc::SIGUSR1, ""), (libc::SIGTERM, "--grace-period 30s")] {
        let run = pid1()
            .options(options)
            .options("-v --log-format json")
            .fixture(&format!("leave {what} --drain 300 --code 9"));
        is_left(&run, what);
        let began_at = run.signal(end);
        run.hears("left got SIGTERM");
        let ended = run.ends();
        assert_after(began_at, ended.at, 300 * MS);
        assert_eq!(ended.times("left got SIGTERM"), 1, "{what}: {}", ended.all());
        // The main child's, not 9.
        assert_eq!(ended.code, 0, "{what}: {}", ended.all());
        let report = ended.report();
        assert_eq!(report["left_over"]["count"], 1, "{what}: {report}");
        assert_eq!(report["killed"]["count"], 0, "{what}: {report}");
    }
}

/// Waits until the main child and what it will leave are both ready.
fn is_left(run: &Run, what: &str) {
    if what != "stopped" {
        run.hears_times("ready", 2);
        return;
    }
    let app = run.main_pid();
    run.until_said("the main child to be ready", |line| line.starts_with("ready "));
    eventually("the worker to stop", || {
        children(app).into_iter().any(|pid| process_state(pid) == 'T').then_some(())
    });
}

#[test]
fn a_worker_is_signalled_once_and_may_drain() {
    are_signalled_once_and_may_drain("child");
}

#[test]
fn an_orphan_is_signalled_once_and_may_drain() {
    are_signalled_once_and_may_drain("orphan");
}

#[test]
fn a_daemon_is_signalled_once_and_may_drain() {
    are_signalled_once_and_may_drain("daemon");
}

#[test]
#[ignore = "needs root: a process changes its uid: cargo test --test pid1 -- --ignored"]
fn a_process_of_another_uid_is_signalled_once_and_may_drain() {
    are_signalled_once_and_may_drain("nobody");
}

/// Under the others it is killed without having heard anything. peers.rs shows it.
#[test]
fn a_stopped_process_is_signalled_once_continued_and_may_drain() {
    are_signalled_once_and_may_drain("stopped");
}

#[test]
fn the_exit_code_is_that_of_the_main_child_that_was_killed() {
    let run = pid1().fixture("leave daemon --drain 200 --code 9");
    run.hears_times("ready", 2);
    send(run.main_pid(), libc::SIGKILL);
    run.hears("left got SIGTERM");
    let ended = run.ends();
    assert_eq!(ended.code, 137, "{}", ended.all());
    assert!(ended.said("not sent by reprieve: out of memory?"));
}

#[test]
fn after_a_voluntary_exit_they_have_five_seconds() {
    let run = pid1().options("--log-format json").fixture("leave child --until SIGUSR2");
    run.hears_times("ready", 2);
    let began_at = run.signal(libc::SIGUSR1);
    let ended = run.ends();
    assert_after(began_at, ended.at, 5000 * MS);
    assert_eq!(ended.code, 0);
    assert_eq!(ended.times("left got SIGTERM"), 1);
    let report = ended.report();
    assert_eq!(report["killed"]["count"], 1, "{report}");
    assert!(report["killed_at_ms"].as_u64() >= Some(5000), "{report}");
}

#[test]
fn after_a_voluntary_exit_they_have_the_grace_period_less_the_margin_if_that_is_less() {
    let options = "--grace-period 1s --margin 400ms --log-format json";
    let run = pid1().options(options).fixture("leave daemon --until SIGUSR2");
    run.hears_times("ready", 2);
    let began_at = run.signal(libc::SIGUSR1);
    let ended = run.ends();
    assert_after(began_at, ended.at, 600 * MS);
    let killed_at = ended.report()["killed_at_ms"].as_u64().expect("a kill");
    assert!((600..3000).contains(&killed_at), "{killed_at}");
}

#[test]
fn after_a_stop_they_have_what_is_left_of_the_grace_period() {
    let options = "--delay 200ms --grace-period 1500ms --margin 500ms --log-format json";
    let run = pid1().options(options).fixture("leave daemon --until SIGUSR2");
    run.hears_times("ready", 2);
    let began_at = run.signal(libc::SIGTERM);
    let told = run.hears("left got SIGTERM");
    assert_after(began_at, told.at, 200 * MS);
    let ended = run.ends();
    assert_after(began_at, ended.at, 1000 * MS);
    let killed_at = ended.report()["killed_at_ms"].as_u64().expect("a kill");
    assert!((1000..1500).contains(&killed_at), "{killed_at}");
}

#[test]
fn what_the_group_signal_reached_is_not_signalled_again() {
    for (what, times) in [("child", 1), ("daemon", 1), ("stopped", 1)] {
        let run = pid1().options("-g").fixture(&format!("leave {what} --drain 300"));
        is_left(&run, what);
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!(ended.code, 0, "{}", ended.all());
        assert_eq!(ended.times("left got SIGTERM"), times, "{what}: {}", ended.all());
        let in_group = what != "daemon";
        assert_eq!(ended.said("signalled already: fixture"), in_group, "{what}: {}", ended.all());
        assert_eq!(ended.said("sent SIGTERM to fixture"), !in_group, "{what}: {}", ended.all());
    }
}

#[test]
fn another_signal_to_the_group_is_no_stop_signal() {
    let run = pid1().options("-g").fixture("leave child --drain 100 --ignore SIGUSR1");
    run.hears_times("ready", 2);
    run.signal(libc::SIGUSR1);
    let ended = run.ends();
    assert_eq!(ended.times("left got SIGTERM"), 1, "{}", ended.all());
}

#[test]
fn a_visitor_is_not_signalled_not_waited_for_and_not_counted() {
    let run = pid1().options("-v --log-format json").fixture("leave daemon --drain 1500");
    run.hears_times("ready", 2);
    let path = fixture().to_string_lossy().into_owned();
    // One before the sweep with a worker of its own, and one in its middle.
    let mut early = run.enter(&[&path, "leave", "child"]);
    let lines = [early.line(), early.line()];
    assert!(lines.iter().all(|line| line.contains("ready")), "{lines:?}");
    run.signal(libc::SIGUSR1);
    run.hears("left got SIGTERM");
    let mut late = run.enter(&[&path, "listen", "--name", "late"]);
    assert!(late.line().starts_with("late ready"));
    // What is for the leftovers is not for visitors.
    run.signal(libc::SIGHUP);
    run.hears("left got SIGHUP");
    // While the visitors are still there.
    let ended = run.ends();
    assert_eq!(ended.code, 0, "{}", ended.all());
    let report = ended.report();
    assert_eq!(report["left_over"]["count"], 1, "{report}");
    assert_eq!(report["killed"]["count"], 0, "{report}");
    assert_eq!([early.rest(), late.rest()], ["", ""]);
}

#[test]
fn a_visitor_alone_is_not_left_over() {
    let run = pid1().fixture("listen --code 7");
    run.hears("ready");
    let path = fixture().to_string_lossy().into_owned();
    let mut visitor = run.enter(&[&path, "leave", "child"]);
    let lines = [visitor.line(), visitor.line()];
    assert!(lines.iter().all(|line| line.contains("ready")), "{lines:?}");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.code, 7);
    assert!(!ended.said("left over"), "{}", ended.all());
    assert_eq!(visitor.rest(), "");
}

#[test]
fn the_orphan_of_a_visitor_is_ours() {
    let run = pid1().fixture("listen");
    run.hears("ready");
    let path = fixture().to_string_lossy().into_owned();
    let mut visitor = run.enter(&[&path, "leave", "orphan", "--drain", "200"]);
    let lines = [visitor.line(), visitor.line()];
    assert!(lines.iter().all(|line| line.contains("ready")), "{lines:?}");
    let began_at = run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_after(began_at, ended.at, 200 * MS);
    assert!(visitor.rest().contains("left got SIGTERM"), "{}", ended.all());
}

#[test]
fn signals_during_the_sweep_go_to_them() {
    let run = pid1().fixture("leave daemon --until SIGUSR2");
    run.hears_times("ready", 2);
    run.signal(libc::SIGUSR1);
    run.hears("left got SIGTERM");
    for (signal, name) in [(libc::SIGHUP, "SIGHUP"), (RTMIN + 3, "SIGRTMIN+3")] {
        run.signal(signal);
        run.hears(&format!("left got {name}"));
    }
    run.signal(libc::SIGUSR2);
    let ended = run.ends();
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert!(ended.said("left got SIGUSR2"));
}

#[test]
fn with_wait_they_get_no_signal_and_have_no_limit() {
    let options = "--leftovers wait --grace-period 2s --log-format json";
    let run = pid1().options(options).fixture("leave daemon --until SIGUSR2");
    run.hears_times("ready", 2);
    let app = run.main_pid();
    run.signal(libc::SIGUSR1);
    eventually("the main child to be reaped", || status(app, "Pid").is_none().then_some(()));
    run.signal(libc::SIGHUP);
    run.hears("left got SIGHUP");
    run.signal(libc::SIGUSR2);
    let ended = run.ends();
    assert_eq!(ended.code, 0);
    assert!(!ended.said("left got SIGTERM"), "{}", ended.all());
}

#[test]
fn with_wait_a_stop_signal_goes_to_them_without_a_hold() {
    let run = pid1().options("--leftovers wait --delay 1h").fixture("leave daemon --drain 200");
    run.hears_times("ready", 2);
    let app = run.main_pid();
    run.signal(libc::SIGUSR1);
    eventually("the main child to be reaped", || status(app, "Pid").is_none().then_some(()));
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_eq!(ended.times("left got SIGTERM"), 1, "{}", ended.all());
}

#[test]
fn with_wait_a_stop_signal_starts_the_kill() {
    let options = "--leftovers wait --delay 1s --grace-period 1800ms --margin 500ms";
    let run = pid1()
        .options(options)
        .options("--log-format json")
        .fixture("leave daemon --until SIGUSR2");
    run.hears_times("ready", 2);
    let app = run.main_pid();
    run.signal(libc::SIGUSR1);
    eventually("the main child to be reaped", || status(app, "Pid").is_none().then_some(()));
    let began_at = run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_after(began_at, ended.at, 1300 * MS);
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_eq!(ended.times("left got SIGTERM"), 1);
    assert_eq!(ended.report()["killed"]["count"], 1);
}

#[test]
fn with_kill_they_are_killed_at_once() {
    let options = "--leftovers kill --log-format json";
    let run = pid1().options(options).fixture("leave daemon --until SIGUSR2");
    run.hears_times("ready", 2);
    run.signal(libc::SIGUSR1);
    let ended = run.ends();
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert!(!ended.said("left got"));
    let report = ended.report();
    assert_eq!(report["killed"]["count"], 1, "{report}");
    assert_eq!(report["killed"]["first"][0]["command"], "fixture");
}

/// Nor is /proc of use where it is that of another PID namespace, in which others have the pids of
/// ours: those are neither named nor told.
#[test]
fn without_proc_they_are_killed_and_not_named() {
    let script = "setsid \"$FIXTURE\" listen --until SIGUSR2 & exec \"$FIXTURE\" listen";
    for hide in ["mount -t tmpfs none /proc", "umount --lazy /proc"] {
        let run = pid1()
            .through(&format!("{hide} && exec \"$@\""))
            .options("--grace-period 800ms --margin 500ms")
            .shell(&["sh"], script);
        run.hears_times("ready", 2);
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!((ended.code, ended.times("got SIGTERM")), (0, 1), "{}", ended.all());
        assert!(ended.said("sent SIGKILL to all that is left"), "{}", ended.all());
        let whom = "report: KILLED what was left over: all that was left at +0.";
        assert!(ended.said(whom), "{}", ended.all());
    }
}

/// The kill is repeated while something is left, and something is: one of them dies slowly.
#[test]
fn the_report_names_all_that_were_killed() {
    for (options, end) in [
        ("--leftovers kill", libc::SIGUSR1),
        ("--grace-period 800ms --margin 500ms", libc::SIGUSR1),
        ("--grace-period 800ms --margin 500ms", libc::SIGTERM),
    ] {
        let script = "\"$FIXTURE\" listen --until SIGUSR2 & \
                      setsid \"$FIXTURE\" listen --until SIGUSR2 --memory 128 & \
                      exec \"$FIXTURE\" listen --until SIGUSR1";
        let run = pid1().options(options).options("--log-format json").shell(&["sh"], script);
        run.hears_times("ready", 3);
        run.signal(end);
        let ended = run.ends();
        let report = ended.report();
        let total = if end == libc::SIGTERM { 3 } else { 2 };
        assert_eq!(report["killed"]["count"], total, "{options}: {report}");
    }
}

/// laptop.rs has the same below a subreaper.
#[test]
fn what_forks_while_it_is_killed_does_not_survive() {
    // All of its processes hold this pipe, which hangs up after the last of them.
    let (alive, theirs) = std::io::pipe().expect("a pipe");
    let script = "setsid \"$FIXTURE\" breed & exec \"$FIXTURE\" listen --until SIGUSR1 --code 7";
    let run = pid1().stderr(theirs).options("--leftovers kill").shell(&["sh"], script);
    run.hears("breeding and ready");
    run.hears_times("ready", 2);
    run.signal(libc::SIGUSR1);
    assert_eq!(run.ends().code, 7);
    let mut hung_up = [PollFd::new(alive.as_fd(), PollFlags::empty())];
    assert_eq!(poll(&mut hung_up, PollTimeout::from(5000u16)), Ok(1), "one survives");
}

/// 4.9: seccomp profiles that are older than it refuse it alone.
#[test]
fn a_sandbox_without_pidfd_send_signal_keeps_no_leftover_from_its_signal() {
    let run = pid1().in_network("--refuse pidfd").fixture("leave daemon");
    run.hears_times("ready", 2);
    run.signal(libc::SIGTERM);
    run.hears("left got SIGTERM");
    let ended = run.ends();
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert!(!ended.said("cannot send"), "{}", ended.all());
}

/// 4.9: 0 to 2, the one of the log, what shows whether the app executes something else, and one more.
#[test]
fn one_descriptor_is_enough_to_signal_leftovers() {
    // Another test may be starting something at this moment, and we inherit what it has open.
    let script = "exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; ulimit -n 6; exec \"$@\"";
    let run = pid1().through(script).fixture("leave daemon");
    run.hears_times("ready", 2);
    run.signal(libc::SIGTERM);
    run.hears("left got SIGTERM");
    assert_eq!(run.ends().code, 0);
}

/// A parent that waits for its child may reap it while SIGKILL ends both (docs/behaviour.md, 6.9).
fn all_are_named(options: &str, ends: impl Fn(&Run)) {
    let init = pid1().options(options).options("--log-format json");
    let script = "trap '' TERM
                  for i in 1 2 3 4 5 6 7 8 9 10; do sh -c 'sleep 1000; :' & done
                  echo ready; exec sleep 1000";
    let run = init.shell(&["sh"], script);
    run.hears("ready");
    let app = run.main_pid();
    eventually("ten shells, each with its child", || {
        let all = children(app).into_iter().flat_map(children);
        let waiting =
            is_program(app, "sleep") && all.filter(|pid| is_program(*pid, "sleep")).count() == 10;
        waiting.then_some(())
    });
    ends(&run);
    let ended = run.ends();
    let names = ended.report()["killed"]["count"].clone();
    let app = u64::from(ended.report()["app_signal"] == "SIGKILL");
    assert_eq!(names, 20 + app, "{}", ended.all());
}

#[test]
fn whom_its_parent_reaps_while_sigkill_ends_both_is_named() {
    all_are_named("--grace-period 1s --margin 700ms", |run| {
        run.signal(libc::SIGTERM);
    });
    // It ends by itself, and was not killed by us.
    all_are_named("--leftovers kill", |run| send(run.main_pid(), libc::SIGINT));
}
