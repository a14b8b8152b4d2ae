//! The attack that anybody can run: random options, apps, signals and kills, with the real binary as
//! PID 1 and as a subreaper, and what must hold in any case.
//!
//!     cargo soak
//!     cargo soak -- --seed N --runs N --seconds N
//!     cargo soak -- --faults
//!
//! Each run follows from its seed, as far as time allows. A failure prints it, the options, all that
//! was said, and the command that plays that run again.

mod app;
mod faults;
mod harness;
mod invariants;
mod machine;
mod member;
mod plan;
mod play;
mod tally;

#[expect(dead_code, reason = "the tests of PID 1 use more of it")]
#[path = "../pid1/processes.rs"]
mod processes;

#[expect(dead_code, reason = "other tests use more of it")]
#[path = "../shared"]
mod shared {
    pub mod ended;
    pub mod entering;
    pub mod folder;
    pub mod init;
    pub mod namespaces;
    pub mod said;
    pub mod waiting;
}

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::harness::Folder;
use crate::machine::Machine;
use crate::plan::Plan;
use crate::tally::Tally;

/// Random shutdowns, and what must hold in each of them.
#[derive(Parser)]
#[command(name = "cargo soak --")]
struct Options {
    /// The seed of the first run; the next have the numbers after it [default: another each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Stop after so many runs [default: as many as there is time for]
    #[arg(long, value_name = "N")]
    runs: Option<u64>,
    /// Start no run after so many seconds [default: 120, where --runs is not given]
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Let a system call of PID 1 fail in each run, by strace
    #[arg(long)]
    faults: bool,
    /// So many runs at the same time: they wait most of the time
    #[arg(long, value_name = "N", default_value = "12")]
    jobs: usize,
}

/// Kinds of runs.
const RUNS: &str = "runs";
const FAILED: &str = "FAILED";

/// What `cargo soak` calls us with, and `cargo test` does not.
const RUN: &str = "--run";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, app::WORD, _, stops, member] => app::play(stops, member),
        [program, RUN, ref options @ ..] => {
            let options = options.iter().filter(|word| **word != "--");
            soak(&Options::parse_from(std::iter::once(&program).chain(options)))
        }
        _ => {
            eprintln!("the soak: ignored, as it takes minutes: cargo soak");
            ExitCode::SUCCESS
        }
    }
}

fn soak(options: &Options) -> ExitCode {
    let first = options.seed.unwrap_or_else(|| fastrand::u64(1..1 << 32));
    let seconds = options.seconds.or_else(|| options.runs.is_none().then_some(120));
    let ends_at = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    println!("seed {first}");
    let machine = Machine::new();
    let calls = options.faults.then(|| faults::calls(&machine));
    if let Some(calls) = &calls {
        println!("one of these {} calls fails in each run: {}", calls.len(), calls.join(" "));
    }
    // A failure is printed whole, with all that was said.
    std::panic::set_hook(Box::new(|_| {}));
    let (next, tally) = (AtomicU64::new(0), Tally::default());
    let work = || {
        while ends_at.is_none_or(|at| Instant::now() < at) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if options.runs.is_some_and(|runs| index >= runs) {
                return;
            }
            tally.add(RUNS);
            if let Some(failure) = fails(first + index, calls.as_deref(), &machine, &tally) {
                tally.add(FAILED);
                println!("{failure}");
            }
        }
    };
    std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..options.jobs).map(|_| scope.spawn(work)).collect();
        machine.measure(|| jobs.iter().all(ScopedJoinHandle::is_finished));
    });
    println!("from seed {first}: {tally}; a look took {:?} at most", machine.longest_look());
    match tally.count(FAILED) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Plays one run, and returns what is wrong with it.
fn fails(seed: u64, calls: Option<&[String]>, machine: &Machine, tally: &Tally) -> Option<String> {
    let folder = Folder::new();
    let plan = match calls {
        Some(calls) => faults::plan(seed, &folder, calls),
        None => Plan::new(seed, &folder),
    };
    tally.add(if plan.is_pid1 { "as PID 1" } else { "as a subreaper" });
    let run = || {
        let played = play::play(&plan, seed, &folder, machine);
        tally.add_events(&played);
        let wrong = invariants::broken(&plan, &played, &folder);
        (!wrong.is_empty()).then(|| format!("{}\n{}", wrong.join("\n"), played.timed()))
    };
    let wrong = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(wrong) => wrong,
        Err(panic) => Some(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| {
            panic.downcast_ref::<&str>().map_or("a panic".into(), |text| (*text).to_owned())
        })),
    };
    if faults::was_met(&folder) {
        tally.add("a call failed");
    }
    let wrong = wrong?;
    let app = serde_json::to_string(&plan.app).expect("plain values");
    let faults = if calls.is_some() { " --faults" } else { "" };
    Some(format!(
        "\nFAILED: seed {seed}\n{wrong}\nshell: {:?}\napp: {app}\noptions: {:?}\nacts: {:?}, early: {}\n\
         fault: {:?}\ncargo soak --{faults} --seed {seed} --runs 1\n",
        plan.shell, plan.options, plan.acts, plan.is_early, plan.fault,
    ))
}
