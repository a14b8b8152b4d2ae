//! Programs between us and the app: those that pass a signal on, those that die of it, and those that
//! cannot act on it.

use nix::libc;

use super::*;

/// A relay, bare and behind a shell that dies: the app hears once in both, and the code is the
/// relay's, or that of the shell. More than once, since two signals in one moment may look like one.
#[track_caller]
fn passes_once(relay: &[&str], code: i32) {
    at_once([false, true, true, true, true], |behind_shell| {
        let words = with_fixture(relay, "listen --name app --once 300");
        let run = if behind_shell {
            let shell = ["sh", "-c", "\"$@\"; true", "sh"].map(Into::into);
            json().app(shell.into_iter().chain(words))
        } else {
            json().app(words)
        };
        let ended = stop(run, libc::SIGTERM);
        let what = format!("{relay:?}, behind a shell: {behind_shell}");
        assert_heard_once(&ended, &what, "SIGTERM");
        assert_eq!(ended.code, if behind_shell { 143 } else { code }, "{what}: {ended}");
    });
}

#[test]
#[ignore = "needs Debian's tini: cargo test --test pid1 -- --ignored"]
fn through_tini_the_app_hears_once() {
    passes_once(&[debian("tini", "tini"), "-s", "--"], 0);
}

#[test]
#[ignore = "needs Debian's dumb-init: cargo test --test pid1 -- --ignored"]
fn through_dumb_init_the_app_hears_once() {
    passes_once(&[debian("dumb-init", "dumb-init")], 0);
    passes_once(&["dumb-init", "-c"], 0);
}

#[test]
#[ignore = "needs Debian's catatonit: cargo test --test pid1 -- --ignored"]
fn through_catatonit_which_blocks_all_signals_the_app_hears_once() {
    passes_once(&[debian("catatonit", "catatonit"), "--"], 0);
}

#[test]
fn through_reprieve_the_app_hears_once() {
    passes_once(&[env!("CARGO_BIN_EXE_reprieve"), "--"], 0);
}

#[test]
#[ignore = "needs root and Debian's sudo: cargo test --test pid1 -- --ignored"]
fn through_sudo_the_app_hears_once() {
    passes_once(&[debian("sudo", "sudo"), "-n", "-u", "root"], 0);
}

/// It says `...killed` two seconds later, and ends as if of the signal.
#[test]
#[ignore = "needs root: cargo test --test pid1 -- --ignored"]
fn through_runuser_the_app_hears_once() {
    passes_once(&[debian("runuser", "util-linux"), "-u", "root", "--"], 143);
}

/// It ignores SIGTERM.
#[test]
#[ignore = "needs Debian's strace: cargo test --test pid1 -- --ignored"]
fn through_strace_the_app_hears_once() {
    passes_once(&[debian("strace", "strace"), "-f", "-o", "/dev/null"], 0);
}

/// It blocks SIGTERM, which stays pending.
#[test]
fn through_unshare_the_app_hears_once() {
    passes_once(&["unshare", "--fork"], 0);
}

/// Its system() dies of SIGTERM alone.
#[test]
#[ignore = "needs Debian's perl: cargo test --test pid1 -- --ignored"]
fn behind_perl_the_app_hears_once() {
    passes_once(&[debian("perl", "perl"), "-e", "system @ARGV"], 143);
}

#[test]
fn through_timeout_in_the_foreground_the_app_hears_once() {
    passes_once(&["timeout", "--foreground", "60"], 0);
}

/// It ignores SIGINT and SIGQUIT while it waits, and the shell in between does nothing with SIGINT.
#[test]
#[ignore = "needs Debian's perl: cargo test --test pid1 -- --ignored"]
fn behind_perl_and_a_shell_the_app_hears_sigint_once() {
    debian("perl", "perl");
    for option in ["--stop-signal INT", "--rewrite TERM:INT", ""] {
        let program = format!("system('{APP} --until SIGINT; true')");
        let run = json().options(option);
        let fixture = fixture().to_string_lossy().into_owned();
        let run = run.variable("FIXTURE", &fixture).app(["perl", "-e", &program]);
        let signal = if option.starts_with("--rewrite") { libc::SIGTERM } else { libc::SIGINT };
        let ended = stop(run, signal);
        assert_heard_once(&ended, option, "SIGINT");
        assert_eq!(ended.code, 0, "{option}: {ended}");
    }
}

/// What cannot act is topmost only once the shell before it has died.
#[test]
#[ignore = "needs Debian's dash, mksh and strace: cargo test --test pid1 -- --ignored"]
fn what_cannot_act_is_looked_through_behind_a_shell_too() {
    debian("mksh", "mksh");
    debian("strace", "strace");
    at_once(
        [
            "mksh -c \"$APP; true\"; true",
            "strace -f -o /dev/null $APP; true",
            "unshare --fork $APP; true",
            "strace -f -o /dev/null mksh -c \"$APP; true\"; true",
            "mksh -c \"unshare --fork $APP; true\"; true",
        ],
        |script| {
            let shell = [debian("dash", "dash")];
            let ended = stop(json().shell(&shell, &script.replace("$APP", APP)), libc::SIGTERM);
            assert_heard_once(&ended, script, "SIGTERM");
            assert_eq!(ended.code, 143, "{script}: {ended}");
        },
    );
}

/// A blocked signal says nothing of a process that waits for it with sigwait.
#[test]
#[ignore = "needs Debian's catatonit: cargo test --test pid1 -- --ignored"]
fn relays_behind_relays_pass_one_signal_on() {
    debian("catatonit", "catatonit");
    debian("tini", "tini");
    debian("dumb-init", "dumb-init");
    at_once(
        [
            "catatonit -- tini -s -- $APP; true",
            "tini -s -- sh -c \"$APP; true\"; true",
            "dumb-init catatonit -- $APP; true",
            "unshare --fork tini -s -- $APP; true",
        ],
        |script| {
            let ended = stop(json().shell(&["sh"], &script.replace("$APP", APP)), libc::SIGTERM);
            assert_heard_once(&ended, script, "SIGTERM");
        },
    );
}

/// npm passes SIGTERM on to its shell, which dies of it and leaves the app.
#[test]
#[ignore = "needs Debian's npm: cargo test --test pid1 -- --ignored"]
fn behind_npm_start_the_app_hears_once() {
    debian("npm", "npm");
    let folder = Folder::new();
    let start = serde_json::json!({ "name": "app", "scripts": { "start": APP } });
    folder.file("package.json", start.to_string(), 0o644);
    let folder = folder.path("").display().to_string();
    at_once([false, true], |behind_shell| {
        let script =
            format!("{} npm --prefix {folder} start", if behind_shell { "" } else { "exec" });
        let script = if behind_shell { format!("{script}; true") } else { script };
        let run = json().variable("HOME", &folder).shell(&["sh"], &script);
        let ended = stop(run, libc::SIGTERM);
        assert_heard_once(&ended, &script, "SIGTERM");
        assert_eq!(ended.code, 143, "{script}: {ended}");
    });
}

/// It sends SIGTERM, and SIGCONT after it.
#[test]
#[ignore = "needs Debian's runit: cargo test --test pid1 -- --ignored"]
fn behind_runsv_the_app_hears_once() {
    debian("runsv", "runit");
    at_once([false, true], |behind_shell| {
        let folder = Folder::new();
        folder.script("run", &format!("#!/bin/sh\nexec {APP}\n"));
        let folder = folder.path("").display().to_string();
        let script = if behind_shell { "runsv \"$DIR\"; true" } else { "exec runsv \"$DIR\"" };
        let ended = stop(json().variable("DIR", &folder).shell(&["sh"], script), libc::SIGTERM);
        assert_eq!(ended.times("app got SIGTERM"), 1, "{script}: {ended}");
        assert_finished(&ended, script);
        assert_eq!(ended.code, if behind_shell { 143 } else { 0 }, "{script}: {ended}");
    });
}
