//! The log and the report (docs/behaviour.md, section 15).

use std::time::Duration;

use nix::libc;
use serde_json::Value;

use crate::harness::*;

/// Every key of the report, in its order. docs/report.md documents them: a change is a change for
/// whoever reads them.
const KEYS: [&str; 42] = [
    "time",
    "level",
    "logger",
    "version",
    "event",
    "at_ms",
    "message",
    "outcome",
    "trigger",
    "signal",
    "sender",
    "repeated_stop_signals",
    "app",
    "min_delay_ms",
    "delay_ms",
    "grace_period_ms",
    "margin_ms",
    "held_ms",
    "hold_ended_by",
    "traffic",
    "forwarded_signal",
    "forwarded_at_ms",
    "forwarded_to",
    "forwarded_because",
    "drain_ms",
    "app_exit_code",
    "app_signal",
    "main_exit_code",
    "main_signal",
    "stand_in",
    "left_over",
    "killed_at_ms",
    "killed",
    "waited_for_trap",
    "survivors",
    "failed_hooks",
    "uptime_ms",
    "total_ms",
    "unused_ms",
    "sufficient_grace_period_ms",
    "exit_code",
    "rehearsal",
];

/// The keys of the lines that are not the report.
const LINE_KEYS: [&str; 7] = ["time", "level", "logger", "version", "event", "at_ms", "message"];

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> =
        value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn sorted<'a>(keys: &[&'a str]) -> Vec<&'a str> {
    let mut keys: Vec<&str> = keys.to_vec();
    keys.sort_unstable();
    keys
}

/// A shutdown of a listening app with these options.
fn shutdown(options: &str, app: &str) -> Ended {
    let run = pid1().options(options).fixture(app);
    run.hears("ready");
    run.signal(libc::SIGTERM);
    run.ends()
}

// Silence.

#[test]
fn nothing_is_said_without_a_stop_signal() {
    let ended = pid1().options("--delay 5s --grace-period none").app(["sh", "-c", "exit 3"]).ends();
    assert_eq!((ended.code, ended.log().len()), (3, 0), "{}", ended.all());
    let run = pid1().fixture("listen --until SIGUSR1");
    let ready = run.hears("ready");
    for (signal, name) in [(libc::SIGHUP, "SIGHUP"), (libc::SIGWINCH, "SIGWINCH")] {
        run.signal(signal);
        run.hears(&format!("got {name}"));
    }
    assert!(run.lines().iter().all(|line| line.source == ready.source));
}

/// What it leaves over is no news, as long as nothing has to be killed.
#[test]
fn leftovers_that_go_willingly_are_no_news() {
    let folder = Folder::new();
    let path = folder.path("report");
    let script = "setsid $FIXTURE listen --name left & read line <&3; exit 3";
    let fifo = folder.fifo("fifo");
    let script = format!("exec 3<>{}; {script}", fifo.display());
    let run = pid1().options(&with_file(&path, "")).shell(&["sh"], &script);
    run.ready("left ");
    std::fs::write(&fifo, "go\n").expect("a reader");
    let ended = run.ends();
    assert_eq!((ended.code, ended.times("left got SIGTERM")), (3, 1), "{}", ended.all());
    assert!(ended.log().is_empty(), "{}", ended.all());
    assert!(!path.exists());
}

#[test]
fn nothing_of_ours_is_on_stdout() {
    let everything = "-vv --delay 100ms --grace-period 1s --margin 500ms";
    for options in [everything.to_owned(), format!("{everything} --log-format json")] {
        let run = pid1().options(&options).fixture("leave daemon --ignore SIGTERM");
        run.ready("left ");
        run.hears_times("ready", 2);
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        let app = ended.app();
        let known =
            |line: &&str| ["ready ", "got ", "left "].iter().any(|part| line.starts_with(part));
        assert!(app.iter().all(known), "{}", ended.all());
        assert!(ended.log().len() > 5, "{}", ended.all());
    }
}

// The lines.

#[test]
fn each_step_has_a_line_with_its_time() {
    let ended = shutdown("--delay 300ms --grace-period 20s", "listen --drain 200");
    let log = ended.log();
    let line = |n: usize| log.get(n).copied().unwrap_or_else(|| panic!("{}", ended.all()));
    assert_eq!(
        line(0),
        "reprieve: +0.000s SIGTERM from outside the container: forwarding it at +0.3s, \
         SIGKILL at +19s"
    );
    assert!(line(1).contains("forwarded SIGTERM to fixture (pid 2); the delay is over"));
    assert!(line(2).contains("fixture (pid 2) exited with 0"));
    assert!(line(3).starts_with("reprieve: report: drained in 0."), "{}", line(3));
    for part in [
        "s, exit code 0; held 0.3s; 0.",
        "s of 20s used, 2s would do; ",
        "; SIGTERM from outside the container",
    ] {
        assert!(line(3).contains(part), "{part} is missing: {}", line(3));
    }
    assert_eq!(log.len(), 4);
}

/// It opens stderr for itself, and has to keep that when it lets go of what was inherited.
#[test]
fn a_warning_before_the_start_does_not_end_the_log() {
    let ended = shutdown("--grace-period 3s", "listen");
    assert!(ended.log()[0].contains("warn: the app has only 2s"), "{}", ended.all());
    assert!(ended.said("report: drained in"), "{}", ended.all());
}

#[test]
fn a_delay_without_a_grace_period_says_so() {
    let ended = shutdown("--delay 100ms", "listen");
    assert!(ended.log()[0].contains("warn: a delay of 0.1s without a grace period"));
    assert!(ended.log()[1].contains("no SIGKILL (no --grace-period is given)"), "{}", ended.all());
}

#[test]
fn each_line_of_json_is_an_object_of_a_known_shape() {
    let run = pid1()
        .options("-vv -w --log-format json --delay 100ms --grace-period 1s --margin 500ms")
        .fixture("leave daemon --ignore SIGTERM");
    run.ready("left ");
    run.hears_times("ready", 2);
    run.signal(libc::SIGHUP);
    run.hears("got SIGHUP");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    let lines: Vec<Value> = ended
        .log()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect();
    let events: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    for event in ["tight", "stop_signal", "forwarded", "app_ended", "swept", "killed", "reaped"] {
        assert!(events.contains(&event), "{event} is missing: {}", ended.all());
    }
    assert_eq!(events.last(), Some(&"report"));
    for line in &lines[..lines.len() - 1] {
        assert_eq!(keys(line), sorted(&LINE_KEYS), "{line}");
        assert!(["debug", "info", "warn"].contains(&line["level"].as_str().unwrap()), "{line}");
    }
}

// The report.

#[test]
fn the_report_has_these_keys() {
    let ended = shutdown("--log-format json", "listen");
    let report = ended.report();
    assert_eq!(keys(&report), sorted(&KEYS));
    for (part, expected) in [
        ("app", &["pid", "command", "command_line"][..]),
        ("sender", &["pid", "uid", "command"]),
        ("left_over", &["count", "first"]),
        ("killed", &["count", "first"]),
        ("survivors", &["count", "first"]),
        ("failed_hooks", &["count", "first"]),
    ] {
        assert_eq!(keys(&report[part]), sorted(expected), "{part}");
    }
    let ended = pid1().options("--log-format json --rehearse 1s").fixture("listen").ends();
    let report = ended.report();
    assert_eq!(keys(&report), sorted(&KEYS));
    assert_eq!(keys(&report["rehearsal"]), sorted(&["passed", "why_not", "requests"]));
}

#[track_caller]
fn assert_ms(report: &Value, key: &str, at_least: u64) {
    let value = number(report, key);
    assert!((at_least..at_least + 3000).contains(&value), "{key}: {value} in {report}");
}

#[test]
fn the_report_answers_how_long_it_took() {
    let options = "--log-format json --delay 300ms --grace-period 20s --margin 2s";
    let report = shutdown(options, "listen --drain 400 --code 7").report();
    for (key, value) in [("delay_ms", 300), ("grace_period_ms", 20_000), ("margin_ms", 2000)] {
        assert_eq!(number(&report, key), value, "{report}");
    }
    assert_ms(&report, "held_ms", 300);
    assert_ms(&report, "forwarded_at_ms", 300);
    assert_ms(&report, "drain_ms", 400);
    assert_ms(&report, "total_ms", 700);
    let total = number(&report, "total_ms");
    // Each is rounded down for itself.
    assert!([19_999, 20_000].contains(&(number(&report, "unused_ms") + total)), "{report}");
    let enough = number(&report, "sufficient_grace_period_ms");
    assert!(
        enough.is_multiple_of(1000) && enough >= total + 2000 && enough < total + 3001,
        "{report}"
    );
    for (key, value) in [
        ("level", "info"),
        ("trigger", "signal"),
        ("signal", "SIGTERM"),
        ("hold_ended_by", "delay"),
        ("forwarded_signal", "SIGTERM"),
        ("forwarded_to", "main"),
        ("forwarded_because", "no_shell"),
    ] {
        assert_eq!(report[key], value, "{key} in {report}");
    }
    assert_eq!((&report["app_exit_code"], &report["exit_code"]), (&7.into(), &7.into()));
    for key in ["app_signal", "killed_at_ms", "rehearsal"] {
        assert!(report[key].is_null(), "{key} in {report}");
    }
    assert_eq!(
        (&report["waited_for_trap"], &report["repeated_stop_signals"]),
        (&false.into(), &0.into())
    );
}

#[test]
fn the_report_names_what_was_killed() {
    let options = "--log-format json --grace-period 1s --margin 500ms";
    let run = pid1().options(options).fixture("leave daemon --ignore SIGTERM");
    let daemon = run.ready("left ");
    run.hears_times("ready", 2);
    run.signal(libc::SIGTERM);
    let report = run.ends().report();
    for part in ["left_over", "killed"] {
        let (count, first) = (&report[part]["count"], &report[part]["first"][0]);
        let named = [&first["pid"], &first["command"]];
        assert_eq!((count, named), (&1.into(), [&daemon.into(), &"fixture".into()]), "{report}");
    }
    assert_ms(&report, "killed_at_ms", 500);
    assert!(report["sufficient_grace_period_ms"].is_null(), "{report}");
    assert_eq!((&report["app_exit_code"], &report["exit_code"]), (&0.into(), &0.into()));
}

#[test]
fn the_report_tells_why_the_hold_ended() {
    // By itself, of a signal that the app takes for a stop.
    let options = "--log-format json --delay 20s";
    let run = pid1().options(options).fixture("listen --until SIGUSR1");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    run.hears("stop_signal");
    run.signal(libc::SIGUSR1);
    let report = run.ends().report();
    assert_eq!(report["hold_ended_by"], "exit", "{report}");
    assert!(report["forwarded_at_ms"].is_null() && report["drain_ms"].is_null(), "{report}");
    // In a hurry.
    let run = pid1().options(options).fixture("listen");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    let held = run.hears("stop_signal");
    // Any sooner it would be the same request.
    wait_until(held.at + Duration::from_secs(1));
    run.signal(libc::SIGTERM);
    let report = run.ends().report();
    assert_eq!(
        (&report["hold_ended_by"], &report["repeated_stop_signals"]),
        (&"hurry".into(), &1.into())
    );
    assert_ms(&report, "held_ms", 1000);
}

// Who sent it.

#[test]
fn a_sender_outside_has_the_pid_0() {
    let report = shutdown("--log-format json", "listen").report();
    assert_eq!(report["sender"], serde_json::json!({ "pid": 0, "uid": 0, "command": null }));
}

#[test]
fn a_sender_inside_is_named() {
    let script = "$FIXTURE listen --name app & echo \"shell $$\"; read go <&3; kill -TERM 1; wait";
    let folder = Folder::new();
    let fifo = folder.fifo("fifo");
    let script = format!("exec 3<>{}; {script}", fifo.display());
    let run = pid1().options("--log-format json").shell(&["sh"], &script);
    run.ready("app ");
    let shell: i32 = run.hears("shell ").text["shell ".len()..].parse().expect("a pid");
    std::fs::write(&fifo, "go\n").expect("a reader");
    let ended = run.ends();
    let sender = serde_json::json!({ "pid": shell, "uid": 0, "command": "sh" });
    assert_eq!(ended.report()["sender"], sender, "{}", ended.all());
    let said = format!("SIGTERM from sh (pid {shell}, uid 0): forwarding it at once");
    assert!(ended.said(&said), "{}", ended.all());
}

// The report file.

fn with_file(path: &std::path::Path, more: &str) -> String {
    format!("--report-file {} {more}", path.display())
}

#[test]
fn reports_are_appended_to_the_file_line_by_line() {
    let folder = Folder::new();
    let path = folder.path("report");
    for code in [3, 4] {
        let options = with_file(&path, "--log-format json");
        let ended = shutdown(&options, &format!("listen --code {code}"));
        assert_eq!(ended.code, code);
    }
    let file = std::fs::read_to_string(&path).expect("a report file");
    let reports: Vec<Value> =
        file.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let codes: Vec<&Value> = reports.iter().map(|report| &report["exit_code"]).collect();
    assert_eq!(codes, [3, 4]);
    assert!(reports.iter().all(|report| keys(report) == sorted(&KEYS)));
}

#[test]
fn the_file_has_the_log_s_format() {
    let folder = Folder::new();
    let path = folder.path("report");
    let ended = shutdown(&with_file(&path, ""), "listen");
    let file = std::fs::read_to_string(&path).expect("a report file");
    let in_log = ended.log().last().expect("a report").replace("reprieve: ", "");
    assert_eq!(file.trim_end(), in_log);
}

/// 15.8: also where it is no stop signal, and there is no report.
#[test]
fn a_sigkill_of_a_rewrite_is_a_warning() {
    let ended = shutdown("-q -r TERM:KILL", "listen");
    assert_eq!(ended.times("reprieve: warn: +0.00"), 1, "{}", ended.all());
    assert!(ended.said("s forwarded SIGKILL to fixture"), "{}", ended.all());
    assert_eq!(ended.times("reprieve: warn: report: ended by SIGKILL"), 1, "{}", ended.all());
    let run = pid1().options("-q -r HUP:KILL").fixture("listen");
    run.hears("ready");
    run.signal(libc::SIGHUP);
    let ended = run.ends();
    assert_eq!(ended.code, 137, "{}", ended.all());
    assert!(ended.said("reprieve: warn: forwarded SIGKILL to fixture"), "{}", ended.all());
}

#[test]
fn the_file_is_written_also_where_the_log_is_quiet() {
    let folder = Folder::new();
    let path = folder.path("report");
    let ended = shutdown(&with_file(&path, "-q"), "listen");
    assert!(ended.log().is_empty(), "{}", ended.all());
    assert!(std::fs::read_to_string(&path).expect("a file").starts_with("report: drained in"));
}

#[test]
fn the_variable_names_the_file_too() {
    let folder = Folder::new();
    let path = folder.path("report");
    let init = pid1().variable("REPRIEVE_REPORT_FILE", path.to_str().expect("text"));
    let run = init.fixture("listen");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    run.ends();
    assert!(path.exists());
}

/// Many leftovers, with names that are hard to write down, and more ports than fit.
#[test]
fn a_long_report_is_still_a_short_valid_line() {
    let folder = Folder::new();
    let ports: Vec<String> = (20_000..21_000).map(|port| port.to_string()).collect();
    let ports = ports.join(",");
    for format in ["json", "text"] {
        let path = folder.path(format);
        let options = format!(
            "--log-format {format} --grace-period 1s --margin 700ms --delay 10ms \
             --traffic-port {ports}"
        );
        let run = pid1().options(&with_file(&path, &options)).fixture("odd 40");
        run.hears("made 40");
        run.hears("ready");
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        let file = std::fs::read(&path).expect("a report file");
        assert!(file.len() <= 4096, "{} bytes", file.len());
        let file = String::from_utf8(file).expect("UTF-8");
        assert_eq!(file.trim_end_matches('\n').lines().count(), 1, "{file}");
        let unprintable = |c: char| c == '\u{202e}' || c.is_control() && c != '\n';
        assert!(!file.contains(unprintable), "{file:?}");
        assert!(!ended.log().iter().any(|line| line.contains(unprintable)), "{}", ended.all());
        if format == "json" {
            let report: Value = serde_json::from_str(&file).expect("one object");
            assert_eq!(
                (&report["left_over"]["count"], &report["killed"]["count"]),
                (&40.into(), &40.into())
            );
            assert_eq!(report["traffic"]["ports"].as_array().map(Vec::len), Some(64));
            assert_eq!(ended.report(), report);
            assert!(file.contains(r"\u001b[m\u202e"), "{file}");
        }
    }
}

#[test]
fn a_fifo_without_a_reader_does_not_block() {
    let folder = Folder::new();
    let fifo = folder.fifo("fifo");
    let ended = shutdown(&with_file(&fifo, ""), "listen --code 7");
    assert_eq!(ended.code, 7);
    let warning = format!("warn: cannot write the report to {}", fifo.display());
    assert!(ended.said(&warning), "{}", ended.all());
}

/// With a full one neither.
#[test]
fn a_fifo_that_is_full_does_not_block() {
    let folder = Folder::new();
    let fifo = folder.fifo("fifo");
    let script = format!("exec 3<>{}; exec \"$@\"", fifo.display());
    // Filled to the brim; the app holds it open.
    let fill = format!("dd if=/dev/zero of={} oflag=nonblock bs=4096 count=100", fifo.display());
    let run = pid1()
        .options(&with_file(&fifo, ""))
        .through(&script)
        .shell(&["sh"], &format!("{fill} 2>/dev/null; exec $FIXTURE listen --code 7"));
    run.hears("ready");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.code, 7);
    assert!(ended.said("warn: cannot write the report"), "{}", ended.all());
}

#[test]
fn a_file_that_cannot_be_written_is_a_warning() {
    let folder = Folder::new();
    let file = folder.file("file", "", 0o600).join("report").display().to_string();
    // Whether that is known at the start.
    for (path, is_known) in
        [("/nonexistent/report", true), ("/", true), (&file, true), ("/dev/full", false)]
    {
        let ended = shutdown(&with_file(path.as_ref(), ""), "listen --code 7");
        assert_eq!(ended.code, 7, "{}", ended.all());
        let warning = format!("reprieve: warn: cannot write the report to {path}: ");
        assert_eq!(ended.times(&warning), 1, "{}", ended.all());
        let log = ended.log();
        let at = if is_known { log.first() } else { log.last() };
        assert!(at.is_some_and(|line| line.starts_with(&warning)), "{}", ended.all());
    }
}

/// A stream that is a descriptor of ours, and of the app.
#[test]
fn stderr_can_be_the_report_file() {
    let ended = shutdown(&with_file("/dev/stderr".as_ref(), "-q"), "listen");
    assert!(ended.log().iter().any(|line| line.starts_with("report: ")), "{}", ended.all());
}

#[test]
fn a_relative_path_counts_from_where_we_were_started() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("inside")).expect("a folder");
    let run = pid1()
        .variable("FOLDER", folder.path("inside").to_str().expect("text"))
        .options("--report-file ../report")
        .through("cd \"$FOLDER\" && exec \"$@\"")
        .fixture("listen");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    run.ends();
    assert!(folder.path("report").exists());
}

#[test]
fn the_file_is_written_only_if_there_is_something_to_tell() {
    let folder = Folder::new();
    let path = folder.path("report");
    let ended = pid1().options(&with_file(&path, "")).app(["sh", "-c", "exit 3"]).ends();
    assert_eq!(ended.code, 3);
    assert!(!path.exists(), "nothing was to be told");
    // A signal that is no stop signal begins nothing.
    let run = pid1().options(&with_file(&path, "")).fixture("listen --until SIGUSR1");
    run.hears("ready");
    run.signal(libc::SIGUSR1);
    run.ends();
    assert!(!path.exists(), "nothing was to be told");
    // Without a stop signal, something is killed.
    let options = with_file(&path, "--leftovers kill");
    let run = pid1().options(&options).fixture("leave orphan");
    run.ready("left ");
    run.hears_times("ready", 2);
    run.signal(libc::SIGUSR1);
    run.ends();
    let file = std::fs::read_to_string(&path).expect("a report file");
    assert!(file.starts_with("report: KILLED what was left over: "), "{file}");
}

// Warnings.

#[test]
fn an_undeclared_stop_signal_is_a_warning() {
    let run = pid1().fixture("listen --until SIGQUIT");
    run.hears("ready");
    run.signal(libc::SIGQUIT);
    let ended = run.ends();
    let log = ended.log();
    assert_eq!(log.len(), 1, "{}", ended.all());
    assert!(
        log[0].starts_with("reprieve: warn: fixture (pid 2) ended after SIGQUIT"),
        "{}",
        log[0]
    );
    assert!(log[0].contains("--stop-signal SIGQUIT"), "{}", log[0]);
}

#[test]
fn a_declared_one_or_one_from_inside_is_none() {
    let run = pid1().options("--stop-signal QUIT").fixture("listen --until SIGQUIT");
    run.hears("ready");
    run.signal(libc::SIGQUIT);
    let ended = run.ends();
    assert!(!ended.said("warn: "), "{}", ended.all());
    let script = "trap 'exit 7' QUIT; kill -QUIT 1; while :; do :; done";
    let ended = pid1().shell(&["sh"], script).ends();
    assert_eq!((ended.code, ended.log().len()), (7, 0), "{}", ended.all());
    // Nor one before a shutdown.
    let run = pid1().fixture("listen");
    run.hears("ready");
    run.signal(libc::SIGHUP);
    run.hears("got SIGHUP");
    run.signal(libc::SIGTERM);
    assert!(!run.ends().said("warn: "));
}

/// `docker run` in the foreground sends us the SIGWINCH of its terminal, also where the app has none.
/// Apache httpd, whose STOPSIGNAL it is, does catch it.
#[test]
fn a_new_window_size_is_an_undeclared_stop_signal_only_to_who_listens() {
    for (options, warns) in [("--default SIGWINCH", false), ("", true)] {
        let app = format!("listen --until SIGQUIT --code 7 {options}");
        let run = pid1().options("-v").fixture(&app);
        run.hears("ready");
        run.signal(libc::SIGWINCH);
        run.hears("forwarded SIGWINCH");
        // Not from us.
        send(run.main_pid(), libc::SIGQUIT);
        let ended = run.ends();
        assert_eq!((ended.code, ended.said("warn: ")), (7, warns), "{}", ended.all());
    }
}

#[test]
fn a_sigkill_from_elsewhere_may_be_for_want_of_memory() {
    let run = pid1().fixture("listen");
    run.hears("ready");
    send(run.main_pid(), libc::SIGKILL);
    let ended = run.ends();
    let warning = "reprieve: warn: fixture (pid 2) was killed by SIGKILL, not sent by reprieve: out of memory?";
    assert_eq!((ended.code, ended.log()), (137, vec![warning]));
}

/// In a hold or a drain it is as likely.
#[test]
fn a_sigkill_from_elsewhere_in_a_shutdown_is_told_too() {
    let run = pid1().options("--delay 20s").fixture("listen");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    run.hears("forwarding it at +20s");
    send(run.main_pid(), libc::SIGKILL);
    let ended = run.ends();
    assert!(ended.said("not sent by reprieve: out of memory?"), "{}", ended.all());
}

#[test]
fn our_own_sigkill_is_none_of_these() {
    let ended = shutdown("--grace-period 1s --margin 700ms", "listen --ignore SIGTERM");
    assert_eq!(ended.code, 137);
    assert!(!ended.said("not sent by reprieve"), "{}", ended.all());
}

#[test]
fn a_death_by_another_signal_is_a_warning_unless_we_forwarded_it() {
    let ended = pid1().app(["sh", "-c", "kill -SEGV $$"]).ends();
    let warning = "reprieve: warn: sh (pid 2) was killed by SIGSEGV, not sent by reprieve";
    assert_eq!((ended.code, ended.log()), (139, vec![warning]));
    let run = pid1().shell(&["sh"], "echo ready 2; exec sleep 1000");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!((ended.code, ended.said("warn: ")), (143, false), "{}", ended.all());
}

// Colours.

#[test]
fn it_is_named_by_what_it_executed_last() {
    let folder = Folder::new();
    let fifo = folder.fifo("fifo");
    // At the start it is a shell, and nothing is told before its end.
    let script = format!("read go <{}; exec \"$FIXTURE\" raise SIGABRT", fifo.display());
    let run = pid1().shell(&["sh"], &script);
    eventually("the shell", || (run.main_pid() > 0).then_some(()));
    std::fs::write(&fifo, "go\n").expect("a reader");
    let ended = run.ends();
    let warning = "reprieve: warn: fixture (pid 2) was killed by SIGABRT, not sent by reprieve";
    assert_eq!((ended.code, ended.log()), (134, vec![warning]));
}

#[test]
fn there_are_no_colours_in_a_pipe() {
    let ended = shutdown("-vv --grace-period 2s", "listen");
    assert!(ended.said("warn: ") && !ended.said("\x1b"), "{}", ended.all());
}

/// Six failing hooks with long paths: the report once was cut in the middle.
#[test]
fn a_long_report_is_whole() {
    let folder = Folder::new();
    let deep = (0..4).fold(String::new(), |path, level| {
        let path = format!("{path}{}{level}/", "d".repeat(200));
        std::fs::create_dir(folder.path(&path)).expect("a folder");
        path
    });
    let hooks = (0..6).map(|number| {
        let hook = folder.script(&format!("{deep}hook{number}"), "#!/bin/sh\nexit 3\n");
        hook.display().to_string()
    });
    let hooks = hooks.collect::<Vec<_>>().join("\n");
    for format in ["json", "text"] {
        let path = folder.path(format);
        let run = pid1()
            .options(&format!("--log-format {format}"))
            .option("--report-file", path.as_os_str())
            .variable("REPRIEVE_ON_STOP", &hooks)
            .fixture("listen");
        run.ready("");
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        let file = std::fs::read_to_string(path).expect("a report file");
        let line = file.strip_suffix('\n').expect("a whole line");
        assert!(line.len() < 4096 && !line.contains('\n'), "{} bytes: {line}", line.len());
        if format == "json" {
            let report: Value = serde_json::from_str(line).expect("an object");
            assert_eq!(report["failed_hooks"]["count"], 6, "{report}");
            assert_eq!(report, ended.report());
        } else {
            let begins = "report: drained in ";
            assert!(line.starts_with(begins) && line.contains("; FAILED: on-stop hook"), "{line}");
        }
    }
}

/// 3.9: pid and uid are then the sender's own words.
#[test]
fn a_queued_signal_has_no_sender() {
    for claimed in ["0", "1", "4711"] {
        let script = format!("trap 'exit 0' TERM; \"$FIXTURE\" queue 1 SIGTERM {claimed}; wait");
        let ended = pid1().shell(&["sh"], &script).ends();
        let text = "SIGTERM from an unknown sender (by sigqueue): forwarding it at once";
        assert!(ended.said(text), "{}", ended.all());
        assert!(!ended.said("outside"), "{}", ended.all());
        let ended = pid1().options("--log-format json").shell(&["sh"], &script).ends();
        let report = ended.report();
        assert_eq!((&report["trigger"], &report["sender"]), (&Value::from("signal"), &Value::Null));
    }
}

/// 15.11
#[test]
fn a_queued_signal_is_no_undeclared_stop_signal() {
    let script = "trap 'exit 0' QUIT; \"$FIXTURE\" queue 1 SIGQUIT 0; while :; do sleep 0.01; done";
    let ended = pid1().shell(&["sh"], script).ends();
    assert_eq!((ended.code, ended.log()), (0, vec![]), "{}", ended.all());
}

/// 3.2: else anybody could have a signal dropped.
#[test]
fn a_queued_signal_that_claims_to_be_ours_is_forwarded() {
    let run = pid1().fixture("listen");
    run.hears("ready");
    let program = fixture();
    let words = [program.to_str().expect("a path in UTF-8"), "queue", "1", "SIGPIPE", "1"];
    let _visitor = run.enter(&words);
    run.hears("got SIGPIPE");
}

/// 15.10: `reprieve app | head -1` is no fault of anybody's.
#[test]
fn an_app_at_the_end_of_a_pipeline_dies_without_a_warning() {
    for (redirect, warns) in
        [("| :", false), ("2>&1 >/dev/null | :", false), ("| cat", true), (">/dev/null", true)]
    {
        let ours = env!("CARGO_BIN_EXE_reprieve");
        // The app dies only when the reader, if it ends by itself, has ended.
        let app = "sleep 0.3; kill -PIPE $$";
        let script = format!("{{ {ours} -- sh -c '{app}'; echo $? >&3; }} {redirect}");
        let mut command = std::process::Command::new("sh");
        let call = call(command.args(["-c", &format!("exec 3>&1; {script}")]));
        assert_eq!(call.stdout, "141\n", "{redirect}: {}", call.stderr);
        let warned = call.stderr.contains("was killed by SIGPIPE, not sent by reprieve");
        assert_eq!(warned, warns, "{redirect}: {}", call.stderr);
    }
}
