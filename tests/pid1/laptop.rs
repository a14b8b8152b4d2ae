//! Not PID 1: a subreaper that signals its own descendants alone (docs/behaviour.md, 1.8, 1.9,
//! 6.3 and 7.10).

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::libc;
use nix::unistd::geteuid;

use crate::harness::*;

/// A process that is none of ours, in the process group and session of an init, or not.
struct Stranger(Child);

impl Stranger {
    fn in_group(group: i32) -> Stranger {
        let mut command = Command::new("sleep");
        command.arg("1000").process_group(group).stdin(Stdio::null());
        Stranger(command.spawn().expect("sleep"))
    }

    fn in_a_session_of_its_own() -> Stranger {
        let mut command = Command::new("setsid");
        command.args(["sleep", "1000"]).stdin(Stdio::null());
        Stranger(command.spawn().expect("setsid of util-linux"))
    }

    #[track_caller]
    fn assert_unharmed(&mut self) {
        assert!(self.0.try_wait().expect("a child").is_none(), "a stranger was signalled");
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_stop_signal_is_held_and_forwarded() {
    let run = laptop().options("--delay 300ms --grace-period none").fixture("listen --code 7");
    run.hears("ready");
    let began_at = run.signal(libc::SIGTERM);
    let got = run.hears("got SIGTERM");
    assert_after(began_at, got.at, Duration::from_millis(300));
    let ended = run.ends();
    assert_eq!(ended.code, 7, "{}", ended.all());
    let us = format!("(pid {}, uid {})", std::process::id(), geteuid());
    assert!(ended.log()[0].contains(&us), "{}", ended.all());
}

#[test]
fn orphans_come_to_us_and_are_reaped() {
    let run = laptop().options("-w").fixture("orphans 5");
    run.ready("");
    run.hears_times("reaped the orphan", 5);
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", run.pid()));
    assert_eq!(children.expect("/proc").split_whitespace().count(), 1, "only the app is left");
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 0);
}

#[test]
fn a_daemon_becomes_our_child_and_is_swept() {
    let run = laptop().options("--grace-period 20s").fixture("leave daemon --drain 200");
    let daemon = run.ready("left ");
    run.hears_times("ready", 2);
    assert_eq!(parent(daemon), run.pid());
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.times("left got SIGTERM"), 1, "{}", ended.all());
    assert!(!runs(daemon) && ended.code == 0, "{}", ended.all());
}

/// Neither the sweep nor the kill reaches what is not ours.
#[test]
fn strangers_survive_sweep_and_kill() {
    let options = "--grace-period 1200ms --margin 600ms --log-format json";
    let run = laptop().options(options).fixture("leave daemon --ignore SIGTERM");
    let daemon = run.ready("left ");
    run.hears_times("ready", 2);
    let mut strangers = [Stranger::in_group(run.pid()), Stranger::in_a_session_of_its_own()];
    run.signal(libc::SIGTERM);
    eventually("the end", || (!runs(run.pid())).then_some(()));
    // Later the harness clears the group away.
    strangers.iter_mut().for_each(Stranger::assert_unharmed);
    let ended = run.ends();
    assert!(!runs(daemon), "{}", ended.all());
    assert_eq!(ended.report()["left_over"]["count"], 1, "{}", ended.all());
    assert_eq!(ended.report()["killed"]["count"], 1, "{}", ended.all());
}

#[test]
fn sessions_within_sessions_are_killed() {
    let options = "--grace-period 1s --margin 600ms --log-format json";
    let deaf = "$FIXTURE listen --ignore SIGTERM --name";
    // Each in a session of its own, below the one before.
    let script = format!(
        "setsid sh -c 'setsid sh -c \"{deaf} three & {deaf} two; :\" & {deaf} one; :' & \
         {deaf} app; :"
    );
    let run = laptop().options(options).shell(&["sh"], &script);
    let all = ["one ", "two ", "three ", "app "].map(|name| run.ready(name));
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert!(all.iter().all(|pid| !runs(*pid)), "{}", ended.all());
    assert!(ended.report()["survivors"]["count"] == 0, "{}", ended.all());
}

/// What forks while it is killed is killed again, until nothing is left.
#[test]
fn a_fork_loop_is_killed() {
    // On a busy machine it takes many rounds: half the margin is for them.
    let options = "--grace-period 6s --margin 5700ms --log-format json";
    let mark = format!("breed-{}", std::process::id());
    let run = laptop().options(options).fixture(&format!("breed {mark}"));
    let master = run.ready("breeding and ");
    assert!(running(&mark) > 10);
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.report()["survivors"]["count"], 0, "{}", ended.all());
    assert!(ended.report()["killed"]["count"].as_u64() > Some(2), "{}", ended.all());
    assert!(!runs(master), "{}", ended.all());
    // All of them have its arguments.
    assert_eq!(running(&mark), 0, "{}", ended.all());
}

/// Nobody can be named then, and the descendants not be found.
#[test]
#[ignore = "needs root: /proc is hidden: cargo test --test pid1 -- --ignored"]
fn without_proc_the_app_and_its_group_are_killed() {
    let hide = "exec unshare --mount sh -c 'mount -t tmpfs none /proc && exec \"$@\"' sh \"$@\"";
    let deaf = "$FIXTURE listen --ignore SIGTERM --name";
    let run = laptop()
        .options("--grace-period 1s --margin 600ms")
        .through(hide)
        .shell(&["sh"], &format!("{deaf} worker & exec {deaf} app"));
    let both = ["worker ", "app "].map(|name| run.ready(name));
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    let survived = both.map(runs);
    // Nobody else would.
    both.iter().for_each(|pid| send(*pid, libc::SIGKILL));
    assert_eq!((ended.code, survived), (137, [false; 2]), "{}", ended.all());
}

/// How many processes run with this among their arguments.
fn running(mark: &str) -> usize {
    let all = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let has_mark = |pid: &i32| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
        runs(*pid) && line.is_ok_and(|line| line.contains(mark))
    };
    pids.filter(has_mark).count()
}

/// A parent that dies, as tini's -p has it.
fn parent_dies(option: &str) -> (Run, i32) {
    // In the background, so that the shell does not execute it in its place.
    let run = laptop().options(option).through("\"$@\" & wait").fixture("listen");
    let app = run.ready("");
    let init = parent(app);
    assert_eq!(parent(init), run.pid());
    send(run.pid(), libc::SIGKILL);
    (run, init)
}

#[test]
fn the_death_of_our_parent_is_a_stop_signal_on_request() {
    let (run, init) = parent_dies("-p SIGTERM --delay 200ms");
    run.hears("got SIGTERM");
    run.hears("report: ");
    eventually("its end", || (!runs(init)).then_some(()));
}

#[test]
fn the_death_of_our_parent_can_be_any_signal() {
    for option in ["-p SIGUSR1", "--parent-death-signal 10", "-p USR1"] {
        let (run, init) = parent_dies(option);
        run.hears("got SIGUSR1");
        send(init, libc::SIGTERM);
        run.hears("got SIGTERM");
        eventually("its end", || (!runs(init)).then_some(()));
    }
}

#[test]
fn the_death_of_our_parent_can_be_asked_for_by_a_variable() {
    let run = laptop().variable("REPRIEVE_PARENT_DEATH_SIGNAL", "USR1");
    let run = run.through("\"$@\" & wait").fixture("listen");
    let init = parent(run.ready(""));
    send(run.pid(), libc::SIGKILL);
    run.hears("got SIGUSR1");
    send(init, libc::SIGTERM);
    run.hears("got SIGTERM");
}

#[test]
fn without_the_option_the_death_of_our_parent_is_ignored() {
    let (run, init) = parent_dies("");
    send(init, libc::SIGHUP);
    run.hears("got SIGHUP");
    send(init, libc::SIGTERM);
    run.hears("got SIGTERM");
    let got: Vec<String> = run.lines().into_iter().map(|line| line.text).collect();
    assert_eq!(got.iter().filter(|line| line.contains("got ")).count(), 2, "{got:?}");
}

/// An image with an init of its own, started by `docker run --init`: the outer one holds.
#[test]
fn a_reprieve_below_a_reprieve_does_not_hold_again() {
    let inner = [env!("CARGO_BIN_EXE_reprieve"), "--"].map(Into::into);
    let words = inner.into_iter().chain([fixture().into_os_string(), "listen".into()]);
    let init = laptop().variable("REPRIEVE_DELAY", "1s").variable("REPRIEVE_GRACE_PERIOD", "20s");
    let run = init.app(words);
    run.hears("ready");
    let began_at = run.signal(libc::SIGTERM);
    let got = run.hears("got SIGTERM");
    assert_after(began_at, got.at, Duration::from_secs(1));
    let ended = run.ends();
    assert_eq!((ended.code, ended.times("got SIGTERM")), (0, 1), "{}", ended.all());
    assert_eq!(ended.times("forwarding it at +1s"), 1, "{}", ended.all());
    assert_eq!(ended.times("forwarding it at once"), 1, "{}", ended.all());
}

/// With the right to signal its own alone, and without the right to do more.
#[test]
fn an_ordinary_user_can_use_it() {
    let folder = Folder::new();
    // The folder that Cargo builds in may be closed to others.
    let outside = std::env::temp_dir().join(format!("reprieve-{}", std::process::id()));
    let guard = Removed(&outside);
    std::fs::create_dir_all(&outside).expect("a folder");
    let copy = |path: &Path| {
        let to = outside.join(path.file_name().expect("a name"));
        std::fs::copy(path, &to).expect("a copy");
        to
    };
    let init = copy(Path::new(env!("CARGO_BIN_EXE_reprieve")));
    let app = copy(&fixture());
    let become_nobody = if geteuid().is_root() {
        "setpriv --reuid 65534 --regid 65534 --clear-groups"
    } else {
        "env"
    };
    let mut words = vec!["-c", "exec $BECOME \"$@\"", "sh"];
    words.push(init.to_str().expect("text"));
    words.extend(["--log-format", "json", "--delay", "200ms", "--grace-period", "20s", "--"]);
    words.extend([app.to_str().expect("text"), "leave", "daemon"]);
    let outer = laptop().variable("BECOME", become_nobody);
    let run = outer.app(std::iter::once("sh").chain(words));
    let daemon = run.ready("left ");
    run.hears_times("ready", 2);
    let began_at = Instant::now();
    send(parent(daemon), libc::SIGTERM);
    let ended = run.ends();
    assert_after(began_at, ended.at, Duration::from_millis(200));
    assert_eq!((ended.code, ended.times("left got SIGTERM")), (0, 1), "{}", ended.all());
    assert_eq!(ended.report()["left_over"]["count"], 1, "{}", ended.all());
    assert!(!runs(daemon));
    drop((guard, folder));
}

struct Removed<'a>(&'a Path);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0);
    }
}
