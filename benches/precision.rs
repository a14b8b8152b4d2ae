//! How precise the promise is: how late the forward comes after t0 + delay, and the SIGKILL after
//! t0 + grace period - margin, while the CPUs are idle and while all are busy. A process that
//! merely sleeps for as long shows what the machine itself adds.
//!
//!     cargo bench --bench precision [-- --runs N] [--json FILE]

mod needs;
mod output;
#[expect(dead_code, reason = "the costs use more of it")]
mod pid1;
mod room;

use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::json;

use crate::output::quantile;
use crate::pid1::{PATIENCE, Pid1, now};

/// How late reprieve forwards and kills, beside a bare sleep of the same length.
#[derive(Parser)]
#[command(name = "cargo bench --bench precision --")]
struct Options {
    /// Shutdowns with idle CPUs, and again with busy ones
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// Write all times there too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// In milliseconds. Short, since a wait is no less precise for that, and there are many.
const DELAY: u64 = 50;
const GRACE_PERIOD: u64 = 200;
const MARGIN: u64 = 100;

fn main() -> ExitCode {
    output::exit_code(run(&Options::parse()))
}

fn run(options: &Options) -> Result<bool, String> {
    needs::check(Vec::new())?;
    let json = options.json.as_deref().map(output::create).transpose()?;
    room::enter()?;
    let probe = [needs::build("--example", "probe")?];
    let [delay, grace_period, margin] =
        [("delay", DELAY), ("grace-period", GRACE_PERIOD), ("margin", MARGIN)]
            .map(|(name, ms)| format!("--{name}={ms}ms"));
    let reprieve = [
        needs::build("--bin", "reprieve")?,
        delay,
        grace_period,
        margin,
        "--quiet".into(),
        "--".into(),
    ];
    let reprieve = [&reprieve[..], &probe].concat();
    // What we see shall not be late because we are.
    if !room::schedule(libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK) {
        return Err("cannot become realtime; in a container: docker run --privileged".into());
    }

    let cpus = room::cpus();
    let mut rows = Vec::new();
    for (load, busy) in [("CPUs idle", &[][..]), ("CPUs busy", &cpus)] {
        eprintln!("measuring with {load}");
        let spin = |cpu: &usize| {
            room::stay_on(&[*cpu]);
            Pid1::start(&probe, &["spin"], false)
        };
        let _spinners: Vec<Pid1> = busy.iter().map(spin).collect::<Result<_, _>>()?;
        room::stay_on(&cpus);
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..options.runs {
            times[0].push(shutdown(&reprieve)?);
            times[1].push(sleep(&probe)?);
        }
        for (what, times) in ["reprieve", "a bare sleep"].into_iter().zip(times) {
            let (forwards, kills) = times.into_iter().unzip();
            rows.push(Row { name: format!("{what}, {load}"), forwards, kills });
        }
    }

    println!("# {}", output::about());
    println!("# {} runs each; milliseconds late", options.runs);
    let head = ["", "forward: least", "median", "most", "kill: least", "median", "most"];
    let lines = rows.iter().map(Row::line);
    let lines = std::iter::once(head.map(str::to_owned).to_vec()).chain(lines);
    print!("{}", output::aligned(&lines.collect::<Vec<_>>()));
    if let Some(file) = json {
        let row = |row: &Row| json!({ "name": row.name, "forward_late_ms": row.forwards, "kill_late_ms": row.kills });
        output::write(file, &rows.iter().map(row).collect())?;
    }
    let ours = rows.iter().step_by(2);
    let early = ours.flat_map(|row| row.forwards.iter().chain(&row.kills));
    let early = early.filter(|late| **late < 0.0).count();
    if early > 0 {
        println!("EARLY {early} times");
    }
    Ok(early == 0)
}

/// Milliseconds after the times that were promised, one a run.
struct Row {
    name: String,
    forwards: Vec<f64>,
    kills: Vec<f64>,
}

impl Row {
    fn line(&self) -> Vec<String> {
        let sums = [&self.forwards, &self.kills].into_iter();
        let sums = sums.flat_map(|late| [0.0, 0.5, 1.0].map(|part| quantile(late, part)));
        std::iter::once(self.name.clone()).chain(sums.map(|late| format!("{late:.3}"))).collect()
    }
}

/// A stop signal to reprieve above an app that does not end by it.
fn shutdown(reprieve: &[String]) -> Result<(f64, f64), String> {
    let pid1 = Pid1::at_rest(reprieve, &["app"])?;
    let children = format!("/proc/{0}/task/{0}/children", pid1.pid);
    let children = std::fs::read_to_string(children).expect("/proc");
    let app = children.trim().parse().map_err(|_| "reprieve has no app".to_owned())?;
    stop(pid1, Pid::from_raw(app), 128 + libc::SIGKILL)
}

/// A stop signal to a process that sleeps twice.
fn sleep(probe: &[String]) -> Result<(f64, f64), String> {
    let [first, second] = [DELAY, GRACE_PERIOD - MARGIN].map(|ms| ms.to_string());
    let pid1 = Pid1::at_rest(probe, &["sleep", &first, &second])?;
    let pid = pid1.pid;
    stop(pid1, pid, 0)
}

/// How late, in milliseconds, the app hears of it and ends.
fn stop(mut pid1: Pid1, app: Pid, code: i32) -> Result<(f64, f64), String> {
    let app = pidfd(app);
    let sent_at = now();
    pid1.signal(Signal::SIGTERM);
    let timeout = PollTimeout::try_from(PATIENCE).expect("a short time");
    if poll(&mut [PollFd::new(app.as_fd(), PollFlags::POLLIN)], timeout) != Ok(1) {
        return Err(pid1.failure("the app does not end"));
    }
    let ended_at = now();
    let heard_at = pid1.hears("SIGTERM")?;
    pid1.ends(code)?;
    let late = |at: u64, ms: u64| (at as f64 - (sent_at + ms * 1_000_000) as f64) / 1e6;
    Ok((late(heard_at, DELAY), late(ended_at, GRACE_PERIOD - MARGIN)))
}

/// A descriptor that becomes readable when a process ends.
fn pidfd(pid: Pid) -> OwnedFd {
    // SAFETY: the call takes no pointer, and gives a descriptor that nobody else has.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) as i32;
        OwnedFd::from_raw_fd(Errno::result(fd).expect("a pidfd"))
    }
}
