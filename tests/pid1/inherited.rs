//! What the app inherits, and what we let go of (docs/behaviour.md, section 2, and 1.1, 1.6 and 1.7).

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::Duration;

use nix::libc;

use crate::harness::*;

/// The masks of an app that changes none of them itself.
fn masks(init: Init) -> Vec<String> {
    let ended = init.app(["cat", "/proc/self/status"]).ends();
    let lines = ended.app().into_iter();
    let masks: Vec<String> =
        lines.filter(|line| line.starts_with("Sig")).map(str::to_owned).collect();
    // SigQ, SigPnd, SigBlk, SigIgn, SigCgt.
    assert_eq!(masks.len(), 5, "{}", ended.all());
    masks[2..].to_vec()
}

/// tini and catatonit hang for ever: the kernel reaps their child behind their back, and they wait
/// for a SIGCHLD that never comes. peers.rs shows it.
#[test]
fn an_ignored_sigchld_hides_no_end() {
    let ended = pid1().with_signals("--ignore SIGCHLD").shell(&["sh"], "exit 3").ends();
    assert_eq!(ended.code, 3);
    let masks = masks(pid1().with_signals("--ignore SIGCHLD"));
    assert_eq!(masks[1], "SigIgn:\t0000000000000000");
}

/// All three lose it when it comes before the child has its process group. peers.rs shows it.
#[test]
fn a_stop_signal_that_pends_before_our_first_instruction_is_not_lost() {
    let fixture = fixture().to_string_lossy().into_owned();
    let script = "exec \"$FIXTURE\" with --block SIGTERM -- \
                  sh -c 'kill -TERM $$; exec \"$@\"' sh \"$@\"";
    for round in 0..40 {
        let group = if round % 2 == 0 { "-g" } else { "" };
        // The app inherits the block, and lifts it.
        let init = pid1().variable("FIXTURE", &fixture).options(group).through(script);
        let ended = init.app([&fixture, "with", "--", "sleep", "1000"]).ends();
        assert_eq!(ended.code, 143, "round {round}: {}", ended.all());
    }
}

#[test]
fn a_stop_signal_during_our_first_instructions_is_not_lost() {
    for round in 0..60 {
        let group = if round % 2 == 0 { "-g" } else { "" };
        let run = pid1().options(group).app(["sleep", "1000"]);
        let pid = run.pid();
        // Before these the kernel drops what PID 1 does not handle.
        eventually("the init to block all signals", || {
            // It does not take long, and once we wait the mask shows nothing.
            (0..1000).find_map(|_| {
                let blocks = status(pid, "SigBlk")?.starts_with("fffffff");
                (blocks || !children(pid).is_empty()).then_some(())
            })
        });
        // Some come before the fork, some before the exec, some after it.
        std::thread::sleep(Duration::from_micros(100) * (round / 2));
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!(ended.code, 143, "round {round}: {}", ended.all());
    }
}

/// catatonit leaks the signals that it blocks, and dumb-init loses those that were blocked or
/// ignored. peers.rs shows it.
#[test]
fn the_app_gets_the_signals_that_we_inherited() {
    for words in [
        "",
        "--ignore SIGPIPE",
        "--ignore SIGHUP --block SIGUSR1 --block SIGRTMIN+3",
        "--ignore SIGTTOU --ignore SIGTTIN --ignore SIGTERM --ignore 32 --ignore SIGRTMIN",
        "--block all",
        "--block SIGCHLD --block SIGPIPE --block 32 --block 33 --block 34",
    ] {
        assert_eq!(
            masks(pid1().with_signals(words)),
            masks(no_init().with_signals(words)),
            "with {words:?}"
        );
    }
    // But for SIGCHLD, which is none of the parent's business.
    let (ours, bare) =
        (pid1().with_signals("--ignore all"), no_init().with_signals("--ignore all"));
    let (ours, bare) = (masks(ours), masks(bare));
    let ignored = |masks: &[String]| {
        u64::from_str_radix(masks[1].trim_start_matches("SigIgn:\t"), 16).expect("a mask")
    };
    assert_eq!(ignored(&ours), ignored(&bare) & !(1 << (libc::SIGCHLD - 1)));
}

#[test]
fn nohup_works() {
    let run = pid1().with_signals("--ignore SIGHUP").app(["sleep", "1000"]);
    let app = run.main_pid();
    eventually("the app", || is_program(app, "sleep").then_some(()));
    run.signal(libc::SIGHUP);
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 143);
}

/// tini dies of a closed stdin. peers.rs shows it.
#[test]
fn closed_standard_descriptors_stay_closed_in_the_app_and_harm_nobody() {
    for closed in 0..8 {
        let closed: Vec<i32> = (0..3).filter(|fd| closed & 1 << fd != 0).collect();
        let close: String = closed.iter().map(|fd| format!(" {fd}>&-")).collect();
        let run = pid1()
            .options("--delay 50ms")
            .through(&format!("exec \"$@\"{close}"))
            .app(["sleep", "1000"]);
        let app = run.main_pid();
        let expected: Vec<i32> = (0..3).filter(|fd| !closed.contains(fd)).collect();
        // The dynamic loader has some open for a moment.
        eventually(&format!("an app with {closed:?} closed"), || {
            let open: Vec<i32> = descriptors(app).into_keys().filter(|fd| *fd < 3).collect();
            (is_program(app, "sleep") && (process_state(app) == 'S') && open == expected)
                .then_some(())
        });
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!(ended.code, 143, "with {closed:?} closed");
        assert_eq!(ended.said("report"), !closed.contains(&2), "{}", ended.all());
    }
}

#[test]
fn a_closed_stderr_is_no_place_for_the_log_to_hit_something_else() {
    let folder = Folder::new();
    let report = folder.path("report");
    let run = pid1()
        .options(&format!("--log-format json --report-file {}", report.display()))
        .through("exec \"$@\" 2>&-")
        .fixture("listen");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 0);
    let report = std::fs::read_to_string(report).expect("a report");
    // One object and nothing before or after it.
    let report: serde_json::Value = serde_json::from_str(&report).expect("one object");
    assert_eq!(report["event"], "report");
}

/// Some base image has no /dev/null. Going on would have the log write into another file.
#[test]
fn without_dev_null_a_closed_descriptor_is_an_error_before_the_start() {
    let without = "mount -t tmpfs none /dev; exec \"$@\"";
    let ended = pid1().through(&format!("{without} <&-")).app(["echo", "started"]).ends();
    let log = ["reprieve: error: cannot open /dev/null in place of a closed standard descriptor: \
                No such file or directory"];
    assert_eq!((ended.code, ended.log(), ended.app()), (125, log.to_vec(), vec![]));
    let ended = pid1().through(without).app(["echo", "started"]).ends();
    assert_eq!((ended.code, ended.app()), (0, vec!["started"]), "{}", ended.all());
}

/// A report file, the responder's socket and pipes of helpers are opened: none may become a
/// standard descriptor of the app or the place of the log.
#[test]
fn what_we_open_never_becomes_a_standard_descriptor() {
    let folder = Folder::new();
    let address = address();
    let run = pid1()
        .options(&format!("--health-listen {address} -v --log-format json"))
        .option("--ready-file", folder.path("ready"))
        .option("--on-stop", "true")
        .through("exec \"$@\" <&- 2>&-")
        .fixture("listen");
    run.hears("ready");
    let null = |fd: &i32| descriptors(run.pid()).get(fd).is_some_and(|lead| lead == "/dev/null");
    assert!([0, 2].iter().all(null), "{:?}", descriptors(run.pid()));
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 0);
}

/// No write of ours may end us or a helper: SIGPIPE is blocked in all of them, and the app gets it as
/// we did.
#[test]
fn sigpipe_is_blocked_in_us_and_in_our_helpers() {
    let folder = Folder::new();
    let fifo = folder.fifo("fifo");
    let run = pid1()
        .options(&format!("--health-listen {} --delay 2h --grace-period 3h", address()))
        .option("--on-stop", format!("cat {}", fifo.display()))
        .app(["sleep", "1000"]);
    let init = run.pid();
    let blocks = |pid| {
        let mask = status(pid, "SigBlk").and_then(|mask| u64::from_str_radix(&mask, 16).ok());
        mask.is_some_and(|mask| mask & 1 << (libc::SIGPIPE - 1) != 0)
    };
    let of_name =
        |name| eventually(name, || children(init).into_iter().find(|pid| is_program(*pid, name)));
    let responder = of_name("reprieve-health");
    eventually("a responder that blocks SIGPIPE", || blocks(responder).then_some(()));
    run.signal(libc::SIGTERM);
    assert!(!blocks(of_name("cat")), "a hook inherits what the app does");
    assert!(!blocks(of_name("sleep")));
}

#[test]
fn help_that_nobody_reads_is_a_failure_and_no_signal() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let ended = reprieve().arg("--help").stdout(writer).status().expect("our binary");
    assert_eq!(ended.code(), Some(125), "{ended}");
}

#[test]
fn arguments_reach_the_app_byte_by_byte() {
    let odd = ["", " ", "a b", "-v", "--", "ä"].map(OsString::from);
    let odd = odd.into_iter().chain([OsString::from_vec(vec![0xff, b'x'])]);
    let words: Vec<OsString> =
        ["printf", "%s|"].map(OsString::from).into_iter().chain(odd.clone()).collect();
    let output = reprieve().arg("--").args(words).output().expect("our binary");
    let expected: Vec<u8> = odd.flat_map(|word| [word.as_bytes(), b"|"].concat()).collect();
    assert_eq!(output.stdout, expected, "{output:?}");
}

/// tini and dumb-init keep them, and so keep a pipe open or a mount busy. peers.rs shows it.
#[test]
fn the_app_inherits_descriptors_that_we_do_not_keep() {
    let folder = Folder::new();
    let some = |init: Init| {
        let files = "exec 3>\"$FILE\" 5</dev/zero 9>>\"$FILE\"; exec \"$@\"";
        init.variable("FILE", &folder.path("file").to_string_lossy())
            .through(files)
            .fixture("state --and-listen")
    };
    let (run, bare) = (some(pid1()), some(no_init()));
    let open = run.hears("descriptors: ").text;
    assert_eq!(open, bare.hears("descriptors: ").text);
    assert!(["3", "5", "9"].iter().all(|fd| open.contains(fd)), "{open}");
    eventually("the init to hold nothing", || {
        let ours = descriptors(run.pid());
        let mut held = ours.iter().filter(|(fd, _)| **fd > 2);
        // Of stderr it may have an opening of its own.
        held.all(|(_, lead)| *lead == ours[&2]).then_some(())
    });
}

#[test]
fn the_log_is_no_descriptor_that_we_let_go_of() {
    // What it warns of before the spawn opens the log early.
    let run = pid1().options("--grace-period 3s").fixture("listen");
    run.hears("warn: ");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert!(ended.said("report: "), "{}", ended.all());
}

/// tini and catatonit stay in it, so that it cannot be unmounted. peers.rs shows it.
#[test]
fn the_app_keeps_the_folder_that_we_leave() {
    let folder = Folder::new();
    let run = pid1()
        .variable("FOLDER", &folder.path("").to_string_lossy())
        .options("--report-file report.txt")
        .through("cd \"$FOLDER\" && exec \"$@\"")
        .fixture("state --and-listen");
    let kept = run.hears("folder: ").text;
    assert_eq!(Path::new(kept.trim_start_matches("folder: ")), folder.path(""));
    run.hears("ready");
    eventually("the init to leave for /", || {
        let ours = std::fs::read_link(format!("/proc/{}/cwd", run.pid())).ok()?;
        (ours.to_str() == Some("/")).then_some(())
    });
    run.signal(libc::SIGTERM);
    run.ends();
    // Its path was relative to the folder in which we started.
    let report = std::fs::read_to_string(folder.path("report.txt")).expect("a report");
    assert!(report.contains("SIGTERM from outside"), "{report}");
}

/// 2.4: catatonit and tini are there while the app runs; without care an app wins the race in every
/// third start.
#[test]
fn the_first_look_of_the_app_finds_us_in_the_root() {
    let folder = Folder::new();
    for _ in 0..30 {
        let ended = pid1()
            .variable("FOLDER", &folder.path("").to_string_lossy())
            .through("cd \"$FOLDER\" && exec \"$@\"")
            .app(["readlink", "/proc/1/cwd"])
            .ends();
        assert_eq!(ended.app(), ["/"], "{}", ended.all());
    }
}

/// 2.9: by no path could anybody come back to it.
#[test]
fn an_app_starts_in_a_folder_that_is_gone() {
    let folder = Folder::new();
    let ended = pid1()
        .variable("FOLDER", &folder.path("gone").to_string_lossy())
        .through("mkdir \"$FOLDER\" && cd \"$FOLDER\" && rmdir \"$FOLDER\" && exec \"$@\"")
        .app(["readlink", "/proc/self/cwd", "/proc/1/cwd"])
        .ends();
    let gone = format!("{} (deleted)", folder.path("gone").display());
    assert_eq!(ended.app(), [gone.as_str(), "/"], "{}", ended.all());
}

/// Without capabilities in a folder of this mode.
fn in_closed_folder(folder: &Path, mode: &str) -> Init {
    let script = format!(
        "mkdir \"$FOLDER\" && cd \"$FOLDER\" && chmod {mode} . && exec {} new -- \"$@\"",
        network().display()
    );
    pid1().variable("FOLDER", &folder.to_string_lossy()).through(&script)
}

/// 2.9: as a container that runs as another user than the owner of its working directory.
#[test]
fn an_app_starts_in_a_folder_that_may_not_be_searched() {
    let folder = Folder::new();
    let closed = folder.path("closed");
    let run = in_closed_folder(&closed, "0").app([
        "sh",
        "-c",
        "readlink /proc/self/cwd; exec sleep 1000",
    ]);
    run.hears(closed.to_str().expect("a path in UTF-8"));
    eventually("the init to leave for /", || {
        let ours = std::fs::read_link(format!("/proc/{}/cwd", run.pid())).ok()?;
        (ours.to_str() == Some("/")).then_some(())
    });
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 143);
}

#[test]
fn a_folder_that_may_not_be_read_is_left_before_the_app_runs() {
    let folder = Folder::new();
    for round in 0..30 {
        let closed = folder.path(&round.to_string());
        let ended = in_closed_folder(&closed, "111")
            .app(["readlink", "/proc/self/cwd", "/proc/1/cwd"])
            .ends();
        assert_eq!(ended.app(), [closed.to_str().expect("UTF-8"), "/"], "{}", ended.all());
    }
}

/// 2.9, and what is said where there is none (1.7).
#[test]
fn paths_of_commands_count_from_where_we_were_started() {
    let folder = Folder::new();
    folder.script("script", "#!/bin/sh\necho \"$0\"\n");
    folder.file("plain", "", 0o644);
    let from_folder = |path: &str, command: &str| {
        let init = pid1().variable("FOLDER", &folder.path("").to_string_lossy());
        let script = format!("cd \"$FOLDER\"; export PATH={path}\"$PATH\"; exec \"$@\"");
        init.through(&script).app([command]).ends()
    };
    assert_eq!(from_folder("", "./script").app(), ["./script"]);
    assert_eq!(from_folder(".:", "script").app(), ["./script"]);
    for (command, code, why) in [
        ("./plain", 126, "cannot run ./plain: it is not executable (chmod +x)"),
        ("./nothing", 127, "cannot run ./nothing: no such file"),
    ] {
        let ended = from_folder("", command);
        assert_eq!(ended.code, code);
        assert!(ended.said(why), "{}", ended.all());
    }
}

/// 2.6: sd_listen_fds(3) and sd_watchdog_enabled(3) take them only if the pid is theirs.
#[test]
fn systemd_names_the_app_in_our_place() {
    let ended = pid1()
        .through(
            "export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_PIDFDID=4711 WATCHDOG_PID=$$ WATCHDOG_USEC=9; \
             exec \"$@\"",
        )
        .fixture("state")
        .ends();
    for line in [
        "pid: 2",
        "env LISTEN_PID=2",
        "env LISTEN_FDS=2",
        "env WATCHDOG_PID=2",
        "env WATCHDOG_USEC=9",
    ] {
        assert!(ended.app().contains(&line), "no {line}; {}", ended.all());
    }
    // It would be the inode of our pidfd.
    assert!(!ended.said("LISTEN_PIDFDID"), "{}", ended.all());
}

#[test]
fn what_systemd_has_for_another_is_left_alone() {
    let ended = pid1()
        .through("export WATCHDOG_PID=$$; exec \"$@\"")
        .variable("LISTEN_PID", "4711")
        .variable("LISTEN_PIDFDID", "4712")
        .fixture("state")
        .ends();
    for line in ["env LISTEN_PID=4711", "env LISTEN_PIDFDID=4712", "env WATCHDOG_PID=2"] {
        assert!(ended.app().contains(&line), "no {line}; {}", ended.all());
    }
}

#[test]
fn the_app_gets_the_environment_without_our_variables() {
    let ended = pid1()
        .variable("REPRIEVE_DELAY", "1s")
        .variable("REPRIEVE_GRACE_PERIOD", "20s")
        .variable("REPRIEVE_LOG_FORMAT", "")
        .variable("REPRIEVE_PORT", "tcp://10.0.0.1:80")
        .variable("REPRIEVE_SERVICE_HOST", "10.0.0.1")
        .variable("REPRIEVES", "a\nb=c")
        .fixture("state")
        .ends();
    let mut ours = ended.app();
    ours.retain(|line| line.starts_with("env REPRIEVE"));
    ours.sort_unstable();
    assert_eq!(
        ours,
        [
            "env REPRIEVES=a",
            "env REPRIEVE_PORT=tcp://10.0.0.1:80",
            "env REPRIEVE_SERVICE_HOST=10.0.0.1"
        ],
        "{}",
        ended.all()
    );
}

#[test]
fn a_script_without_an_interpreter_runs_as_from_a_shell() {
    let folder = Folder::new();
    let script = folder.script("script", "echo \"$0 got $*\"\nexit 7\n");
    let ended = pid1().app([script.as_os_str(), "one".as_ref(), "t w o".as_ref()]).ends();
    assert_eq!(ended.code, 7, "{}", ended.all());
    assert_eq!(ended.app(), [format!("{} got one t w o", script.display())]);
}

#[test]
fn the_app_leads_a_group_of_its_own_in_our_session() {
    let ended = pid1().through("exec setsid \"$@\"").fixture("state").ends();
    for line in ["pid: 2", "group: 2", "parent: 1", "session: 1"] {
        assert!(ended.app().contains(&line), "no {line:?}; {}", ended.all());
    }
}
