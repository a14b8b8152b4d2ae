//! That deadlines are met first, whatever else is there to be done (docs/behaviour.md, 5.10, 6.7,
//! 6.8 and 17.3), and what is asked of the kernel until then.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::libc;
use nix::sys::ptrace;
use nix::unistd::Pid;

use crate::harness::*;

/// Our binary below strace, whose words come first. Each line that it writes begins with a pid.
fn under_strace(words: &[&str], trace: &str) -> Init {
    let mut init = Init::new(false, "strace".into());
    init.options = ["-f", "-o", trace].iter().chain(words).map(|word| (*word).into()).collect();
    init
}

/// The same as PID 1, with its calls that open a file, wait or send a signal.
fn traced_pid1(trace: &str) -> Init {
    let mut init = under_strace(&["-e", "trace=%file,kill,rt_sigtimedwait"], trace);
    init.options.extend(Init::in_pid_namespace().map(Into::into));
    init.options.push(env!("CARGO_BIN_EXE_reprieve").into());
    init
}

/// The process that strace has started, or that this one has: our binary, as we see it.
fn traced(run: &Run) -> i32 {
    eventually("reprieve below strace", || {
        let first = |pid: i32| children(pid).first().copied();
        std::iter::successors(first(run.child.id() as i32), |pid| first(*pid))
            .find(|pid| is_program(*pid, "reprieve"))
    })
}

/// The calls of a process in a trace that come right before the first one with this in it, back to its
/// last wait for a signal.
fn calls_before(trace: &str, pid: i32, call: &str) -> Vec<String> {
    let of_pid = |line: &&str| line.split(' ').next() == Some(&pid.to_string());
    let calls: Vec<&str> = trace.lines().filter(of_pid).collect();
    let at = calls.iter().position(|line| line.contains(call));
    let at = at.unwrap_or_else(|| panic!("no {call}:\n{}", calls.join("\n")));
    let waits = |line: &&&str| !line.contains("rt_sigtimedwait");
    calls[..at].iter().rev().take_while(waits).map(ToString::to_string).collect()
}

/// An app that hears nothing, behind a shell with a trap, with others beside it.
const DEAF: &str = "trap 'echo trapped' TERM; for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; \
                    setsid sleep 1000 & echo ready; sleep 1000; sleep 1000";

#[test]
#[ignore = "needs Debian's strace: cargo test --test pid1 -- --ignored"]
fn between_the_deadline_and_sigkill_nothing_of_proc_is_opened() {
    let folder = Folder::new();
    let trace = folder.path("trace");
    let init = traced_pid1(&trace.to_string_lossy());
    let options = "--delay 300ms --grace-period 1500ms --margin 500ms --leftovers-timeout none";
    // Without the last call, which lets the shell go on to its second command.
    let run = init.options(options).options("--log-format json").shell(&["sh"], DEAF);
    run.hears("ready");
    let pid = traced(&run);
    send(pid, libc::SIGTERM);
    let ended = run.ends();
    let report = ended.report();
    assert_eq!((ended.code, &report["app_signal"]), (137, &"SIGKILL".into()), "{}", ended.all());
    let traced = std::fs::read_to_string(trace).expect("a trace");
    let before = calls_before(&traced, pid, "kill(-1, SIGKILL");
    let of_proc = before.iter().filter(|call| call.contains("/proc")).count();
    assert_eq!(of_proc, 0, "opened, as {:?}", before.last());
    // For the forward the rule asks who our children are, and what the main child is.
    let before = calls_before(&traced, pid, "kill(2, SIGTERM");
    let is_asked = |call: &String| {
        ["/proc/self\"", "/proc/1/", "/proc/2/"].iter().any(|path| call.contains(path))
    };
    let of_others = before.iter().filter(|call| call.contains("/proc/") && !is_asked(call)).count();
    assert_eq!(of_others, 0, "opened: {before:?}");
}

#[test]
#[ignore = "needs Debian's strace: cargo test --test pid1 -- --ignored"]
fn below_pid_1_the_group_and_the_main_child_are_killed_before_a_look() {
    let folder = Folder::new();
    let trace = folder.path("trace");
    let words = ["-e", "trace=%file,kill,rt_sigtimedwait", env!("CARGO_BIN_EXE_reprieve")];
    let run = under_strace(&words, &trace.to_string_lossy())
        .options("--delay 300ms --grace-period 1500ms --margin 500ms --log-format json")
        .shell(&["sh"], DEAF);
    run.hears("ready");
    let pid = traced(&run);
    send(pid, libc::SIGTERM);
    let ended = run.ends();
    let killed = ended.report()["killed"]["count"].as_u64();
    assert!(killed >= Some(2), "{}", ended.all());
    let traced = std::fs::read_to_string(trace).expect("a trace");
    let before = calls_before(&traced, pid, ", SIGKILL");
    let of_proc = before.iter().filter(|call| call.contains("/proc")).count();
    assert_eq!(of_proc, 0, "opened, as {:?}", before.last());
}

/// 5.10: as `docker pause` over both deadlines.
#[test]
fn what_is_forwarded_late_may_drain_all_the_same() {
    let options = "--delay 200ms --grace-period 41s --margin 40s --log-format json";
    let run = pid1().options(options).fixture("listen --drain 100 --code 7");
    run.hears("ready");
    let init = run.pid();
    run.signal(libc::SIGTERM);
    let began = run.hears("\"stop_signal\"");
    send(init, libc::SIGSTOP);
    wait_until(began.at + 1100 * MS);
    send(init, libc::SIGCONT);
    let ended = run.ends();
    assert_eq!(ended.times("got SIGTERM"), 1, "{}", ended.all());
    let report = ended.report();
    assert_eq!((ended.code, &report["killed"]["count"]), (7, &0.into()), "{}", ended.all());
    assert!(at_ms(&ended, "forwarded_at_ms") >= 1000, "{}", ended.all());
}

/// 5.10: and one that does not end is killed within the margin.
#[test]
fn what_is_forwarded_late_and_deaf_is_killed_within_the_margin() {
    let options = "--delay 200ms --grace-period 4s --margin 3s --log-format json";
    let run = pid1().options(options).fixture("listen --until SIGUSR2");
    run.hears("ready");
    let init = run.pid();
    run.signal(libc::SIGTERM);
    let began = run.hears("\"stop_signal\"");
    send(init, libc::SIGSTOP);
    wait_until(began.at + 1100 * MS);
    send(init, libc::SIGCONT);
    run.hears("got SIGTERM");
    let ended = run.ends();
    assert_eq!(ended.code, 137, "{}", ended.all());
    let killed_at = at_ms(&ended, "killed_at_ms");
    assert!((1100..4000).contains(&killed_at), "{killed_at}");
}

/// Nobody is there to whom a stop of the app would matter.
#[test]
fn without_a_terminal_stops_and_continues_do_not_wake_us() {
    let run = pid1().fixture("listen");
    run.hears("ready");
    let (init, app) = (run.pid(), run.main_pid());
    sleeps(init);
    let switches = || status(init, "voluntary_ctxt_switches");
    let before = switches();
    for _ in 0..20 {
        send(app, libc::SIGSTOP);
        eventually("the stop", || (process_state(app) == 'T').then_some(()));
        send(app, libc::SIGCONT);
        eventually("the continue", || (process_state(app) == 'S').then_some(()));
    }
    assert_eq!(switches(), before);
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 0);
}

/// 17.3: with WUNTRACED and a SIGCHLD for each stop neither the forward nor SIGKILL came.
#[test]
fn a_storm_of_stops_and_continues_holds_up_no_deadline() {
    let options = "--delay 300ms --grace-period 1500ms --margin 500ms --log-format json";
    let run = pid1().options(options).fixture("odd 1500");
    run.hears("made 1500");
    run.hears("ready");
    let init = run.pid();
    let app = run.main_pid();
    let orphans: Vec<i32> = eventually("the orphans to be ours", || {
        let ours: Vec<i32> = children(init).into_iter().filter(|pid| *pid != app).collect();
        (ours.len() == 1500).then_some(ours)
    });
    let is_over = AtomicBool::new(false);
    let storm = || {
        while !is_over.load(Ordering::Relaxed) {
            for signal in [libc::SIGSTOP, libc::SIGCONT] {
                orphans.iter().for_each(|pid| send(*pid, signal));
            }
        }
    };
    let (got, ended) = std::thread::scope(|scope| {
        scope.spawn(storm);
        scope.spawn(storm);
        let began_at = run.signal(libc::SIGTERM);
        let heard = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let got = run.hears("got SIGTERM");
            assert_after(began_at, got.at, 300 * MS);
            got
        }));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.ends()));
        is_over.store(true, Ordering::Relaxed);
        (heard, ended)
    });
    got.expect("the forward");
    let ended = ended.expect("its end");
    let killed_at = at_ms(&ended, "killed_at_ms");
    assert!((1000..5000).contains(&killed_at), "{killed_at}");
}

/// A sandbox that refuses to say which children have ended does not say that none is left.
#[test]
#[ignore = "needs Debian's strace: cargo test --test pid1 -- --ignored"]
fn a_refused_wait4_is_asked_again() {
    let folder = Folder::new();
    let trace = folder.path("trace");
    let inject = "inject=wait4:error=EPERM:when=1..3";
    let mut init = Init::new(false, "strace".into());
    let trace = trace.to_string_lossy().into_owned();
    let reprieve = env!("CARGO_BIN_EXE_reprieve");
    init.options =
        ["-o", &trace, "-e", "trace=wait4", "-e", inject, reprieve].map(Into::into).to_vec();
    let run = init.fixture("listen --code 7");
    run.hears("ready");
    send(traced(&run), libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.code, 7, "{}", ended.all());
    assert_eq!(ended.times("cannot see which processes have ended"), 1, "{}", ended.all());
}

/// The end of the app is noticed all the same, and nothing spins.
#[test]
#[ignore = "needs Debian's strace: cargo test --test pid1 -- --ignored"]
fn a_wait_for_signals_that_is_refused_pauses() {
    let folder = Folder::new();
    let trace = folder.path("trace");
    let inject = "inject=rt_sigtimedwait:error=EPERM:when=2+";
    let reprieve = env!("CARGO_BIN_EXE_reprieve");
    let mut init = Init::new(false, "strace".into());
    let path = trace.to_string_lossy().into_owned();
    init.options = ["-o", &path, "-e", "trace=rt_sigtimedwait", "-e", inject, reprieve]
        .map(Into::into)
        .to_vec();
    let run = init.shell(&["sh"], "sleep 1; exit 7");
    let ended = run.ends();
    assert_eq!(ended.code, 7, "{}", ended.all());
    assert_eq!(ended.times("cannot wait for signals any more"), 1, "{}", ended.all());
    let waits = std::fs::read_to_string(trace).expect("a trace").lines().count();
    assert!((2..100).contains(&waits), "{waits} waits");
}

/// 6.10: below PID 1 nobody else ends our processes, and some of them may hang in the kernel.
#[test]
fn helpers_that_cannot_end_do_not_hold_up_our_end() {
    // It takes connections in, and answers nothing.
    let silent = TcpListener::bind(address()).expect("a port");
    let quit = silent.local_addr().expect("an address");
    let options = format!("--health-listen {} --quit-url http://{quit}/", address());
    let run = laptop().options(&options).options("--log-format json").fixture("listen --code 7");
    run.hears("ready");
    let init = run.pid();
    let stuck = |name| {
        let pid =
            eventually(name, || children(init).into_iter().find(|pid| is_program(*pid, name)));
        // It stops on its way out, and stays there until the tracer, which is this thread, lets it go.
        let options = ptrace::Options::PTRACE_O_TRACEEXIT;
        ptrace::seize(Pid::from_raw(pid), options).expect("a tracee");
        pid
    };
    let responder = stuck("reprieve-health");
    let began_at = run.signal(libc::SIGTERM);
    let request = stuck("reprieve-ask");
    let ended = run.ends();
    assert_eq!((ended.code, ended.times("\"report\"")), (7, 1), "{ended}");
    // The request has 2.5 s, and a second to end (13.8, 12.4).
    assert!(ended.at < began_at + 4 * SECOND + MAX_LATENESS, "{ended}");
    for helper in [responder, request] {
        assert_ne!(process_state(helper), '0', "it has ended");
    }
}

/// 6.9: the app reaps nobody, and two of its children have ended: one by itself, and one by another
/// SIGKILL.
#[test]
fn what_has_ended_before_sigkill_is_not_killed_by_it() {
    let script = "trap '' TERM; sh -c 'exit 3' & sh -c 'kill -KILL $$' & exec sleep 1000";
    for init in [pid1(), laptop()] {
        let options = "--grace-period 3s --margin 400ms --log-format json";
        let run = init.options(options).shell(&["sh"], script);
        let app = run.main_pid();
        eventually("two zombies of the app", || {
            let zombies = children(app).into_iter().filter(|pid| process_state(*pid) == 'Z');
            (is_program(app, "sleep") && zombies.count() == 2).then_some(())
        });
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        let report = ended.report();
        assert_eq!(ended.code, 137, "{}", ended.all());
        assert_eq!(report["killed"]["count"], 1, "{report}");
        assert_eq!(report["killed"]["first"][0]["command"], "sleep", "{report}");
    }
}
