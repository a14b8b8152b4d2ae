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
use nix::unistd::Pid;

use crate::output::quantile;
use crate::pid1::{Pid1, now};

/// The rest between two signals: each finds the init asleep.
const REST: Duration = Duration::from_micros(100);

/// Signals that are not measured, after which the caches are warm.
const WARM_UP: usize = 50;

/// No init makes this exit code up by itself.
const CODE: i32 = 42;

/// What is said to reprieve at its start. The others find its variables too, and leave them alone.
pub struct Said {
    pub name: &'static str,
    variables: &'static [(&'static str, &'static str)],
    options: &'static [&'static str],
}

/// How reprieve is started: bare, and as people start it.
pub const STARTS: [Said; 3] = [
    Said { name: "bare", variables: &[], options: &[] },
    Said {
        name: "with two variables",
        variables: &[("REPRIEVE_DELAY", "5s..20s"), ("REPRIEVE_GRACE_PERIOD", "60s")],
        options: &[],
    },
    Said {
        name: "with two options",
        variables: &[],
        options: &["--delay", "5s..20s", "--grace-period", "60s"],
    },
];

/// Microseconds from the exec of an init to `main` of its app, for each of [`STARTS`]; the medians.
/// `ours` is the program that takes the options.
pub fn starts(init: &[String], ours: &str, runs: usize) -> Result<[f64; 3], String> {
    let mut medians = [0.0; STARTS.len()];
    for (median, said) in medians.iter_mut().zip(&STARTS) {
        *median = start(&said.command(init, ours), said.variables, runs)?;
    }
    Ok(medians)
}

impl Said {
    /// The command line of an init, with the options if it is ours.
    fn command(&self, init: &[String], ours: &str) -> Vec<String> {
        let is_ours = init.first().is_some_and(|program| program == ours);
        let options = if is_ours { self.options } else { &[] };
        let mut command = init.to_vec();
        command.splice(1..1, options.iter().map(|word| (*word).to_owned()));
        command
    }
}

fn start(init: &[String], variables: &[(&str, &str)], runs: usize) -> Result<f64, String> {
    let start = |_| {
        let mut pid1 = Pid1::start_with(variables, init, &["stamp"], false)?;
        let exec_at = pid1.hears("exec")?;
        let delay = pid1.hears("began")? - exec_at;
        pid1.ends(0)?;
        Ok(delay as f64 / 1e3)
    };
    let delays: Vec<f64> = (0..=runs).map(start).collect::<Result<_, String>>()?;
    // The first one warms the caches.
    Ok(quantile(&delays[1..], 0.5))
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

/// From the exec of an init to that of its app, for each of [`STARTS`]: the instructions, and the system
/// calls; those of the init up to its fork, and those of the new process up to its exec.
pub fn steps_to_spawn(init: &[String], ours: &str) -> Result<[f64; 2 * STARTS.len()], String> {
    let mut steps = [0.0; 2 * STARTS.len()];
    let (instructions, calls) = steps.split_at_mut(STARTS.len());
    for ((instructions, calls), said) in instructions.iter_mut().zip(calls).zip(&STARTS) {
        let command = said.command(init, ours);
        let count = |go, is_counted| count_to_spawn(&command, said.variables, go, is_counted);
        *instructions =
            count(ptrace::step, |stop| matches!(stop, WaitStatus::Stopped(_, Signal::SIGTRAP)))?;
        *calls = count(ptrace::syscall, |stop| {
            let entry = |pid| ptrace::getevent(pid) == Ok(AT_ENTRY);
            matches!(stop, WaitStatus::PtraceSyscall(pid) if entry(*pid))
        })?;
    }
    Ok(steps)
}

/// Lets a process go on to its next stop, with a signal if there is one for it.
type Go = fn(Pid, Option<Signal>) -> nix::Result<()>;

/// How many of the stops that `go` leads to are counted up to the exec of the app.
fn count_to_spawn(
    init: &[String],
    variables: &[(&str, &str)],
    go: Go,
    is_counted: fn(&WaitStatus) -> bool,
) -> Result<f64, String> {
    let mut pid1 = Pid1::start_with(variables, init, &["stamp"], true)?;
    waitpid(pid1.pid, None).expect("a stop after the exec");
    let forks =
        Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK | Options::PTRACE_O_TRACECLONE;
    let others = Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_TRACESYSGOOD;
    ptrace::setoptions(pid1.pid, forks | others | Options::PTRACE_O_EXITKILL).expect("ptrace");
    go(pid1.pid, None).expect("ptrace");

    let (mut count, mut has_forked, mut has_spawned) = (0, false, false);
    loop {
        let stop = waitpid(None, Some(WaitPidFlag::__WALL)).expect("a child");
        let pid = stop.pid().expect("a pid");
        let counts = !has_spawned && (pid != pid1.pid || !has_forked);
        count += usize::from(counts && is_counted(&stop));
        let mut signal = None;
        match stop {
            WaitStatus::PtraceEvent(.., libc::PTRACE_EVENT_EXEC) => has_spawned = true,
            WaitStatus::PtraceEvent(..) => has_forked = true,
            // By the second one a new process begins.
            WaitStatus::PtraceSyscall(_)
            | WaitStatus::Stopped(_, Signal::SIGTRAP | Signal::SIGSTOP) => {}
            WaitStatus::Stopped(_, sent) => signal = Some(sent),
            _ if pid == pid1.pid => {
                pid1.is_over = true;
                return match has_spawned {
                    true => Ok(count as f64),
                    false => Err(pid1.failure("it starts nothing")),
                };
            }
            _ => continue,
        }
        // After the exec no step counts. It may have been killed meanwhile.
        let _ = if has_spawned { ptrace::cont(pid, signal) } else { go(pid, signal) };
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
