//! Hooks as commands: how they are written, what they are given, and how they fail
//! (docs/behaviour.md, section 12).

use nix::libc;

use crate::harness::*;
use crate::hooks::*;

// Failures

#[test]
fn a_hook_that_fails_is_a_warning_and_a_line_in_the_report() {
    let folder = Folder::new();
    let orphaned = folder.script("orphaned", "#!/nonexistent/interpreter\n");
    let orphaned = orphaned.to_str().expect("UTF-8");
    let raise = |signal| format!("{} raise {signal}", fixture().display());
    for (hook, name, why) in [
        ("false".to_owned(), "false", "exited with 1"),
        (script("exit 3"), "sh", "exited with 3"),
        (raise("SIGKILL"), "", "was killed by SIGKILL"),
        (raise("SIGRTMIN"), "", "was killed by SIGRTMIN"),
        (orphaned.into(), orphaned, "its interpreter /nonexistent/interpreter does not exist"),
    ] {
        for (option, what) in [("--on-stop", "on-stop hook"), ("--on-exit", "on-exit hook")] {
            let init = || pid1().options("--grace-period 2h").option(option, &hook);
            let run = init().options("--log-format json").fixture("listen --code 7");
            run.ready("");
            run.signal(libc::SIGTERM);
            let ended = run.ends();
            assert_eq!(ended.code, 7, "{}", ended.all());
            assert_failed(&ended, &format!("{what} {name}"), why);
            assert_app(&ended, &["got SIGTERM"]);
            let log = ended.log();
            let warning = log.iter().find(|line| line.contains("\"hook_ended\""));
            assert!(warning.is_some_and(|line| line.contains("\"warn\"")), "{}", ended.all());

            let run = init().fixture("listen --code 7");
            run.ready("");
            run.signal(libc::SIGTERM);
            let ended = run.ends();
            let log = ended.log();
            let (report, before) = log.split_last().expect("a report");
            // Long ones are cut there.
            let (name, begins) =
                (name.rsplit('/').next().unwrap_or(name), &why[..why.len().min(20)]);
            assert!(report.contains(&format!("; FAILED: {what} {name}")), "{report}");
            assert!(report.contains(begins) && report.contains(", exit code 7; "), "{report}");
            let warned = |line: &&str| line.contains("warn: ") && line.contains(why);
            assert_eq!(before.iter().filter(|line| warned(line)).count(), 1, "{}", ended.all());
        }
    }
}

#[test]
fn a_hook_whose_program_went_away_fails() {
    let folder = Folder::new();
    let path = folder.script("hook", "#!/bin/sh\n");
    let path = path.to_str().expect("UTF-8");
    let run = pid1().options(PATIENT).option("--on-stop", path).fixture("listen");
    run.ready("");
    std::fs::remove_file(path).expect("a file");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.code, 0);
    assert_failed(&ended, &format!("on-stop hook {path}"), "no such file");
}

/// The init and the app are as many as may be of this uid, which no other test has.
#[test]
#[ignore = "needs root: the init changes its uid: cargo test --test pid1 -- --ignored"]
fn a_hook_that_cannot_be_forked_fails_and_the_rest_goes_on() {
    let run = pid1()
        .options(PATIENT)
        .option("--on-stop", saying("never"))
        .option("--on-exit", saying("after all"))
        .through(
            "exec setpriv --reuid=54321 --regid=54321 --clear-groups prlimit --nproc=2 -- \"$@\"",
        )
        .fixture("listen");
    run.ready("");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_app(&ended, &["got SIGTERM", "after all"]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert_failed(&ended, "on-stop hook echo", "could not be started: ");
}

#[test]
fn a_failure_in_on_exit_without_a_stop_signal_is_a_warning() {
    let ended = pid1().option("--on-exit", "false").shell(&["sh"], "exit 3").ends();
    assert_eq!((ended.code, ended.log().len()), (3, 1), "{}", ended.all());
    assert!(ended.said("reprieve: warn: ") && ended.said("on-exit hook false exited with 1"));
}

#[test]
fn a_rehearsal_plays_the_hooks_and_does_not_fail_with_them() {
    for (app, code) in [("listen", "0"), ("listen --code 7", "1")] {
        let ended = pid1()
            .options("--rehearse 1s --log-format json")
            .option("--on-stop", script("echo $REPRIEVE_PHASE:$REPRIEVE_SIGNAL; exit 3"))
            .option("--on-exit", script("echo $REPRIEVE_PHASE:$REPRIEVE_EXIT_CODE"))
            .fixture(app)
            .ends();
        assert_app(&ended, &["on-stop:SIGTERM", "got SIGTERM", &format!("on-exit:{code}")]);
        assert_eq!(ended.code.to_string(), code, "{}", ended.all());
        assert_failed(&ended, "on-stop hook sh", "exited with 3");
    }
}

// What they are given

/// What a `state` says, by the names of its lines.
fn state(lines: &[&str]) -> Vec<String> {
    let mut state: Vec<String> = lines.iter().map(std::string::ToString::to_string).collect();
    state.sort_unstable();
    state
}

#[test]
fn a_hook_has_a_stdin_where_the_app_has_none_and_lacks_the_rest_as_it_does() {
    let show = "for fd in 0 1 2; do [ -e /proc/$$/fd/$fd ] && echo $fd; done; \
                [ /dev/null -ef /proc/$$/fd/0 ] && echo null";
    let run = pid1()
        .options(PATIENT)
        .option("--on-stop", script(show))
        .through("exec \"$@\" <&- 2>&-")
        .fixture("listen");
    run.ready("");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_app(&ended, &["0", "1", "null", "got SIGTERM"]);
}

#[test]
fn a_hook_gets_what_the_app_got() {
    let folder = Folder::new();
    let hook = format!("{} state", fixture().display());
    let run = pid1()
        .options("--grace-period 2h")
        .option("--on-stop", &hook)
        .variable("REPRIEVE_ON_EXIT", &hook)
        .variable("A_VARIABLE", "of ours")
        // As a hook of an outer one has it.
        .variable("REPRIEVE_PHASE", "on-stop")
        .variable("REPRIEVE_REPORT", "{}")
        .through(&format!(
            "cd {}; exec {} with --block SIGUSR1 --block SIGRTMIN --ignore SIGUSR2 --ignore SIGPIPE \
             -- \"$@\" 7<&0",
            folder.path("").display(),
            fixture().display()
        ))
        .fixture("state --and-listen");
    run.ready("");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    let said = ended.app();
    let mut parts = said.split(|line| line.contains("ready ") || line.starts_with("got "));
    let mut next = || parts.next().expect("a state");
    let (app, on_stop, on_exit) = (next(), next(), next());
    let of_process = ["pid: ", "group: ", "descriptors: ", "env REPRIEVE_"];
    let shared = |lines: &[&str]| {
        let shared = lines.iter().filter(|line| !of_process.iter().any(|it| line.starts_with(it)));
        state(&shared.copied().collect::<Vec<_>>())
    };
    assert!(shared(app).iter().any(|line| line == "env A_VARIABLE=of ours"), "{}", ended.all());
    for hook in [on_stop, on_exit] {
        assert_eq!(shared(hook), shared(app), "{}", ended.all());
        let value = |key| hook.iter().find_map(|line| line.strip_prefix(key)).expect("a line");
        assert_eq!(value("pid: "), value("group: "), "it leads a group of its own");
        assert_eq!(value("descriptors: "), "[0, 1, 2]");
        assert_eq!(value("parent: "), "1");
    }
    let ours = |lines: &[&str]| {
        let ours = lines.iter().filter_map(|line| line.strip_prefix("env REPRIEVE_"));
        state(&ours.collect::<Vec<_>>())
    };
    assert_eq!(ours(on_stop), ["PHASE=on-stop", "SIGNAL=SIGTERM"], "{}", ended.all());
    let told = ours(on_exit);
    assert_eq!(told[..2], ["EXIT_CODE=0", "PHASE=on-exit"], "{}", ended.all());
    assert_eq!((told.len(), &*told[3]), (4, "SIGNAL=SIGTERM"), "{}", ended.all());
    let report = told[2].strip_prefix("REPORT=").expect("a report");
    let report: serde_json::Value = serde_json::from_str(report).expect("JSON");
    assert_eq!((&report["signal"], &report["exit_code"]), (&"SIGTERM".into(), &0.into()));
    assert_eq!(report["app_exit_code"], 0, "{report}");
}

#[test]
fn what_is_on_stdin_is_for_the_app() {
    let link = "readlink /proc/self/fd/0";
    for stdin in ["< /proc/self/exe", "<&-"] {
        let run = pid1()
            .options(PATIENT)
            .option("--on-stop", link)
            .option("--on-exit", link)
            .through(&format!("exec \"$@\" {stdin}"))
            .fixture("listen");
        run.ready("");
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_app(&ended, &["/dev/null", "got SIGTERM", "/dev/null"]);
    }
}

#[test]
fn words_are_split_as_a_shell_would_split_them() {
    let hook = "printf '<%s>\\n' 'a b' \"c  $d\" e\\ f '' \"g'h\" # no word";
    let run = pid1().options(PATIENT).option("--on-stop", hook).fixture("listen");
    run.ready("");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    let words = ["<a b>", "<c  $d>", "<e f>", "<>", "<g'h>", "got SIGTERM"];
    assert_app(&ended, &words);
}

#[test]
fn each_line_of_a_variable_is_a_hook_and_an_option_replaces_them() {
    let lines = "echo one, two\n\necho 'three\nfour' \\\n five\n";
    let init = || pid1().options(PATIENT).variable("REPRIEVE_ON_STOP", lines);
    let run = init().fixture("listen");
    run.ready("");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_app(&ended, &["one, two", "three", "four five", "got SIGTERM"]);
    assert_eq!(ended.times("\"hook_ended\""), 2);
    let run = init().option("--on-stop", saying("another")).fixture("listen");
    run.ready("");
    run.signal(libc::SIGTERM);
    assert_app(&run.ends(), &["another", "got SIGTERM"]);
}

#[test]
fn a_relative_hook_is_found_where_we_were_started() {
    let folder = Folder::new();
    folder.script("hook", "#!/bin/sh\necho ran in $PWD\n");
    let path = folder.path("");
    let path = path.to_str().expect("UTF-8").trim_end_matches('/');
    let run = pid1()
        .options(PATIENT)
        .option("--on-stop", "./hook")
        .option("--on-exit", "./hook")
        .through(&format!("cd {path}; exec \"$@\""))
        .fixture("listen");
    run.ready("");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    let ran = format!("ran in {path}");
    assert_app(&ended, &[&ran, "got SIGTERM", &ran]);
}

// Bad input

#[test]
fn what_cannot_be_a_hook_is_refused_before_the_app_is_spawned() {
    let folder = Folder::new();
    let plain = folder.file("plain", "", 0o644);
    let [plain, directory] = [plain, folder.path("")].map(|path| path.display().to_string());
    for (value, part) in [
        ("", "write a command"),
        (" \n ", "write a command"),
        ("# a comment", "write a command"),
        ("echo 'a", "a quote is not closed"),
        ("echo \"a", "a quote is not closed"),
        ("echo a\n\necho 'b", "a quote is not closed"),
        ("''", "the command to run is empty"),
        ("/nonexistent/hook now", "cannot run /nonexistent/hook: no such file"),
        ("no-such-program", "cannot run no-such-program: not found in PATH"),
        (&plain, "it is not executable (chmod +x)"),
        (&directory, "it is a directory"),
    ] {
        for option in ["--on-stop", "--on-exit"] {
            let call = call(reprieve().args([option, value, "--", "echo", "spawned"]));
            assert_eq!((call.code, call.stdout.as_str()), (125, ""), "{value}: {}", call.stderr);
            assert_eq!(call.stderr.lines().count(), 1, "{value}: {}", call.stderr);
            assert!(call.stderr.contains(part), "{value}: {}", call.stderr);
            assert!(call.stderr.contains(option), "{value}: {}", call.stderr);
        }
    }
    let mut late = reprieve();
    late.args(["--on-stop", "true", "--on-stop", "no-such-program", "--", "echo", "spawned"]);
    assert_eq!(call(&mut late).code, 125);
}

#[test]
fn a_variable_that_is_no_hook_is_named() {
    for value in ["echo 'a", "curl -d 'a,b"] {
        let call = call(reprieve().args(["--", "echo", "spawned"]).env("REPRIEVE_ON_EXIT", value));
        assert_eq!((call.code, call.stdout.as_str()), (125, ""), "{}", call.stderr);
        assert!(call.stderr.contains("REPRIEVE_ON_EXIT: "), "{}", call.stderr);
    }
    // As in the list of the hook timeout: an empty one is unset.
    let call = call(reprieve().args(["--", "echo", "spawned"]).env("REPRIEVE_ON_EXIT", ""));
    assert_eq!((call.code, call.stdout.as_str()), (0, "spawned\n"));
}

#[test]
fn a_backslash_at_the_end_of_a_line_is_what_a_shell_makes_of_it() {
    for (hook, said) in [("printf %s\\\\n a\\\\", "a\\"), ("printf %s\\\\n a\\", "a\\")] {
        let run = pid1().options(PATIENT).option("--on-stop", hook).fixture("listen");
        run.ready("");
        run.signal(libc::SIGTERM);
        assert_app(&run.ends(), &[said, "got SIGTERM"]);
    }
}
