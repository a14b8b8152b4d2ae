//! What hooks leave behind (docs/behaviour.md, 12.9 and 12.11).

use super::*;

/// Leaves a daemon that does not heed SIGTERM, and waits until it is one.
fn leaving(folder: &Folder, how: &str) -> String {
    let path = folder.path("daemon");
    let path = path.display();
    let daemon =
        format!("sh -c \"trap : TERM; echo \\$\\$ > {path}; while :; do sleep 1000; done\"");
    let wait = format!("until [ -s {path} ]; do sleep 0.01; done");
    script(&match how {
        "child" => format!("{daemon} & {wait}"),
        "session" => format!("setsid {daemon} & {wait}"),
        "daemon" => format!("(setsid {daemon} &); {wait}"),
        "alive" => format!("(setsid {daemon} &); {wait}; exec sleep 1000"),
        other => panic!("{other}"),
    })
}

fn left(folder: &Folder) -> i32 {
    let pid = std::fs::read_to_string(folder.path("daemon")).expect("a pid");
    pid.trim().parse().expect("a pid")
}

#[test]
fn what_on_exit_leaves_behind_is_killed_at_once() {
    for how in ["child", "session", "daemon"] {
        let folder = Folder::new();
        let run = laptop()
            .options(PATIENT)
            .option("--on-exit", leaving(&folder, how))
            .fixture("listen --code 3");
        run.ready("");
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!((ended.code, process_state(left(&folder))), (3, '0'), "{how}: {}", ended.all());
        let folder = Folder::new();
        let run = pid1()
            .options(PATIENT)
            .option("--on-exit", leaving(&folder, how))
            .fixture("listen --code 3");
        run.ready("");
        run.signal(libc::SIGTERM);
        assert_eq!(run.ends().code, 3, "{how}");
    }
}

#[test]
fn what_on_stop_leaves_behind_is_a_leftover() {
    for how in ["child", "session", "daemon"] {
        for init in [pid1, laptop] {
            let folder = Folder::new();
            let run = init()
                .options("--grace-period 8s --margin 5s --log-format json")
                .option("--on-stop", leaving(&folder, how))
                .option("--on-exit", saying("after all"))
                .fixture("listen --code 3");
            run.ready("");
            let (is_pid1, began_at) = (run.is_pid1, run.signal(libc::SIGTERM));
            run.hears("\"swept\"");
            let ended = run.ends();
            assert_killed_in_time(began_at, &ended, 3 * SECOND, 8);
            assert_eq!(ended.code, 3, "{how}: {}", ended.all());
            assert_order(&ended, &["\"swept\"", "\"killed\"", "on-exit hook echo exited with 0"]);
            assert!(ended.report()["left_over"]["count"].as_u64() >= Some(1), "{}", ended.all());
            if !is_pid1 {
                assert_eq!(process_state(left(&folder)), '0', "{how}: {}", ended.all());
            }
        }
    }
}

/// Both the hook and its daemon hang.
#[test]
fn nothing_of_a_hanging_hook_outlives_a_subreaper() {
    for option in ["--on-stop", "--on-exit"] {
        let folder = Folder::new();
        let run =
            laptop().options(DEADLINE).option(option, leaving(&folder, "alive")).fixture("listen");
        run.ready("");
        let began_at = run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_killed_in_time(began_at, &ended, SECOND, 8);
        assert_eq!(process_state(left(&folder)), '0', "{option}: {}", ended.all());
    }
}

#[test]
fn a_hook_does_not_outlive_a_subreaper_that_is_killed() {
    let run = laptop().options(PATIENT).option("--on-stop", listening("hook")).fixture("listen");
    let app = run.ready("");
    run.signal(libc::SIGTERM);
    let hook = run.ready("hook ");
    run.signal(libc::SIGKILL);
    eventually("the hook's end", || ['0', 'Z'].contains(&process_state(hook)).then_some(()));
    // The app does, as under any other init that is no PID 1.
    send(app, libc::SIGKILL);
}

/// A hook's children that end are reaped as all else is.
#[test]
fn no_zombie_stays() {
    let run = pid1()
        .options(PATIENT)
        .option("--on-stop", script("(sleep 0 &) ; (sleep 0 &) ; true"))
        .option("--on-stop", listening("hook"))
        .fixture("listen");
    let (_, hook) = stop(&run);
    eventually("the app and a hook, and no other child", || {
        let left = children(run.pid());
        (left.len() == 2 && left.iter().all(|pid| process_state(*pid) != 'Z')).then_some(())
    });
    end_hook(&run, hook);
    assert_eq!(run.ends().code, 0);
}
