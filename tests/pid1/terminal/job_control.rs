//! Job control: interactive shells inside, and as a job of one outside
//! (docs/behaviour.md, 9.1, 9.2, 9.5 and 9.6).

use super::*;

// An interactive shell inside: its job control is its own.

/// Our binary as the leader, with bash inside.
fn bash_inside(mut command: Command) -> Pty {
    command.env("PS1", "$ ").env("FIXTURE", fixture());
    let pty = start(command);
    pty.hears("$ ");
    pty
}

const BASH: [&str; 4] = ["bash", "--norc", "--noediting", "-i"];

#[test]
fn job_control_inside_an_interactive_shell_works() {
    let mut command = reprieve();
    command.args(["--"]).args(BASH);
    jobs_work(&bash_inside(command));
}

#[test]
fn job_control_inside_an_interactive_shell_works_as_pid_1() {
    let mut command = pid1_on_terminal();
    command.args([env!("CARGO_BIN_EXE_reprieve"), "--"]).args(BASH);
    jobs_work(&bash_inside(command));
}

/// Starts a job, stops, continues and ends it.
fn jobs_work(pty: &Pty) {
    let shell = pty.foreground();
    pty.types("$FIXTURE listen --name job --default SIGTSTP --until SIGINT\n");
    pty.ready("job ");
    assert_ne!(pty.foreground(), shell);
    pty.types(CTRL_Z);
    pty.hears("Stopped");
    pty.foreground_becomes(shell);
    pty.types("fg\n");
    pty.hears("job got SIGCONT");
    pty.types(CTRL_C);
    pty.hears("job got SIGINT");
    pty.foreground_becomes(shell);
    pty.types("echo still $((40 + 2))\n");
    pty.hears("still 42");
    // In the background, and back.
    pty.types("$FIXTURE listen --name other --default SIGTSTP --until SIGINT &\n");
    pty.ready("other ");
    assert_eq!(pty.foreground(), shell);
    pty.types("fg\n");
    foreground_leaves(pty, shell);
    pty.types(CTRL_C);
    pty.hears("other got SIGINT");
    pty.types("exit 7\n");
    pty.hears("exit");
}

/// bash sends no SIGCONT to a job that runs: only the terminal shows that it is in the foreground.
fn foreground_leaves(pty: &Pty, group: i32) {
    eventually("another foreground group", || (pty.foreground() != group).then_some(()));
}

#[test]
fn the_status_of_an_interactive_shell_is_ours() {
    let mut command = reprieve();
    command.args(["--"]).args(BASH);
    let pty = bash_inside(command);
    pty.types("exit 7\n");
    assert_eq!(pty.ends().0, 7);
}

// As a job of an interactive shell, on a laptop.

/// An interactive bash on a terminal, that can start us.
fn bash_outside() -> Pty {
    let mut command = Command::new("bash");
    command.args(&BASH[1..]).env("PS1", "$ ").env("FIXTURE", fixture());
    command.env("REPRIEVE", env!("CARGO_BIN_EXE_reprieve"));
    let pty = Pty::start(command, Output::Terminal);
    pty.hears("$ ");
    pty.foreground_becomes(pty.pid());
    pty
}

/// The shell is before the person again, and works.
#[track_caller]
fn assert_usable(pty: &Pty) {
    pty.foreground_becomes(pty.pid());
    let n = pty.times("usable 42");
    pty.types("echo usable $((40 + 2))\n");
    pty.hears_times("usable 42", n + 1);
}

/// ^C ends the listening job in the foreground.
#[track_caller]
fn ctrl_c_ends(pty: &Pty) {
    pty.types(CTRL_C);
    pty.hears("got SIGINT");
    assert_usable(pty);
}

/// The job in the foreground reads what a person types, and ends.
#[track_caller]
fn reads_a_line(pty: &Pty) {
    pty.types("hello\n");
    pty.hears("read \"hello\\n\"");
    assert_usable(pty);
}

const LISTEN: &str = "$REPRIEVE $FIXTURE listen --default SIGTSTP --until SIGINT";

#[test]
fn the_terminal_goes_back_to_the_shell_at_the_end() {
    let pty = bash_outside();
    for n in 1..=5 {
        pty.types("$REPRIEVE $FIXTURE foreground\n");
        pty.hears_times("foreground: true", n);
        pty.types("hello\n");
        pty.hears_times("read \"hello\\n\"", n);
        assert_usable(&pty);
    }
}

#[test]
fn a_command_that_is_not_found_gives_it_back_too() {
    let pty = bash_outside();
    pty.types("$REPRIEVE no-such-command\n");
    pty.hears("cannot run no-such-command");
    assert_usable(&pty);
}

#[test]
fn ctrl_c_ends_the_job() {
    let pty = bash_outside();
    pty.types(&format!("{LISTEN}; echo code $?\n"));
    let app = pty.ready("");
    assert_eq!(pty.foreground(), app);
    pty.types(CTRL_C);
    pty.hears("code 0");
    assert_eq!((pty.times("got "), pty.times("reprieve:")), (1, 0), "{}", pty.said());
    assert_usable(&pty);
}

#[test]
fn ctrl_z_stops_the_job_and_fg_continues_it() {
    let pty = bash_outside();
    pty.types(&format!("{LISTEN}\n"));
    let app = pty.ready("");
    let init = parent(app);
    for n in 1..=3 {
        pty.types(CTRL_Z);
        pty.hears_times("Stopped", n);
        assert_usable(&pty);
        assert_eq!((process_state(init), process_state(app)), ('T', 'T'));
        pty.types("fg\n");
        pty.hears_times("got SIGCONT", n);
        pty.foreground_becomes(app);
    }
    ctrl_c_ends(&pty);
    assert_eq!(pty.times("got SIGCONT"), 3, "{}", pty.said());
}

#[test]
fn bg_continues_the_job_without_the_terminal() {
    let pty = bash_outside();
    pty.types(&format!("{LISTEN}\n"));
    let app = pty.ready("");
    pty.types(CTRL_Z);
    pty.hears("Stopped");
    pty.types("bg\n");
    pty.hears("got SIGCONT");
    assert_usable(&pty);
    sleeps(app);
    sleeps(parent(app));
    pty.types("fg\n");
    foreground_leaves(&pty, pty.pid());
    ctrl_c_ends(&pty);
}

/// No signal reports this: the keys come to us until the app has the terminal.
#[test]
fn ctrl_z_works_after_bg_and_fg() {
    let pty = bash_outside();
    pty.types(&format!("{LISTEN} &\n"));
    let app = pty.ready("");
    pty.types("fg\n");
    foreground_leaves(&pty, pty.pid());
    pty.types(CTRL_Z);
    pty.hears("Stopped");
    assert_usable(&pty);
    assert_eq!(process_state(app), 'T');
    pty.types("fg\n");
    pty.hears("got SIGCONT");
    pty.foreground_becomes(app);
    ctrl_c_ends(&pty);
}

#[test]
fn an_app_that_came_forward_can_read() {
    let folder = Folder::new();
    let fifo = folder.fifo("fifo");
    let pty = bash_outside();
    let wait = format!("read go <{}; exec $FIXTURE foreground", fifo.display());
    pty.types(&format!("$REPRIEVE sh -c '{wait}' &\n"));
    pty.types("fg\n");
    foreground_leaves(&pty, pty.pid());
    std::fs::write(&fifo, "go\n").expect("a reader");
    pty.hears("foreground: ");
    reads_a_line(&pty);
}

#[test]
fn in_the_background_we_never_touch_the_terminal() {
    let pty = bash_outside();
    pty.types(&format!("{LISTEN} --until SIGTERM &\n"));
    let app = pty.ready("");
    assert_usable(&pty);
    pty.types("kill %1; wait %1; echo code $?\n");
    pty.hears("code 0");
    assert_eq!(pty.times("got SIGTERM"), 1, "{}", pty.said());
    assert_usable(&pty);
    assert_eq!(process_state(app), '0');
}

/// The app reads the terminal from the background: it stops, and so do we, until it is asked for.
#[test]
fn reading_in_the_background_stops_the_job_and_takes_no_cpu() {
    let pty = bash_outside();
    pty.types("$REPRIEVE $FIXTURE foreground &\n");
    pty.hears("foreground: false");
    let init = eventually("the stopped job", || {
        let init = children(pty.pid()).first().copied()?;
        (process_state(init) == 'T').then_some(init)
    });
    assert_usable(&pty);
    let before = switches(init);
    pty.types("jobs\n");
    pty.hears("Stopped");
    assert_usable(&pty);
    assert_eq!(switches(init), before, "it does not sleep");
    pty.types("fg\n");
    pty.foreground_becomes(children(init)[0]);
    reads_a_line(&pty);
}

/// What `bg` continues and reads stops again: that is no loop.
#[test]
fn reading_after_bg_stops_again() {
    let pty = bash_outside();
    pty.types("$REPRIEVE $FIXTURE foreground\n");
    pty.hears("foreground: true");
    let init = children(pty.pid())[0];
    pty.types(CTRL_Z);
    pty.hears("Stopped");
    let n = 3;
    for _ in 0..n {
        pty.types("bg\n");
        assert_usable(&pty);
        eventually("the stop", || (process_state(init) == 'T').then_some(()));
    }
    assert!(switches(init) < 200, "{} switches", switches(init));
    pty.types("fg\n");
    pty.foreground_becomes(children(init)[0]);
    reads_a_line(&pty);
}

/// Nobody could continue us, so the kernel does not let us stop: then the app alone is stopped.
#[test]
fn reading_in_an_orphaned_background_takes_no_cpu() {
    let folder = Folder::new();
    let fifo = folder.fifo("fifo");
    let app = "$REPRIEVE sh -c 'echo app ready $$; exec $FIXTURE foreground' </dev/tty";
    let pty = bash_outside();
    // Not before the shell has the terminal again.
    pty.types(&format!("( {{ read go <{}; {app}; }} & )\n", fifo.display()));
    assert_usable(&pty);
    std::fs::write(&fifo, "go\n").expect("a reader");
    let app = pty.ready("app ");
    pty.hears("foreground: false");
    let init = parent(app);
    eventually("the stop", || {
        (process_state(app) == 'T' && process_state(init) == 'S').then_some(())
    });
    assert_usable(&pty);
    let before = switches(init);
    assert_usable(&pty);
    assert_usable(&pty);
    assert_eq!((switches(init), process_state(app)), (before, 'T'), "it does not sleep");
}

/// It is in nobody's power to let it read: continued, it would only stop again.
#[test]
fn an_app_that_gave_its_terminal_away_and_reads_stays_stopped() {
    let mut command = leader("-v");
    command.arg("outsider");
    let pty = start(command);
    let app = pty.ready("");
    eventually("the stop", || (process_state(app) == 'T').then_some(()));
    let forwards = |n| {
        send(pty.pid(), libc::SIGWINCH);
        pty.hears_times("forwarded SIGWINCH", n);
    };
    // When we hear a second signal we are done with the stop.
    forwards(1);
    let before = switches(app);
    forwards(2);
    forwards(3);
    assert_eq!((process_state(app), switches(app)), ('T', before), "{}", pty.said());
    send(app, libc::SIGKILL);
    assert_eq!(pty.ends().0, 137);
}

/// How often a process was given the processor.
fn switches(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let counts = status.lines().filter(|line| line.contains("ctxt_switches"));
    counts.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum()
}

/// A stop signal while it is stopped: the job hears once it is continued, and not before.
#[test]
fn a_stopped_job_can_be_ended() {
    let pty = bash_outside();
    pty.types(&format!("{LISTEN} --until SIGTERM\n"));
    pty.ready("");
    pty.types(CTRL_Z);
    pty.hears("Stopped");
    pty.types("kill %1; fg\n");
    pty.hears("got SIGTERM");
    assert_usable(&pty);
    assert_eq!(pty.times("got SIGTERM"), 1, "{}", pty.said());
}

/// A pipeline is one job of several processes, of which we are one.
#[test]
fn in_a_pipeline_ctrl_c_and_ctrl_z_work() {
    let pty = bash_outside();
    pty.types(&format!("{LISTEN} | cat\n"));
    let app = pty.ready("");
    pty.types(CTRL_Z);
    pty.hears("Stopped");
    assert_usable(&pty);
    pty.types("fg\n");
    pty.hears("got SIGCONT");
    pty.foreground_becomes(app);
    ctrl_c_ends(&pty);
}

/// The script runs us without job control: we share its group, and it waits.
#[test]
fn in_a_script_ctrl_c_and_ctrl_z_work() {
    let folder = Folder::new();
    let script = folder.script("script", &format!("#!/bin/sh\n{LISTEN}\necho script goes on\n"));
    let pty = bash_outside();
    pty.types(&format!("{}\n", script.display()));
    let app = pty.ready("");
    pty.types(CTRL_Z);
    pty.hears("Stopped");
    assert_usable(&pty);
    pty.types("fg\n");
    pty.hears("got SIGCONT");
    pty.foreground_becomes(app);
    pty.types(CTRL_C);
    pty.hears("script goes on");
    assert_usable(&pty);
}

/// Such a script does not take the terminal back: we give it.
#[test]
fn a_script_can_read_after_us() {
    let folder = Folder::new();
    for (words, said) in
        [("$FIXTURE foreground", "foreground: true"), ("no-such-command", "cannot run")]
    {
        let content = format!("#!/bin/sh\n$REPRIEVE {words}\nread line\necho script read $line\n");
        let script = folder.script("script", &content);
        let pty = bash_outside();
        pty.types(&format!("{}\n", script.display()));
        pty.hears(said);
        pty.types("one\ntwo\n");
        pty.hears("script read ");
        assert_usable(&pty);
    }
}
