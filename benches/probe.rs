//! What runs below an init in the benchmarks, in place of an app. It is static, so that no loader
//! is timed, and small.
//!
//!     probe stamp ARENA       says when its `main` began, and ends
//!     probe app ARENA         counts signals and carries out orders
//!     probe sleep ARENA A B   no app: after a SIGTERM it sleeps for A, says when it woke, sleeps
//!         until B after the signal, and ends; both in milliseconds

mod arena;

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, clone};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::wait::waitpid;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};
use nix::unistd::{ForkResult, Pid, fork};

use crate::arena::{Arena, QUIT_CODE, Shared, now, order};

const FOREVER: Duration = Duration::from_secs(3600);

/// How often it looks whether all orphans are gone: kill(2) costs time for each that is not.
const PACE: Duration = Duration::from_micros(50);

fn main() {
    let began_at = now();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["stamp", arena] => Arena::open(Path::new(arena)).stamp.store(began_at, Release),
        ["app", arena] => app(Arena::open(Path::new(arena))),
        ["sleep", arena, first, second] => {
            let ms = |word: &str| Duration::from_millis(word.parse().expect("milliseconds"));
            sleep(&Arena::open(Path::new(arena)), [ms(first), ms(second)]);
        }
        _ => panic!("unknown words {words:?}; see the head of benches/probe.rs"),
    }
}

/// A signal handler has no other way to it.
static ARENA: OnceLock<Arena> = OnceLock::new();

fn app(arena: Arena) -> ! {
    let arena = ARENA.get_or_init(|| arena);
    let action =
        SigAction::new(SigHandler::Handler(on_signal), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGHUP, Signal::SIGTERM] {
        // SAFETY: the handler uses atomics and system calls only.
        unsafe { sigaction(signal, &action) }.expect("a handler");
    }
    arena.ready.set(1);
    let mut last = 0;
    loop {
        arena.order.leaves(last, FOREVER);
        last = arena.order.get();
        match last {
            order::ORPHANS => orphans(arena),
            order::REAPED => until_reaped(),
            order::STORM => storm(arena),
            order::QUIT => std::process::exit(QUIT_CODE),
            other => panic!("unknown order {other}"),
        }
        arena.done.bump();
    }
}

extern "C" fn on_signal(signal: libc::c_int) {
    let at = now();
    let Some(arena) = ARENA.get() else { return };
    arena.stamp.store(at, Release);
    if signal == libc::SIGUSR1 {
        arena.last_usr1.store(at, Release);
    }
    arena.heard.bump();
}

fn orphans(arena: &Shared) {
    // They share our handlers and memory.
    let former = SigSet::all().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK);
    make_orphans(arena, || false);
    former.and_then(|former| former.thread_set_mask()).expect("a mask");
}

fn make_orphans(arena: &Shared, more: impl Fn() -> bool) {
    let mut stacks = [vec![0; 16 << 10], vec![0; 16 << 10]];
    while arena.orphans.load(Relaxed) < arena.amount.load(Relaxed) || more() {
        make_orphan(&mut stacks);
        arena.orphans.fetch_add(1, Relaxed);
    }
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
            Err(_) => std::thread::yield_now(),
        }
    }
}

/// kill(2) counts zombies too, but neither the init nor the caller.
fn until_reaped() {
    while kill(Pid::from_raw(-1), None).is_ok() {
        std::thread::sleep(PACE);
    }
}

fn storm(arena: &Shared) {
    let former = SigSet::all().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK);
    // SAFETY: there is one thread.
    let ForkResult::Parent { child } = (unsafe { fork() }).expect("fork") else {
        make_orphans(arena, || arena.storm_over.get() == 0);
        std::process::exit(0);
    };
    former.and_then(|former| former.thread_set_mask()).expect("a mask");
    while waitpid(child, None) == Err(Errno::EINTR) {}
    until_reaped();
}

fn sleep(arena: &Shared, [first, second]: [Duration; 2]) {
    let stop = SigSet::from(Signal::SIGTERM);
    stop.thread_block().expect("a mask");
    arena.ready.set(1);
    stop.wait().expect("a signal");
    let heard_at = Duration::from_nanos(now());
    let sleep_until = |at: Duration| {
        let flags = ClockNanosleepFlags::TIMER_ABSTIME;
        clock_nanosleep(ClockId::CLOCK_MONOTONIC, flags, &at.into()).expect("a sleep");
    };
    sleep_until(heard_at + first);
    arena.stamp.store(now(), Release);
    sleep_until(heard_at + second);
}
