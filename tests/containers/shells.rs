//! Images whose command is wrapped in a shell.

use crate::harness::{assert_after, busybox, debian, image, seconds};
use crate::images;

/// `CMD node server.js`, as a Dockerfile's shell form has it: the shell stays, and as PID 1 it
/// would ignore SIGTERM.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn the_app_of_a_shell_hears_the_stop_once() {
    let dockerfile =
        format!("FROM {}\nCMD /fixture listen --drain 300; true\n", images::all().busybox);
    let shell = images::build("shell-form", &dockerfile, &[]);
    let app = image(&shell).delay("1s").grace_period("10s").starts();
    app.hears("ready");
    let stop = app.stop(10);
    assert_after(stop.called_at, app.hears("got SIGTERM").at, seconds(1));
    let ended = app.ends();
    assert_eq!((ended.code, ended.times("got SIGTERM")), (143, 1), "{ended}");
    assert!(ended.said("sh has no trap for it"), "{ended}");
    assert!(ended.said("exit code 143 of sh (fixture exited with 0)"), "{ended}");
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn an_app_that_replaced_its_shell_is_no_shell() {
    for shell in [["/bin/busybox", "sh"].as_slice(), &["/bin/sh"]] {
        let words = [shell, &["-c", "exec /fixture listen"]].concat();
        let app = busybox().delay("1s").grace_period("10s").runs(&words);
        app.hears("ready");
        let stop = app.stop(10);
        assert_after(stop.called_at, app.hears("got SIGTERM").at, seconds(1));
        let ended = app.ends();
        assert_eq!((ended.code, ended.times("got SIGTERM")), (0, 1), "{ended}");
        assert!(!ended.said("process group"), "{ended}");
    }
}

/// The two kinds of entrypoint script: with exec, and without.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn the_app_of_an_entrypoint_script_hears_the_stop_once() {
    for (last_line, code) in [("exec \"$@\"", 0), ("\"$@\"; echo over", 143)] {
        let script = format!(
            "FROM {}\nRUN printf '#!/bin/sh\\nset -e\\necho prepared\\n%s\\n' '{last_line}' \
             > /entrypoint.sh && chmod +x /entrypoint.sh\n\
             ENTRYPOINT [\"/reprieve\", \"--\", \"/entrypoint.sh\"]\n\
             CMD [\"/fixture\", \"listen\", \"--drain\", \"300\"]\n",
            images::all().busybox
        );
        let script = images::build(&format!("script-{code}"), &script, &[]);
        let app = image(&script).delay("1s").grace_period("10s").starts();
        app.hears("prepared");
        app.hears("ready");
        let stop = app.stop(10);
        assert_after(stop.called_at, app.hears("got SIGTERM").at, seconds(1));
        let ended = app.ends();
        assert_eq!((ended.code, ended.times("got SIGTERM")), (code, 1), "{ended}");
    }
}

/// A shell waits for the command in its foreground before it runs a trap. Shortly before SIGKILL that
/// command gets SIGTERM, so that the trap runs after all.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_shell_with_a_trap_is_given_the_chance_to_run_it() {
    for shell in ["bash", "dash"] {
        let waits = "trap 'kill $app; wait $app; exit 3' TERM; /fixture listen & app=$!; wait";
        let app = debian().delay("1s").grace_period("10s").runs(&[shell, "-c", waits]);
        app.hears("ready");
        app.stop(10).returns();
        let ended = app.ends();
        assert_eq!((ended.code, ended.times("got SIGTERM")), (3, 1), "{ended}");
        assert!(ended.said(&format!("{shell} has a trap for it")), "{ended}");

        let waiting = "trap 'exit 3' TERM; /fixture listen; true";
        let app = debian().grace_period("3s").runs(&[shell, "-c", waiting]);
        app.hears("ready");
        app.stop(10).returns();
        let ended = app.ends();
        assert_eq!((ended.code, ended.times("got SIGTERM")), (3, 1), "{ended}");
    }
}
