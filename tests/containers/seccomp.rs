//! Sandboxes that refuse system calls: examples/seccomp/profile.json, which kills whoever makes one that
//! is not in it, and Docker's default.

use crate::harness::{Setup, busybox, eventually};
use crate::readiness::ask;

/// With all that has system calls of its own: a look at traffic, a responder that asks the app, the two
/// files, hooks, and requests to a name and an address.
fn all_features() -> Setup {
    [
        ("REPRIEVE_DELAY", "1s..1h"),
        ("REPRIEVE_QUIET_WINDOW", "500ms"),
        ("REPRIEVE_GRACE_PERIOD", "2h"),
        ("REPRIEVE_LOG_FORMAT", "json"),
        ("REPRIEVE_VERBOSE", "2"),
        ("REPRIEVE_HEALTH_LISTEN", "0.0.0.0:8086"),
        ("REPRIEVE_HEALTH_UPSTREAM", "http://localhost:8080/ready"),
        ("REPRIEVE_READY_FILE", "/run/ready"),
        ("REPRIEVE_REPORT_FILE", "/run/report"),
        ("REPRIEVE_ON_STOP", "sleep 1"),
        ("REPRIEVE_ON_EXIT", "echo bye"),
        ("REPRIEVE_QUIT_URL", "http://127.0.0.1:8086/quit,http://no-such-host.invalid/"),
    ]
    .iter()
    .fold(locked_down(), |setup, (name, value)| setup.variable(name, value))
}

fn locked_down() -> Setup {
    let words = ["--user", "65534", "--read-only", "--tmpfs", "/run", "--cap-drop", "ALL"];
    busybox().option(&words).option(&["--security-opt", "no-new-privileges"])
}

pub fn with_profile(setup: Setup) -> Setup {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/seccomp/profile.json");
    setup.option(&["--security-opt", &format!("seccomp={path}")])
}

/// One run with a request in it, from which nothing may be missing.
#[track_caller]
fn does_all(setup: Setup) {
    let script = "trap 'exit 7' TERM; httpd -f -p 8080 -h /bin & sleep 1h & wait";
    let app = setup.runs(&["sh", "-c", script]);
    app.port(8080);
    let server = app.port(8086);
    // That there is no file of this name is httpd's own answer.
    eventually("the app's own status", || {
        ask(server, "/readyz").is_ok_and(|[status, _]| status.contains(" 404 ")).then_some(())
    });
    app.kill("TERM");
    let ended = app.ends();
    assert_eq!(ended.code, 7, "{ended}");
    for failure in
        ["responder_died", "no_ready_file", "ready_file_stays", "no_report_file", "SIGSYS"]
    {
        assert!(!ended.said(failure), "{failure}: {ended}");
    }
    let report = ended.report();
    assert_eq!(report["hold_ended_by"], "quiet", "{ended}");
    assert_eq!(report["traffic"]["seen_by"], "events", "{ended}");
    assert_eq!(report["failed_hooks"]["count"], 0, "{ended}");
    assert_eq!(report["stand_in"]["signal"], "SIGTERM", "{ended}");
    for part in ["bye", "127.0.0.1:8086/quit: 404", "no-such-host.invalid/: no such host"] {
        assert!(ended.said(part), "{part}: {ended}");
    }
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn the_example_s_profile_is_enough() {
    does_all(with_profile(all_features()));
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn docker_s_default_profile_is_enough() {
    does_all(all_features());
}

/// Or the test above would show nothing.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn the_example_s_profile_kills_whoever_wants_more() {
    let ended = with_profile(locked_down()).runs_to_its_end(&["hostname", "other"]);
    assert_eq!(ended.code, 128 + nix::libc::SIGSYS, "{ended}");
    assert!(ended.said("was killed by SIGSYS"), "{ended}");
    let ended = locked_down().runs_to_its_end(&["hostname", "other"]);
    assert_eq!(ended.code, 1, "{ended}");
}
