//! Mistakes of a new user, and what is said of them (docs/behaviour.md, 1.2, 1.4, 1.7 and section 16). Each is
//! a line as a shell takes it, with the exit code and a part of the one line of the log. `app` says that it
//! runs, which it does where the exit code is 0.

use std::os::unix::fs::symlink;
use std::process::Command;

use crate::harness::*;

type Row = (&'static str, i32, &'static str);

/// Runs each line in a folder that has `reprieve`, `app`, and some files that are no programs.
#[track_caller]
fn are_answered(rows: &[Row]) {
    let folder = Folder::new();
    symlink(env!("CARGO_BIN_EXE_reprieve"), folder.path("reprieve")).expect("a link");
    folder.script("app", "#!/bin/sh\necho runs\n");
    folder.script("marked", "\u{feff}#!/bin/sh\necho runs\n");
    folder.script("hook", "\u{feff}#!/bin/true\ntrue\n");
    folder.script("spaced", "\n#!/bin/sh\necho runs\n");
    folder.script("windows", "#!/bin/sh\r\necho runs\r\n");
    folder.script("orphan", "#!/no/such/python3\n");
    folder.file("plain", "#!/bin/sh\necho runs\n", 0o644);
    for (line, code, answer) in rows {
        let mut command = Command::new("/bin/sh");
        let path = format!("{}:/usr/bin:/bin", folder.path("").display());
        command.args(["-c", line]).current_dir(folder.path("")).env("PATH", path);
        let call = call(&mut command);
        let said = format!("{line}\nexit code {}: {}{}", call.code, call.stdout, call.stderr);
        assert_eq!(call.code, *code, "{said}");
        assert_eq!(call.stdout, if *code == 0 { "runs\n" } else { "" }, "{said}");
        let lines: Vec<&str> =
            call.stderr.lines().filter(|l| l.starts_with("reprieve: ")).collect();
        assert!(lines.len() == 1 && lines[0].contains(answer), "{answer}\nis not said of\n{said}");
        let level = if *code == 0 { "reprieve: warn: " } else { "reprieve: error: " };
        assert!(lines[0].starts_with(level), "{said}");
    }
}

/// 16.9
#[test]
fn of_an_option() {
    are_answered(&[
        ("reprieve --dely 5s app", 125, "there is no option '--dely'; did you mean --delay?"),
        ("reprieve --delays=5s app", 125, "there is no option '--delays'; did you mean --delay?"),
        ("reprieve --DELAY 5s app", 125, "there is no option '--DELAY'; did you mean --delay?"),
        ("reprieve --grace 10s app", 125, "'--grace'; did you mean --grace-period?"),
        ("reprieve --grace_period 10s app", 125, "'--grace_period'; did you mean --grace-period?"),
        ("reprieve --graceperiod 10s app", 125, "'--graceperiod'; did you mean --grace-period?"),
        (
            "reprieve --termination-grace-period 10s app",
            125,
            "'--termination-grace-period'; did you mean --grace-period?",
        ),
        ("reprieve --signal QUIT app", 125, "'--signal'; did you mean --stop-signal?"),
        ("reprieve --report /tmp/x app", 125, "'--report'; did you mean --report-file?"),
        ("reprieve --pre-stop true app", 125, "'--pre-stop'; did you mean --on-stop?"),
        ("reprieve --listen :80 app", 125, "'--listen'; did you mean --health-listen?"),
        ("reprieve --verison app", 125, "'--verison'; did you mean --version?"),
        ("reprieve --bogus app", 125, "'--bogus'; write the app's options after its name"),
        ("reprieve -x app", 125, "there is no option '-x'; write the app's options after its name"),
        ("reprieve -delay 5s app", 125, "there is no option '-delay'; did you mean --delay?"),
        ("reprieve -margin=5s app", 125, "there is no option '-margin'; did you mean --margin?"),
        (
            "reprieve -grace-period 10s app",
            125,
            "there is no option '-grace-period'; did you mean --grace-period?",
        ),
        ("reprieve --stop-timeout 10s app", 125, "'--stop-timeout'; did you mean --grace-period?"),
        ("reprieve --preStop true app", 125, "'--preStop'; did you mean --on-stop?"),
        ("reprieve --ports 80 app", 125, "'--ports'; did you mean --traffic-port?"),
        ("reprieve --log-level debug app", 125, "'--log-level'; did you mean --verbose?"),
        ("reprieve --delay -5s app", 125, "no option '-5'; a time or a number has no sign"),
        ("reprieve -e -1 app", 125, "no option '-1'; a time or a number has no sign"),
        ("reprieve -e REPRIEVE_DELAY=5s app", 125, "a variable is set before the image"),
        ("reprieve --check=true app", 125, "the option '--check' takes no value"),
        ("reprieve --delay", 125, "a value is required for '--delay <D|MIN..MAX>'"),
        ("reprieve -g -c app", 125, "--process-group and --single-child exclude each other"),
        ("reprieve --delay 5s", 125, "no command is given; write reprieve [OPTIONS] -- COMMAND"),
        ("reprieve", 125, "words after the image in docker run take the place of its CMD"),
    ]);
}

/// 16.19
#[test]
fn of_a_variable() {
    are_answered(&[
        (
            "REPRIEVE_GRACE=10s reprieve app",
            0,
            "REPRIEVE_GRACE sets no option: did you mean REPRIEVE_GRACE_PERIOD?",
        ),
        (
            "reprieve_delay=5s reprieve app",
            0,
            "reprieve_delay sets no option: did you mean REPRIEVE_DELAY?",
        ),
        (
            "Reprieve_Delay=5s reprieve app",
            0,
            "Reprieve_Delay sets no option: did you mean REPRIEVE_DELAY?",
        ),
        (
            "REPRIEVE_delay=5s reprieve app",
            0,
            "REPRIEVE_delay sets no option: did you mean REPRIEVE_DELAY?",
        ),
        ("REPRIEVE_DELAY_SECONDS=5 reprieve app", 0, "did you mean REPRIEVE_DELAY?"),
        (
            "REPRIEVE_DEALY=5s reprieve app",
            0,
            "REPRIEVE_DEALY sets no option: did you mean REPRIEVE_DELAY?",
        ),
        ("REPRIEVE_STOPSIGNAL=QUIT reprieve app", 0, "did you mean REPRIEVE_STOP_SIGNAL?"),
        ("REPRIEVE_TRAFFIC_PORTS=80 reprieve app", 0, "did you mean REPRIEVE_TRAFFIC_PORT?"),
        ("REPRIEVE_TRAFIC_PORT=80 reprieve app", 0, "did you mean REPRIEVE_TRAFFIC_PORT?"),
        (
            "REPRIEVE_TERMINATION_GRACE_PERIOD=9s reprieve app",
            0,
            "did you mean REPRIEVE_GRACE_PERIOD?",
        ),
        ("REPRIEVE_LOGFORMAT=json reprieve app", 0, "did you mean REPRIEVE_LOG_FORMAT?"),
        ("REPRIEVE_STOP_TIMEOUT=9s reprieve app", 0, "did you mean REPRIEVE_GRACE_PERIOD?"),
        ("REPRIEVE_PRESTOP=true reprieve app", 0, "did you mean REPRIEVE_ON_STOP?"),
        ("REPRIEVE_HELP=1 reprieve app", 0, "REPRIEVE_HELP sets no option, and the app does not"),
        (
            "REPRIEVE_FOO=1 reprieve app",
            0,
            "REPRIEVE_FOO sets no option, and the app does not get it (see reprieve --help)",
        ),
        ("REPRIEVE_GRACE=10s reprieve -q app", 0, "did you mean REPRIEVE_GRACE_PERIOD?"),
        ("REPRIEVE_QUIET=maybe reprieve app", 125, "REPRIEVE_QUIET: invalid value 'maybe'"),
        ("REPRIEVE_CHECK=maybe reprieve app", 125, "write true or false"),
        ("REPRIEVE_MARGIN=1,5s reprieve app", 125, "REPRIEVE_MARGIN: invalid value '1,5s'"),
        ("TINI_VERBOSITY=debug reprieve app", 125, "TINI_VERBOSITY: 'debug' is not a number"),
    ]);
}

/// 16.19: where our own name is not right.
#[test]
fn of_our_name_in_a_variable() {
    are_answered(&[
        (
            "REPREIVE_DELAY=5s reprieve app",
            0,
            "REPREIVE_DELAY sets no option: did you mean REPRIEVE_DELAY?",
        ),
        (
            "REPREIVE_MARGIN=5s reprieve app",
            0,
            "REPREIVE_MARGIN sets no option: did you mean REPRIEVE_MARGIN?",
        ),
        ("REPRIVE_DELAY=5s reprieve app", 0, "REPRIVE_DELAY sets no option: did you mean REPRIEVE"),
        ("reprive_delay=5s reprieve app", 0, "reprive_delay sets no option: did you mean REPRIEVE"),
        ("env REPRIEVE-DELAY=5s reprieve app", 0, "did you mean REPRIEVE_DELAY?"),
        ("REPRIEVEDELAY=5s reprieve app", 0, "did you mean REPRIEVE_DELAY?"),
    ]);
}

/// 16.4
#[test]
fn of_a_time() {
    const UNITS: &str = "the units are ms, s, m (minutes) and h; write 500ms, 15s, 1m30s, 2h";
    const WHOLE: &str = "write it without a fraction: 500ms, or whole seconds";
    are_answered(&[
        ("reprieve --delay 1M app", 125, UNITS),
        ("reprieve --grace-period 1y app", 125, UNITS),
        ("reprieve --margin 2w app", 125, UNITS),
        ("reprieve --delay 15S app", 125, UNITS),
        ("reprieve --delay 5min app", 125, UNITS),
        ("REPRIEVE_DELAY=30sec reprieve app", 125, UNITS),
        ("reprieve --delay 0.5 app", 125, WHOLE),
        ("reprieve --delay 1.5s app", 125, WHOLE),
        ("reprieve --delay 0,5 app", 125, WHOLE),
        ("reprieve --delay soon app", 125, "write 500ms, 15s, 1m30s, 2h or a number of seconds"),
        ("reprieve --delay=-5 app", 125, "write 500ms, 15s, 1m30s, 2h or a number of seconds"),
        ("reprieve --delay 5s-20s app", 125, "or a range such as 5s..20s"),
        ("reprieve --delay 20s..5s app", 125, "write the shorter one first: 5s..20s"),
        ("reprieve --delay 5s... app", 125, "a range is written 5s..20s"),
        ("reprieve --grace-period 366d app", 125, "write at most 365 days, or none"),
        (
            "reprieve --delay 30s --grace-period 30s app",
            125,
            "use a delay below 29s, or a grace period above 31s",
        ),
        (
            "reprieve --delay 15s app",
            0,
            "a delay of 15s without a grace period: where the orchestrator",
        ),
        ("reprieve --delay 5s..20s app", 0, "set --grace-period to what it allows, or to none"),
        ("reprieve --delay 15s --grace-period 18s app", 0, "the app has only 2s between"),
        (
            "reprieve --delay 1s..2s --grace-period 18s app",
            0,
            "--delay 1s..2s ends early only where",
        ),
        (
            "reprieve --quiet-window 3s app",
            125,
            "needs a delay that can end early, such as --delay 5s..20s",
        ),
    ]);
}

/// 16.9
#[test]
fn of_a_value() {
    const QUOTES: &str = "leave the quotes out (in an env file they are part of the";
    are_answered(&[
        ("REPRIEVE_DELAY='\"5s\"' reprieve app", 125, QUOTES),
        ("REPRIEVE_GRACE_PERIOD=\"'60s'\" reprieve app", 125, QUOTES),
        ("REPRIEVE_LOG_FORMAT='\"json\"' reprieve app", 125, QUOTES),
        ("REPRIEVE_TRAFFIC_PORT='\"80,81\"' reprieve app", 125, QUOTES),
        ("REPRIEVE_QUIET='\"true\"' reprieve app", 125, QUOTES),
        ("REPRIEVE_AWAIT_URL='\"http://h/\"' reprieve app", 125, QUOTES),
        ("REPRIEVE_REPORT_FILE='\"/tmp/x\"' reprieve app", 125, QUOTES),
        ("REPRIEVE_REPORT_FILE=\"'/tmp/x'\" reprieve app", 125, QUOTES),
        ("reprieve --ready-file '\"/tmp/x\"' app", 125, QUOTES),
        ("reprieve --on-stop \"'true\" app", 125, "a quote is not closed"),
        ("reprieve --on-exit 'sh -c \"true' app", 125, "a quote is not closed"),
        ("reprieve --delay '“5s”' app", 125, QUOTES),
        (
            "REPRIEVE_ON_STOP='\"/bin/true --now\"' reprieve app",
            125,
            "--on-stop: cannot run /bin/true --now: no such file; it is one word with spaces in it",
        ),
        (
            "REPRIEVE_ON_STOP='true --now && true' reprieve app",
            0,
            "--on-stop true has &&, and no shell reads it: write sh -c '...' if one is to",
        ),
        ("reprieve --on-exit 'true $HOME' app", 0, "--on-exit true has $HOME, and no shell reads"),
        ("reprieve --on-exit ./hook app", 0, "a byte-order mark before its #! hides that line"),
        ("reprieve --log-format JSON app", 125, "[possible values: text, json]"),
        (
            "reprieve --stop-signal SIGKILL app",
            125,
            "no process can catch SIGKILL; SIGTERM or SIGQUIT",
        ),
        ("reprieve --stop-signal SIGTREM app", 125, "write SIGTERM, TERM, 15 or SIGRTMIN+3"),
        ("reprieve --rewrite TERM app", 125, "write two signals, such as 15:3 or TERM:QUIT"),
        (
            "reprieve --rewrite TERM:KILL app",
            0,
            "--rewrite SIGTERM:SIGKILL: no app can catch SIGKILL",
        ),
        ("reprieve -r 15:19 app", 0, "--rewrite SIGTERM:SIGSTOP: no app can catch SIGSTOP"),
        ("reprieve --health-listen 8086 app", 125, "such as 0.0.0.0:8086 or [::]:8086"),
        (
            "reprieve --health-upstream https://h/ --health-listen :80 app",
            125,
            "there is no TLS here",
        ),
        ("reprieve --report-file /no/such/file app", 0, "cannot write the report to /no/such/file"),
        ("reprieve --ready-file /no/such/file app", 125, "its directory does not exist"),
        ("reprieve --expect-exit 300 app", 125, "write an exit code, 0 to 255"),
    ]);
}

/// 1.7
#[test]
fn of_a_command() {
    const OPTIONS: &str =
        "not found in PATH; options of reprieve come before the --, or are variables";
    const SHELL: &str = "only a shell understands that: write sh -c '...'";
    are_answered(&[
        (
            "reprieve -- --delay 5s",
            127,
            "cannot run --delay: not found in PATH; options of reprieve",
        ),
        ("reprieve -- --grace-period=5s app", 127, OPTIONS),
        ("reprieve -- -v app", 127, OPTIONS),
        ("reprieve —delay 5s app", 127, OPTIONS),
        (
            "reprieve -- 'node server.js'",
            127,
            "cannot run node server.js: not found in PATH; it is one word with spaces in it: write \
             separate words, \"node\", \"server.js\"",
        ),
        ("reprieve './app --fast'", 127, "no such file; it is one word with spaces in it"),
        (
            "reprieve '\"app --fast\"'",
            127,
            "it is one word with spaces in it: write separate words, \"app\", \"--fast\"",
        ),
        ("reprieve '[\"app\",\"--fast\"]'", 127, "it is a list that was taken for text"),
        ("reprieve \"['app',\" \"'--fast']\"", 127, "it is a list that was taken for text"),
        ("reprieve '\"app\"'", 127, "not found in PATH; leave the quotes out"),
        ("reprieve REPRIEVE_DELAY=5s app", 127, "a variable is set before the image"),
        ("reprieve help", 127, "not found in PATH; did you mean --help?"),
        ("reprieve version", 127, "not found in PATH; did you mean --version?"),
        ("reprieve '$APP'", 127, SHELL),
        ("reprieve PORT=80 app", 127, SHELL),
        ("reprieve exec app", 127, SHELL),
        ("reprieve ''", 127, "the command to run is empty"),
        ("reprieve no-such-app", 127, "cannot run no-such-app: not found in PATH"),
        ("reprieve ./orphan", 127, "its interpreter /no/such/python3 does not exist"),
        (
            "reprieve ./windows",
            127,
            "its interpreter /bin/sh\\r does not exist (save it with Unix line",
        ),
        ("reprieve ./plain", 126, "it is not executable (chmod +x)"),
        ("reprieve /tmp", 126, "it is a directory"),
        (
            "reprieve ./marked",
            0,
            "./marked: a byte-order mark before its #! hides that line, so /bin/sh runs",
        ),
        ("reprieve ./spaced", 0, "its #! is not at the very beginning, so /bin/sh runs it"),
    ]);
}

/// 2.5 and 16.19: what Kubernetes makes for a Service, and what a hook gets, are no mistakes; and the app
/// has them.
#[test]
fn variables_that_others_make_are_none() {
    let others = [
        "REPRIEVE_SERVICE_HOST=10.0.0.1",
        "REPRIEVE_SERVICE_PORT_HTTP=80",
        "REPRIEVE_PORT=tcp://10.0.0.1:80",
        "REPRIEVE_PORT_80_TCP_ADDR=10.0.0.1",
        "REPRIEVE_X_SERVICE_HOST=10.0.0.1",
        "REPRIEVE_X_PORT=tcp://10.0.0.1:80",
        "REPRIEVE_X_PORT_80_TCP=tcp://10.0.0.1:80",
        "REPRIEVE_PHASE=on-stop",
        "REPRIEVE_REPORT={}",
    ];
    let mut command = reprieve();
    command.arg("env").envs(others.iter().filter_map(|entry| entry.split_once('=')));
    let call = call(&mut command);
    assert_eq!((call.code, call.stderr.as_str()), (0, ""));
    for entry in others {
        assert!(
            call.stdout.lines().any(|line| line == entry),
            "{entry} is missing: {}",
            call.stdout
        );
    }
}

/// 2.5
#[test]
fn a_mistyped_variable_does_not_reach_the_app() {
    let mut command = reprieve();
    command.arg("env").envs([("REPRIEVE_GRACE", "10s"), ("reprieve_delay", "5s")]);
    let call = call(&mut command);
    assert_eq!((call.code, call.stderr.lines().count()), (0, 2), "{}", call.stderr);
    assert!(!call.stdout.to_lowercase().contains("reprieve_"), "{}", call.stdout);
}

/// As PID 1 too, and as JSON.
#[test]
fn a_mistyped_variable_is_a_warning_of_pid_1() {
    let init = pid1().variable("REPRIEVE_GRACE", "10s").options("--log-format json -q");
    let ended = init.fixture("state").ends();
    assert_eq!(ended.times("\"event\":\"unknown_variable\""), 1, "{}", ended.all());
    assert_eq!(ended.times("env REPRIEVE_"), 0, "{}", ended.all());
}

/// 1.13: "try again" would say neither that it is a limit nor which.
#[test]
fn a_limit_on_processes_is_named() {
    let mut command = Command::new("setpriv");
    if nix::unistd::geteuid().is_root() {
        // Root has no such limit.
        command.args(["--reuid=65534", "--clear-groups"]);
    }
    command.args(["--", "prlimit", "--nproc=0", "--", env!("CARGO_BIN_EXE_reprieve"), "true"]);
    let call = call(&mut command);
    let said = "cannot start a process: the limit on processes is reached: pids.max of the cgroup";
    assert!(call.code == 125 && call.stderr.contains(said), "{}: {}", call.code, call.stderr);
}
