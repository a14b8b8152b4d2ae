//! Forwarding, reaping, idling, and a stderr that is full or closed (docs/behaviour.md, section 3,
//! and 7.11, 8.1, 15.4, 15.5, 17.1 and 17.2).

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sys::termios::{FlowArg, tcflow};

use crate::harness::*;
use crate::shared::terminal;

/// Those that no program catches, that the fixture cannot, and that are not forwarded.
const NOT_HEARD: [i32; 8] = [
    libc::SIGKILL,
    libc::SIGSTOP,
    libc::SIGCHLD,
    // These three, and two that C libraries keep for themselves, are tried by dying of them.
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGSEGV,
    32,
    33,
];

/// tini and catatonit do not forward all of them: peers.rs shows which.
#[test]
fn every_signal_that_can_be_caught_is_forwarded() {
    let run = pid1().fixture("listen --until SIGUSR1");
    run.hears("ready");
    let heard = |signal: &i32| !NOT_HEARD.contains(signal) && *signal != RTMIN;
    let signals: Vec<i32> = (1..=64).filter(heard).collect();
    for (n, signal) in (1..).zip(signals.iter().filter(|signal| **signal != libc::SIGUSR1)) {
        run.signal(*signal);
        // One after the other, so that what is heard is what was sent.
        run.hears_times("got ", n);
    }
    run.signal(libc::SIGUSR1);
    let ended = run.ends();
    let expected = signals.len();
    let mut heard = ended.app()[1..].to_vec();
    heard.sort_unstable();
    heard.dedup();
    assert_eq!(heard.len(), expected, "{}", ended.all());
}

/// tini and catatonit do not wait for them, and the kernel drops what PID 1 does not handle: they
/// are lost. peers.rs shows it.
#[test]
fn a_signal_of_a_fault_that_a_person_sent_is_forwarded() {
    for signal in [
        libc::SIGILL,
        libc::SIGTRAP,
        libc::SIGABRT,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGSEGV,
        libc::SIGSYS,
        // What C libraries keep for themselves: musl 34 too, so no fixture built with it hears it.
        32,
        33,
        34,
    ] {
        // glibc starts the test's children with 32 and 33 ignored.
        let run = pid1().options("-vv").with_signals("").app(["sleep", "1000"]);
        let app = run.main_pid();
        eventually("the app", || (status(app, "Name")? == "sleep").then_some(()));
        run.signal(signal);
        let ended = run.ends();
        assert_eq!(ended.code, 128 + signal, "{}", ended.all());
        // The app died of it, and not we.
        assert!(ended.said("sleep (pid 2) was killed by"), "{}", ended.all());
    }
}

/// The code that it will run next is overwritten with zeros, in its memory alone: on no machine
/// that Rust runs on do these get far.
#[test]
fn a_fault_of_our_own_ends_us() {
    let run = pid1().fixture("listen");
    run.hears("ready");
    let pid = run.pid();
    let at = eventually("the init to sleep in a system call", || {
        let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?;
        let at = call.split_whitespace().last()?.strip_prefix("0x")?;
        u64::from_str_radix(at, 16).ok()
    });
    let memory = OpenOptions::new().write(true).open(format!("/proc/{pid}/mem"));
    memory.expect("its memory").write_all_at(&[0; 64], at).expect("zeros written");
    run.signal(libc::SIGUSR1);
    let ended = run.ends();
    let fault = [libc::SIGSEGV, libc::SIGILL, libc::SIGBUS].map(|signal| 128 + signal);
    assert!(fault.contains(&ended.code), "{}", ended.all());
    assert!(!ended.said("got"));
}

#[test]
fn a_burst_of_real_time_signals_arrives_whole_and_in_order() {
    let run = pid1().fixture("listen");
    run.hears("ready");
    let pid = run.pid();
    // Frozen, so that they are all pending at once.
    send(pid, libc::SIGSTOP);
    eventually("the init to freeze", || (process_state(pid) == 'T').then_some(()));
    for n in 0..200 {
        send(pid, RTMIN + 1 + n % 30);
    }
    send(pid, libc::SIGCONT);
    run.hears_times("got SIGRTMIN", 200);
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    let mut heard: BTreeMap<&str, u32> = BTreeMap::new();
    for line in ended.app().into_iter().filter(|line| line.contains("SIGRTMIN")) {
        *heard.entry(line).or_default() += 1;
    }
    for n in 0..30 {
        let name = format!("got SIGRTMIN+{}", n + 1);
        let times = (0..200).filter(|sent| sent % 30 == n).count() as u32;
        assert_eq!(heard.get(name.as_str()), Some(&times), "{name}: {heard:?}");
    }
}

/// EPERM kills tini, and so the app. peers.rs shows it.
#[test]
#[ignore = "needs root: the app changes its uid: cargo test --test pid1 -- --ignored"]
fn a_child_that_we_may_not_signal_is_a_warning() {
    let run = pid1().through("exec setpriv --bounding-set=-kill --inh-caps=-kill -- \"$@\"").shell(
        &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh"],
        "exec \"$FIXTURE\" listen --code 7",
    );
    run.hears("ready");
    run.signal(libc::SIGUSR1);
    run.hears("warn: cannot send SIGUSR1 to the main child");
    run.signal(libc::SIGTERM);
    run.hears("warn: cannot send SIGTERM to ");
    send(run.main_pid(), libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.code, 7, "{}", ended.all());
    assert!(ended.said("report: "));
}

/// By its group alone it would not hear, whether somebody else is still there or not.
#[test]
fn an_app_that_left_its_group_is_signalled_all_the_same() {
    for who in ["nobody", "someone"] {
        let run = pid1().options("-g").fixture(&format!("stray {who} --code 7"));
        run.ready("");
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!((ended.code, ended.times("got SIGTERM")), (7, 1), "{who}: {}", ended.all());
    }
}

#[test]
fn the_exit_code_is_the_childs() {
    for code in [0, 1, 2, 63, 125, 126, 127, 128, 143, 255] {
        let ended = pid1().shell(&["sh"], &format!("exit {code}")).ends();
        assert_eq!(ended.code, code, "{}", ended.all());
    }
}

#[test]
fn a_child_killed_by_a_signal_ends_us_with_128_and_its_number() {
    for signal in [1, 2, 3, 6, 9, 11, 14, 15, 31, 34, 37, 50, 64] {
        let ended = pid1().fixture(&format!("raise {signal}")).ends();
        assert_eq!(ended.code, 128 + signal, "{}", ended.all());
    }
}

#[test]
fn one_sigchld_may_stand_for_many() {
    let run = pid1().fixture("orphans 300");
    // Frozen somewhere in the middle, or before; the rest of them end behind its back.
    let init = run.pid();
    run.main_pid();
    send(init, libc::SIGSTOP);
    run.hears("made 300");
    run.hears("ready");
    send(init, libc::SIGCONT);
    all_are_reaped(&run);
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 0);
}

fn all_are_reaped(run: &Run) {
    let init = run.pid();
    eventually("all orphans to be reaped", || (children(init).len() == 1).then_some(()));
}

#[test]
fn a_sigchld_that_a_person_sent_is_neither_trusted_nor_forwarded() {
    let run = pid1().fixture("listen --code 7");
    run.hears("ready");
    for _ in 0..100 {
        run.signal(libc::SIGCHLD);
    }
    run.signal(libc::SIGUSR1);
    run.hears("got SIGUSR1");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.code, 7);
    assert!(!ended.said("SIGCHLD"), "{}", ended.all());
}

/// tini wakes every second. peers.rs shows it.
#[test]
fn idle_nobody_wakes_us() {
    let run = pid1().options("--delay 1h").fixture("listen");
    run.hears("ready");
    sleeps_on(&run);
    // A deadline that is far away does not tick either.
    run.signal(libc::SIGTERM);
    run.hears("forwarding it at");
    sleeps_on(&run);
    assert_eq!(status(run.pid(), "Threads").as_deref(), Some("1"));
}

#[track_caller]
fn sleeps_on(run: &Run) {
    let pid = run.pid();
    sleeps(pid);
    let wake_ups = || {
        let count = |key: &str| status(pid, key)?.parse::<u64>().ok();
        count("voluntary_ctxt_switches").zip(count("nonvoluntary_ctxt_switches"))
    };
    let before = wake_ups();
    // The one thing that only time can show.
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(wake_ups(), before);
    assert!((process_state(pid) == 'S'));
}

#[test]
fn no_memory_grows_with_orphans_and_signals() {
    let run = pid1().fixture("listen --ignore SIGRTMIN+1");
    run.hears("ready");
    let before = memory_after(&run, 500, 1000);
    let after = memory_after(&run, 20_000, 50_000);
    // A quarter of a byte for each.
    assert!(after < before + 16, "{before} kB before, {after} kB after");
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 0);
}

/// The anonymous memory of the init, in kB, after so many orphans and signals.
fn memory_after(run: &Run, orphans: u32, signals: u32) -> u64 {
    let (pid, path) = (run.pid(), fixture().to_string_lossy().into_owned());
    // Their parent comes from outside; without it they are ours.
    let mut visitor = run.enter(&[&path, "orphans", &orphans.to_string()]);
    while !visitor.line().starts_with("made") {}
    for n in 0..signals {
        send(pid, RTMIN + 1);
        // The kernel does not queue more than some thousands.
        if n % 1000 == 0 {
            sleeps(pid);
        }
    }
    all_are_reaped(run);
    sleeps(pid);
    // The exact one; the status has what the kernel counted some time ago.
    let memory = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("/proc");
    let anonymous = memory.lines().find_map(|line| line.strip_prefix("Anonymous:"));
    let anonymous = anonymous.expect("its memory").trim().trim_end_matches(" kB");
    anonymous.parse().expect("a number")
}

/// How the app's stderr was opened; it is the same open file as ours.
fn blocks(app: i32) -> bool {
    let info = std::fs::read_to_string(format!("/proc/{app}/fdinfo/2")).expect("a descriptor");
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:\t")).expect("flags");
    let flags = i32::from_str_radix(flags, 8).expect("octal");
    flags & libc::O_NONBLOCK == 0
}

/// Writes until there is no room, as an app does whose log nobody reads.
pub fn fill(full: impl AsFd) {
    let flags = OFlag::from_bits_retain(fcntl(&full, FcntlArg::F_GETFL).expect("flags"));
    fcntl(&full, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).expect("flags set");
    for length in [4096, 64, 1] {
        while nix::unistd::write(&full, &[b'.'; 4096][..length]).is_ok() {}
    }
    fcntl(&full, FcntlArg::F_SETFL(flags)).expect("flags set");
}

/// With nobody to read the log the stop signal comes through, and the init ends.
fn a_shutdown_goes_on(run: Run) {
    run.hears("ready");
    run.signal(libc::SIGTERM);
    run.hears("got SIGTERM");
    assert!(blocks(run.main_pid()), "the app's stderr must not become non-blocking");
    run.signal(libc::SIGUSR1);
    let ended = run.ends();
    assert_eq!(ended.code, 7, "{}", ended.all());
    // Not the SIGPIPE of our own writing.
    assert_eq!(ended.app()[1..], ["got SIGTERM", "got SIGUSR1"]);
}

const UNTIL_USR1: &str = "listen --until SIGUSR1 --code 7";

#[test]
fn a_full_pipe_on_stderr_does_not_block_us() {
    let (reader, writer) = pipe();
    fill(&writer);
    a_shutdown_goes_on(pid1().options("-v").stderr(writer).fixture(UNTIL_USR1));
    drop(reader);
}

fn pipe() -> (PipeReader, PipeWriter) {
    std::io::pipe().expect("a pipe")
}

#[test]
fn lines_that_a_full_pipe_dropped_are_counted() {
    let (mut reader, writer) = pipe();
    fill(&writer);
    let run = pid1().stderr(writer).fixture(UNTIL_USR1);
    run.hears("ready");
    run.signal(libc::SIGTERM);
    run.hears("got SIGTERM");
    // The plan and the forwarding were lost. Written after the forwarding was:
    sleeps(run.pid());
    let mut filling = vec![0; 65_536];
    let length = reader.read(&mut filling).expect("the filling");
    assert!(filling[..length].iter().all(|byte| *byte == b'.'));
    run.signal(libc::SIGUSR1);
    assert_eq!(run.ends().code, 7);
    let mut log = String::new();
    reader.read_to_string(&mut log).expect("a log");
    let log: Vec<&str> = log.trim_start_matches('.').lines().collect();
    assert_eq!(log[0], "reprieve: warn: lines of the log dropped, as stderr did not take them: 2");
    assert!(log.last().is_some_and(|line| line.contains("report: ")), "{log:?}");
    assert_eq!(log.iter().filter(|line| line.contains("dropped")).count(), 1, "{log:?}");
}

/// What we write to it raises SIGPIPE in ourselves: forwarded, our own log would kill the app.
#[test]
fn a_closed_pipe_on_stderr_harms_nobody() {
    let (reader, writer) = pipe();
    drop(reader);
    a_shutdown_goes_on(pid1().options("-v").stderr(writer).fixture(UNTIL_USR1));
}

#[test]
fn a_pipe_that_closes_later_harms_nobody() {
    let (reader, writer) = pipe();
    let run = pid1().options("--delay 300ms -v").stderr(writer).fixture(UNTIL_USR1);
    run.hears("ready");
    run.signal(libc::SIGTERM);
    // The log is open by now.
    let mut plan = [0; 4096];
    let mut reader = reader;
    assert!(reader.read(&mut plan).expect("a line") > 0);
    drop(reader);
    run.hears("got SIGTERM");
    run.signal(libc::SIGUSR1);
    let ended = run.ends();
    assert_eq!((ended.code, &ended.app()[1..]), (7, &["got SIGTERM", "got SIGUSR1"][..]));
}

#[test]
fn a_full_socket_on_stderr_does_not_block_us() {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    fill(&theirs);
    a_shutdown_goes_on(pid1().options("-v").stderr(OwnedFd::from(theirs)).fixture(UNTIL_USR1));
    drop(ours);
}

#[test]
fn a_socket_on_stderr_gets_the_log() {
    let (mut ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    a_shutdown_goes_on(pid1().stderr(OwnedFd::from(theirs)).fixture(UNTIL_USR1));
    let mut log = String::new();
    ours.read_to_string(&mut log).expect("a log");
    assert!(log.contains("report: "), "{log}");
}

#[test]
fn a_closed_socket_on_stderr_harms_nobody() {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    drop(ours);
    a_shutdown_goes_on(pid1().options("-v").stderr(OwnedFd::from(theirs)).fixture(UNTIL_USR1));
}

#[test]
fn a_full_terminal_on_stderr_does_not_block_us() {
    let (master, slave) = terminal::open();
    fill(&slave);
    a_shutdown_goes_on(pid1().options("-v").stderr(slave).fixture(UNTIL_USR1));
    drop(master);
}

/// Another uid's, which we cannot open again: the room that there is may be less than a line.
#[test]
#[ignore = "needs root: the init changes its uid: cargo test --test pid1 -- --ignored"]
fn a_terminal_of_another_uid_that_fills_up_does_not_block_us() {
    let (mut master, slave) = terminal::open();
    fill(&slave);
    let mut some = [0; 4096];
    for _ in 0..2 {
        master.read_exact(&mut some).expect("what filled it");
    }
    let nobody = "exec setpriv --reuid=65534 --regid=65534 --clear-groups -- \"$@\"";
    let run = pid1().options("-v").through(nobody).stderr(slave).fixture(UNTIL_USR1);
    run.ready("");
    // More lines than there is room for.
    for n in 1..=300 {
        run.signal(libc::SIGHUP);
        run.hears_times("got SIGHUP", n);
    }
    run.signal(libc::SIGUSR1);
    assert_eq!(run.ends().code, 7);
    drop(master);
}

/// ^S.
#[test]
fn a_terminal_that_someone_has_stopped_does_not_block_us() {
    let (master, slave) = terminal::open();
    tcflow(&slave, FlowArg::TCOOFF).expect("^S");
    a_shutdown_goes_on(pid1().options("-v").stderr(slave).fixture(UNTIL_USR1));
    drop(master);
}

#[test]
fn a_file_on_stderr_has_the_lines_of_the_app_and_ours() {
    for append in [false, true] {
        let folder = Folder::new();
        let path = folder.path("log");
        let mut file: File =
            OpenOptions::new().create(true).append(append).write(true).open(&path).expect("a file");
        file.write_all(b"before\n").expect("a line");
        let script = "trap 'echo two >&2; exit 7' TERM; echo one >&2; echo ready; \
                      while :; do sleep 0.05; done";
        let run = pid1().options("--single-child").stderr(file).shell(&["sh"], script);
        run.hears("ready");
        run.signal(libc::SIGTERM);
        assert_eq!(run.ends().code, 7);
        let log = std::fs::read_to_string(path).expect("a log");
        let parts = ["before\n", "one\n", "forwarding it at once", "two\n", "report: "];
        let places: Vec<Option<usize>> = parts.iter().map(|part| log.find(part)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{log}");
        assert!(!log.contains('\0'), "{log:?}");
    }
}

/// A file without room is as bad as one that nobody reads.
#[test]
fn a_full_disk_under_stderr_harms_nobody() {
    let full = OpenOptions::new().write(true).custom_flags(libc::O_CLOEXEC).open("/dev/full");
    a_shutdown_goes_on(pid1().options("-v").stderr(full.expect("/dev/full")).fixture(UNTIL_USR1));
}
