//! Starting in a container: what goes wrong, and rehearsals.

use crate::harness::{busybox, image, scratch};
use crate::images;

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn what_cannot_be_started_says_why() {
    let dockerfile = format!(
        "FROM {}\nRUN printf '#!/no/such/python\\n' > /script && chmod +x /script \
         && echo text > /notes && mkdir /folder\n",
        images::all().busybox
    );
    let broken = images::build("broken", &dockerfile, &[]);
    for (command, code, words) in [
        ("/no/such/app", 127, ["/no/such/app", "no such file"]),
        ("no-such-app", 127, ["no-such-app", "not found"]),
        ("/notes/app", 127, ["/notes/app", ""]),
        ("/script", 127, ["/script", "/no/such/python"]),
        ("/notes", 126, ["/notes", "not executable"]),
        ("/folder", 126, ["/folder", "directory"]),
    ] {
        let ended = image(&broken).runs_to_its_end(&[command]);
        assert_eq!(ended.code, code, "{command}: {ended}");
        assert_eq!(ended.log().len(), 1, "{command}: {ended}");
        for word in words {
            assert!(ended.said(word), "{command}: {word}: {ended}");
        }
    }
}

/// Not after the spawn, in a loop that never sleeps.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_sandbox_in_which_nobody_can_wait_for_signals_starts_nothing() {
    let profile = images::scratch_folder("seccomp");
    let rule = r#"{"names": ["rt_sigtimedwait"], "action": "SCMP_ACT_ERRNO"}"#;
    let rules = format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{rule}]}}"#);
    std::fs::write(&profile, rules).expect("a profile");
    let option = format!("seccomp={}", profile.display());
    let ended = scratch().option(&["--security-opt", &option]).runs_to_its_end(&[]);
    std::fs::remove_file(profile).expect("the profile");
    assert_eq!((ended.code, ended.app().len()), (125, 0), "{ended}");
    assert!(ended.said("cannot wait for signals"), "{ended}");
}

/// 1.13: of the cgroup, which neither ulimit nor the app's user shows.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_limit_on_the_pids_of_a_container_is_named() {
    let ended = scratch().option(&["--pids-limit", "1"]).runs_to_its_end(&[]);
    assert_eq!((ended.code, ended.log().len()), (125, 1), "{ended}");
    let said = "the limit on processes is reached: pids.max of the cgroup";
    assert!(ended.said(said) && !ended.said("ry again"), "{ended}");
}

/// 16.20: nothing is bound, made or started, and a forgotten variable is seen by the last line.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_check_of_an_image_starts_nothing() {
    let check = || scratch().variable("REPRIEVE_CHECK", "true").delay("2s").grace_period("30s");
    let ended = check().runs_to_its_end(&[]);
    assert_eq!((ended.code, ended.log().len()), (0, 0), "{ended}");
    assert_eq!(
        ended.app().first(),
        Some(&concat!("reprieve ", env!("CARGO_PKG_VERSION"), ": the plan"))
    );
    assert_eq!(ended.app().last(), Some(&"checked, nothing was started"), "{ended}");
    assert!(ended.said("+2s: it is forwarded") && !ended.said("ready"), "{ended}");
    for (command, code) in [("/no/such/app", 127), ("/", 126)] {
        let ended = check().runs_to_its_end(&[command]);
        assert_eq!((ended.code, ended.log().len()), (code, 1), "{ended}");
        assert_eq!(ended.app().last(), Some(&"checked, nothing was started"), "{ended}");
    }
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_plan_that_does_not_fit_starts_nothing() {
    let ended = scratch().delay("10s").grace_period("10s").runs_to_its_end(&[]);
    assert_eq!((ended.code, ended.app().len()), (125, 0), "{ended}");
    assert!(ended.said("a grace period above 11s"), "{ended}");
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn the_code_of_the_app_is_the_code_of_the_container() {
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)] {
        let ended = busybox().runs_to_its_end(&["sh", "-c", script]);
        assert_eq!(ended.code, code, "{ended}");
    }
}

/// An image that names what only Kubernetes makes starts elsewhere too, and says what it cannot do.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn an_image_for_kubernetes_starts_without_its_termination_log() {
    for (user, warnings) in [("65534", 1), ("0", 0)] {
        let app = scratch()
            .variable("REPRIEVE_REPORT_FILE", "/dev/termination-log")
            .option(&["--user", user])
            .starts();
        app.hears("ready");
        let warning = "warn: cannot write the report to /dev/termination-log";
        if warnings == 1 {
            app.hears(warning);
        }
        app.kill("TERM");
        let ended = app.ends();
        assert_eq!((ended.code, ended.times(warning)), (0, warnings), "{ended}");
    }
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn the_report_file_can_be_stdout() {
    for option in [&["--user", "65534"][..], &["--tty"]] {
        let app = scratch().variable("REPRIEVE_REPORT_FILE", "/dev/stdout").option(option).starts();
        app.hears("ready");
        app.kill("TERM");
        let ended = app.ends();
        assert_eq!((ended.code, ended.times("warn: ")), (0, 0), "{ended}");
        assert!(ended.app().iter().any(|line| line.starts_with("report: ")), "{ended}");
    }
}

/// The app sees none of our variables, and the container's others.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn our_variables_stay_with_us() {
    let ended = busybox()
        .delay("1s")
        .variable("REPRIEVE_SERVICE_HOST", "10.0.0.1")
        .variable("APP", "yes")
        .runs_to_its_end(&["env"]);
    assert!(!ended.said("REPRIEVE_DELAY"), "{ended}");
    assert!(ended.said("REPRIEVE_SERVICE_HOST=10.0.0.1") && ended.said("APP=yes"), "{ended}");
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_rehearsal_passes_where_the_app_stops_in_time() {
    let ended = scratch().variable("REPRIEVE_REHEARSE", "1s").delay("500ms").runs_to_its_end(&[]);
    assert_eq!((ended.code, ended.times("got SIGTERM")), (0, 1), "{ended}");
    assert!(ended.said("rehearsal passed"), "{ended}");
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_rehearsal_fails_where_the_app_must_be_killed() {
    let ended = scratch()
        .variable("REPRIEVE_REHEARSE", "500ms")
        .grace_period("2s")
        .runs_to_its_end(&["/fixture", "listen", "--ignore", "SIGTERM"]);
    assert_ne!(ended.code, 0, "{ended}");
    assert!(ended.said("rehearsal failed: the app did not end by itself"), "{ended}");
}
