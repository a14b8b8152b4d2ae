//! The measurements, each of one init. All but the storm run before everything that is normal on
//! the machine; what depends on waking CPUs runs on one.

use std::path::Path;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::thread::sleep;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::Signal;

use crate::arena::{now, order};
use crate::pid1::{PATIENCE, Pid1};
use crate::room;
use crate::run::{Init, Run};

/// The rest between two signals: each finds the init asleep.
const REST: Duration = Duration::from_micros(100);

/// Signals that are not measured, after which the caches are warm.
const WARM_UP: usize = 50;

/// Nanoseconds from the exec of an init to `main` of its app, one a run.
pub fn starts(init: &Init, probe: &Path, runs: usize) -> Result<Vec<f64>, String> {
    let (path, arena) = room::arena();
    let words = init.with_probe(probe, "stamp", &path);
    // The first one warms the caches.
    let delays = (0..=runs).map(|_| {
        let mut pid1 = Pid1::start(&words, false)?;
        let code = pid1.ends()?;
        match arena.stamp.swap(0, AcqRel).checked_sub(pid1.exec_at) {
            Some(delay) if code == 0 => Ok(delay as f64),
            _ => Err(format!("its app does not run; exit code {code}; it says: {}", pid1.said())),
        }
    });
    delays.skip(1).collect()
}

/// What forwarding SIGUSR1 takes.
pub struct Forwards {
    /// Nanoseconds from kill(2) to the handler of the app, one a signal.
    pub latencies: Vec<f64>,
    /// Nanoseconds of the init's CPU time a signal; a wake-up is in it.
    pub cpu: f64,
}

pub fn forwards(init: &Init, probe: &Path, signals: usize) -> Result<Forwards, String> {
    let run = Run::start(init, probe)?;
    let forward = |_| {
        let heard = run.arena.heard.get();
        let sent_at = now();
        run.pid1.signal(Signal::SIGUSR1);
        let is_heard = run.arena.heard.leaves(heard, Duration::from_secs(1));
        sleep(REST);
        match is_heard {
            true => Ok((run.arena.stamp.load(Acquire) - sent_at) as f64),
            false => Err("a signal is lost".to_owned()),
        }
    };
    (0..WARM_UP).try_for_each(|signal| forward(signal).map(drop))?;
    let cpu = run.cpu();
    let latencies: Vec<f64> = (0..signals).map(forward).collect::<Result<_, _>>()?;
    let cpu = (run.cpu() - cpu) as f64 / signals as f64;
    run.quits()?;
    Ok(Forwards { latencies, cpu })
}

/// Nanoseconds of the init's CPU time a zombie, where so many wait for it when it is woken.
pub fn backlog(init: &Init, probe: &Path, zombies: u32) -> Result<f64, String> {
    let run = Run::start(init, probe)?;
    run.pid1.signal(Signal::SIGSTOP);
    run.arena.amount.store(zombies, Relaxed);
    run.carries_out(order::ORPHANS)?;
    let cpu = run.cpu();
    run.pid1.signal(Signal::SIGCONT);
    run.carries_out(order::REAPED)?;
    let cpu = (run.cpu() - cpu) as f64 / f64::from(zombies);
    run.quits()?;
    Ok(cpu)
}

/// An init that has nothing to do.
pub struct Idle {
    pub wakeups: u64,
    pub threads: u64,
    /// In KiB, as `rss`.
    pub anonymous: u64,
    pub rss: u64,
    pub needs_libc: bool,
}

/// Of all inits at the same time.
pub fn idle(inits: &[Init], probe: &Path, span: Duration) -> Vec<Result<Idle, String>> {
    let runs = inits.iter().map(|init| {
        let run = Run::start(init, probe)?;
        Ok((run.sleeps(), run))
    });
    let runs: Vec<Result<_, String>> = runs.collect();
    // The time that is measured.
    sleep(span);
    let looks = runs.into_iter().map(|run| {
        let (sleeps, run) = run?;
        let idle = Idle {
            wakeups: run.sleeps() - sleeps,
            threads: run.status("Threads"),
            anonymous: run.status("RssAnon"),
            rss: run.status("VmRSS"),
            needs_libc: run.needs_libc(),
        };
        run.quits()?;
        Ok(idle)
    });
    looks.collect()
}

/// Mixed signals without rest while orphans die. Tells by how many KiB the RssAnon of the init has
/// grown then, or what is not as it has to be: the init alive, the last signal forwarded, all
/// reaped, the exit code passed on.
pub fn storm(init: &Init, probe: &Path, signals: usize, orphans: u32) -> Result<f64, String> {
    // All must get a turn.
    room::schedule(libc::SCHED_OTHER);
    let growth = storm_at_our_priority(init, probe, signals, orphans);
    room::schedule(libc::SCHED_FIFO);
    growth
}

fn storm_at_our_priority(
    init: &Init,
    probe: &Path,
    signals: usize,
    orphans: u32,
) -> Result<f64, String> {
    let run = Run::start(init, probe)?;
    let arena = &run.arena;
    let anonymous = run.status("RssAnon");
    arena.amount.store(orphans, Relaxed);
    arena.order.set(order::STORM);
    until("orphans are made", || arena.orphans.load(Relaxed) > 10)?;
    let mixed = [Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGHUP].into_iter().cycle();
    mixed.take(signals - 1).for_each(|signal| run.pid1.signal(signal));
    let last_sent_at = now();
    run.pid1.signal(Signal::SIGUSR1);
    until("the last signal is forwarded", || arena.last_usr1.load(Acquire) >= last_sent_at)?;
    let done = arena.done.get();
    arena.storm_over.bump();
    if !arena.done.leaves(done, PATIENCE) {
        return Err("not all orphans are reaped".into());
    }
    let growth = run.status("RssAnon") as f64 - anonymous as f64;
    run.quits()?;
    Ok(growth)
}

/// Waits for a condition that nothing announces.
fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Result<(), String> {
    let give_up_at = now() + PATIENCE.as_nanos() as u64;
    while !is_so() {
        if now() > give_up_at {
            return Err(format!("waited in vain until {what}"));
        }
        // The pace of asking, not a guess at when it will be so.
        sleep(REST);
    }
    Ok(())
}
