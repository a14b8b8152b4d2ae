//! What runs below an init in the benchmarks, in place of an app. It is static, so that no loader
//! is timed, and small. It says lines of a word and a number on stdout; times are nanoseconds of
//! CLOCK_MONOTONIC, which is the same in all namespaces that we make.
//!
//!     probe stamp        says when its `main` began, and ends
//!     probe app          says which signals it hears, and carries out the orders on stdin
//!     probe sleep A B    no app: after a SIGTERM it sleeps for A, says when it woke, sleeps until
//!         B after the signal, and ends; both in milliseconds
//!     probe spin         keeps a CPU busy
//!     probe crowd PORT N    has that many idle connections to itself on that port, at both ends
//!     probe leave PORT N    makes them and ends them: the kernel keeps the clients' in TIME_WAIT

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use nix::libc;
use nix::sched::{CloneFlags, clone};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::wait::waitpid;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};
use nix::unistd::{Pid, write};

/// How often it looks whether all orphans are gone: kill(2) costs time for each that is not.
const PACE: Duration = Duration::from_micros(50);

fn main() {
    let began_at = now();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["stamp"] => say("began", began_at),
        ["app"] => app(),
        ["sleep", first, second] => sleep([first, second].map(|ms| number(ms))),
        ["spin"] => loop {
            std::hint::spin_loop();
        },
        ["crowd", port, count] => {
            // Both ends need a descriptor.
            let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
            setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("more descriptors");
            // It keeps the listener: a port on which nobody listens is not watched.
            let mut connections = connections(port, count);
            let crowd: Vec<_> = connections.by_ref().collect();
            say("ready", crowd.len() as u64);
            loop {
                thread::park();
            }
        }
        ["leave", port, count] => {
            // The client is dropped first.
            connections(port, count).for_each(drop);
            say("ready", number(count));
        }
        _ => panic!("unknown words {words:?}; see the head of benches/probe.rs"),
    }
}

fn now() -> u64 {
    Duration::from(ClockId::CLOCK_MONOTONIC.now().expect("a clock")).as_nanos() as u64
}

/// One write, without memory of the heap: a signal handler may do it.
fn say(word: &str, number: u64) {
    let mut line = [0; 64];
    let mut rest = line.as_mut_slice();
    writeln!(rest, "{word} {number}").expect("room");
    let length = 64 - rest.len();
    write(std::io::stdout(), &line[..length]).expect("stdout");
}

/// Connections to ourselves: the client's end and the server's. Not all to one address, since there
/// are only some ten thousand ports for the clients of one.
fn connections(port: &str, count: &str) -> impl Iterator<Item = (TcpStream, TcpStream)> {
    let port = number(port) as u16;
    let listener = TcpListener::bind(("0.0.0.0", port)).expect("a port");
    (0..number(count)).map(move |nth| {
        let address = Ipv4Addr::new(127, 0, 0, 1 + (nth / 10_000) as u8);
        let client = TcpStream::connect((address, port)).expect("a connection");
        (client, listener.accept().expect("a connection").0)
    })
}

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_else(|_| panic!("{word} is no number"))
}

fn app() {
    let action =
        SigAction::new(SigHandler::Handler(on_signal), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGHUP, Signal::SIGTERM] {
        // SAFETY: the handler uses its stack and system calls only.
        unsafe { sigaction(signal, &action) }.expect("a handler");
    }
    say("ready", now());
    let mut orders = std::io::stdin().lines().map_while(Result::ok);
    while let Some(order) = orders.next() {
        match order.split(' ').collect::<Vec<_>>().as_slice() {
            ["orphans", least] => orphans(number(least), || orders.next()),
            ["reap"] => until_reaped(),
            ["exit", code] => std::process::exit(number(code) as i32),
            _ => panic!("unknown order {order:?}"),
        }
    }
}

extern "C" fn on_signal(signal: libc::c_int) {
    let at = now();
    say(Signal::try_from(signal).map_or("unknown", Signal::as_str), at);
}

/// Makes this many orphans at least, and more until the order that there are enough.
fn orphans(least: u64, enough: impl FnOnce() -> Option<String>) {
    let is_enough = AtomicBool::new(false);
    let made = thread::scope(|scope| {
        let maker = scope.spawn(|| {
            // They share our handlers and memory.
            SigSet::all().thread_block().expect("a mask");
            let mut stacks = [vec![0; 16 << 10], vec![0; 16 << 10]];
            say("making", now());
            let mut made = 0;
            while made < least || !is_enough.load(Relaxed) {
                make_orphan(&mut stacks);
                made += 1;
            }
            made
        });
        enough();
        is_enough.store(true, Relaxed);
        maker.join().expect("orphans")
    });
    say("made", made);
}

/// A double fork, light enough that the init's part of the work shows: nothing is copied, and each
/// process ends before the one that made it goes on. So the orphan is a zombie from its start.
fn make_orphan([middle, orphan]: &mut [Vec<u8>; 2]) {
    let middle = vfork(middle, || {
        vfork(orphan, || {});
    });
    waitpid(middle, None).expect("the one between");
}

fn vfork(stack: &mut [u8], mut child: impl FnMut()) -> Pid {
    let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
    loop {
        let run = Box::new(|| {
            child();
            0
        });
        // SAFETY: we sleep while the child uses our memory, on a stack of its own.
        match unsafe { clone(run, stack, flags, Some(libc::SIGCHLD)) } {
            Ok(pid) => return pid,
            // While there are too many zombies, whoever has to reap them comes first.
            Err(_) => thread::yield_now(),
        }
    }
}

/// kill(2) counts zombies too, but neither the init nor the caller.
fn until_reaped() {
    while kill(Pid::from_raw(-1), None).is_ok() {
        // Nothing tells that an init has reaped: the pace of asking.
        thread::sleep(PACE);
    }
    say("reaped", now());
}

fn sleep([first, second]: [u64; 2]) {
    let stop = SigSet::from(Signal::SIGTERM);
    stop.thread_block().expect("a mask");
    say("ready", now());
    stop.wait().expect("a signal");
    let heard_at = Duration::from_nanos(now());
    let sleep_until = |ms| {
        let at = heard_at + Duration::from_millis(ms);
        let flags = ClockNanosleepFlags::TIMER_ABSTIME;
        clock_nanosleep(ClockId::CLOCK_MONOTONIC, flags, &at.into()).expect("a sleep");
    };
    sleep_until(first);
    say("SIGTERM", now());
    sleep_until(second);
}
