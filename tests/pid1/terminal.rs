//! We lead the session on a terminal, as in `docker run -it` (docs/behaviour.md, section 9).

mod job_control;

use std::process::Command;

use nix::libc;

use crate::harness::*;
use crate::pty::*;

/// Our binary with these words as the session leader, as an ordinary process.
fn leader(words: &str) -> Command {
    let mut command = reprieve();
    command.args(words.split(' ').filter(|word| !word.is_empty())).arg("--").arg(fixture());
    command.env("FIXTURE", fixture()).env_remove("NO_COLOR").env("PS1", "$ ");
    command
}

/// The same as PID 1.
fn leader_as_pid1(words: &str) -> Command {
    let mut command = pid1_on_terminal();
    command.args([env!("CARGO_BIN_EXE_reprieve")]);
    command.args(words.split(' ').filter(|word| !word.is_empty())).arg("--").arg(fixture());
    command
}

/// Starts a leader, which may be PID 1 below unshare.
fn start(command: Command) -> Pty {
    if command.get_program() == "unshare" {
        Pty::start_below(command)
    } else {
        Pty::start(command, Output::Terminal)
    }
}

fn listening(mut command: Command, options: &[&str]) -> Pty {
    command.arg("listen").args(options);
    start(command)
}

#[test]
fn the_app_is_in_the_foreground_before_it_runs() {
    // A race would not be lost each time.
    for _ in 0..10 {
        let mut command = leader("");
        command.arg("foreground");
        let pty = Pty::start(command, Output::Terminal);
        pty.resizes(37, 91);
        pty.types("hello\n");
        let (code, said) = pty.ends();
        assert!(said.contains("foreground: true"), "{said}");
        assert!(said.contains("read \"hello\\n\" on 37 x 91"), "{said}");
        assert_eq!(code, 0);
    }
}

#[test]
fn the_app_of_pid_1_is_in_the_foreground_before_it_runs() {
    let mut command = leader_as_pid1("");
    command.arg("foreground");
    let pty = start(command);
    pty.types("hello\n");
    pty.hears("foreground: true");
    pty.hears("read \"hello\\n\"");
}

/// The keys go to the foreground group, in which we are not: no hold begins.
fn ctrl_c_goes_to_the_app(command: Command) {
    let pty = listening(command, &["--until", "SIGINT", "--code", "7"]);
    pty.ready("");
    pty.types(CTRL_C);
    pty.hears("got SIGINT");
    let (code, said) = pty.ends();
    assert_eq!((code, said.matches("got ").count()), (7, 1), "{said}");
    assert!(!said.contains("reprieve:"), "{said}");
}

#[test]
fn ctrl_c_goes_to_the_app_and_begins_no_hold() {
    ctrl_c_goes_to_the_app(leader("--delay 20s --grace-period none --stop-signal TERM,INT"));
    ctrl_c_goes_to_the_app(leader_as_pid1(
        "--delay 20s --grace-period none --stop-signal TERM,INT",
    ));
}

/// An app without a handler dies of it, and nothing is to be said of that.
#[test]
fn ctrl_c_may_end_the_app() {
    let pty = listening(leader(""), &["--default", "SIGINT"]);
    pty.ready("");
    pty.types(CTRL_C);
    let (code, said) = pty.ends();
    assert_eq!((code, said.contains("reprieve:")), (130, false), "{said}");
}

#[test]
fn ctrl_backslash_goes_to_the_app() {
    let pty = listening(leader("--delay 20s"), &["--until", "SIGQUIT"]);
    pty.ready("");
    pty.types(CTRL_BACKSLASH);
    assert_eq!(pty.ends().0, 0);
}

/// Nobody else could: without us the key would do nothing, as we are the leader.
fn an_app_that_ctrl_z_stopped_goes_on(command: Command) {
    let pty = listening(command, &["--default", "SIGTSTP", "--until", "SIGINT"]);
    pty.ready("");
    for n in 1..=3 {
        pty.types(CTRL_Z);
        pty.hears_times("got SIGCONT", n);
    }
    pty.types(CTRL_C);
    let (code, said) = pty.ends();
    assert_eq!((code, said.matches("got SIGCONT").count()), (0, 3), "{said}");
}

#[test]
fn ctrl_z_does_not_leave_the_app_stopped() {
    an_app_that_ctrl_z_stopped_goes_on(leader(""));
    an_app_that_ctrl_z_stopped_goes_on(leader_as_pid1(""));
}

/// Whoever sends it by hand will continue it by hand; but a stop signal is to be heard.
#[test]
fn sigstop_leaves_the_app_stopped_until_a_stop_signal() {
    let pty = listening(leader("-v"), &[]);
    let app = pty.ready("");
    send(app, libc::SIGSTOP);
    eventually("the stop", || (process_state(app) == 'T').then_some(()));
    // Later than the stop this reaches us.
    send(pty.pid(), libc::SIGUSR1);
    pty.hears("forwarded SIGUSR1");
    assert_eq!((process_state(app), pty.times("got ")), ('T', 0));
    send(pty.pid(), libc::SIGTERM);
    assert_eq!(pty.ends().0, 0);
}

#[test]
fn a_new_window_size_is_heard_once() {
    for command in [leader(""), leader_as_pid1("")] {
        let pty = listening(command, &[]);
        pty.ready("");
        pty.resizes(37, 91);
        pty.hears("got SIGWINCH");
        pty.types(CTRL_C);
        pty.hears("got SIGINT");
        assert_eq!(pty.times("got SIGWINCH"), 1);
    }
}

/// `docker run -it` sends us the SIGWINCH of its own terminal as well (sig-proxy).
#[test]
fn a_new_window_size_is_no_undeclared_stop_signal() {
    let pty = listening(leader_as_pid1(""), &["--until", "SIGINT"]);
    pty.ready("");
    let init = eventually("PID 1", || children(pty.pid()).first().copied());
    send(init, libc::SIGWINCH);
    pty.hears("got SIGWINCH");
    pty.types(CTRL_C);
    let (code, said) = pty.ends();
    assert_eq!((code, said.contains("reprieve:")), (0, false), "{said}");
}

/// A hangup comes to the leader alone: who else could tell the app?
#[test]
fn a_hangup_is_heard_once() {
    let mut command = leader("");
    command.args(["listen", "--until", "SIGHUP", "--drain", "300", "--code", "7"]);
    let mut pty = Pty::start(command, Output::Pipe);
    pty.ready("");
    pty.hangs_up();
    pty.hears("got SIGHUP");
    let (code, said) = pty.ends();
    assert_eq!((code, said.matches("got SIGHUP").count()), (7, 1), "{said}");
    assert!(!said.contains("warn: "), "{said}");
}

/// One that a person sends is forwarded as any other.
#[test]
fn a_sighup_by_hand_is_forwarded_once() {
    let pty = listening(leader(""), &["--until", "SIGHUP"]);
    pty.ready("");
    send(pty.pid(), libc::SIGHUP);
    let (code, said) = pty.ends();
    assert_eq!((code, said.matches("got SIGHUP").count()), (0, 1), "{said}");
}

#[test]
fn a_stop_signal_is_held_on_a_terminal_too() {
    let pty = listening(leader("--delay 300ms --grace-period 20s"), &["--code", "7"]);
    pty.ready("");
    send(pty.pid(), libc::SIGTERM);
    let (code, said) = pty.ends();
    assert_eq!(code, 7);
    assert!(said.contains("forwarding it at +0.3s"), "{said}");
    assert_eq!(said.matches("got SIGTERM").count(), 1, "{said}");
}

/// A terminal refuses a write that would not wait while another one writes, though it has room.
#[test]
fn no_line_is_lost_where_the_app_writes_too() {
    let pty = listening(leader("-v"), &["--until", "SIGTERM"]);
    pty.ready("");
    for n in 1..=300 {
        send(pty.pid(), libc::SIGUSR1);
        pty.hears_times("got SIGUSR1", n);
    }
    send(pty.pid(), libc::SIGTERM);
    let (_, said) = pty.ends();
    assert_eq!(said.matches("forwarded SIGUSR1").count(), 300, "{said}");
}

/// The colours of the log on a terminal.
#[test]
fn the_log_has_colours_on_a_terminal_only_if_wanted() {
    let log_with = |no_color: Option<&str>, options: &str| {
        let mut command = leader(options);
        if let Some(value) = no_color {
            command.env("NO_COLOR", value);
        }
        let pty = listening(command, &[]);
        pty.ready("");
        send(pty.pid(), libc::SIGTERM);
        pty.ends().1
    };
    let coloured = log_with(None, "--delay 100ms");
    assert!(coloured.contains("\x1b[1mreprieve: \x1b[0m+0.000s SIGTERM"), "{coloured}");
    assert!(log_with(Some(""), "").contains("\x1b["));
    let warned = log_with(None, "--grace-period 3s");
    assert!(warned.contains("\x1b[33mreprieve: warn: \x1b[0mthe app has only"), "{warned}");
    for log in [log_with(Some("1"), "-v"), log_with(None, "--log-format json")] {
        assert!(log.contains("forwarded") && !log.contains('\x1b'), "{log}");
    }
}

#[test]
fn errors_have_colours_too() {
    let mut command = reprieve();
    command.arg("no-such-command").env_remove("NO_COLOR").env("PATH", "/bin");
    let (code, said) = Pty::start(command, Output::Terminal).ends();
    assert_eq!((code, said.starts_with("\x1b[31mreprieve: error: \x1b[0mcannot run")), (127, true));
}

/// With stdin alone from the terminal, and stderr closed.
#[test]
fn closed_streams_do_not_matter() {
    for closed in ["2>&-", "<&- 2>&-", ">&- 2>&-", "<&-"] {
        let mut command = Command::new("sh");
        let script = format!("exec \"$@\" {closed}");
        command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_reprieve"), "--"]);
        command.arg(fixture()).args(["listen", "--until", "SIGINT", "--code", "7"]);
        let pty = Pty::start(command, Output::Terminal);
        let app = eventually("the app", || {
            let child = children(pty.pid()).first().copied()?;
            (signals(child, "SigCgt") & 1 << (libc::SIGINT - 1) != 0).then_some(child)
        });
        pty.foreground_becomes(app);
        pty.types(CTRL_C);
        assert_eq!(pty.ends().0, 7, "{closed}");
    }
}
