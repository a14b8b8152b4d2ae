//! The command line, its environment variables, and bad input (docs/behaviour.md, sections 1 and
//! 16).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::libc;

use crate::harness::*;

// What each option does, and the variable that does the same.

/// The first line of a shutdown, which has the plan.
fn plan(init: Init) -> String {
    let run = init.fixture("listen");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    run.hears("from outside").text
}

#[test]
fn durations_make_the_plan() {
    for (options, expected) in [
        ("--delay 1500ms --grace-period 1m30s --margin 2s", "at +1.5s, SIGKILL at +88s"),
        ("--delay 1h --grace-period 2h --margin 1800", "at +3600s, SIGKILL at +5400s"),
        ("--delay=15 --grace-period=none", "at +15s, no SIGKILL"),
        ("--delay 0 --grace-period 365d", "at once, SIGKILL at +31535999s"),
    ] {
        let line = plan(pid1().options(options));
        assert!(line.contains(expected), "{options}: {line}");
    }
}

#[test]
fn variables_make_the_same_plan() {
    let init = pid1().variable("REPRIEVE_DELAY", "7s").variable("REPRIEVE_GRACE_PERIOD", "60");
    let line = plan(init.variable("REPRIEVE_MARGIN", "500ms"));
    assert!(line.contains("forwarding it at +7s, SIGKILL at +59.5s"), "{line}");
}

#[test]
fn the_command_line_wins_even_over_a_bad_variable() {
    let init = pid1().variable("REPRIEVE_DELAY", "soon").variable("REPRIEVE_GRACE_PERIOD", "20s");
    let line = plan(init.options("--delay 3s --grace-period 30s"));
    assert!(line.contains("forwarding it at +3s, SIGKILL at +29s"), "{line}");
}

#[test]
fn an_empty_variable_is_unset() {
    let init = pid1().options("--delay 5s");
    let init = ["GRACE_PERIOD", "MARGIN", "STOP_SIGNAL", "REWRITE", "LOG_FORMAT", "QUIET"]
        .iter()
        .fold(init, |init, name| init.variable(&format!("REPRIEVE_{name}"), ""));
    let line = plan(init.variable("TINI_VERBOSITY", "").variable("TINI_KILL_PROCESS_GROUP", ""));
    assert!(line.contains("SIGTERM from outside the container: forwarding it at +5s"), "{line}");
}

/// The plan of a shutdown that begins with each of two signals.
fn stop_with_either(init: fn() -> Init) {
    for (number, name) in [(libc::SIGQUIT, "SIGQUIT"), (RTMIN + 3, "SIGRTMIN+3")] {
        let run = init().options("--delay 20s").fixture("listen");
        run.hears("ready");
        run.signal(number);
        run.hears(&format!("{name} from outside the container: forwarding it at +20s"));
        assert!(!run.lines().iter().any(|line| line.text.contains("got ")));
    }
    let run = init().options("--delay 20s").fixture("listen");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    run.hears("got SIGTERM");
}

#[test]
fn other_signals_can_be_the_stop_signals() {
    stop_with_either(|| pid1().options("--stop-signal QUIT,SIGRTMIN+3"));
    stop_with_either(|| pid1().options("--stop-signal 3 --stop-signal rtmin+3"));
    stop_with_either(|| pid1().variable("REPRIEVE_STOP_SIGNAL", "sigquit,37"));
}

fn rewrites(init: Init) {
    let run = init.fixture("listen --until SIGQUIT");
    run.hears("ready");
    run.signal(libc::SIGUSR2);
    run.signal(libc::SIGHUP);
    run.hears("got SIGUSR1");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.app()[1..], ["got SIGUSR1", "got SIGQUIT"], "{}", ended.all());
}

#[test]
fn signals_are_rewritten_or_dropped() {
    rewrites(pid1().options("-r 15:3 --rewrite HUP:USR1 --rewrite=SIGUSR2:0"));
    rewrites(pid1().options("-r 15:3,HUP:USR1,USR2:0"));
    rewrites(pid1().variable("REPRIEVE_REWRITE", "TERM:QUIT,1:10,USR2:0"));
}

#[test]
fn a_dropped_stop_signal_still_holds_and_kills() {
    let init = pid1().options("-r 15:0 --delay 100ms --grace-period 800ms --margin 300ms");
    let run = init.fixture("listen");
    run.hears("ready");
    let began_at = run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_after(began_at, ended.at, Duration::from_millis(500));
    assert_eq!((ended.code, ended.times("got ")), (137, 0), "{}", ended.all());
    assert!(ended.said("; the signal is rewritten to 0, and not forwarded"), "{}", ended.all());
}

fn keeps_holding(init: Init) {
    let run = init.options("--delay 3s").fixture("listen");
    run.hears("ready");
    let began_at = run.signal(libc::SIGTERM);
    let held = run.hears("forwarding it at +3s");
    // Any sooner it would be the same request.
    wait_until(held.at + Duration::from_secs(1));
    run.signal(libc::SIGTERM);
    run.hears("still held back");
    assert_after(began_at, run.hears("got SIGTERM").at, Duration::from_secs(3));
    run.ends();
}

#[test]
fn a_repeated_stop_signal_can_be_ignored() {
    keeps_holding(pid1().options("--on-repeat ignore"));
    keeps_holding(pid1().variable("REPRIEVE_ON_REPEAT", "ignore"));
}

/// A master with a worker, of which the master has heard a SIGHUP.
fn master_heard(init: Init) -> Run {
    let run = init.fixture("leave child");
    run.ready("left ");
    run.hears_times("ready", 2);
    run.signal(libc::SIGHUP);
    run.until_said("the master's SIGHUP", |line| line == "got SIGHUP");
    run
}

fn worker_hears(init: Init) {
    master_heard(init).hears("left got SIGHUP");
}

fn worker_does_not_hear(init: Init) {
    let run = master_heard(init);
    // The master ends of it, and the worker is swept.
    run.signal(libc::SIGUSR1);
    let ended = run.ends();
    assert!(ended.said("left got SIGTERM") && !ended.said("left got SIGHUP"), "{}", ended.all());
}

#[test]
fn signals_go_to_the_group_on_request() {
    worker_hears(pid1().options("-g"));
    worker_hears(pid1().options("--process-group"));
    worker_hears(pid1().variable("REPRIEVE_PROCESS_GROUP", "1"));
    worker_hears(pid1().variable("REPRIEVE_PROCESS_GROUP", "yes"));
    worker_hears(pid1().variable("TINI_KILL_PROCESS_GROUP", "1"));
    worker_hears(pid1().options("-g").variable("REPRIEVE_SINGLE_CHILD", "1"));
}

#[test]
fn signals_go_to_the_child_alone_else() {
    worker_does_not_hear(pid1());
    worker_does_not_hear(pid1().variable("REPRIEVE_PROCESS_GROUP", "false"));
    worker_does_not_hear(pid1().variable("TINI_KILL_PROCESS_GROUP", ""));
    worker_does_not_hear(pid1().options("-c").variable("REPRIEVE_PROCESS_GROUP", "1"));
    worker_does_not_hear(pid1().options("-c").variable("TINI_KILL_PROCESS_GROUP", "1"));
    let init = pid1().variable("REPRIEVE_SINGLE_CHILD", "1");
    worker_does_not_hear(init.variable("TINI_KILL_PROCESS_GROUP", "1"));
}

fn with_an_orphan(init: Init) -> Ended {
    let run = init.options("-v").fixture("leave orphan");
    run.ready("left ");
    run.signal(libc::SIGUSR1);
    run.ends()
}

#[test]
fn leftovers_are_stopped_or_killed() {
    assert!(with_an_orphan(pid1()).said("left got SIGTERM"));
    assert!(!with_an_orphan(pid1().options("--leftovers kill")).said("left got"));
    assert!(!with_an_orphan(pid1().variable("REPRIEVE_LEFTOVERS", "kill")).said("left got"));
}

#[test]
fn leftovers_can_be_waited_for() {
    for init in [pid1().options("--leftovers wait"), pid1().variable("REPRIEVE_LEFTOVERS", "wait")]
    {
        let run = init.options("-v --delay 20s").fixture("leave orphan");
        run.ready("left ");
        run.hears_times("ready", 2);
        run.signal(libc::SIGUSR1);
        run.hears("exited with 0");
        run.signal(libc::SIGHUP);
        run.hears("left got SIGHUP");
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!(ended.times("left got SIGTERM"), 1, "{}", ended.all());
    }
}

fn code_after(init: Init, app: &str) -> i32 {
    init.fixture(app).ends().code
}

#[test]
fn expected_exit_codes_become_success() {
    assert_eq!(code_after(pid1(), "raise SIGTERM"), 143);
    assert_eq!(code_after(pid1().options("-e 143"), "raise SIGTERM"), 0);
    assert_eq!(code_after(pid1().options("--expect-exit 7 -e 143"), "raise SIGTERM"), 0);
    assert_eq!(code_after(pid1().variable("REPRIEVE_EXPECT_EXIT", "7,143"), "raise 15"), 0);
    assert_eq!(code_after(pid1().variable("REPRIEVE_EXPECT_EXIT", "7,143"), "raise 2"), 130);
    let with_both = pid1().options("-e 130").variable("REPRIEVE_EXPECT_EXIT", "143");
    assert_eq!(code_after(with_both, "raise SIGTERM"), 143);
}

#[test]
fn reaped_orphans_are_logged_on_request() {
    let reaps = |init: Init| {
        let run = init.fixture("orphans 3");
        run.hears("made 3");
        // Later than the orphans.
        run.hears("ready");
        run.signal(libc::SIGTERM);
        run.ends().times("reaped the orphan")
    };
    assert_eq!(reaps(pid1()), 0);
    assert_eq!(reaps(pid1().options("-w")), 3);
    assert_eq!(reaps(pid1().options("--warn-on-reap")), 3);
    assert_eq!(reaps(pid1().variable("REPRIEVE_WARN_ON_REAP", "true")), 3);
}

/// What the log says of a signal that passes, and of a shutdown.
fn levels(init: Init) -> (bool, bool) {
    let run = init.fixture("listen");
    run.hears("ready");
    run.signal(libc::SIGHUP);
    run.hears("got SIGHUP");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    (ended.said("forwarded SIGHUP"), ended.said("report:"))
}

#[test]
fn the_log_has_levels() {
    assert_eq!(levels(pid1()), (false, true));
    assert_eq!(levels(pid1().options("-v")), (true, true));
    assert_eq!(levels(pid1().options("--verbose -v")), (true, true));
    assert_eq!(levels(pid1().options("-q")), (false, false));
    assert_eq!(levels(pid1().options("--quiet")), (false, false));
    assert_eq!(levels(pid1().variable("REPRIEVE_VERBOSE", "1")), (true, true));
    assert_eq!(levels(pid1().variable("REPRIEVE_QUIET", "true")), (false, false));
    assert_eq!(levels(pid1().variable("REPRIEVE_QUIET", "1").options("-v")), (true, true));
    assert_eq!(levels(pid1().variable("REPRIEVE_VERBOSE", "2").options("-q")), (false, false));
    assert_eq!(levels(pid1().variable("TINI_VERBOSITY", "3")), (true, true));
    assert_eq!(levels(pid1().variable("TINI_VERBOSITY", "1")), (false, false));
    assert_eq!(levels(pid1().variable("TINI_VERBOSITY", "1").options("-v")), (true, true));
}

#[test]
fn the_log_can_be_json() {
    for init in
        [pid1().options("--log-format json"), pid1().variable("REPRIEVE_LOG_FORMAT", "json")]
    {
        let run = init.fixture("listen");
        run.hears("ready");
        run.signal(libc::SIGTERM);
        assert_eq!(run.ends().report()["event"], "report");
    }
}

#[test]
fn a_rehearsal_can_be_asked_for_by_variable() {
    let began_at = Instant::now();
    let ended = pid1().variable("REPRIEVE_REHEARSE", "1s").fixture("listen").ends();
    assert_after(began_at, ended.at, Duration::from_secs(1));
    assert!(ended.said("rehearsal passed"), "{}", ended.all());
}

#[test]
fn the_app_sees_none_of_our_variables() {
    let ours = [
        ("DELAY", "1s"),
        ("GRACE_PERIOD", "20s"),
        ("MARGIN", "2s"),
        ("STOP_SIGNAL", "TERM,QUIT"),
        ("REWRITE", "15:3"),
        ("ON_REPEAT", "ignore"),
        ("PROCESS_GROUP", "1"),
        ("SINGLE_CHILD", ""),
        ("LEFTOVERS", "wait"),
        ("EXPECT_EXIT", "143"),
        ("SUBREAPER", "1"),
        ("PARENT_DEATH_SIGNAL", "TERM"),
        ("WARN_ON_REAP", "1"),
        ("CHECK", "false"),
        ("VERBOSE", "0"),
        ("QUIET", "0"),
        ("LOG_FORMAT", "json"),
        ("REPORT_FILE", "/dev/null"),
        ("REHEARSE", ""),
        ("REHEARSE_URL", "http://localhost:8080/"),
        ("TRAFFIC_PORT", "8080"),
        ("IGNORE_PORT", "9100"),
        ("IGNORE_PEER", "10.0.0.1"),
        ("QUIET_WINDOW", ""),
    ];
    let init = ours
        .iter()
        .fold(pid1(), |init, (name, value)| init.variable(&format!("REPRIEVE_{name}"), value));
    // What Kubernetes makes for a Service of our name is none of ours.
    let init = init.variable("REPRIEVE_PORT", "tcp://10.0.0.1:80");
    let ended = init.variable("REPRIEVE_SERVICE_HOST", "10.0.0.1").fixture("state").ends();
    let seen: Vec<&str> =
        ended.app().into_iter().filter(|line| line.starts_with("env REPRIEVE_")).collect();
    let expected = ["env REPRIEVE_PORT=tcp://10.0.0.1:80", "env REPRIEVE_SERVICE_HOST=10.0.0.1"];
    let mut seen_sorted = seen.clone();
    seen_sorted.sort_unstable();
    assert_eq!((ended.code, seen_sorted.as_slice()), (0, &expected[..]), "{}", ended.all());
    assert!(ended.log().is_empty(), "{}", ended.all());
}

// The command lines of tini and dumb-init.

#[test]
fn command_lines_of_tini_work() {
    worker_hears(pid1().options("-s -g -v"));
    assert_eq!(code_after(pid1().options("-s -g -v -e 143"), "raise SIGTERM"), 0);
    assert_eq!(code_after(pid1().options("-sgvve 143"), "raise SIGTERM"), 0);
    assert_eq!(code_after(pid1().options("-p SIGKILL -w -vvvv"), "raise SIGTERM"), 143);
    let init = pid1().variable("TINI_SUBREAPER", "").variable("TINI_KILL_PROCESS_GROUP", "1");
    worker_hears(init.variable("TINI_VERBOSITY", "0"));
}

#[test]
fn command_lines_of_dumb_init_work() {
    for options in ["--rewrite 15:3", "-r 15:3", "-c --rewrite 15:3", "--single-child -r 15:3"] {
        let run = pid1().options(options).fixture("listen --until SIGQUIT");
        run.hears("ready");
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!(ended.app()[1..], ["got SIGQUIT"], "{options}: {}", ended.all());
    }
}

#[test]
fn parsing_stops_at_the_first_word_that_is_no_option() {
    for (words, said) in [
        (&["echo", "-h"][..], "-h\n"),
        (&["--delay", "1s", "echo", "--delay", "--bogus"], "--delay --bogus\n"),
        (&["-v", "echo", "--", "-q"], "-- -q\n"),
        (&["--", "echo", "-V"], "-V\n"),
        (&["-g", "--", "echo", "--"], "--\n"),
    ] {
        let call = call(reprieve().args(words));
        assert_eq!((call.code, call.stdout.as_str()), (0, said), "{words:?}: {}", call.stderr);
    }
}

// What is printed and not run.

#[test]
fn help_goes_to_stdout() {
    for words in [&["--help"][..], &["--delay", "3s", "--help", "echo"]] {
        let call = call(reprieve().args(words));
        assert_eq!((call.code, call.stderr.as_str()), (0, ""), "{words:?}");
        for part in [
            "Usage: reprieve [OPTIONS] [--] COMMAND",
            "Shutdown:",
            "--grace-period",
            "Signals:",
            "Processes:",
            "Logging:",
            "REPRIEVE_GRACE_PERIOD",
            "default: 1s",
            "reprieve --delay 15s --grace-period 60s -- node server.js",
        ] {
            assert!(call.stdout.contains(part), "{part} is missing:\n{}", call.stdout);
        }
    }
}

/// 16.11
#[test]
fn the_short_help_has_ten_options() {
    for words in [&["-h"][..], &["--delay", "3s", "-h", "echo"]] {
        let call = call(reprieve().args(words));
        assert_eq!((call.code, call.stderr.as_str()), (0, ""), "{words:?}");
        let help = call.stdout;
        let options = help.lines().filter(|line| line.trim_start().starts_with('-'));
        assert_eq!(options.count(), 10, "{help}");
        assert!(help.lines().all(|line| line.len() <= 80) && help.lines().count() <= 50, "{help}");
        for part in [
            "Usage: reprieve [OPTIONS] [--] COMMAND",
            "--delay",
            "--check",
            "reprieve --delay 15s --grace-period 60s -- node server.js",
            "All options: --help",
        ] {
            assert!(help.contains(part), "{part} is missing:\n{help}");
        }
    }
}

#[test]
fn every_option_is_in_the_help() {
    let help = call(reprieve().arg("--help")).stdout;
    assert!(help.lines().all(|line| line.len() <= 80), "{help}");
    for option in [
        "--delay",
        "--hold-until",
        "--quiet-window",
        "--traffic-port",
        "--ignore-port",
        "--ignore-peer",
        "--grace-period",
        "--margin",
        "--stop-signal",
        "-r, --rewrite",
        "--on-repeat",
        "-g, --process-group",
        "-c, --single-child",
        "--leftovers",
        "--leftovers-timeout",
        "-e, --expect-exit",
        "-s, --subreaper",
        "-p, --parent-death-signal",
        "-w, --warn-on-reap",
        "-v, --verbose",
        "-q, --quiet",
        "--log-format",
        "--report-file",
        "--rehearse",
        "--rehearse-url",
        "--copy-to",
        "--check",
        "-h, --help",
        "-V, --version",
        "-l, --license",
    ] {
        assert!(help.contains(option), "{option} is missing:\n{help}");
    }
}

#[test]
fn the_version_depends_on_the_name() {
    let folder = Folder::new();
    let version = env!("CARGO_PKG_VERSION");
    for (name, expected) in [
        ("docker-init", format!("tini version {version}")),
        ("tini", format!("tini version {version}")),
        ("anything", format!("reprieve {version}\n")),
    ] {
        let path = folder.path(name);
        symlink(env!("CARGO_BIN_EXE_reprieve"), &path).expect("a link");
        for option in ["--version", "-V"] {
            let call = call(Command::new(&path).arg(option));
            assert!(call.stdout.starts_with(&expected), "{name}: {}", call.stdout);
            assert_eq!((call.code, call.stderr.as_str()), (0, ""));
        }
    }
}

/// How dockerd reads it (parseInitVersion): what it takes for the commit is what `docker info` shows.
#[test]
fn dockerd_finds_a_commit_that_is_our_version() {
    let folder = Folder::new();
    let path = folder.path("docker-init");
    symlink(env!("CARGO_BIN_EXE_reprieve"), &path).expect("a link");
    let version = call(Command::new(&path).arg("--version")).stdout;
    let (_, commit) = version.split_once(" - ").expect("a commit");
    let parts: Vec<&str> = commit.trim().split('.').collect();
    assert_eq!(parts, ["git", &env!("CARGO_PKG_VERSION").replace('.', "-")], "{version}");
    // Old ones slice theirs, which has 7 characters, to the length of ours.
    assert!(parts[1].len() <= 7, "{version}");
}

#[test]
fn the_license_is_printed() {
    for option in ["--license", "-l"] {
        let call = call(reprieve().arg(option));
        assert_eq!((call.code, call.stderr.as_str()), (0, ""));
        assert!(call.stdout.contains("Permission is hereby granted, free of charge"));
    }
}

#[test]
fn a_full_stdout_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let status = reprieve().arg("--help").stdout(full).status().expect("a status");
    assert_eq!(status.code(), Some(125));
}

// Bad input.

/// One clear line on stderr, and nothing was spawned.
#[track_caller]
fn refuses(command: &mut Command, code: i32, parts: &[&str]) {
    let call = call(command);
    let said = format!("{command:?}: {} {}", call.code, call.stderr);
    assert_eq!((call.code, call.stdout.as_str()), (code, ""), "{said}");
    assert!(call.stderr.starts_with("reprieve: error: "), "{said}");
    assert_eq!(call.stderr.lines().count(), 1, "{said}");
    for part in parts {
        assert!(call.stderr.contains(part), "{part} is missing: {said}");
    }
}

/// These options before a command that would say that it runs.
fn spawning(options: &[&str]) -> Command {
    let mut command = reprieve();
    command.args(options).args(["--", "echo", "spawned"]);
    command
}

const DURATIONS: &str = "500ms, 15s, 1m30s, 2h or a number of seconds";
const RANGES: &str = "a range is written 5s..20s";
const PORTS: &str = "write a port, 1 to 65535";
const PEERS: &str = "write an address or a network";
const NAMES: &str = "SIGTERM, TERM, 15 or SIGRTMIN+3";

#[test]
fn bad_options_are_refused() {
    for (options, parts) in [
        (&["--bogus"][..], &["--bogus", "--help"][..]),
        (&["-x"], &["-x", "--help"]),
        (&["--delay", "soon"], &["'soon'", "--delay", DURATIONS]),
        (&["--delay", "-5"], &["-5"]),
        (&["--delay=-5"], &["'-5'", "--delay", DURATIONS]),
        (&["--delay="], &["--delay", DURATIONS]),
        (&["--delay", "1.5"], &["'1.5'", "--delay", "500ms, or whole seconds"]),
        (&["--delay", "366d"], &["'366d'", "--delay", "at most 365 days"]),
        (&["--delay", "99999999999999999999"], &["--delay", "at most 365 days"]),
        (&["--delay", "5s.."], &["'5s..'", "--delay", RANGES]),
        (&["--delay", "..5s"], &["'..5s'", "--delay", RANGES]),
        (&["--delay", "5s..soon"], &["'5s..soon'", "--delay", RANGES]),
        (&["--delay", "20s..5s"], &["'20s..5s'", "--delay", "5s..20s"]),
        (&["--delay", "5s..20s", "--quiet-window", "x"], &["'x'", "--quiet-window", DURATIONS]),
        (&["--quiet-window", "3s"], &["--quiet-window", "--delay 5s..20s"]),
        (&["--quiet-window", "3s", "--delay", "5s"], &["--quiet-window", "--delay 5s..20s"]),
        (
            &["--delay", "5s..20s", "--hold-until", "idle"],
            &["'idle'", "--hold-until", "quiet, no-new, closed"],
        ),
        (&["--hold-until", "closed"], &["--hold-until", "--delay 5s..20s"]),
        (&["--traffic-port", "0"], &["'0'", "--traffic-port", PORTS]),
        (&["--traffic-port", "80,65536"], &["'65536'", "--traffic-port", PORTS]),
        (&["--ignore-port", "0"], &["'0'", "--ignore-port", PORTS]),
        (&["--ignore-port", "http"], &["'http'", "--ignore-port", PORTS]),
        (&["--ignore-peer", "10.0.0.0/33"], &["'10.0.0.0/33'", "--ignore-peer", PEERS]),
        (&["--ignore-peer", "node-1"], &["'node-1'", "--ignore-peer", PEERS]),
        (&["--margin", "x"], &["'x'", "--margin", DURATIONS]),
        (&["--grace-period", "x"], &["'x'", "--grace-period", DURATIONS, "or none"]),
        (&["--rehearse", "x"], &["'x'", "--rehearse", DURATIONS, "; or listening, or http://"]),
        (&["--rehearse", "https://h/"], &["'https://h/'", "--rehearse", "no TLS here"]),
        (&["--rehearse-url", "h:80"], &["'h:80'", "--rehearse-url", "http://HOST:PORT/PATH"]),
        (&["--stop-signal", "SIGFOO"], &["'SIGFOO'", "--stop-signal", NAMES]),
        (&["--stop-signal", "TERM,65"], &["'65'", "--stop-signal", NAMES]),
        (&["--stop-signal", "SIGKILL"], &["SIGKILL", "SIGTERM or SIGQUIT would do"]),
        (&["--stop-signal", "TERM,9"], &["SIGKILL", "SIGTERM or SIGQUIT would do"]),
        (&["--stop-signal", "STOP"], &["SIGSTOP", "SIGTERM or SIGQUIT would do"]),
        (&["--stop-signal", "CHLD"], &["SIGCHLD", "SIGTERM or SIGQUIT would do"]),
        (&["-r", "15"], &["'15'", "--rewrite", "15:3 or TERM:QUIT"]),
        (&["-r", "15:FOO"], &["'15:FOO'", "--rewrite", NAMES]),
        (&["-r", "KILL:15"], &["SIGKILL", "--rewrite"]),
        (&["-p", "SIGFOO"], &["'SIGFOO'", "--parent-death-signal", NAMES]),
        (&["--on-repeat", "x"], &["'x'", "--on-repeat", "hurry, ignore"]),
        (&["--leftovers", "x"], &["'x'", "--leftovers", "stop, wait, kill"]),
        (&["--log-format", "x"], &["'x'", "--log-format", "text, json"]),
        (&["-e", "256"], &["'256'", "--expect-exit", "0 to 255"]),
        (&["-e", "x"], &["'x'", "--expect-exit"]),
    ] {
        refuses(&mut spawning(options), 125, parts);
    }
}

#[test]
fn a_value_or_a_command_that_is_missing_is_asked_for() {
    refuses(&mut reprieve(), 125, &["COMMAND"]);
    refuses(reprieve().args(["-v", "--"]), 125, &["COMMAND"]);
    refuses(reprieve().arg("--delay"), 125, &["--delay"]);
}

#[test]
fn options_that_exclude_each_other_are_refused() {
    for (options, parts) in [
        (&["-g", "-c"][..], ["--process-group", "--single-child"]),
        (&["--single-child", "--process-group"], ["--process-group", "--single-child"]),
        (&["-v", "-q"], ["--verbose", "--quiet"]),
        (&["-qvv"], ["--verbose", "--quiet"]),
    ] {
        refuses(&mut spawning(options), 125, &parts);
    }
    let mut both = spawning(&[]);
    both.envs([("REPRIEVE_PROCESS_GROUP", "1"), ("REPRIEVE_SINGLE_CHILD", "1")]);
    refuses(&mut both, 125, &["REPRIEVE_PROCESS_GROUP and REPRIEVE_SINGLE_CHILD"]);
}

#[test]
fn times_that_do_not_fit_are_refused_with_what_would() {
    refuses(
        &mut spawning(&["--delay", "30s", "--grace-period", "30s"]),
        125,
        &["delay of 30s", "margin of 1s", "grace period of 30s", "delay below 29s", "above 31s"],
    );
    refuses(
        &mut spawning(&["--delay", "19s", "--grace-period", "20s"]),
        125,
        &["delay below 19s", "grace period above 20s"],
    );
    refuses(
        &mut spawning(&["--margin", "20s", "--grace-period", "10s"]),
        125,
        &["margin below 10s", "grace period above 20s"],
    );
    refuses(
        spawning(&["--delay", "30s"]).env("REPRIEVE_REHEARSE", "1s"),
        125,
        &["delay of 30s", "grace period of 30s", "where no --grace-period is given"],
    );
    let given = ["--delay", "30s", "--grace-period", "30s", "--rehearse", "1s"];
    let given = call(&mut spawning(&given)).stderr;
    assert!(given.contains("grace period of 30s") && !given.contains("rehearsal"), "{given}");
    refuses(
        &mut spawning(&["--delay", "5s..30s", "--grace-period", "30s"]),
        125,
        &[
            "delay of 5s..30s",
            "margin of 1s",
            "grace period of 30s",
            "delay below 29s",
            "above 31s",
        ],
    );
    let fits = call(&mut spawning(&["--delay", "18999ms", "--grace-period", "20s"]));
    assert_eq!((fits.code, fits.stdout.as_str()), (0, "spawned\n"), "{}", fits.stderr);
}

#[test]
fn little_time_to_drain_is_a_warning() {
    let tight = call(&mut spawning(&["--delay", "15s", "--grace-period", "20s"]));
    assert_eq!((tight.code, tight.stdout.as_str()), (0, "spawned\n"));
    assert!(tight.stderr.starts_with("reprieve: warn: the app has only 4s"), "{}", tight.stderr);
    let roomy = call(&mut spawning(&["--delay", "15s", "--grace-period", "21s"]));
    assert_eq!((roomy.code, roomy.stderr.as_str()), (0, ""));
}

#[test]
fn a_range_or_a_port_without_effect_is_a_warning() {
    let health = ["--health-listen", "127.0.0.1:18086"];
    for (options, warning) in [
        (&["--delay", "0s..2s"][..], Some("--delay 0s..2s ends early only where nothing listens")),
        (&["--delay", "0s..3s"], Some("not above the quiet window of 3s")),
        (&["--delay", "0s..3001ms"], None),
        (&["--delay", "0s..2s", "--quiet-window", "1s"], None),
        (&["--delay", "2s"], None),
        (
            &["--traffic-port", "80,81", "--ignore-port", "82,81"],
            Some("--traffic-port 81 is not watched: --ignore-port names it too"),
        ),
        (
            &["--traffic-port", "18086", health[0], health[1]],
            Some("--traffic-port 18086 is not watched: --health-listen is there"),
        ),
        (&["--traffic-port", "80", "--ignore-port", "82"], None),
        (&["--delay", "0s..9s", "--hold-until", "no-new"], None),
    ] {
        let call = call(spawning(options).env("REPRIEVE_GRACE_PERIOD", "none"));
        assert_eq!((call.code, call.stdout.as_str()), (0, "spawned\n"), "{}", call.stderr);
        match warning {
            Some(text) => {
                let is_one = call.stderr.lines().count() == 1;
                assert!(is_one && call.stderr.starts_with("reprieve: warn: "), "{}", call.stderr);
                assert!(call.stderr.contains(text), "{}", call.stderr);
            }
            None => assert_eq!(call.stderr, "", "{options:?}"),
        }
    }
}

#[test]
fn a_bad_variable_is_named() {
    for (name, value, parts) in [
        ("REPRIEVE_DELAY", "soon", &["'soon'", DURATIONS][..]),
        ("REPRIEVE_DELAY", " ", &[DURATIONS]),
        ("REPRIEVE_MARGIN", "-1", &["'-1'", DURATIONS]),
        ("REPRIEVE_GRACE_PERIOD", "1y", &["'1y'", DURATIONS]),
        ("REPRIEVE_REHEARSE", "x", &["'x'", DURATIONS]),
        ("REPRIEVE_STOP_SIGNAL", "TERM,FOO", &["'FOO'", NAMES]),
        ("REPRIEVE_STOP_SIGNAL", "TERM,,QUIT", &["''", NAMES]),
        ("REPRIEVE_STOP_SIGNAL", "KILL", &["SIGKILL"]),
        ("REPRIEVE_REWRITE", "15:3,2", &["'2'", "15:3 or TERM:QUIT"]),
        ("REPRIEVE_ON_REPEAT", "x", &["'x'", "hurry, ignore"]),
        ("REPRIEVE_HOLD_UNTIL", "x", &["'x'", "quiet, no-new, closed"]),
        ("REPRIEVE_PROCESS_GROUP", "maybe", &["'maybe'"]),
        ("REPRIEVE_SINGLE_CHILD", "maybe", &["'maybe'"]),
        ("REPRIEVE_LEFTOVERS", "x", &["'x'", "stop, wait, kill"]),
        ("REPRIEVE_EXPECT_EXIT", "143,300", &["'300'", "0 to 255"]),
        ("REPRIEVE_PARENT_DEATH_SIGNAL", "x", &["'x'", NAMES]),
        ("REPRIEVE_SUBREAPER", "maybe", &["'maybe'"]),
        ("REPRIEVE_WARN_ON_REAP", "maybe", &["'maybe'"]),
        ("REPRIEVE_VERBOSE", "very", &["'very'"]),
        ("REPRIEVE_QUIET", "maybe", &["'maybe'"]),
        ("REPRIEVE_LOG_FORMAT", "xml", &["'xml'", "text, json"]),
        ("TINI_VERBOSITY", "very", &["'very'"]),
    ] {
        let parts: Vec<&str> = std::iter::once(name).chain(parts.iter().copied()).collect();
        refuses(spawning(&[]).env(name, value), 125, &parts);
    }
}

#[test]
fn a_bad_switch_in_a_variable_says_what_would_be_right() {
    refuses(spawning(&[]).env("REPRIEVE_QUIET", "maybe"), 125, &["true", "false"]);
    refuses(spawning(&[]).env("REPRIEVE_VERBOSE", "very"), 125, &["number"]);
}

#[test]
fn a_bad_option_is_not_blamed_on_the_variable() {
    let mut command = spawning(&["--delay", "soon"]);
    let said = call(command.env("REPRIEVE_DELAY", "3s")).stderr;
    assert!(said.contains("'soon'") && !said.contains("REPRIEVE_DELAY"), "{said}");
}

const NO_UTF8: &[u8] = b"\xff\xfe";

#[test]
fn a_value_that_is_no_utf8_is_refused() {
    let mut command = reprieve();
    command.arg("--delay").arg(OsStr::from_bytes(NO_UTF8)).args(["echo", "spawned"]);
    refuses(&mut command, 125, &["UTF-8"]);
}

#[test]
fn a_variable_that_is_no_utf8_is_named() {
    for name in ["REPRIEVE_DELAY", "REPRIEVE_EXPECT_EXIT", "REPRIEVE_QUIET"] {
        let mut command = spawning(&[]);
        refuses(command.env(name, OsStr::from_bytes(NO_UTF8)), 125, &["UTF-8", name]);
    }
}

#[test]
fn words_and_variables_of_the_app_need_not_be_utf8() {
    let mut command = reprieve();
    command.args(["sh", "-c", "printf %s \"$1$ODD\"", "sh"]);
    command.arg(OsStr::from_bytes(NO_UTF8)).env("ODD", OsStr::from_bytes(NO_UTF8));
    let output = command.output().expect("an output");
    assert_eq!(output.stdout, [NO_UTF8, NO_UTF8].concat());
}

#[test]
fn a_command_that_is_not_there_is_127() {
    // A folder in PATH that may not be searched would be another story.
    let mut absent = reprieve();
    absent.arg("no-such-command").env("PATH", "/usr/bin:/bin");
    refuses(&mut absent, 127, &["no-such-command", "PATH"]);
    refuses(reprieve().arg("/no/such/file"), 127, &["/no/such/file", "no such file"]);
    refuses(reprieve().arg("/dev/null/file"), 127, &["/dev/null/file", "no such file"]);
    refuses(reprieve().arg("./-x"), 127, &["./-x"]);
    refuses(reprieve().args(["--", "-x"]).env("PATH", "/bin"), 127, &["-x", "PATH"]);
    refuses(reprieve().arg(""), 127, &["the command to run is empty"]);
    refuses(reprieve().arg("echo").env("PATH", "/nowhere"), 127, &["echo", "PATH"]);
}

#[test]
fn a_command_that_cannot_be_executed_is_126() {
    let folder = Folder::new();
    let file = folder.file("file", "#!/bin/sh\necho spawned\n", 0o644);
    let wrong = folder.file("wrong", b"\x7fELF\0\0\0\0 of another machine", 0o755);
    let empty_elf = folder.file("elf", [b"\x7fELF".as_slice(), &[0; 100]].concat(), 0o755);
    refuses(reprieve().arg(&file), 126, &[file.to_str().unwrap(), "chmod +x"]);
    refuses(reprieve().arg(folder.path("")), 126, &["it is a directory"]);
    for path in [wrong, empty_elf] {
        refuses(reprieve().arg(&path), 126, &[path.to_str().unwrap(), "for this machine"]);
    }
    // Found in PATH, and named with its folder.
    let mut in_path = reprieve();
    in_path.arg("file").env("PATH", folder.path(""));
    refuses(&mut in_path, 126, &[file.to_str().unwrap(), "chmod +x"]);
}

#[test]
fn a_script_without_its_interpreter_says_that() {
    let folder = Folder::new();
    for (content, interpreter) in [
        ("#!/no/such/shell -e\necho spawned\n", "/no/such/shell"),
        ("#! /no/such/python3\n", "/no/such/python3"),
        // Written on Windows.
        ("#!/bin/sh\r\necho spawned\r\n", "/bin/sh\\r"),
    ] {
        let script = folder.script("script", content);
        let parts = [script.to_str().unwrap(), "interpreter", interpreter];
        refuses(reprieve().arg(&script), 127, &parts);
    }
}

#[test]
fn a_script_without_an_interpreter_line_runs_as_from_a_shell() {
    let folder = Folder::new();
    let script = folder.script("script", "echo \"$# $1\"\n");
    let call = call(reprieve().arg(script).args(["a b", "c"]));
    assert_eq!((call.code, call.stdout.as_str()), (0, "2 a b\n"), "{}", call.stderr);
}

#[test]
fn bad_input_is_refused_as_pid_1_too() {
    need_pid_namespaces();
    for (words, code) in [("--bogus", 125), ("/", 126), ("/no-such-command", 127)] {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
        if !nix::unistd::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.arg("--").arg(env!("CARGO_BIN_EXE_reprieve"));
        refuses(command.arg(OsString::from(words)), code, &[]);
    }
}
