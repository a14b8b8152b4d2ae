//! What the tests run under an init: small programs that say on stdout what happens to them.
//!
//!     fixture listen [--name NAME] [--until SIG]... [--drain MS] [--code N] [--ignore SIG]...
//!             [--default SIG]...
//!         prints `ready PID`, then `got SIGNAL` for each; ends with N after the first SIG
//!         (SIGTERM) and the time to drain. With a name, each line begins with it
//!         --memory MB makes it slow to die
//!         --once MS makes it drain so long, die of a second SIG, and say `finished` at the end
//!         --ignored stay leaves a signal ignored that it was started with ignored
//!     fixture master [--work MS] [--session own] [--hangs yes]
//!         starts a worker with a job, in a session of its own or not, and prints `master ready PID`
//!         and `worker ready PID`, then `master got SIGNAL` or `worker got SIGNAL` for each. At
//!         SIGTERM it lets the worker end its job, which takes so long, waits for it, says `master
//!         finished`, and ends. The worker says `worker finished`, or ends at SIGTERM without. One
//!         that hangs does nothing at SIGTERM
//!     fixture filter [--name NAME]
//!         copies its stdin to its stdout, prints `got SIGNAL` for each that comes meanwhile, ends
//!         of SIGTERM, and else says `saw the end`
//!     fixture join GROUP [OPTION]...
//!         listens as a member of this process group
//!     fixture raise SIG       dies of the signal
//!     fixture state [--and-listen]
//!         prints what a process inherits, as `name: value`
//!     fixture foreground      prints whether it is in the foreground of its terminal, its size,
//!         and a line that it reads from it
//!     fixture outsider        gives the foreground of its terminal to a child, prints `ready PID`,
//!         and reads from it all the same; prints `continued` after each SIGCONT
//!     fixture stray WHO [OPTION]...
//!         listens as a member of the process group of a child; in its own one, `nobody` or
//!         `someone` stays
//!     fixture leave WHAT [OPTION]...
//!         starts `fixture listen --name left OPTION...` as a `child` (a worker), an `orphan`
//!         (double fork), a `daemon` (orphan with a session of its own), a `nobody` (orphan with
//!         another uid) or `stopped` (by SIGSTOP, once it is ready), and listens itself, until
//!         SIGUSR1 or SIGTERM
//!     fixture with [--block SIG]... [--ignore SIG]... -- COMMAND...
//!         executes the command with these signals blocked or ignored, and no others; `all` are
//!         all
//!     fixture breed           ignores SIGTERM, prints `breeding and ready PID` and forks children
//!         that do likewise, each in a session of its own; has a bound
//!     fixture odd N           leaves N orphans with a name that is hard to write down, which
//!         ignore SIGTERM, prints `made N`, then listens
//!     fixture queue PID SIG CLAIMED
//!         sends a signal as sigqueue(3) does, and claims to be the process CLAIMED of root
//!     fixture spin N          blocks SIGTERM, starts N children that ignore it and keep the CPU busy,
//!         prints `ready PID`, and waits for ever; all end within two minutes
//!     fixture procession N    leaves N orphans that end one after the other, a millisecond apart, from
//!         SIGTERM on, prints `made N`, then listens
//!     PLAYS="[OPTION]..." python3 server.py
//!         the app of an example in the documentation, under any name and with any words: prints
//!         `listening on PORT`, answers there, and does what `listen` does. With TASKS="N [OPTION]..." it
//!         serves nobody, and starts N processes first that do what `listen` does
//!     fixture orphans N       makes N orphans that end at once, prints `made N`, then listens

use std::ffi::CString;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio, exit};
use std::time::{Duration, Instant};

use nix::libc;
use nix::unistd::{
    ForkResult, Pid, execvp, fork, getpgrp, getpid, getppid, getsid, pipe, setpgid, setsid,
};

#[path = "fixture/masters.rs"]
mod masters;
#[path = "fixture/played.rs"]
mod played;

fn main() {
    if let Some(words) = played::words() {
        listen(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["listen", options @ ..] => listen(options),
        ["join", group, options @ ..] => {
            let group = Pid::from_raw(group.parse().expect("a group"));
            setpgid(Pid::from_raw(0), group).expect("a group of this session");
            listen(options)
        }
        ["master", options @ ..] => masters::master(options),
        ["filter", options @ ..] => masters::filter(options),
        ["raise", signal] => raise(number(signal)),
        ["state"] => state(),
        ["state", "--and-listen"] => {
            state();
            listen(&[])
        }
        ["with", words @ ..] => with(words),
        ["foreground"] => foreground(),
        ["outsider"] => outsider(),
        ["stray", who, options @ ..] => stray(who, options),
        ["leave", what, options @ ..] => leave(what, options),
        ["odd", count] => odd(count.parse().expect("a number")),
        ["breed", ..] => breed(),
        ["queue", pid, signal, claimed] => queue(pid, signal, claimed),
        ["spin", count] => masters::spin(count.parse().expect("a number")),
        ["procession", count] => masters::procession(count.parse().expect("a number")),
        ["orphans", count] => orphans(count.parse().expect("a number")),
        _ => panic!("unknown words {words:?}; see the head of tests/pid1/fixture.rs"),
    }
}

fn say(line: std::fmt::Arguments) {
    let mut stdout = std::io::stdout().lock();
    // Whoever reads may be gone.
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// What `listen` was asked for.
#[derive(Default)]
struct Listen {
    prefix: String,
    until: Vec<i32>,
    ignored: Vec<i32>,
    left_alone: Vec<i32>,
    drain: Duration,
    code: i32,
    dies_of_a_second: bool,
    memory: Vec<u8>,
}

impl Listen {
    fn parse(options: &[&str]) -> Listen {
        let mut listen = Listen::default();
        let duration = |ms: &str| Duration::from_millis(ms.parse().expect("ms"));
        for pair in options.chunks(2) {
            match pair {
                ["--name", name] => listen.prefix = format!("{name} "),
                ["--until", signal] => listen.until.push(number(signal)),
                ["--drain", ms] => listen.drain = duration(ms),
                ["--once", ms] => {
                    (listen.drain, listen.dies_of_a_second) = (duration(ms), true);
                }
                ["--code", n] => listen.code = n.parse().expect("a code"),
                ["--ignore", signal] => listen.ignored.push(number(signal)),
                ["--ignored", "stay"] => listen.left_alone.extend(ignored_from_the_start()),
                ["--memory", mb] => listen.memory.resize(mb.parse::<usize>().expect("MB") << 20, 1),
                ["--default", signal] => listen.left_alone.push(number(signal)),
                other => panic!("unknown option {other:?}"),
            }
        }
        if listen.until.is_empty() {
            listen.until.push(libc::SIGTERM);
        }
        listen
    }
}

fn listen(options: &[&str]) -> ! {
    let Listen { prefix, until, ignored, left_alone, drain, code, dies_of_a_second, memory } =
        Listen::parse(options);
    let mut signals = caught(&ignored, &left_alone);
    say(format_args!("{prefix}ready {}", getpid()));
    let mut ends_at: Option<Instant> = None;
    loop {
        let left = ends_at.map(|at| at.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            if dies_of_a_second {
                say(format_args!("{prefix}finished"));
            }
            drop(memory);
            exit(code);
        }
        if !readable(&signals, left) {
            continue;
        }
        let signal = next(&mut signals);
        say(format_args!("{prefix}got {}", name(signal)));
        if until.contains(&signal) {
            if dies_of_a_second && ends_at.is_some() {
                say(format_args!("{prefix}dies of a second"));
                exit(99);
            }
            ends_at.get_or_insert_with(|| Instant::now() + drain);
        }
    }
}

fn ignored_from_the_start() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).expect("a mask");
    let mask = u64::from_str_radix(mask, 16).expect("a mask");
    (1..=64).filter(|signal| mask & 1 << (signal - 1) != 0).collect()
}

/// Handlers write the number into a pipe: nothing is merged that the kernel does not merge.
fn caught(ignored: &[i32], left_alone: &[i32]) -> std::fs::File {
    let (reader, writer) = pipe().expect("a pipe");
    let end = writer.into_raw_fd();
    let uncatchable = signal_hook::consts::FORBIDDEN;
    let spared = |signal: &i32| left_alone.contains(signal) || uncatchable.contains(signal);
    for signal in (1..=64).filter(|signal| !spared(signal)) {
        if ignored.contains(&signal) {
            // SAFETY: ignoring is no function of ours.
            unsafe { libc::signal(signal, libc::SIG_IGN) };
            continue;
        }
        // SAFETY: write(2) may be called from a handler. What a C library keeps is refused.
        let _ = unsafe {
            signal_hook::low_level::register(signal, move || {
                libc::write(end, (&raw const signal).cast(), 1);
            })
        };
    }
    reader.into()
}

/// The next signal in the pipe of [`caught`].
fn next(signals: &mut std::fs::File) -> i32 {
    let mut signal = [0];
    while signals.read_exact(&mut signal).is_err() {}
    i32::from(signal[0])
}

fn readable(file: &std::fs::File, within: Option<Duration>) -> bool {
    let ms = within.map_or(-1, |within| within.as_millis() as i32 + 1);
    let mut poll = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure, as told.
    unsafe { libc::poll(&raw mut poll, 1, ms) == 1 }
}

fn raise(signal: i32) {
    // SAFETY: the default action is no function of ours.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

/// All that an init could leak into the app or take from it.
fn state() {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    for key in ["SigBlk", "SigIgn", "SigCgt"] {
        let line = status.lines().find(|line| line.starts_with(key)).expect("a status");
        say(format_args!("{}", line.replace(":\t", ": ")));
    }
    say(format_args!("pid: {}", getpid()));
    say(format_args!("parent: {}", getppid()));
    say(format_args!("group: {}", getpgrp()));
    say(format_args!("session: {}", getsid(None).expect("a session")));
    say(format_args!("folder: {}", std::env::current_dir().expect("a folder").display()));
    let mut descriptors: Vec<i32> = std::fs::read_dir("/proc/self/fd")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    // The one that read this folder is closed by now.
    descriptors.retain(|fd| std::fs::read_link(format!("/proc/self/fd/{fd}")).is_ok());
    descriptors.sort_unstable();
    say(format_args!("descriptors: {descriptors:?}"));
    for (name, value) in std::env::vars() {
        say(format_args!("env {name}={value}"));
    }
}

fn foreground() {
    let has_it = nix::unistd::tcgetpgrp(std::io::stdin()) == Ok(getpgrp());
    say(format_args!("foreground: {has_it}"));
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
    // SAFETY: the kernel writes one structure of plain integers.
    let size: libc::winsize = unsafe {
        let mut size = std::mem::zeroed();
        libc::ioctl(0, libc::TIOCGWINSZ, &raw mut size);
        size
    };
    say(format_args!("read {line:?} on {} x {}", size.ws_row, size.ws_col));
}

/// Forks a child that does nothing until SIGTERM; in a process group of its own, or not.
fn idle(leads: bool) -> Pid {
    // SAFETY: there is one thread.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Parent { child } => {
            if leads {
                setpgid(child, child).expect("a group");
            }
            child
        }
        ForkResult::Child => loop {
            // SAFETY: no pointer is involved.
            unsafe { libc::pause() };
        },
    }
}

fn outsider() {
    let insider = idle(true);
    // SAFETY: ignoring is no function of ours, and write(2) may be called from a handler.
    unsafe {
        libc::signal(libc::SIGTTOU, libc::SIG_IGN);
        nix::unistd::tcsetpgrp(std::io::stdin(), insider).expect("a terminal");
        let says = || {
            libc::write(1, c"continued\n".as_ptr().cast(), 10);
        };
        signal_hook::low_level::register(libc::SIGCONT, says).expect("a handler");
    }
    say(format_args!("ready {}", getpid()));
    let _ = std::io::stdin().read_line(&mut String::new());
}

fn stray(who: &str, options: &[&str]) -> ! {
    if who == "someone" {
        idle(false);
    }
    let leader = idle(true);
    setpgid(Pid::from_raw(0), leader).expect("a group of this session");
    listen(options)
}

#[expect(clippy::zombie_processes, reason = "a worker is left over: nobody waits for it")]
fn leave(what: &str, options: &[&str]) -> ! {
    let mut command = Command::new(std::env::current_exe().expect("our own path"));
    command.args(["listen", "--name", "left"]).args(options).stdin(Stdio::null());
    let doubly = ["orphan", "daemon", "nobody"].contains(&what);
    let (session, another_uid) = (what == "daemon", what == "nobody");
    // SAFETY: these calls are allowed between fork and exec.
    unsafe {
        command.pre_exec(move || {
            if doubly && let ForkResult::Parent { .. } = fork()? {
                libc::_exit(0);
            }
            if session {
                setsid()?;
            }
            if another_uid {
                // nobody
                libc::setuid(65534);
            }
            Ok(())
        });
    }
    let mut child = command.spawn().expect("a child");
    if doubly {
        child.wait().expect("the one between");
    }
    if what == "stopped" {
        while !catches_the_last(child.id()) {
            std::thread::yield_now();
        }
        // SAFETY: no pointer is involved.
        unsafe { libc::kill(child.id() as i32, libc::SIGSTOP) };
    }
    listen(&["--until", "SIGUSR1", "--until", "SIGTERM"])
}

/// When it catches the last one it listens to all others: a handler is there some moments before it
/// knows what to do.
fn catches_the_last(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("/proc");
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t"));
    let caught = u64::from_str_radix(caught.expect("a mask"), 16).expect("a mask");
    caught & 1 << 63 != 0
}

/// The bare system calls: the C libraries hide the signals that they use themselves.
fn with(words: &[&str]) {
    let split = words.iter().position(|word| *word == "--").expect("-- and a command");
    let (mut blocked, mut ignored) = (0u64, 0u64);
    for pair in words[..split].chunks(2) {
        let signals = match pair[1] {
            "all" => u64::MAX,
            one => 1 << (number(one) - 1),
        };
        match pair[0] {
            "--block" => blocked |= signals,
            "--ignore" => ignored |= signals,
            other => panic!("unknown option {other:?}"),
        }
    }
    for signal in 1..=64 {
        // As the kernel has it: handler, flags, restorer, mask.
        let action = [usize::from(ignored & 1 << (signal - 1) != 0), 0, 0, 0];
        let none = std::ptr::null_mut::<usize>();
        // SAFETY: both structures are the kernel's, with masks of eight bytes.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), none, 8) };
    }
    let none = std::ptr::null_mut::<u64>();
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &blocked, none, 8) };
    let command = words[split + 1..].iter().map(|word| CString::new(*word).expect("no NUL"));
    let command: Vec<CString> = command.collect();
    panic!("{command:?}: {:?}", execvp(&command[0], &command));
}

fn queue(pid: &str, signal: &str, claimed: &str) {
    let [pid, claimed]: [i32; 2] = [pid, claimed].map(|number| number.parse().expect("a pid"));
    let signal = number(signal);
    // Number, errno and code; then, as 64-bit machines have it, padding, pid and uid.
    let mut info = [0i32; 32];
    [info[0], info[2], info[4]] = [signal, libc::SI_QUEUE, claimed];
    // SAFETY: the kernel reads a siginfo_t, which has 128 bytes.
    let sent = unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, signal, info.as_ptr()) };
    assert_eq!(sent, 0, "{}", std::io::Error::last_os_error());
}

fn orphans(count: usize) -> ! {
    for _ in 0..count {
        // SAFETY: there is one thread.
        unsafe {
            // While there are too many zombies, whoever has to reap them comes first.
            let forked = loop {
                match fork() {
                    Ok(forked) => break forked,
                    Err(_) => std::thread::yield_now(),
                }
            };
            if let ForkResult::Parent { child } = forked {
                let _ = nix::sys::wait::waitpid(child, None);
                continue;
            }
            let _ = fork();
            libc::_exit(0);
        }
    }
    say(format_args!("made {count}"));
    listen(&[])
}

fn odd(count: usize) -> ! {
    for _ in 0..count {
        // SAFETY: there is one thread, and the name is a C string.
        unsafe {
            if let ForkResult::Parent { child } = fork().expect("fork") {
                let _ = nix::sys::wait::waitpid(child, None);
                continue;
            }
            // Before the second fork: who waits for us knows then that it is done.
            libc::signal(libc::SIGTERM, libc::SIG_IGN);
            libc::prctl(libc::PR_SET_NAME, c"\n\x01\\\") (\x1b[m\u{202e}\xff".as_ptr());
            if let ForkResult::Parent { .. } = fork().expect("fork") {
                libc::_exit(0);
            }
            loop {
                libc::pause();
            }
        }
    }
    say(format_args!("made {count}"));
    listen(&[])
}

/// A family that grows by a child a millisecond; each child has children of its own, up to the
/// third generation.
fn breed() -> ! {
    const CHILDREN: [usize; 3] = [2000, 3, 0];
    // SAFETY: no pointer is involved, and there is one thread.
    unsafe {
        libc::signal(libc::SIGTERM, libc::SIG_IGN);
        // Should a test fail to end it.
        libc::alarm(60);
        let mut generation = 0;
        let mut children = 0;
        loop {
            if children < CHILDREN[generation] {
                children += 1;
                if let ForkResult::Child = fork().expect("fork") {
                    let _ = setsid();
                    libc::alarm(60);
                    (generation, children) = (generation + 1, 0);
                }
            }
            if generation == 0 && children == 20 {
                say(format_args!("breeding and ready {}", getpid()));
            }
            match children < CHILDREN[generation] {
                // A family that grows, and leaves the others some of the CPU.
                true => std::thread::sleep(Duration::from_millis(1)),
                false => drop(libc::pause()),
            }
        }
    }
}

fn number(signal: &str) -> i32 {
    let known = (1..=64).find(|n| name(*n) == signal || n.to_string() == signal);
    known.unwrap_or_else(|| panic!("no signal {signal:?}"))
}

fn name(signal: i32) -> String {
    match signal {
        34 => "SIGRTMIN".into(),
        35..=64 => format!("SIGRTMIN+{}", signal - 34),
        _ => match signal_hook::low_level::signal_name(signal) {
            Some(name) => name.into(),
            None => format!("SIG{signal}"),
        },
    }
}
