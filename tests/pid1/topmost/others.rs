//! Signals that are no stop signals.

use nix::libc;

use super::*;

/// A reload by `docker kill -s HUP`: a shell would die of it. Then a stop, of which it does.
#[track_caller]
fn reloads(shell: &[&str], script: &str, signal: i32, name: &str) {
    let run = json().shell(shell, script);
    run.ready("app ");
    let main = run.main_pid();
    eventually("a shell that waits", || (process_state(main) != 'R').then_some(()));
    run.signal(signal);
    run.hears(&format!("app got {name}"));
    let what = format!("{shell:?} {script:?}");
    assert!(runs(main), "{what}: the shell has died of {name}: {:?}", run.lines());
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.times(&format!("app got {name}")), 1, "{what}: {ended}");
    assert_eq!((ended.times("app got SIGTERM"), ended.times("app got")), (1, 2), "{what}: {ended}");
    assert_finished(&ended, &what);
    // These pass SIGHUP on, and end of it when the app has ended.
    let passes_on = ["mksh", "lksh", "posh"].contains(&shell[0]) && signal == libc::SIGHUP;
    assert_eq!(ended.code, if passes_on { 129 } else { 143 }, "{what}: {ended}");
}

#[test]
fn a_shell_is_spared_and_its_app_gets_the_signal() {
    at_once(
        [
            (libc::SIGHUP, "SIGHUP"),
            (libc::SIGUSR1, "SIGUSR1"),
            (libc::SIGUSR2, "SIGUSR2"),
            (RTMIN + 3, "SIGRTMIN+3"),
        ],
        |(signal, name)| reloads(&["sh"], &format!("{APP}; true"), signal, name),
    );
}

#[test]
fn nested_shells_are_spared() {
    at_once(["sh -c '$APP; :'; :", "sh -c 'sh -c \"$APP; :\"; :' & wait"], |script| {
        reloads(&["sh"], &script.replace("$APP", APP), libc::SIGHUP, "SIGHUP");
    });
}

#[test]
#[ignore = "needs the shells of Debian: cargo test --test pid1 -- --ignored"]
fn every_shell_is_spared() {
    let shells = [
        ("dash", "dash"),
        ("bash", "bash"),
        ("zsh", "zsh"),
        ("ksh93", "ksh93u+m"),
        ("mksh", "mksh"),
        ("lksh", "mksh"),
        ("posh", "posh"),
        ("yash", "yash"),
        ("fish", "fish"),
        ("tcsh", "tcsh"),
        ("busybox", "busybox-static"),
    ];
    at_once(shells, |(shell, package)| {
        let name = debian(shell, package);
        let words = if name == "busybox" { vec![name, "ash"] } else { vec![name] };
        for (signal, name) in [(libc::SIGHUP, "SIGHUP"), (libc::SIGUSR2, "SIGUSR2")] {
            reloads(&words, &format!("{APP}; true"), signal, name);
        }
    });
}

#[test]
fn a_shell_without_children_is_the_app() {
    let run = json().shell(&["sh"], "echo app ready 2; while :; do :; done");
    run.ready("app ");
    run.signal(libc::SIGHUP);
    let ended = run.ends();
    assert_eq!(ended.code, 129, "{ended}");
}

/// Its trap is for it to run.
#[test]
fn a_shell_with_a_trap_for_the_signal_gets_it_alone() {
    let script = format!("trap 'echo reloads' HUP; {APP} & wait; wait; true");
    let run = json().shell(&["sh"], &script);
    run.ready("app ");
    eventually("a shell that waits", || (process_state(run.main_pid()) == 'S').then_some(()));
    run.signal(libc::SIGHUP);
    run.hears("reloads");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_heard_once(&ended, &script, "SIGTERM");
}

/// What is no shell gets it, and its children are its own.
#[test]
fn a_master_gets_the_signal_and_its_worker_does_not() {
    at_once(["exec $M", "$M; true", "(setsid $M &); exit 0"], |form| {
        let script = form.replace("$M", "$FIXTURE master --work 100 --session own");
        let run = json().options("--leftovers wait").shell(&["sh"], &script);
        run.ready("master ");
        run.ready("worker ");
        if form.contains("setsid") {
            eventually("the daemon alone", || (children(run.pid()).len() == 1).then_some(()));
        }
        run.signal(libc::SIGHUP);
        run.hears("master got SIGHUP");
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!(ended.times("worker got"), 0, "{form}: {ended}");
        assert_eq!(ended.times("master got SIGHUP"), 1, "{form}: {ended}");
        assert!(ended.said("worker finished"), "{form}: {ended}");
    });
}

/// In a drain behind a shell that has died they go to what is topmost now.
#[test]
fn in_a_drain_behind_a_shell_they_go_to_the_app() {
    let script = "$FIXTURE listen --name app --once 60000 --until SIGUSR1; true";
    let run = json().options("--rewrite TERM:TERM").shell(&["sh"], script);
    run.ready("app ");
    let main = run.main_pid();
    run.signal(libc::SIGTERM);
    eventually("the shell to die", || (!runs(main)).then_some(()));
    run.signal(libc::SIGHUP);
    run.hears("app got SIGHUP");
    let ended = {
        send(children(run.pid())[0], libc::SIGKILL);
        run.ends()
    };
    assert_eq!(ended.times("app got SIGHUP"), 1, "{ended}");
    assert_eq!(ended.code, 143, "{ended}");
}

// The options.

/// All at once, as it was.
#[test]
fn the_option_process_group_is_for_all_at_once() {
    let run = json().options("-g").shell(&["sh"], &format!("{APP}; true"));
    let ended = stop(run, libc::SIGTERM);
    assert_heard_once(&ended, "-g", "SIGTERM");
    let run = json().options("-g").shell(&["sh"], "$FIXTURE master --work 300; true");
    run.ready("master ");
    run.ready("worker ");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.times("worker got SIGTERM"), 1, "{ended}");
}

/// The shell alone, and the sweep behind it begins at what is topmost.
#[test]
fn the_option_single_child_sweeps_the_topmost_first() {
    let run = json().options("-c").shell(&["sh"], "$FIXTURE master --work 300; true");
    run.ready("master ");
    run.ready("worker ");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.times("worker got"), 0, "{ended}");
    assert!(ended.said("worker finished"), "{ended}");
}
