//! The measurements, each of one init, whose command line ends with the probe's path. All but the
//! storm run before everything that is normal on the machine; what depends on waking CPUs runs on
//! one.

use std::collections::BTreeSet;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use crate::output::quantile;
use crate::pid1::{Pid1, now};

/// The rest between two signals: each finds the init asleep.
const REST: Duration = Duration::from_micros(100);

/// Signals that are not measured, after which the caches are warm.
const WARM_UP: usize = 50;

/// No init makes this exit code up by itself.
const CODE: i32 = 42;

/// Microseconds from the exec of an init to `main` of its app; the median.
pub fn start(init: &[String], runs: usize) -> Result<[f64; 1], String> {
    let start = |_| {
        let mut pid1 = Pid1::start(init, &["stamp"], false)?;
        let exec_at = pid1.hears("exec")?;
        let delay = pid1.hears("began")? - exec_at;
        pid1.ends(0)?;
        Ok(delay as f64 / 1e3)
    };
    let delays: Vec<f64> = (0..=runs).map(start).collect::<Result<_, String>>()?;
    // The first one warms the caches.
    Ok([quantile(&delays[1..], 0.5)])
}

/// What forwarding SIGUSR1 takes, in microseconds: of the init's CPU time, a wake-up included; and
/// from kill(2) to the handler of the app, the median.
pub fn forward(init: &[String], signals: usize) -> Result<[f64; 2], String> {
    let mut pid1 = Pid1::at_rest(init, &["app"])?;
    let mut latencies = Vec::new();
    let mut cpu_before = 0.0;
    for signal in 0..WARM_UP + signals {
        if signal == WARM_UP {
            cpu_before = pid1.cpu();
        }
        let sent_at = now();
        pid1.signal(Signal::SIGUSR1);
        latencies.push((pid1.hears("SIGUSR1")? - sent_at) as f64 / 1e3);
        // The next one finds everybody asleep again.
        sleep(REST);
    }
    let cpu = (pid1.cpu() - cpu_before) / signals as f64;
    quit(pid1)?;
    Ok([cpu, quantile(&latencies[WARM_UP..], 0.5)])
}

/// Microseconds of the init's CPU time a zombie, where so many wait for it when it is woken.
pub fn reap(init: &[String], zombies: usize) -> Result<[f64; 1], String> {
    let mut pid1 = Pid1::at_rest(init, &["app"])?;
    pid1.signal(Signal::SIGSTOP);
    pid1.tell(&format!("orphans {zombies}\nenough"));
    let made = pid1.hears("made")?;
    let cpu = pid1.cpu();
    pid1.signal(Signal::SIGCONT);
    pid1.tell("reap");
    pid1.hears("reaped")?;
    let cpu = (pid1.cpu() - cpu) / made as f64;
    quit(pid1)?;
    Ok([cpu])
}

/// Mixed signals without rest while orphans die: by how many KiB the RssAnon of the init has grown
/// then. It fails if the last signal is not forwarded, an orphan not reaped, or the exit code not
/// passed on.
pub fn storm(init: &[String], signals: usize, orphans: usize) -> Result<[f64; 1], String> {
    let mut pid1 = Pid1::at_rest(init, &["app"])?;
    let before = pid1.status("RssAnon");
    pid1.tell(&format!("orphans {orphans}"));
    pid1.hears("making")?;
    let mixed = [Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGHUP].into_iter().cycle();
    mixed.take(signals - 1).for_each(|signal| pid1.signal(signal));
    let last_sent_at = now();
    pid1.signal(Signal::SIGUSR1);
    while pid1.hears("SIGUSR1")? < last_sent_at {}
    pid1.tell("enough\nreap");
    pid1.hears("reaped")?;
    let growth = pid1.status("RssAnon") - before;
    quit(pid1)?;
    Ok([growth])
}

/// An init that has nothing to do.
pub struct Idler {
    pid1: Pid1,
    wakeups: f64,
}

impl Idler {
    pub fn start(init: &[String]) -> Result<Idler, String> {
        let pid1 = Pid1::at_rest(init, &["app"])?;
        Ok(Idler { wakeups: pid1.wakeups(), pid1 })
    }

    /// How often it was woken since then, its threads, RssAnon and VmRSS in KiB, the bytes of its
    /// file, and how many shared libraries it maps.
    pub fn look(self) -> Result<[f64; 6], String> {
        let pid1 = self.pid1;
        let wakeups = pid1.wakeups() - self.wakeups;
        let [threads, anonymous, rss] = ["Threads", "RssAnon", "VmRSS"].map(|key| pid1.status(key));
        let size = fs::metadata(pid1.proc().join("exe")).expect("/proc").len();
        let libraries = pid1.libraries();
        quit(pid1)?;
        Ok([wakeups, threads, anonymous, rss, size as f64, libraries])
    }
}

/// The event message of a stop before a system call, not after it (`linux/ptrace.h`); Linux 5.3.
const AT_ENTRY: libc::c_long = 1;

/// System calls from the exec of an init to that of its app: those of the init up to its fork, and
/// those of the new process up to its exec.
pub fn calls_to_spawn(init: &[String]) -> Result<[f64; 1], String> {
    let mut pid1 = Pid1::start(init, &["stamp"], true)?;
    waitpid(pid1.pid, None).expect("a stop after the exec");
    let forks =
        Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK | Options::PTRACE_O_TRACECLONE;
    let others = Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_TRACESYSGOOD;
    ptrace::setoptions(pid1.pid, forks | others | Options::PTRACE_O_EXITKILL).expect("ptrace");
    ptrace::syscall(pid1.pid, None).expect("ptrace");

    let (mut calls, mut has_forked, mut has_spawned) = (0, false, false);
    loop {
        let stop = waitpid(None, Some(WaitPidFlag::__WALL)).expect("a child");
        let pid = stop.pid().expect("a pid");
        let mut signal = None;
        match stop {
            WaitStatus::PtraceSyscall(_) => {
                let is_entry = ptrace::getevent(pid).expect("ptrace") == AT_ENTRY;
                let counts = !has_spawned && (pid != pid1.pid || !has_forked);
                calls += usize::from(counts && is_entry);
            }
            WaitStatus::PtraceEvent(.., libc::PTRACE_EVENT_EXEC) => has_spawned = true,
            WaitStatus::PtraceEvent(..) => has_forked = true,
            // So a new process begins.
            WaitStatus::Stopped(_, Signal::SIGSTOP) => {}
            WaitStatus::Stopped(_, sent) => signal = Some(sent),
            _ if pid == pid1.pid => {
                pid1.is_over = true;
                let calls = has_spawned.then_some([calls as f64]);
                return calls.ok_or_else(|| pid1.failure("it starts nothing"));
            }
            _ => continue,
        }
        // It may have been killed meanwhile.
        let _ = ptrace::syscall(pid, signal);
    }
}

/// Has the app end, whose exit code the init is to pass on.
fn quit(mut pid1: Pid1) -> Result<(), String> {
    pid1.tell(&format!("exit {CODE}"));
    pid1.ends(CODE)
}

impl Pid1 {
    /// How many shared libraries it maps, the loader too.
    fn libraries(&self) -> f64 {
        let maps = fs::read_to_string(self.proc().join("maps")).expect("/proc");
        let files = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
        files.filter(|file| file.contains(".so")).collect::<BTreeSet<_>>().len() as f64
    }
}
