//! `--check` and the plan (docs/behaviour.md, 16.20 and 15.8).

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use nix::libc;

use crate::harness::*;

const LAST: &str = "checked, nothing was started";

/// Checks a command that would say that it runs.
fn checking(options: &[&str]) -> Command {
    let mut command = reprieve();
    command.args(options).args(["--check", "--", "echo", "spawned"]);
    command
}

#[track_caller]
fn has_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "{line}\nis missing in\n{text}");
    }
}

#[test]
fn the_plan_has_times_targets_and_where_each_value_is_from() {
    let options = ["--delay", "15s", "-r", "TERM:QUIT", "--on-stop", "true secret", "-g"];
    let mut command = checking(&options);
    command.env("REPRIEVE_GRACE_PERIOD", "60").env("TINI_VERBOSITY", "2");
    let call = call(command.env("REPRIEVE_TRAFFIC_PORT", "80,81"));
    assert_eq!((call.code, call.stderr.as_str()), (0, ""), "{}", call.stdout);
    has_lines(
        &call.stdout,
        &[
            &format!("reprieve {}: the plan", env!("CARGO_PKG_VERSION")),
            "command: echo, with 1 argument",
            "+0s: SIGTERM comes, and is held back; on-stop hooks run, 11s at most",
            "+15s: it is forwarded as SIGQUIT (--rewrite), or later if a hook still runs",
            "+59s: SIGKILL to what is left",
            "+60s: the grace period is over",
            "signals go to: the process group of the process that is started",
            "watched: ports 80, 81; for the report alone, as the delay is fixed",
            "value: --delay 15s, by an option",
            "value: --grace-period 60, by the variable REPRIEVE_GRACE_PERIOD",
            "value: --traffic-port 80,81, by the variable REPRIEVE_TRAFFIC_PORT",
            "value: --process-group, by an option",
            "value: --on-stop true, by an option",
            "value: TINI_VERBOSITY=2, by a variable of another init",
        ],
    );
    assert!(call.stdout.contains("by default: --margin 1s, --on-repeat hurry"), "{}", call.stdout);
    assert!(!call.stdout.contains("secret"), "{}", call.stdout);
    assert!(call.stdout.ends_with(&format!("\n{LAST}\n")), "{}", call.stdout);
}

#[test]
fn a_plan_without_a_deadline_says_so() {
    let call = call(&mut checking(&["--delay", "5s..20s", "--grace-period", "none"]));
    assert_eq!((call.code, call.stderr.as_str()), (0, ""));
    has_lines(
        &call.stdout,
        &[
            "+5s to +20s: it is forwarded, once no data came in for 3s",
            "no SIGKILL to the app, as there is no grace period",
            "watched: the ports on which the app listens",
        ],
    );
}

/// 10.20: also where it stands for nobody. tests/containers has one for whom it stands.
#[test]
fn a_plan_says_of_the_gateway_what_a_start_would() {
    let options = "--check --delay 5s --grace-period 60s --ignore-peer gateway";
    let ended = pid1().options(options).in_network("").app(["true"]).ends();
    assert_eq!((ended.code, ended.log().len()), (0, 1), "{}", ended.all());
    assert!(ended.said("ignores nobody: there is no default gateway"), "{}", ended.all());
    assert!(!ended.said("without what comes from"), "{}", ended.all());
}

#[test]
fn a_plan_names_whom_it_ignores_and_what_it_rehearses() {
    let options = ["--delay", "5s", "--grace-period", "60s", "--ignore-peer", "10.0.0.0/8,::1"];
    let alone = call(&mut checking(&options));
    let said = "watched: the ports on which the app listens, without what comes from 10.0.0.0/8, ::1; \
                for the report alone, as the delay is fixed";
    has_lines(&alone.stdout, &[said]);
    for (options, when) in [
        (&["--rehearse", "5s"][..], "5s after the start, with no requests"),
        (
            &["--rehearse", "listening", "--rehearse-url", "http://h/a,http://h/b"],
            "once the app listens on a port, within 60s, with requests to http://h/a, http://h/b",
        ),
        (
            &["--rehearse", "http://h:80/", "--await-timeout", "9s"],
            "once http://h/ answers 2xx, within 9s, with requests to http://h/",
        ),
    ] {
        let call = call(&mut checking(options));
        let said = format!("the stop is played {when} and a grace period of 30s");
        assert!(call.code == 0 && call.stdout.contains(&said), "{said}\n{}", call.stdout);
    }
}

/// As PID 1, by the variable, with the warnings of a start.
#[test]
fn a_variable_asks_for_it_as_pid_1() {
    let init = pid1().variable("REPRIEVE_CHECK", "true").variable("REPRIEVE_GRACE", "10s");
    let ended = init.fixture("listen").ends();
    assert_eq!((ended.code, ended.times("ready")), (0, 0), "{}", ended.all());
    assert_eq!(ended.app().last(), Some(&LAST), "{}", ended.all());
    assert!(ended.said("did you mean REPRIEVE_GRACE_PERIOD?"), "{}", ended.all());
}

#[test]
fn what_a_start_would_refuse_is_refused() {
    let folder = Folder::new();
    let file = folder.file("file", "", 0o644);
    let orphan = folder.script("orphan", "#!/no/such/python3\n");
    let nested = folder.script("nested", format!("#!{}\n", orphan.display()).as_str());
    let of_another_machine =
        folder.file("other", [b"\x7fELF\x02".as_slice(), &[0; 95]].concat(), 0o755);
    let damaged = folder.file("damaged", b"\0\x01\x02", 0o755);
    // A program whose loader is not there: our own, with another name in its place.
    for (command, code, why) in [
        ("no-such-app".into(), 127, "not found in PATH"),
        ("/no/such/app".into(), 127, "no such file"),
        (file.display().to_string(), 126, "chmod +x"),
        (folder.path("").display().to_string(), 126, "it is a directory"),
        (orphan.display().to_string(), 127, "its interpreter /no/such/python3 does not exist"),
        (nested.display().to_string(), 127, "its interpreter"),
        (of_another_machine.display().to_string(), 126, "it is no program for this machine"),
        (damaged.display().to_string(), 126, "it is no program for this machine"),
    ] {
        let call = call(reprieve().args(["--check", &command]));
        assert_eq!(call.code, code, "{command}: {}{}", call.stdout, call.stderr);
        assert!(call.stderr.contains(why) && call.stderr.lines().count() == 1, "{}", call.stderr);
        assert!(call.stdout.ends_with(&format!("{LAST}\n")), "{}", call.stdout);
    }
    for (options, why) in [
        (&["--delay", "soon"][..], "write 500ms"),
        (&["--delay", "30s", "--grace-period", "30s"], "do not fit into a grace period"),
        (&["--on-stop", "/no/such/hook"], "--on-stop: cannot run /no/such/hook: no such file"),
        (&["--ready-file", "/no/such/folder/ready"], "its directory does not exist"),
    ] {
        let call = call(&mut checking(options));
        assert!(call.code == 125 && call.stderr.contains(why), "{}", call.stderr);
    }
    // All that is wrong, at once.
    let mut both = reprieve();
    both.args(["--check", "--on-exit", "/no/such/hook", "/no/such/app"]);
    let both = call(&mut both);
    assert_eq!((both.code, both.stderr.lines().count()), (125, 2), "{}", both.stderr);
}

/// The first line of a script that starts, and then is not what it seems.
#[test]
fn a_flawed_script_is_a_warning() {
    let folder = Folder::new();
    for (content, why) in [
        ("\u{feff}#!/bin/sh\n", "a byte-order mark"),
        ("#!/bin/sh -e\r\n", "its #! line ends as on Windows"),
    ] {
        let script = folder.script("script", content);
        let call = call(reprieve().arg("--check").arg(script));
        assert!(call.code == 0 && call.stderr.contains(why), "{}", call.stderr);
    }
}

/// A program whose dynamic loader is not in the image.
#[test]
fn a_loader_that_is_not_there_is_found_missing() {
    let ours = std::fs::read("/bin/cat").expect("a program");
    let at = ours.windows(9).position(|bytes| bytes == b"/ld-linux").expect("it is dynamic");
    let mut broken = ours;
    broken[at + 1] = b'X';
    let folder = Folder::new();
    let program = folder.file("program", broken, 0o755);
    for option in ["--check", "-q"] {
        let call = call(reprieve().arg(option).arg(&program));
        assert_eq!(call.code, 127, "{}", call.stdout);
        assert!(call.stderr.contains("the dynamic loader that it asks for"), "{}", call.stderr);
    }
    let program = call(reprieve().args(["--check", "cat"]));
    assert_eq!(program.code, 0, "{}", program.stderr);
}

fn call_with_report(report: &Path) -> Call {
    call(reprieve().arg("--check").arg("--report-file").arg(report).arg("/no/such/app"))
}

/// No port, no file, no request, no hook.
#[test]
fn nothing_is_opened_made_or_asked() {
    let folder = Folder::new();
    let (stale, report, hooked) =
        (folder.path("ready"), folder.path("report"), folder.path("hooked"));
    std::fs::write(&stale, "").expect("a stale ready file");
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    server.set_nonblocking(true).expect("a listener");
    let address = server.local_addr().expect("an address");
    let url = format!("http://{address}/");
    let mut command =
        checking(&["--await-url", &url, "--quit-url", &url, "--health-upstream", &url]);
    command.env("REPRIEVE_HEALTH_LISTEN", "127.0.0.1:1").env("REPRIEVE_READY_FILE", &stale);
    command.env("REPRIEVE_REPORT_FILE", &report);
    command.env("REPRIEVE_ON_EXIT", format!("touch {}", hooked.display()));
    let call = call(&mut command);
    assert_eq!((call.code, call.stderr.as_str()), (0, ""));
    assert!(call.stdout.ends_with(&format!("{LAST}\n")) && !call.stdout.contains("spawned"));
    assert!(stale.exists() && !report.exists() && !hooked.exists());
    assert!(server.accept().is_err(), "somebody asks");
    // Why an app was not started is a report; a check has none.
    let failed = call_with_report(&report);
    assert!(failed.code == 127 && !report.exists(), "{}", failed.stderr);
}

/// Nor where the command line is wrong.
#[test]
fn an_error_is_not_written_to_the_report_file_of_a_check() {
    let folder = Folder::new();
    let report = folder.path("report");
    let report = report.to_str().expect("UTF-8");
    for wrong in [
        &["--check", "--report-file", report, "--dely", "5s", "app"][..],
        &["--report-file", report, "--dely", "5s", "--check", "app"],
        &["--report-file", report, "--delay", "soon", "--check", "app"],
        &["--report-file", report, "--check"],
    ] {
        let failed = call(reprieve().args(wrong));
        assert_eq!((failed.code, Path::new(report).exists()), (125, false), "{wrong:?}");
    }
    for value in ["true", "treu"] {
        let mut wrong = reprieve();
        wrong.env("REPRIEVE_CHECK", value).args(["--report-file", report, "--dely", "5s", "app"]);
        let failed = call(&mut wrong);
        assert_eq!((failed.code, Path::new(report).exists()), (125, false), "{value}");
    }
    // One of the app's is none.
    let mut wrong = reprieve();
    wrong.args(["--report-file", report, "--dely", "5s", "app", "--check"]);
    assert_eq!((call(&mut wrong).code, Path::new(report).exists()), (125, true));
}

/// 15.8
#[test]
fn a_verbose_start_logs_the_same_plan() {
    for init in [pid1(), laptop()] {
        let run = init.options("-v --delay 1s --grace-period 20s").fixture("listen");
        run.hears(&format!("reprieve {}: the plan", env!("CARGO_PKG_VERSION")));
        run.hears("+1s: it is forwarded");
        run.hears("value: --grace-period 20s, by an option");
        run.hears("ready");
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!((ended.code, ended.times(LAST)), (0, 0), "{}", ended.all());
    }
}
