//! The other processes in a container: leftovers, visitors, zombies, and those of other
//! containers.

use std::process::{Child, Command};

use crate::harness::{
    Container, assert_after, busybox, debian, docker, eventually, output, scratch, seconds,
};

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn leftovers_of_each_kind_may_finish() {
    for kind in ["orphan", "daemon", "nobody", "stopped", "child"] {
        let app = scratch()
            .delay("1s")
            .grace_period("10s")
            .runs(&["/fixture", "leave", kind, "--drain", "500"]);
        app.hears("ready");
        if kind != "stopped" {
            app.hears("left ready");
        }
        let stop = app.stop(10);
        let told = app.hears("left got SIGTERM");
        assert_after(stop.called_at, told.at, seconds(1));
        stop.returns();
        let ended = app.ends();
        assert_eq!(ended.code, 0, "{kind}: {ended}");
        assert_eq!(ended.times("left got SIGTERM"), 1, "{kind}: {ended}");
        assert!(
            ended.said("left over, and ended in time: fixture") && !ended.said("KILLED"),
            "{kind}: {ended}"
        );
    }
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_leftover_that_does_not_finish_is_killed_before_the_deadline() {
    let app =
        scratch().grace_period("3s").runs(&["/fixture", "leave", "daemon", "--ignore", "SIGTERM"]);
    app.hears("left ready");
    let stop = app.stop(20);
    assert_after(stop.called_at, app.hears("sent SIGKILL to fixture").at, seconds(2));
    stop.returns();
    let ended = app.ends();
    assert_eq!(ended.code, 0, "{ended}");
    assert!(ended.said(" at +2"), "{ended}");
}

/// What came in by `docker exec` is none of ours: while the app drains and a leftover is swept,
/// it is not signalled, not waited for and not counted.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_visitor_is_left_alone() {
    let app = scratch()
        .delay("2s")
        .grace_period("30s")
        .variable("REPRIEVE_LOG_FORMAT", "json")
        .runs(&["/fixture", "leave", "daemon", "--drain", "1500"]);
    app.hears("left ready");
    let early = app.enter(&["/fixture", "listen", "--name", "early"]);
    early.hears("early ready");
    let stop = app.stop(30);
    app.hears("stop_signal");
    let late = app.enter(&["/fixture", "leave", "child", "--name", "late"]);
    late.hears("late ready");
    app.hears("left got SIGTERM");
    // In the middle of the sweep.
    let last = app.enter(&["/fixture", "listen", "--name", "last"]);
    last.hears("last ready");
    let took = stop.returns();
    assert!(took < seconds(29), "docker stop took {took:?}");
    for visitor in [early, late, last] {
        let (code, said) = visitor.ends();
        // The kernel's SIGKILL, at the end of PID 1.
        assert_eq!(code, 137, "{said}");
        assert!(!said.contains("got "), "{said}");
    }
    let ended = app.ends();
    assert_eq!(ended.code, 0, "{ended}");
    let report = ended.report();
    assert_eq!(report["left_over"]["count"], 1, "{ended}");
    assert_eq!(report["killed"]["count"], 0, "{ended}");
}

/// The same for a probe, which says what it hears through the log of PID 1.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_healthcheck_in_the_middle_of_a_shutdown_is_left_alone() {
    let app = busybox()
        .delay("3s")
        .grace_period("30s")
        .option(&["--health-interval", "1s", "--health-timeout", "60s", "--health-retries", "99"])
        .option(&["--health-cmd", "exec /fixture listen --name probe > /proc/1/fd/2"])
        .runs(&["/fixture", "leave", "daemon", "--drain", "500"]);
    app.hears("left ready");
    app.hears("probe ready");
    let stop = app.stop(30);
    assert_after(stop.called_at, app.hears("left got SIGTERM").at, seconds(3));
    let took = stop.returns();
    assert!(took < seconds(29), "docker stop took {took:?}");
    let ended = app.ends();
    assert_eq!(ended.code, 0, "{ended}");
    assert!(!ended.said("probe got"), "{ended}");
    assert!(
        ended.said("left over, and ended in time: fixture") && !ended.said("KILLED"),
        "{ended}"
    );
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn zombies_are_reaped() {
    let app = scratch().runs(&["/fixture", "orphans", "100"]);
    app.hears("made 100");
    // The init and the app.
    eventually("the orphans are reaped", || (states(&app).len() == 2).then_some(()));
    app.kill("TERM");
    assert_eq!(app.ends().code, 0);
}

/// The state of each process, as ps on the host sees it.
fn states(app: &Container) -> Vec<String> {
    let table = output(&mut docker(["top", app.name(), "-o", "pid,stat,comm"]));
    table.lines().skip(1).map(str::to_owned).collect()
}

/// The kernel kills the greediest, which is the app.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn the_out_of_memory_killer_is_named_as_a_suspect() {
    let ended = busybox().option(&["--memory", "32m", "--memory-swap", "32m"]).runs_to_its_end(&[
        "dd",
        "if=/dev/zero",
        "of=/dev/null",
        "bs=256M",
        "count=1",
    ]);
    assert_eq!(ended.code, 137, "{ended}");
    assert!(ended.said("not sent by reprieve: out of memory?"), "{ended}");
}

/// A pod with a shared process namespace: somebody else is PID 1, and only our own descendants are
/// ours.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn in_a_shared_process_namespace_only_our_own_hear_us() {
    let pause =
        busybox().option(&["--entrypoint", "/fixture"]).runs(&["listen", "--name", "pause"]);
    pause.hears("pause ready");
    let sidecar = output(&mut docker(["exec", "-d", pause.name(), "/bin/sleep", "1000"]));
    assert_eq!(sidecar, "");
    let app = scratch()
        .option(&["--pid", &format!("container:{}", pause.name())])
        .delay("1s")
        .grace_period("4s")
        .runs(&["/fixture", "leave", "daemon", "--ignore", "SIGTERM"]);
    app.hears("left ready");
    let stop = app.stop(20);
    assert_after(stop.called_at, app.hears("got SIGTERM").at, seconds(1));
    // The daemon came to us, not to PID 1, so that it can be found and killed.
    assert_after(stop.called_at, app.hears("sent SIGKILL to fixture").at, seconds(3));
    let took = stop.returns();
    assert!(took < seconds(19), "docker stop took {took:?}");
    let ended = app.ends();
    assert_eq!(ended.code, 0, "{ended}");
    assert!(ended.said(" at +3"), "{ended}");
    let left = states(&pause);
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.iter().any(|line| line.ends_with("sleep")), "{left:?}");
    assert!(!pause.said("pause got"));
}

/// In the namespace of the host, SIGKILL to all would be the end of this machine.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn in_the_hosts_process_namespace_only_our_own_are_killed() {
    let mut bystander = Bystander(Command::new("sleep").arg("1000").spawn().expect("sleep"));
    let app = scratch()
        .option(&["--pid", "host"])
        .grace_period("2s")
        .runs(&["/fixture", "leave", "daemon", "--ignore", "SIGTERM"]);
    app.hears("left ready");
    let stop = app.stop(20);
    app.hears("sent SIGKILL to fixture");
    stop.returns();
    let ended = app.ends();
    assert_eq!(ended.code, 0, "{ended}");
    assert!(bystander.0.try_wait().expect("a child").is_none());
}

struct Bystander(Child);

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An app with workers of its own: nginx's master gets the signal, and passes it on to its workers.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn workers_are_not_signalled_behind_their_masters_back() {
    let app = scratch().delay("1s").grace_period("20s").runs(&["/fixture", "leave", "child"]);
    app.hears("left ready");
    app.kill("USR2");
    app.hears("got SIGUSR2");
    app.kill("TERM");
    app.hears("got SIGTERM");
    let ended = app.ends();
    // Only once it is a leftover.
    assert_eq!(ended.times("left got SIGUSR2"), 0, "{ended}");
    assert_eq!(ended.times("left got SIGTERM"), 1, "{ended}");

    let nginx = debian().grace_period("10s").runs(&["nginx", "-g", "daemon off;"]);
    nginx.port(80);
    nginx.stop(10).returns();
    let ended = nginx.ends();
    assert_eq!(ended.code, 0, "{ended}");
    assert!(!ended.said("left over"), "{ended}");
}
