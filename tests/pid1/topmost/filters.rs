//! Filters: what reads from an app that still drains is not to end before it.

use std::process::Command;

use nix::libc;

use super::*;

/// Both are behind the shell, side by side.
#[test]
fn a_filter_behind_the_app_hears_nothing_while_the_app_drains() {
    at_once(["$APP | $FILTER", "$APP | $FILTER; true", "$APP | $FILTER & wait"], |form| {
        let filter = "$FIXTURE filter --name filter";
        let script = form.replace("$APP", APP).replace("$FILTER", filter);
        let ended = stop(json().shell(&["sh"], &script), libc::SIGTERM);
        assert_heard_once(&ended, form, "SIGTERM");
        assert!(ended.said("filter saw the end"), "{form}: {ended}");
        assert_eq!((ended.times("filter got SIGTERM"), ended.code), (0, 143), "{form}: {ended}");
    });
}

#[test]
fn the_log_that_tee_writes_is_whole() {
    let folder = Folder::new();
    let log = folder.path("log");
    let run = json().variable("LOG", &log.display().to_string());
    let ended = stop(run.shell(&["sh"], &format!("{APP} | tee \"$LOG\"; true")), libc::SIGTERM);
    assert_heard_once(&ended, "tee", "SIGTERM");
    let log = std::fs::read_to_string(log).expect("a log");
    assert!(log.ends_with("app finished\n"), "{log:?}");
    assert_eq!(ended.code, 143, "{ended}");
}

/// A chain: each waits for the one before it.
#[test]
fn filters_behind_filters_end_one_after_the_other() {
    let [first, second] = ["first", "second"].map(|name| format!("$FIXTURE filter --name {name}"));
    let run = json().shell(&["sh"], &format!("{APP} | {first} | {second}; true"));
    let ended = stop(run, libc::SIGTERM);
    assert_heard_once(&ended, "a chain", "SIGTERM");
    for part in ["first got", "second got"] {
        assert!(!ended.said(part), "{ended}");
    }
    assert!(ended.said("first saw the end") && ended.said("second saw the end"), "{ended}");
}

/// Of the app's end it hears as the end of its file, and gzip then has some bytes to write.
#[test]
fn a_file_that_a_process_substitution_compresses_is_whole() {
    at_once(0..5, |n| {
        let folder = Folder::new();
        let packed = folder.path("log.gz").display().to_string();
        let script = format!("exec > >(gzip >\"$LOG\"); exec {APP}");
        let run = json().variable("LOG", &packed).shell(&[debian("bash", "bash")], &script);
        // What it says goes to gzip.
        let app = run.main_pid();
        eventually("an app that listens", || {
            (is_program(app, "fixture") && signals(app, "SigCgt") & 1 << 63 != 0).then_some(())
        });
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!(ended.code, 0, "{n}: {ended}");
        let unpacked = Command::new("gzip").args(["-dc", &packed]).output().expect("gzip");
        assert!(unpacked.status.success(), "{n}: {unpacked:?} {ended}");
        let text = String::from_utf8_lossy(&unpacked.stdout).into_owned();
        assert!(text.contains("app got SIGTERM") && text.ends_with("finished\n"), "{n}: {text:?}");
        assert_eq!(ended.report()["killed"]["count"], 0, "{n}: {ended}");
    });
}

/// There the last command of a pipeline is the main child, and the app a child of it.
#[test]
#[ignore = "needs Debian's yash: cargo test --test pid1 -- --ignored"]
fn a_filter_that_is_the_main_child_hears_nothing_while_the_app_drains() {
    let script = format!("{APP} | $FIXTURE filter --name filter");
    let ended = stop(json().shell(&[debian("yash", "yash")], &script), libc::SIGTERM);
    assert_heard_once(&ended, "yash", "SIGTERM");
    assert!(ended.said("filter saw the end"), "{ended}");
    assert_eq!((ended.times("filter got SIGTERM"), ended.code), (0, 0), "{ended}");
}

/// It has a second from the end of its last writer on.
#[test]
fn a_filter_that_does_not_end_gets_sigterm_a_second_after_its_last_writer() {
    let script = format!("{APP} | $FIXTURE listen --name filter --once 100; true");
    let run = json().shell(&["sh"], &script);
    run.ready("filter ");
    let began_at = run.signal(libc::SIGTERM);
    let heard = run.hears("filter got SIGTERM");
    assert_after(began_at, heard.at, 1300 * MS);
    let ended = run.ends();
    assert_eq!(ended.times("filter got"), 1, "{ended}");
    assert!(ended.said("filter finished"), "{ended}");
}

/// What writes is not signalled, or lives for ever: it keeps nobody from the signal.
#[test]
fn an_app_behind_a_feeder_is_not_starved() {
    let deaf = "$FIXTURE listen --name feeder --ignore SIGTERM";
    at_once([deaf, "tail -f /dev/null", "sleep 1000"], |feeder| {
        let init = without_grace().options("--grace-period 5s --margin 1s");
        let run = init.shell(&["sh"], &format!("{feeder} | {APP}; true"));
        run.ready("app ");
        let began_at = run.signal(libc::SIGTERM);
        let heard = run.hears("app got SIGTERM");
        let waited = heard.at.saturating_duration_since(began_at);
        assert!(waited < 3 * SECOND, "{feeder}: {waited:?}");
        let ended = run.ends();
        assert_eq!(ended.times("app got"), 1, "{feeder}: {ended}");
        assert!(ended.said("app finished"), "{feeder}: {ended}");
    });
}

/// `app < fifo`, where a daemon beside it has the other end.
#[test]
fn the_main_child_is_not_starved_by_a_writer_that_lives_for_ever() {
    let folder = Folder::new();
    let fifo = folder.fifo("feed").display().to_string();
    let feeder = "(setsid $FIXTURE listen --name feeder --until SIGUSR2 >\"$FIFO\" &)";
    let init = without_grace().options("--grace-period 5s --margin 1s").variable("FIFO", &fifo);
    let run = init.shell(&["sh"], &format!("{feeder}; exec {APP} <\"$FIFO\""));
    run.ready("app ");
    let began_at = run.signal(libc::SIGTERM);
    let heard = run.hears("app got SIGTERM");
    let waited = heard.at.saturating_duration_since(began_at);
    assert!(waited < 3 * SECOND, "{waited:?}");
    let ended = run.ends();
    assert_eq!((ended.times("app got"), ended.code), (1, 0), "{ended}");
    assert!(ended.said("app finished"), "{ended}");
}

/// Two that write to each other: neither can wait for the other.
#[test]
fn in_a_cycle_of_pipes_all_are_signalled() {
    let folder = Folder::new();
    let [one, two] = ["one", "two"].map(|name| folder.fifo(name).display().to_string());
    let script = "$FIXTURE listen --name a --once 300 <\"$ONE\" 3>\"$TWO\" & \
                  $FIXTURE listen --name b --once 300 3>\"$ONE\" <\"$TWO\"; true";
    let run = json().variable("ONE", &one).variable("TWO", &two).shell(&["sh"], script);
    run.ready("a ");
    run.ready("b ");
    run.signal(libc::SIGTERM);
    let heard = ["a", "b"].map(|name| run.hears(&format!("{name} got SIGTERM")).at);
    let apart = heard[0].max(heard[1]) - heard[0].min(heard[1]);
    assert!(apart < 900 * MS, "one waited for the other: {apart:?}");
    let ended = run.ends();
    for name in ["a", "b"] {
        assert_eq!(ended.times(&format!("{name} got")), 1, "{ended}");
        assert!(ended.said(&format!("{name} finished")), "{ended}");
    }
}

#[test]
fn a_coprocess_of_bash_ends_with_the_app() {
    coprocess_ends("bash", "bash", "coproc $FIXTURE filter --name co");
}

#[test]
#[ignore = "needs Debian's ksh93u+m and mksh: cargo test --test pid1 -- --ignored"]
fn a_coprocess_of_ksh_ends_with_the_app() {
    for (shell, package) in [("ksh93", "ksh93u+m"), ("mksh", "mksh")] {
        coprocess_ends(shell, package, "$FIXTURE filter --name co |&");
    }
}

fn coprocess_ends(shell: &'static str, package: &str, coprocess: &str) {
    let script = format!("{coprocess}\n{APP}; true");
    let ended = stop(json().shell(&[debian(shell, package)], &script), libc::SIGTERM);
    assert_heard_once(&ended, shell, "SIGTERM");
    let took = ended.at - ended.started_at;
    assert!(took < 8 * SECOND, "{shell}: {ended}");
    assert_eq!(ended.code, 143, "{shell}: {ended}");
}
