//! Signals for the app and its leftovers: hooks get none of them
//! (docs/behaviour.md, 12.10).

use super::*;

#[test]
fn the_signals_for_the_app_do_not_reach_hooks() {
    for (init, options) in [(pid1 as fn() -> Init, ""), (pid1, "-g"), (laptop, ""), (laptop, "-g")]
    {
        let run = init()
            .options(ENDLESS)
            .options(options)
            .option("--on-stop", listening("hook"))
            .fixture("listen");
        let (plan, hook) = stop(&run);
        for (signal, name) in
            [(libc::SIGHUP, "SIGHUP"), (libc::SIGUSR2, "SIGUSR2"), (libc::SIGINT, "SIGINT")]
        {
            run.signal(signal);
            run.hears(&format!("got {name}"));
        }
        wait_until(plan.at + SECOND);
        run.signal(libc::SIGTERM);
        run.hears("\"app_ended\"");
        end_hook(&run, hook);
        let ended = run.ends();
        let got = ["got SIGHUP", "got SIGUSR2", "got SIGINT", "got SIGTERM", "hook got SIGUSR1"];
        assert_app(&ended, &got);
    }
}

/// A sweep and what is forwarded to leftovers are not for hooks either.
#[test]
fn a_hook_is_not_swept_with_the_leftovers() {
    let run = pid1()
        .options(ENDLESS)
        .option("--on-stop", listening("hook"))
        .fixture("leave daemon --until SIGUSR2");
    run.hears_times("ready", 2);
    run.signal(libc::SIGTERM);
    let hook = run.ready("hook ");
    run.signal(libc::SIGUSR1);
    run.hears("left got SIGTERM");
    run.signal(libc::SIGHUP);
    run.hears("left got SIGHUP");
    run.signal(libc::SIGUSR2);
    run.hears("left got SIGUSR2");
    end_hook(&run, hook);
    let ended = run.ends();
    assert_eq!(ended.times("hook got"), 1, "{}", ended.all());
    assert!(ended.said("hook got SIGUSR1"));
    assert_eq!(ended.report()["left_over"]["count"], 1, "{}", ended.all());
}

/// They leave no leftovers; a hook is none.
#[test]
fn leftovers_that_are_killed_at_once_do_not_take_the_hooks_along() {
    for init in [pid1, laptop] {
        let run = init()
            .options(ENDLESS)
            .options("--leftovers kill")
            .option("--on-stop", listening("hook"))
            .fixture("leave daemon --until SIGUSR2");
        run.hears_times("ready", 2);
        run.signal(libc::SIGTERM);
        let hook = run.ready("hook ");
        run.signal(libc::SIGUSR1);
        run.hears("\"app_ended\"");
        end_hook(&run, hook);
        let ended = run.ends();
        assert!(ended.said("hook got SIGUSR1"), "{}", ended.all());
        assert_well(&ended);
    }
}

#[test]
fn ctrl_c_on_a_terminal_does_not_reach_hooks() {
    let mut command = reprieve();
    command.args(["--delay", "1h", "--hook-timeout", "1h", "--on-stop", &listening("hook")]);
    command.arg("--").arg(fixture()).args(["listen", "--until", "SIGINT"]);
    let pty = Pty::start(command, Output::Terminal);
    pty.ready("");
    send(pty.pid(), libc::SIGTERM);
    let hook = pty.ready("hook ");
    pty.types(CTRL_C);
    pty.hears("got SIGINT");
    pty.hears("exited with 0");
    send(hook, libc::SIGUSR1);
    let (code, said) = pty.ends();
    assert_eq!((code, said.matches("hook got").count()), (0, 1), "{said}");
    assert!(said.contains("hook got SIGUSR1"), "{said}");
}
