//! Whom a signal goes to (docs/behaviour.md, section 4).

use std::os::unix::fs::symlink;

use nix::libc;
use serde_json::json;

use crate::harness::*;

/// Whom a stop signal went to, and why, as the report has it.
fn target(ended: &Ended) -> [serde_json::Value; 2] {
    let report = ended.report();
    ["forwarded_to", "forwarded_because"].map(|key| report[key].clone())
}

/// Waits for the app to be ready and the shell to wait for it, stops it, and waits for the end.
fn stop(run: Run) -> Ended {
    run.ready("app ");
    // A bash that runs its EXIT trap before it waits may hang for ever.
    eventually("a shell that waits", || (process_state(run.main_pid()) != 'R').then_some(()));
    run.signal(libc::SIGTERM);
    run.ends()
}

fn json() -> Init {
    pid1().options("--log-format json --grace-period 9s")
}

// The stories, each told by every shell.

/// `sh -c "app; true"`: the shell dies, and the app hears then, and drains on.
fn behind_a_shell_without_a_trap_the_app_hears(shell: &[&str]) {
    let ended = stop(json().shell(shell, "$FIXTURE listen --name app --once 400; true"));
    let heard = (ended.times("app got SIGTERM"), ended.app_times("app got"));
    assert_eq!((heard, ended.code), ((1, 1), 143), "{}", ended.all());
    assert!(ended.said("app finished"), "{}", ended.all());
    assert!(at_ms(&ended, "drain_ms") >= 400, "{}", ended.all());
    // It stands in for the shell, and is no leftover.
    assert_eq!(ended.report()["left_over"]["count"], 0, "{}", ended.all());
    assert_eq!(ended.report()["killed"]["count"], 0, "{}", ended.all());
}

/// It ignores the signal: then it stays until its app has ended, and exits as it likes.
fn behind_a_shell_that_ignores_the_signal_the_app_hears(shell: &[&str]) {
    let script = "trap '' TERM; $FIXTURE listen --name app --drain 200; exit 7";
    let ended = stop(json().shell(shell, script));
    assert_eq!((ended.app_times("app got"), ended.code), (1, 7), "{}", ended.all());
    assert!(at_ms(&ended, "drain_ms") >= 200, "{}", ended.all());
}

/// It passes the signal on itself, in its own way.
fn a_shell_with_a_trap_hears_alone(shell: &[&str]) {
    let script = "trap 'echo trapped; kill -INT $!' TERM; \
                  $FIXTURE listen --name app --until SIGINT & wait; wait; exit 7";
    let ended = stop(json().shell(shell, script));
    assert_eq!(target(&ended), ["main", "shell_with_trap"], "{}", ended.all());
    assert_eq!(ended.app_times("trapped"), 1, "{}", ended.all());
    assert_eq!(
        (ended.times("app got SIGINT"), ended.app_times("app got")),
        (1, 1),
        "{}",
        ended.all()
    );
    assert_eq!(ended.code, 7, "{}", ended.all());
    assert_eq!(ended.report()["waited_for_trap"], false);
}

/// A trap for another signal is none for this one.
fn a_trap_for_another_signal_does_not_count(shell: &[&str]) {
    let script = "trap 'echo trapped' USR1; $FIXTURE listen --name app; true";
    let ended = stop(json().shell(shell, script));
    assert_eq!((ended.app_times("app got"), ended.app_times("trapped")), (1, 0), "{}", ended.all());
}

/// Most shells catch SIGINT while they wait for a command, and do nothing with it.
fn sigint_reaches_the_app_as_ctrl_c_does(shell: &[&str]) {
    let run = json().options("--rewrite TERM:INT");
    let ended = stop(run.shell(shell, "$FIXTURE listen --name app --until SIGINT; true"));
    assert_eq!(ended.times("app got SIGINT"), 1, "{}", ended.all());
    assert_eq!(ended.report()["killed"]["count"], 0, "{}", ended.all());
}

/// `sh -c "exec app"`: what was a shell is none any more.
fn after_exec_the_app_hears_alone(shell: &[&str]) {
    let ended = stop(json().shell(shell, "exec $FIXTURE listen --name app --code 7"));
    assert_eq!(target(&ended), ["main", "no_shell"], "{}", ended.all());
    assert_eq!((ended.app_times("app got"), ended.code), (1, 7), "{}", ended.all());
}

/// The trap waits for the command in the foreground, which hears only because SIGKILL is near.
fn a_trap_that_cannot_run_may_run_before_sigkill(shell: &[&str]) {
    let init = pid1().options("--log-format json --grace-period 2s --margin 1s");
    let run = init.shell(shell, "trap 'echo trapped; exit 7' TERM; $FIXTURE listen --name app; :");
    let ended = stop(run);
    assert_eq!(target(&ended), ["main", "shell_with_trap"], "{}", ended.all());
    assert_eq!((ended.app_times("app got"), ended.app_times("trapped")), (1, 1), "{}", ended.all());
    assert_eq!((&ended.report()["killed"]["count"], ended.code), (&json!(0), 7));
    // Half of the time until SIGKILL.
    assert!(at_ms(&ended, "drain_ms") >= 500, "{}", ended.all());
}

/// `-c` has its way: the shell dies alone, and the app is swept as a leftover.
fn the_option_single_child_spares_the_app(shell: &[&str]) {
    let run = json().options("-c").shell(shell, "$FIXTURE listen --name app --drain 200; true");
    let ended = stop(run);
    assert_eq!(target(&ended), ["main", "option"], "{}", ended.all());
    assert_eq!((ended.times("app got SIGTERM"), ended.app_times("app got")), (1, 1));
    assert_eq!(ended.code, 143, "{}", ended.all());
}

/// `-g` has its way: the app hears with the shell that has a trap.
fn the_option_process_group_overrides_a_trap(shell: &[&str]) {
    let script = "trap 'exit 7' TERM; $FIXTURE listen --name app; exit 8";
    let ended = stop(json().options("-g").shell(shell, script));
    assert_eq!(target(&ended), ["group", "option"], "{}", ended.all());
    assert_eq!((ended.app_times("app got"), ended.code), (1, 7), "{}", ended.all());
}

/// An entrypoint that ends in `exec "$@"` is the app by then, one that does not is a shell,
/// though its `comm` is the script's name.
fn an_entrypoint_is_seen_through(interpreter: &str) {
    let folder = Folder::new();
    for (name, last_line, code) in
        [("exec.sh", "exec \"$@\"", 0), ("wait.sh", "\"$@\"\necho done", 143)]
    {
        let script = folder.script(name, &format!("#!{interpreter}\nset -e\n{last_line}\n"));
        let words = ["listen", "--name", "app"].map(Into::into);
        let words = [script.into_os_string(), fixture().into()].into_iter().chain(words);
        let ended = stop(json().app(words));
        assert_eq!(ended.code, code, "{name}: {}", ended.all());
        assert_eq!(ended.app_times("app got"), 1, "{name}: {}", ended.all());
    }
}

macro_rules! stories {
    ($name:ident, $words:expr $(, #[$ignored:meta])?) => {
        mod $name {
            stories!(@ $words, ($(#[$ignored])?)
                behind_a_shell_without_a_trap_the_app_hears
                behind_a_shell_that_ignores_the_signal_the_app_hears
                a_shell_with_a_trap_hears_alone
                a_trap_for_another_signal_does_not_count
                sigint_reaches_the_app_as_ctrl_c_does
                after_exec_the_app_hears_alone
                a_trap_that_cannot_run_may_run_before_sigkill
                the_option_single_child_spares_the_app
                the_option_process_group_overrides_a_trap
            );
        }
    };
    (@ $words:expr, $ignored:tt $($story:ident)*) => {
        $(stories!(# $words, $ignored $story);)*
    };
    (# $words:expr, ($(#[$ignored:meta])?) $story:ident) => {
        #[test]
        $(#[$ignored])?
        fn $story() {
            super::$story(&$words);
        }
    };
}

stories!(sh, ["sh"]);
stories!(bash, [super::installed("bash", "bash")]);
stories!(
    dash,
    [super::installed("dash", "dash")],
    #[ignore = "needs Debian's dash: cargo test --test pid1 -- --ignored"]
);
stories!(
    busybox,
    [super::installed("busybox", "busybox-static"), "sh"],
    #[ignore = "needs Debian's busybox-static, mksh and zsh: cargo test --test pid1 -- --ignored"]
);
stories!(
    zsh,
    [super::installed("zsh", "zsh")],
    #[ignore = "needs Debian's busybox-static, mksh and zsh: cargo test --test pid1 -- --ignored"]
);

/// It catches the usual signals with a trap and without, so that nobody can tell: the app hears too.
#[test]
#[ignore = "needs Debian's busybox-static, mksh and zsh: cargo test --test pid1 -- --ignored"]
fn behind_mksh_the_app_hears_with_a_trap_and_without() {
    let mksh = [installed("mksh", "mksh")];
    for trap in ["", "trap 'echo trapped; exit 7' TERM; "] {
        let script = format!("{trap}$FIXTURE listen --name app --once 300; true");
        let ended = stop(json().shell(&mksh, &script));
        assert_eq!(
            (ended.app_times("app got"), ended.times("finished")),
            (1, 1),
            "{}",
            ended.all()
        );
        assert!(at_ms(&ended, "drain_ms") >= 300, "{}", ended.all());
    }
    after_exec_the_app_hears_alone(&mksh);
}

/// A shell, or a failure that names its package.
fn installed(name: &'static str, package: &str) -> &'static str {
    let folders = ["/usr/bin", "/bin", "/usr/local/bin"];
    let there = folders.iter().any(|folder| std::path::Path::new(folder).join(name).exists());
    assert!(there, "{name} is missing: apt-get install {package}");
    name
}

fn busybox() -> String {
    installed("busybox", "busybox-static");
    let found = ["/usr/bin/busybox", "/bin/busybox"];
    let found = found.iter().find(|path| std::path::Path::new(path).exists());
    found.expect("it is there").to_string()
}

#[test]
fn an_entrypoint_of_sh_is_seen_through() {
    an_entrypoint_is_seen_through("/bin/sh");
}

#[test]
fn an_entrypoint_of_bash_is_seen_through() {
    installed("bash", "bash");
    an_entrypoint_is_seen_through("/bin/bash");
    an_entrypoint_is_seen_through("/usr/bin/env bash");
}

#[test]
#[ignore = "needs Debian's busybox-static, mksh and zsh: cargo test --test pid1 -- --ignored"]
fn an_entrypoint_of_busybox_is_seen_through() {
    an_entrypoint_is_seen_through(&format!("{} sh", busybox()));
    let folder = Folder::new();
    let link = folder.path("sh");
    symlink(busybox(), &link).expect("a link");
    an_entrypoint_is_seen_through(link.to_str().expect("text"));
}

/// As in Alpine: /bin/sh is a link to busybox.
#[test]
#[ignore = "needs Debian's busybox-static, mksh and zsh: cargo test --test pid1 -- --ignored"]
fn busybox_under_the_name_of_a_shell_is_one() {
    let folder = Folder::new();
    for name in ["sh", "ash"] {
        let link = folder.path(name);
        symlink(busybox(), &link).expect("a link");
        let words = [link.to_str().expect("text")];
        behind_a_shell_without_a_trap_the_app_hears(&words);
        a_shell_with_a_trap_hears_alone(&words);
    }
}

#[test]
#[ignore = "needs Debian's busybox-static, mksh and zsh: cargo test --test pid1 -- --ignored"]
fn busybox_under_another_name_is_no_shell() {
    let run = json().app([busybox(), "sleep".into(), "1000".into()]);
    eventually("the sleep", || {
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", run.pid()));
        let child = children.ok()?.split_whitespace().next()?.to_owned();
        let line = std::fs::read_to_string(format!("/proc/{child}/cmdline")).ok()?;
        line.replace('\0', " ").contains("sleep 1000").then_some(())
    });
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(target(&ended), ["main", "no_shell"], "{}", ended.all());
    assert_eq!(ended.code, 143);
}

/// A link of another name is seen through; a login shell's name begins with a dash.
#[test]
fn a_shell_under_another_name_is_one() {
    let folder = Folder::new();
    let link = folder.path("entry");
    symlink("/bin/sh", &link).expect("a link");
    behind_a_shell_without_a_trap_the_app_hears(&[link.to_str().expect("text")]);
    behind_a_shell_without_a_trap_the_app_hears(&[
        "bash",
        "-c",
        "exec -a -bash bash \"$@\"",
        "bash",
    ]);
}

// What holds for one shell, or for none.

/// An app with workers is a master: they are its own business, until it is gone.
#[test]
fn workers_are_not_signalled_behind_their_masters_back() {
    let run = json().options("-r TERM:HUP").fixture("leave child");
    run.ready("left ");
    run.hears_times("ready", 2);
    run.signal(libc::SIGTERM);
    run.until_said("the master's SIGHUP", |line| line == "got SIGHUP");
    // Of this the master ends.
    run.signal(libc::SIGUSR1);
    let ended = run.ends();
    assert_eq!(target(&ended), ["main", "no_shell"]);
    assert!(!ended.said("left got SIGHUP"), "{}", ended.all());
    // Now the worker is a leftover.
    assert_eq!(ended.times("left got SIGTERM"), 1, "{}", ended.all());
    let place = |text: &str| ended.lines.iter().position(|line| line.text.contains(text));
    assert!(place("left got SIGTERM") > place("got SIGUSR1"), "{}", ended.all());
}

/// Two apps behind a shell both stand in for it; also one that has left its group.
#[test]
fn all_processes_behind_a_shell_hear_once() {
    for setsid in ["", "setsid"] {
        let script = format!(
            "{setsid} $FIXTURE listen --name one --drain 300 & \
             $FIXTURE listen --name app --drain 100; true"
        );
        let run = json().shell(&["sh"], &script);
        run.ready("one ");
        let ended = stop(run);
        assert_eq!((ended.times("one got"), ended.app_times("app got")), (1, 1), "{}", ended.all());
        assert!(at_ms(&ended, "drain_ms") >= 300, "{}", ended.all());
        assert_eq!(ended.report()["left_over"]["count"], 0, "{}", ended.all());
    }
}

/// It was ours before the app ended.
#[test]
fn a_daemon_beside_the_app_is_a_leftover_and_signalled_once_too() {
    let script = "(setsid $FIXTURE listen --name daemon --drain 600 &); \
                  $FIXTURE listen --name app --drain 100; true";
    let run = json().shell(&["sh"], script);
    run.ready("daemon ");
    let ended = stop(run);
    assert_eq!((ended.times("daemon got"), ended.app_times("app got")), (1, 1), "{}", ended.all());
    // The daemon is none of those who drain.
    assert!((100..600).contains(&at_ms(&ended, "drain_ms")), "{}", ended.all());
    assert_eq!(ended.report()["left_over"]["count"], 1, "{}", ended.all());
}

/// bash shows SIGTERM as caught, dies of it at once and leaves the app.
#[test]
fn behind_a_shell_with_an_exit_trap_alone_the_app_hears() {
    let script = "trap 'echo bye' EXIT; $FIXTURE listen --name app --drain 200; true";
    let ended = stop(json().shell(&[installed("bash", "bash")], script));
    assert_eq!(ended.times("app got SIGTERM"), 1, "{}", ended.all());
    assert_eq!((ended.code, ended.app_times("bye")), (143, 1), "{}", ended.all());
    assert_eq!(ended.report()["left_over"]["count"], 0, "{}", ended.all());
}

/// It is looked at when the signal is forwarded, not before.
#[test]
fn what_the_shell_has_become_in_the_hold_counts() {
    let script = "trap 'exec $FIXTURE listen --name second' USR1; echo app ready 2; \
                  while :; do :; done";
    let run = json().options("--delay 1500ms").shell(&["sh"], script);
    run.ready("app ");
    run.signal(libc::SIGTERM);
    run.hears("stop_signal");
    run.signal(libc::SIGUSR1);
    let ended = run.ends();
    assert_eq!(ended.times("second got SIGTERM"), 1, "{}", ended.all());
    assert_eq!(target(&ended), ["main", "no_shell"], "{}", ended.all());
}

/// A trap that has run, and a shell that stays all the same, did not wait for it.
#[test]
fn a_trap_that_ran_was_not_waited_for() {
    let init = pid1().options("--log-format json --grace-period 1s --margin 700ms");
    let run =
        init.shell(&["sh"], "trap 'echo trapped' TERM; echo app ready 2; while :; do :; done");
    run.ready("app ");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!((ended.app_times("trapped"), ended.code), (1, 137), "{}", ended.all());
    assert_eq!(ended.report()["waited_for_trap"], false, "{}", ended.all());
}

// What people read.

#[test]
fn the_log_says_whom_and_why() {
    for (options, script, expected) in [
        ("", "$FIXTURE listen --name app; :", "(pid 2): dash has no trap for it"),
        (
            "",
            "trap 'kill $!' TERM; $FIXTURE listen --name app & wait; wait",
            "(pid 2): dash has a trap for it",
        ),
        ("-g", "$FIXTURE listen --name app; :", "forwarded SIGTERM to the process group of sh"),
        ("-c", "$FIXTURE listen --name app; :", "forwarded SIGTERM to sh (pid 2)"),
    ] {
        let run = pid1().options(options).shell(&["sh"], script);
        let ended = stop(run);
        // What sh is differs.
        let shell = std::fs::canonicalize("/bin/sh").expect("sh");
        let shell = shell.file_name().and_then(|name| name.to_str()).expect("a name");
        let expected = expected.replace("dash", shell);
        assert!(ended.said(&expected), "{expected} is missing: {}", ended.all());
    }
}

#[test]
fn the_report_says_how_the_app_behind_the_shell_ended_and_the_shell() {
    let script = "$FIXTURE listen --name app --drain 200 --code 9; true";
    let ended = stop(pid1().shell(&["sh"], script));
    let log = ended.log();
    let report = log.last().expect("a report");
    let part = "s, exit code 143 of sh (fixture exited with 9); ";
    assert!(report.contains(part) && !report.contains("left over"), "{report}");
}

#[test]
fn the_report_says_how_to_help_a_trap() {
    let init = pid1().options("--grace-period 1s --margin 700ms");
    let script = "trap : TERM; $FIXTURE listen --name app --ignore SIGTERM; :";
    let ended = stop(init.shell(&["sh"], script));
    let log = ended.log();
    let report = log.last().expect("a report");
    assert!(report.contains("its trap did not run: use exec, or --process-group"), "{report}");
}
