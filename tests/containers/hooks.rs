//! Hooks in containers: what an orchestrator sees of them.

use std::time::Instant;

use crate::harness::{Container, assert_after, busybox, scratch, seconds};

/// Runs until somebody in the container lets it go.
const UNTIL_TOLD: &str =
    "sh -c 'echo hook runs; until [ -e /tmp/go ]; do sleep 0.1; done; echo hook ends'";

fn let_go(app: &Container) {
    let (code, said) = app.enter(&["touch", "/tmp/go"]).ends();
    assert_eq!(code, 0, "{said}");
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_stop_waits_for_the_hook_before_the_app_and_for_the_one_after_it() {
    let app = busybox()
        .grace_period("60s")
        .variable("REPRIEVE_HOOK_TIMEOUT", "50s")
        .variable("REPRIEVE_ON_STOP", UNTIL_TOLD)
        .variable("REPRIEVE_ON_EXIT", "sh -c 'echo $REPRIEVE_PHASE $REPRIEVE_EXIT_CODE'\necho last")
        .starts();
    app.hears("ready");
    let stop = app.stop(60);
    app.hears("hook runs");
    let_go(&app);
    stop.returns();
    let ended = app.ends();
    let said = ["hook runs", "hook ends", "got SIGTERM", "on-exit 0", "last"];
    assert_eq!((ended.code, &ended.app()[1..]), (0, &said[..]), "{ended}");
    assert!(ended.said("until the hooks ended"), "{ended}");
}

/// No shell, no root, no capability, nothing to write to; Docker's default seccomp profile.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn hooks_run_in_a_locked_down_container() {
    let app = scratch()
        .grace_period("30s")
        .variable("REPRIEVE_ON_STOP", "/fixture state")
        .variable("REPRIEVE_ON_EXIT", "/fixture raise SIGUSR1")
        .option(&["--user", "65534", "--read-only", "--cap-drop", "ALL", "--network", "none"])
        .option(&["--security-opt", "no-new-privileges", "--workdir", "/proc"])
        .starts();
    app.hears("ready");
    app.stop(30).returns();
    let ended = app.ends();
    assert_eq!(ended.code, 0, "{ended}");
    for part in ["env REPRIEVE_PHASE=on-stop", "folder: /proc", "parent: 1", "got SIGTERM"] {
        assert!(ended.said(part), "{part}: {ended}");
    }
    assert!(ended.said("on-exit hook fixture was killed by SIGUSR1"), "{ended}");
}

/// They ignore SIGTERM, and daemons of theirs do.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn hanging_hooks_do_not_outlive_the_grace_period() {
    let hang = "sh -c 'trap : TERM; (setsid sh -c \"trap : TERM; sleep 1000; sleep 1000\" &); \
                echo hangs; sleep 1000; sleep 1000'";
    for (variable, code) in [("REPRIEVE_ON_STOP", 137), ("REPRIEVE_ON_EXIT", 0)] {
        let app = busybox()
            .grace_period("10s")
            .variable("REPRIEVE_MARGIN", "8s")
            .variable("REPRIEVE_HOOK_TIMEOUT", "1h")
            .variable(variable, hang)
            .starts();
        app.hears("ready");
        let began_at = app.kill("TERM");
        app.hears("hangs");
        let ended = app.ends();
        assert_after(began_at, Instant::now(), seconds(2));
        assert!(began_at.elapsed() < seconds(10), "later than the grace period: {ended}");
        assert_eq!(ended.code, code, "{ended}");
        assert!(ended.said("hook sh was killed by SIGKILL"), "{ended}");
    }
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_daemon_of_a_hook_that_ends_last_ends_with_the_container() {
    let daemon = "sh -c '(setsid sh -c \"trap : TERM; sleep 1000; sleep 1000\" &); echo leaves it'";
    let app = busybox().grace_period("1h").variable("REPRIEVE_ON_EXIT", daemon).starts();
    app.hears("ready");
    let stop = app.stop(1000);
    app.hears("leaves it");
    stop.returns();
    let ended = app.ends();
    assert_eq!(ended.code, 0, "{ended}");
    // What it left is the only thing that is told as a warning.
    assert!(ended.said("KILLED what was left over: "), "{ended}");
}

/// What came in by `docker exec` is neither waited for nor signalled, and the hooks run all the same.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_visitor_is_not_in_the_way_of_hooks() {
    let app = busybox()
        .grace_period("1h")
        .variable("REPRIEVE_HOOK_TIMEOUT", "50s")
        .variable("REPRIEVE_ON_EXIT", UNTIL_TOLD)
        .starts();
    app.hears("ready");
    let visitor = app.enter(&["/fixture", "listen", "--name", "visitor"]);
    visitor.hears("visitor ready");
    let stop = app.stop(1000);
    app.hears("hook runs");
    let_go(&app);
    stop.returns();
    let ended = app.ends();
    assert_eq!(ended.code, 0, "{ended}");
    assert!(ended.said("hook ends") && !ended.said("left over"), "{ended}");
    let (code, said) = visitor.ends();
    assert_eq!((code, said.contains("got ")), (137, false), "{said}");
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_hook_that_is_not_in_the_image_is_an_error_before_the_app_is_spawned() {
    let app = scratch().variable("REPRIEVE_ON_STOP", "sh -c true");
    let ended = app.runs_to_its_end(&[]);
    assert_eq!((ended.code, ended.app().len(), ended.log().len()), (125, 0, 1), "{ended}");
    assert!(ended.said("--on-stop: cannot run sh: not found in PATH"), "{ended}");
}
