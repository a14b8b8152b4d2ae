//! What shells do without a trap, with a command in the foreground and in the background.

use nix::libc;

use super::*;

const SIGNALS: [(&str, i32); 5] = [
    ("TERM", libc::SIGTERM),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("HUP", libc::SIGHUP),
    ("USR1", libc::SIGUSR1),
];

/// A shell, and the exit codes that it comes to when the app behind it has heard and finished: as
/// without us. Those of `app; true`, then those of `app & wait`, for each signal.
struct Shell<'a> {
    words: &'a [&'a str],
    foreground: [i32; 5],
    background: [i32; 5],
    /// `app &` has SIGINT and SIGQUIT ignored, or blocked as in fish.
    background_ignores: bool,
    /// It passes SIGTERM on to `app &` before it dies of it: the app hears twice (docs/limits.md).
    passes_on: bool,
}

/// It dies of all of them, at the latest when the app has ended.
const DIES: [i32; 5] = [143, 130, 131, 129, 138];

impl<'a> Shell<'a> {
    fn new(words: &'a [&'a str]) -> Shell<'a> {
        let (background_ignores, passes_on) = (true, false);
        Shell { words, foreground: DIES, background: DIES, background_ignores, passes_on }
    }

    fn hears_once(&self) {
        let both = [false, true];
        at_once(both.iter().flat_map(|form| (0..5).map(|n| (*form, n))), |(background, n)| {
            let (name, signal) = SIGNALS[n];
            // As most programs do, it leaves a signal ignored that was ignored when it started.
            let until = "--until TERM --until INT --until QUIT --until HUP --until USR1";
            let until = until.replace("--until ", "--until SIG");
            let app = format!("{APP} --ignored stay {until}");
            let script = if background { format!("{app} & wait") } else { format!("{app}; true") };
            let what = format!("{:?} {script:?} {name}", self.words);
            if background && self.passes_on && name == "TERM" {
                return;
            }
            let run = json().options(&format!("--stop-signal {name}")).shell(self.words, &script);
            let ended = stop(run, signal);
            let is_ignored =
                background && self.background_ignores && ["INT", "QUIT"].contains(&name);
            let heard = if is_ignored { "TERM" } else { name };
            assert_heard_once(&ended, &what, &format!("SIG{heard}"));
            let codes = if background { self.background } else { self.foreground };
            assert_eq!(ended.code, codes[n], "{what}: {ended}");
        });
    }
}

#[test]
fn bash_and_its_app_hear_once() {
    let words = [debian("bash", "bash")];
    let foreground = [143, 0, 0, 129, 138];
    let background = [143, 130, 0, 129, 138];
    Shell { foreground, background, ..Shell::new(&words) }.hears_once();
}

#[test]
#[ignore = "needs Debian's dash: cargo test --test pid1 -- --ignored"]
fn dash_and_its_app_hear_once() {
    Shell::new(&[debian("dash", "dash")]).hears_once();
}

#[test]
#[ignore = "needs Debian's busybox-static: cargo test --test pid1 -- --ignored"]
fn busybox_ash_and_its_app_hear_once() {
    let words = [debian("busybox", "busybox-static"), "ash"];
    let codes = [143, 130, 0, 129, 138];
    Shell { foreground: codes, background: codes, ..Shell::new(&words) }.hears_once();
}

/// It exits with 1 on SIGHUP.
#[test]
#[ignore = "needs Debian's zsh: cargo test --test pid1 -- --ignored"]
fn zsh_and_its_app_hear_once() {
    let words = [debian("zsh", "zsh")];
    let codes = [143, 130, 0, 1, 138];
    Shell { foreground: codes, background: codes, ..Shell::new(&words) }.hears_once();
}

#[test]
#[ignore = "needs Debian's ksh93u+m: cargo test --test pid1 -- --ignored"]
fn ksh93_and_its_app_hear_once() {
    Shell::new(&[debian("ksh93", "ksh93u+m")]).hears_once();
}

#[test]
#[ignore = "needs Debian's mksh: cargo test --test pid1 -- --ignored"]
fn mksh_and_its_app_hear_once() {
    Shell { passes_on: true, ..Shell::new(&[debian("mksh", "mksh")]) }.hears_once();
}

#[test]
#[ignore = "needs Debian's mksh: cargo test --test pid1 -- --ignored"]
fn lksh_and_its_app_hear_once() {
    Shell { passes_on: true, ..Shell::new(&[debian("lksh", "mksh")]) }.hears_once();
}

#[test]
#[ignore = "needs Debian's posh: cargo test --test pid1 -- --ignored"]
fn posh_and_its_app_hear_once() {
    Shell { background_ignores: false, ..Shell::new(&[debian("posh", "posh")]) }.hears_once();
}

#[test]
#[ignore = "needs Debian's yash: cargo test --test pid1 -- --ignored"]
fn yash_and_its_app_hear_once() {
    Shell::new(&[debian("yash", "yash")]).hears_once();
}

#[test]
#[ignore = "needs Debian's fish: cargo test --test pid1 -- --ignored"]
fn fish_and_its_app_hear_once() {
    let words = [debian("fish", "fish")];
    let foreground = [143, 0, 0, 129, 138];
    let background = [143, 130, 0, 129, 138];
    Shell { foreground, background, ..Shell::new(&words) }.hears_once();
}

#[test]
#[ignore = "needs Debian's tcsh: cargo test --test pid1 -- --ignored"]
fn tcsh_and_its_app_hear_once() {
    Shell::new(&[debian("tcsh", "tcsh")]).hears_once();
}

/// It catches SIGTERM with a trap and without, and nobody can tell: with one, the trap runs when the
/// app has ended.
#[test]
#[ignore = "needs Debian's mksh and posh: cargo test --test pid1 -- --ignored"]
fn a_shell_that_always_catches_sigterm_is_looked_through() {
    for shell in [debian("mksh", "mksh"), debian("lksh", "mksh"), debian("posh", "posh")] {
        let script = format!("trap 'echo trapped; exit 7' TERM; {APP}; true");
        let ended = stop(json().shell(&[shell], &script), libc::SIGTERM);
        assert_heard_once(&ended, shell, "SIGTERM");
        assert_eq!((ended.app_times("trapped"), ended.code), (1, 7), "{shell}: {ended}");
    }
}

/// The shell ignores the signal, and so does the app when it starts.
#[test]
fn behind_a_shell_that_ignores_the_signal_the_app_hears_once() {
    let ended = stop(json().shell(&["sh"], &format!("trap '' TERM; {APP}; exit 7")), libc::SIGTERM);
    assert_heard_once(&ended, "trap ''", "SIGTERM");
    assert_eq!(ended.code, 7, "{ended}");
}

/// ^C of `docker run` without a terminal, though SIGINT and SIGQUIT are no stop signals here.
#[test]
fn sigint_and_sigquit_reach_the_app_behind_a_shell_though_they_are_no_stop_signals() {
    at_once([("INT", libc::SIGINT, 130), ("QUIT", libc::SIGQUIT, 131)], |(name, signal, code)| {
        let script = format!("{APP} --until SIG{name}; true");
        let ended = stop(json().shell(&["sh"], &script), signal);
        assert_heard_once(&ended, name, &format!("SIG{name}"));
        if std::fs::canonicalize("/bin/sh").is_ok_and(|shell| shell.ends_with("dash")) {
            assert_eq!(ended.code, code, "{ended}");
        }
    });
}

/// Without a grace period no deadline bounds its drain, whatever the shell died of.
#[test]
fn behind_a_shell_that_a_signal_ended_the_app_may_drain_for_long() {
    at_once(
        [
            // Ignored in the app, which gets SIGTERM.
            ("$APP --ignored stay & wait", libc::SIGINT),
            ("$APP --until SIGQUIT; true", libc::SIGQUIT),
            ("trap 'exit 7' TERM; $APP & wait", libc::SIGTERM),
            ("$APP & wait", libc::SIGTERM),
        ],
        |(form, signal)| {
            let script = form.replace("$APP", "$FIXTURE listen --name app --once 6500");
            let ended = stop(without_grace().shell(&["sh"], &script), signal);
            assert_eq!(ended.times("app got"), 1, "{form}: {ended}");
            assert_finished(&ended, form);
        },
    );
}

/// It passes nothing on, and ends: what it ran is signalled then.
#[test]
fn behind_a_trap_that_ends_the_shell_the_app_hears_once() {
    let script = format!("trap 'exit 7' TERM; {APP} & wait");
    let ended = stop(json().shell(&["sh"], &script), libc::SIGTERM);
    assert_heard_once(&ended, &script, "SIGTERM");
    assert_eq!(ended.code, 7, "{ended}");
}
