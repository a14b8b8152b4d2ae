//! How precise the promise is: how late the forward comes after t0 + delay, and the SIGKILL after
//! t0 + grace period - margin, while the CPUs are idle and while all are busy. A process that
//! merely sleeps for as long shows what the machine itself adds.
//!
//!     cargo bench --bench precision [-- --runs N] [--json FILE]

#[expect(dead_code, reason = "the costs use more of it")]
mod arena;
mod needs;
#[expect(dead_code, reason = "likewise")]
mod pid1;
mod room;
mod table;

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering::Acquire;
use std::time::{Duration, SystemTime};

use clap::Parser;
use nix::libc;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};
use serde_json::json;

use crate::arena::now;
use crate::needs::Needs;
use crate::pid1::{PATIENCE, Pid1, pidfd, readable};
use crate::table::{aligned, quantile};

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
    match run(Options::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("precision: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(options: Options) -> Result<ExitCode, String> {
    let mut needs = Needs::default();
    needs.root();
    needs.static_target();
    needs.check()?;
    let json = options.json.map(|path| {
        let file = File::create(&path);
        file.map_err(|error| format!("{}: {error}", path.display()))
    });
    let json = json.transpose()?;
    room::enter()?;
    let subjects = Subjects { probe: needs::probe()?, reprieve: needs::reprieve()? };
    // What we see shall not be late because we are.
    if !room::schedule(libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK) {
        return Err("cannot become realtime; in a container: docker run --privileged".into());
    }

    let mut rows = Vec::new();
    for (is_busy, cpus) in [(false, "CPUs idle"), (true, "CPUs busy")] {
        eprintln!("measuring with {cpus}");
        let load = is_busy.then(Load::start);
        let (mut ours, mut sleeps) = (Vec::new(), Vec::new());
        for _ in 0..options.runs {
            ours.push(subjects.shutdown()?);
            sleeps.push(subjects.sleep()?);
        }
        drop(load);
        rows.push(Row { name: format!("reprieve, {cpus}"), is_ours: true, times: ours });
        rows.push(Row { name: format!("a bare sleep, {cpus}"), is_ours: false, times: sleeps });
    }

    println!(
        "# {} runs each, {}, Linux {}, {} CPUs; milliseconds late",
        options.runs,
        humantime::format_rfc3339_seconds(SystemTime::now()),
        nix::sys::utsname::uname().expect("uname").release().to_string_lossy(),
        room::cpus().len(),
    );
    print!("{}", table(&rows));
    if let Some(mut file) = json {
        let rows: Vec<_> = rows.iter().map(Row::json).collect();
        writeln!(file, "{:#}", json!(rows)).map_err(|error| format!("the JSON file: {error}"))?;
    }
    let early = rows.iter().filter(|row| row.is_ours).flat_map(|row| &row.times);
    let early = early.filter(|late| late.forward < 0.0 || late.kill < 0.0).count();
    match early {
        0 => Ok(ExitCode::SUCCESS),
        _ => {
            println!("EARLY {early} times");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Milliseconds after the time that was promised.
struct Late {
    forward: f64,
    kill: f64,
}

struct Row {
    name: String,
    is_ours: bool,
    times: Vec<Late>,
}

impl Row {
    fn forwards(&self) -> Vec<f64> {
        self.times.iter().map(|late| late.forward).collect()
    }

    fn kills(&self) -> Vec<f64> {
        self.times.iter().map(|late| late.kill).collect()
    }

    fn json(&self) -> serde_json::Value {
        json!({ "name": self.name, "forward_late_ms": self.forwards(), "kill_late_ms": self.kills() })
    }
}

fn table(rows: &[Row]) -> String {
    let head = ["", "forward: least", "median", "most", "kill: least", "median", "most"];
    let lines = rows.iter().map(|row| {
        let sums = [row.forwards(), row.kills()];
        let sums = sums.iter().flat_map(|late| [0.0, 0.5, 1.0].map(|part| quantile(late, part)));
        std::iter::once(row.name.clone()).chain(sums.map(|late| format!("{late:.3}"))).collect()
    });
    let head = head.map(str::to_owned).to_vec();
    aligned(&std::iter::once(head).chain(lines).collect::<Vec<_>>())
}

struct Subjects {
    probe: PathBuf,
    reprieve: PathBuf,
}

impl Subjects {
    /// A stop signal to reprieve above an app that does not end by it.
    fn shutdown(&self) -> Result<Late, String> {
        let [delay, grace_period, margin] =
            [("delay", DELAY), ("grace-period", GRACE_PERIOD), ("margin", MARGIN)]
                .map(|(name, ms)| format!("--{name}={ms}ms"));
        let reprieve = self.reprieve.to_string_lossy().into_owned();
        let init = [reprieve, delay, grace_period, margin, "--quiet".into(), "--".into()];
        const KILLED: i32 = 128 + libc::SIGKILL;
        self.stop(&init, "app", &[], KILLED, |pid1| {
            let children = format!("/proc/{0}/task/{0}/children", pid1.pid);
            let child = std::fs::read_to_string(children).ok()?.trim().parse().ok()?;
            Some(pidfd(Pid::from_raw(child)))
        })
    }

    /// A stop signal to a process that sleeps twice.
    fn sleep(&self) -> Result<Late, String> {
        let spans = [DELAY, GRACE_PERIOD - MARGIN].map(|ms| ms.to_string());
        self.stop(&[], "sleep", &spans, 0, |pid1| Some(pidfd(pid1.pid)))
    }

    fn stop<F: AsFd>(
        &self,
        init: &[String],
        role: &str,
        more: &[String],
        code: i32,
        app: impl FnOnce(&Pid1) -> Option<F>,
    ) -> Result<Late, String> {
        let (path, arena) = room::arena();
        let [probe, path] = [&self.probe, &path].map(|path| path.to_string_lossy().into_owned());
        let words = [init, &[probe, role.into(), path], more].concat();
        let mut pid1 = Pid1::start(&words, false)?;
        if !arena.ready.leaves(0, PATIENCE) {
            return Err(format!("it does not start; it says: {}", pid1.said()));
        }
        // Nothing tells when an init has come to rest after its spawn.
        std::thread::sleep(Duration::from_millis(20));
        let app = app(&pid1).ok_or_else(|| format!("no app; it says: {}", pid1.said()))?;

        let sent_at = now();
        pid1.signal(Signal::SIGTERM);
        if !readable(app, PATIENCE) {
            return Err("the app does not end".into());
        }
        let ended_at = now();

        match pid1.ends()? {
            ended if ended == code => {}
            other => return Err(format!("exit code {other}; it says: {}", pid1.said())),
        }
        let late = |at: u64, ms: u64| (at as f64 - (sent_at + ms * 1_000_000) as f64) / 1e6;
        let forward = late(arena.stamp.load(Acquire), DELAY);
        Ok(Late { forward, kill: late(ended_at, GRACE_PERIOD - MARGIN) })
    }
}

/// Spins on every CPU, at normal priority, until it is dropped or we end.
struct Load(Vec<Pid>);

impl Load {
    fn start() -> Load {
        Load(room::cpus().into_iter().map(Load::spin).collect())
    }

    fn spin(cpu: usize) -> Pid {
        let parent = getpid();
        // SAFETY: there is one thread.
        match unsafe { fork() }.expect("fork") {
            ForkResult::Parent { child } => child,
            ForkResult::Child => {
                set_pdeathsig(Signal::SIGKILL).expect("a signal");
                room::stay_on(&[cpu]);
                while getppid() == parent {
                    (0..1_000_000).for_each(|_| std::hint::spin_loop());
                }
                std::process::exit(0)
            }
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = kill(*pid, Signal::SIGKILL);
            let _ = waitpid(*pid, None);
        }
    }
}
