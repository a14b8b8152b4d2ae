//! Lags that nobody knows before: what a fixed delay costs, beside those that end by themselves.

use std::path::Path;
use std::time::Duration;

use crate::Try;
use crate::duration::{Range, show};
use crate::hold::{self, Delay, Shutdown, Until};
use crate::load::Clients;
use crate::rollout::{Controller, REPLICAS};
use crate::rows::{Setup, StopSignal, Times};

/// What is certain to be longer than the longest lag.
const RESERVE: Duration = Duration::from_secs(2);

/// What came of one delay with one kind of clients.
pub struct Line {
    pub delay: Delay,
    pub clients: Clients,
    pub served: u32,
    pub failures: u32,
    /// One for each replica that was stopped.
    pub shutdowns: Vec<Shutdown>,
}

impl Line {
    /// How long a replica held the stop signal back.
    pub fn average(&self) -> Duration {
        let held = self.shutdowns.iter().map(|shutdown| shutdown.held);
        held.sum::<Duration>() / self.shutdowns.len() as u32
    }
}

/// A fixed delay that covers all of the lags, and those that end by themselves; or why they cannot
/// show what they are to show.
pub fn delays(
    lags: Range,
    range: Range,
    quiet_window: Duration,
    times: &Times,
) -> Result<Vec<Delay>, String> {
    let sufficient = lags.max + RESERVE;
    Times::fits(range.max.max(sufficient), times.grace_period)?;
    let enough = sufficient + quiet_window;
    if enough > range.max {
        let [lag, window, enough] = [lags.max, quiet_window, enough].map(show);
        return Err(format!(
            "a lag of up to {lag} and a window of {window} leave a delay of {range} no time to end \
             by itself: MAX has to be {enough} or longer"
        ));
    }
    let ranges = Until::ALL.map(|until| Delay::Range { range, until, quiet_window });
    Ok([Delay::Fixed(sufficient)].into_iter().chain(ranges).collect())
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
    delays: &[Delay],
    lags: &[[Duration; REPLICAS]],
    reprieve: &Path,
) -> Try<Vec<Line>> {
    let mut lines = Vec::new();
    for clients in [Clients::New, Clients::NewAndKept] {
        for delay in delays {
            let setup = Setup::reprieve(delay, times, stop_signal, reprieve);
            eprintln!("{}, {clients} ...", setup.title);
            let mut line =
                Line { delay: *delay, clients, served: 0, failures: 0, shutdowns: Vec::new() };
            for lags in lags {
                let outcome = controller.rolls_out(&setup, *lags, clients)?;
                let shutdowns = hold::reported(&outcome.logs)?;
                if shutdowns.len() != REPLICAS {
                    return Err(format!("a report is missing in:\n{}", outcome.logs).into());
                }
                let held: Vec<String> =
                    shutdowns.iter().map(|shutdown| show(shutdown.held)).collect();
                eprintln!("  {outcome}, held for {}", held.join(" and "));
                line.served += outcome.tallies.served();
                line.failures += outcome.tallies.failures();
                line.shutdowns.extend(shutdowns);
            }
            lines.push(line);
        }
    }
    Ok(lines)
}

/// What CI asserts, as an exit code; what is wrong is said on stderr.
pub fn verdict(lines: &[Line]) -> u8 {
    let mut code = 0;
    for line in lines {
        if let Some(wrong) = what_is_wrong(line) {
            eprintln!("check failed: delay {}, {}: {wrong}", line.delay, line.clients);
            code = 1;
        }
    }
    if code == 0 {
        eprintln!("check passed");
    }
    code
}

/// No request may be lost, and a hold ends by itself where it can, and nowhere else.
fn what_is_wrong(line: &Line) -> Option<String> {
    if line.failures > 0 {
        return Some(format!("{} requests failed", line.failures));
    }
    let Delay::Range { range, until, .. } = line.delay else { return None };
    let lasted = |shutdown: &Shutdown| shutdown.held >= range.max;
    // The clients never pause, and close no connection that they keep.
    let goes_on = line.clients == Clients::NewAndKept && until != Until::NoNew;
    match goes_on {
        true if !line.shutdowns.iter().all(lasted) => {
            Some(format!("a hold ended before {}, on kept connections", show(range.max)))
        }
        false if line.shutdowns.iter().any(lasted) => Some("a hold did not end by itself".into()),
        _ => None,
    }
}
