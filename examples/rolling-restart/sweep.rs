//! The lag against the delay: how many requests does each pair lose?

use std::path::Path;
use std::time::Duration;

use crate::Try;
use crate::duration::show;
use crate::hold::Delay;
use crate::load::Clients;
use crate::rollout::{Controller, REPLICAS};
use crate::rows::{Setup, StopSignal, Times};

/// The failed requests over the delay, for one lag.
pub struct Line {
    pub lag: Duration,
    pub points: Vec<(Duration, u32)>,
}

/// Half of the lag that was asked for, it, and one and a half.
fn lags(times: &Times) -> [Duration; 3] {
    [times.lag / 2, times.lag, times.lag * 3 / 2]
}

/// From none to twice the lag.
fn delays(times: &Times) -> impl Iterator<Item = Duration> + use<> {
    let quarter = times.lag / 4;
    (0..=8).map(move |quarters| quarter * quarters)
}

pub fn fits(times: &Times) -> Result<(), String> {
    Times::fits(times.lag * 2, times.grace_period)
}

pub fn run(
    controller: &Controller,
    stop_signal: StopSignal,
    times: &Times,
    reprieve: &Path,
) -> Try<Vec<Line>> {
    let mut lines = Vec::new();
    for lag in lags(times) {
        let mut points = Vec::new();
        for delay in delays(times) {
            let setup = Setup::reprieve(&Delay::Fixed(delay), times, stop_signal, reprieve);
            eprintln!("lag {}, {} ...", show(lag), setup.title);
            let outcome = controller.rolls_out(&setup, [lag; REPLICAS], Clients::NewAndKept)?;
            eprintln!("  {outcome}");
            points.push((delay, outcome.tallies.failures()));
        }
        lines.push(Line { lag, points });
    }
    Ok(lines)
}
