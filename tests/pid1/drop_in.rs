//! In the place of catatonit and dumb-init (docs/behaviour.md, 9.8 and 16.12 to 16.15).

use std::os::unix::fs::symlink;

use nix::libc;
use serde_json::json;

use crate::harness::*;

/// As it pauses, with other words behind the option too.
fn pauses(init: impl Fn() -> Init) {
    for end in [libc::SIGTERM, libc::SIGINT] {
        let run = init().options("-P").app(["no", "command"]);
        let pid = run.pid();
        eventually("a pause", || {
            let waits = process_state(pid) == 'S' && children(pid).is_empty();
            (waits && is_program(pid, "catatonit")).then_some(())
        });
        // A visitor that makes an orphan: it comes to PID 1, and is reaped.
        let orphan = run.enter(&["sh", "-c", "sleep 0.05 & echo $!"]).line();
        let of_orphan = ["sh", "-c", &format!("while [ -e /proc/{orphan} ]; do sleep 0.01; done")];
        assert_eq!(run.enter(&of_orphan).rest(), "");
        for other in [libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGTSTP] {
            run.signal(other);
        }
        // What is told first comes first: it would have ended.
        assert_eq!(run.enter(&["echo", "there"]).line(), "there");
        run.signal(end);
        let ended = run.ends();
        assert_eq!((ended.code, ended.lines.len()), (0, 0), "{}", ended.all());
    }
}

fn as_catatonit(folder: &Folder) -> Init {
    let path = folder.path("catatonit");
    if !path.exists() {
        symlink(env!("CARGO_BIN_EXE_reprieve"), &path).expect("a link");
    }
    Init::new(true, path)
}

/// podman's infra containers run `catatonit -P`.
#[test]
fn as_catatonit_it_pauses() {
    let folder = Folder::new();
    pauses(|| as_catatonit(&folder));
}

#[test]
#[ignore = "needs Debian's catatonit: cargo test --test pid1 -- --ignored"]
fn catatonit_pauses_likewise() {
    pauses(|| peer("catatonit"));
}

/// 2.4 holds there too: rootless podman's lives on for days.
#[test]
fn a_pause_keeps_no_folder_and_no_descriptor() {
    let folder = Folder::new();
    let run = as_catatonit(&folder)
        .variable("FOLDER", &folder.path("").to_string_lossy())
        .through("cd \"$FOLDER\" && exec 5<. && exec \"$@\"")
        .options("-P")
        .app([""; 0]);
    let pid = run.pid();
    eventually("a pause that holds nothing", || {
        let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
        let is_free = is_program(pid, "catatonit") && descriptors(pid).keys().all(|fd| *fd < 3);
        (is_free && folder.to_str() == Some("/")).then_some(())
    });
}

#[test]
fn options_of_catatonit_are_those_of_that_name_alone() {
    let folder = Folder::new();
    drop(as_catatonit(&folder));
    let call_as = |name: &str, option: &str| {
        symlink(env!("CARGO_BIN_EXE_reprieve"), folder.path(name)).ok();
        call(std::process::Command::new(folder.path(name)).arg(option))
    };
    let license = call_as("catatonit", "-L");
    assert!(license.code == 0 && license.stdout.contains("MIT license"), "{}", license.stderr);
    for option in ["-V", "--version"] {
        // Debian's says: tini version 0.1.7_catatonit.
        let version = call_as("catatonit", option);
        assert!(version.code == 0 && version.stdout.starts_with("tini version "), "{option}");
    }
    assert!(call_as("catatonit", "-h").stdout.contains("-P"));
    for name in ["reprieve", "tini"] {
        for option in ["-P", "-L"] {
            let call = call_as(name, option);
            assert_eq!(call.code, 125, "{name} {option}");
            assert!(call.stderr.contains(&format!("there is no option '{option}'")));
        }
        assert!(!call_as(name, "-h").stdout.contains("-P"));
    }
    // A wrong one is an error as any other.
    assert_eq!(call_as("catatonit", "-x").code, 125);
}

/// Whom SIGTERM went to, and why, with a shell that has no trap.
fn target(init: Init) -> (serde_json::Value, serde_json::Value) {
    let run = init.options(PATIENT).shell(&["sh"], "echo ready; sleep 1000; true");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    let report = run.ends().report();
    (report["forwarded_to"].clone(), report["forwarded_because"].clone())
}

/// dumb-init compares the text: another value, such as `00`, is as none.
#[test]
fn dumb_init_setsid_0_is_the_main_child_alone() {
    let (alone, automatic) =
        ((json!("main"), json!("option")), (json!("main"), json!("shell_without_trap")));
    let setsid = |value| pid1().variable("DUMB_INIT_SETSID", value);
    assert_eq!(target(setsid("0")), alone);
    for other in ["1", "", "00", "no"] {
        assert_eq!(target(setsid(other)), automatic, "{other:?}");
    }
    assert_eq!(target(setsid("0").options("-g")).0, json!("group"));
    assert_eq!(target(setsid("0").variable("REPRIEVE_PROCESS_GROUP", "1")).0, json!("group"));
}

#[test]
fn dumb_init_debug_1_logs_details() {
    let details = |init: Init| {
        let run = init.fixture("listen --until SIGUSR1");
        run.hears("ready");
        run.signal(libc::SIGUSR1);
        run.ends().said("forwarded SIGUSR1")
    };
    let debug = |value| pid1().variable("DUMB_INIT_DEBUG", value);
    assert!(details(debug("1")));
    for other in ["0", "", "2", "yes"] {
        assert!(!details(debug(other)), "{other:?}");
    }
    assert!(!details(debug("1").options("-q")));
    assert!(!details(debug("1").variable("REPRIEVE_QUIET", "1")));
    assert!(!details(debug("1").variable("TINI_VERBOSITY", "2")));
}

/// 9.8: as PID 1 of a container without a terminal; SIGCONT makes up for it.
fn stops_the_app_alone(init: impl Fn() -> Init) {
    for signal in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
        let run = init().through("exec setsid \"$@\"").app(["sleep", "1000"]);
        let app = run.main_pid();
        eventually("the app", || is_program(app, "sleep").then_some(()));
        run.signal(signal);
        eventually("a stopped app", || (process_state(app) == 'T').then_some(()));
        assert_ne!(process_state(run.pid()), 'T');
        run.signal(libc::SIGCONT);
        eventually("a continued app", || (process_state(app) == 'S').then_some(()));
        run.signal(libc::SIGTERM);
        assert_eq!(run.ends().code, 143);
    }
}

#[test]
fn signals_of_job_control_stop_the_app_and_not_us() {
    stops_the_app_alone(pid1);
    // Beside PID 1 dumb-init stops with it, and forwards nothing while it is stopped.
    let run = laptop().fixture("listen");
    run.hears("ready");
    run.signal(libc::SIGTSTP);
    run.hears("got SIGTSTP");
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 0);
}

#[test]
#[ignore = "needs Debian's dumb-init: cargo test --test pid1 -- --ignored"]
fn dumb_init_stops_the_app_likewise() {
    stops_the_app_alone(|| peer("dumb-init"));
}
