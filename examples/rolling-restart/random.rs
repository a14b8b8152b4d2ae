//! Lags that nobody knows before: what a fixed delay costs, beside one that ends by itself.

use std::path::Path;
use std::time::Duration;

use crate::Try;
use crate::duration::{Range, show};
use crate::load::Clients;
use crate::rollout::{Controller, End, REPLICAS};
use crate::rows::{Setup, StopSignal, Times};

/// What is certain to be longer than the longest lag.
const RESERVE: Duration = Duration::from_secs(2);

/// The delay that ends by itself.
const DYNAMIC: Range = Range { min: Duration::from_secs(1), max: Duration::from_secs(15) };

/// For so long reprieve sees no traffic before it ends the hold: its own default.
const QUIET_WINDOW: Duration = Duration::from_secs(3);

/// What came of one delay with one kind of clients.
pub struct Line {
    pub delay: String,
    pub clients: Clients,
    pub served: u32,
    pub failures: u32,
    pub ends: Vec<End>,
}

impl Line {
    /// How long a replica took to end.
    pub fn average(&self) -> Duration {
        self.ends.iter().map(|end| end.after).sum::<Duration>() / self.ends.len() as u32
    }
}

/// Whether the delays can show what they are to show.
pub fn fits(lags: Range, times: &Times) -> Result<(), String> {
    Times::fits(DYNAMIC.max.max(lags.max + RESERVE), times.grace_period)?;
    if lags.max + QUIET_WINDOW + RESERVE <= DYNAMIC.max {
        Ok(())
    } else {
        Err(format!(
            "a lag of up to {} leaves a delay of {DYNAMIC} no time to end by itself",
            show(lags.max)
        ))
    }
}

/// A lag for each replica, the same from the same seed.
pub fn draw(lags: Range, rollouts: u32, seed: u64) -> Vec<[Duration; REPLICAS]> {
    let mut random = fastrand::Rng::with_seed(seed);
    let [min, max] = [lags.min, lags.max].map(|lag| lag.as_millis() as u64);
    let mut lag = |_| Duration::from_millis(random.u64(min..=max));
    (0..rollouts).map(|_| std::array::from_fn(&mut lag)).collect()
}

/// All rollouts with each delay, without and with clients that keep their connections.
pub fn run(
    controller: &Controller,
    stop_signal: StopSignal,
    times: &Times,
    longest: Duration,
    lags: &[[Duration; REPLICAS]],
    reprieve: &Path,
) -> Try<Vec<Line>> {
    let delays = [show(longest + RESERVE), DYNAMIC.to_string()];
    let mut lines = Vec::new();
    for clients in [Clients::New, Clients::NewAndKept] {
        for delay in &delays {
            let setup = Setup::reprieve(delay, times, stop_signal, reprieve);
            eprintln!("{}, {clients} ...", setup.title);
            let delay = delay.clone();
            let mut line = Line { delay, clients, served: 0, failures: 0, ends: Vec::new() };
            for lags in lags {
                let outcome = controller.rolls_out(&setup, *lags, clients)?;
                eprintln!("  {outcome}");
                for report in outcome.logs.lines().filter(|line| line.contains(" report: ")) {
                    eprintln!("  {report}");
                }
                line.served += outcome.tallies.served();
                line.failures += outcome.tallies.failures();
                line.ends.extend(outcome.ends);
            }
            lines.push(line);
        }
    }
    Ok(lines)
}

/// What CI asserts, as an exit code: none is lost, and a hold ends by itself where it can.
pub fn verdict(lines: &[Line]) -> u8 {
    let mut code = 0;
    for line in lines {
        let is_dynamic = line.delay == DYNAMIC.to_string() && line.clients == Clients::New;
        let wrong = match line {
            _ if line.failures > 0 => format!("{} requests failed", line.failures),
            _ if is_dynamic && line.ends.iter().any(|end| end.after >= DYNAMIC.max) => {
                "a hold did not end by itself".into()
            }
            _ => continue,
        };
        eprintln!("check failed: delay {}, {}: {wrong}", line.delay, line.clients);
        code = 1;
    }
    if code == 0 {
        eprintln!("check passed");
    }
    code
}
