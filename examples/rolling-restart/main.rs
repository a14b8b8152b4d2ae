//! A rolling restart as Kubernetes does it, on one machine and with real parts, under one init
//! after the other: how many requests does it lose?
//!
//!     cargo run --release --example rolling-restart
//!
//! Two replicas of nginx, each under an init as PID 1 of a PID namespace of its own (with
//! `--docker`, in a container of its own); HAProxy before them, as the service; clients that open
//! a connection for each request, and clients that keep theirs. A controller replaces the replicas
//! one by one: it starts a new one, waits until it is ready, sends the stop signal to an old one,
//! and takes that out of HAProxy only after a lag, as endpoints propagate in a cluster.
//!
//! It needs root, and Debian's packages that it names where they are missing; with `--docker` a
//! Docker engine and debootstrap, which makes the image `reprieve-example/debian` once, in a minute
//! or two. That image is kept (`docker rmi` removes it); all else goes when the example ends,
//! however it ends.

mod command;
mod duration;
mod fence;
mod hold;
mod http;
mod image;
mod load;
mod needs;
mod network;
mod picture;
mod place;
mod proxy;
mod random;
mod rollout;
mod rows;
mod sweep;
mod table;
mod verdict;
mod versions;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clap::builder::ArgPredicate;

use crate::duration::{Range, show};
use crate::hold::Delay;
use crate::load::Clients;
use crate::place::Place;
use crate::rollout::{Controller, REPLICAS};
use crate::rows::{Row, StopSignal, Times};

type Try<T> = Result<T, Box<dyn Error>>;

/// Restarts two replicas of nginx behind HAProxy one by one, under one init after the other, and
/// counts the requests that are lost.
#[derive(Parser)]
#[command(name = "rolling-restart")]
struct Options {
    /// How long HAProxy still sends new connections to a replica that was told to end
    #[arg(long, value_name = "D", default_value = "2s", value_parser = duration::parse)]
    lag: Duration,
    /// Draw a lag for each replica from this range, and compare a fixed delay that covers all of it
    /// with those that end by themselves, one for each value of reprieve's `--hold-until`
    #[arg(long, value_name = "MIN..MAX", value_parser = duration::parse_range)]
    #[arg(conflicts_with_all = ["lag", "init", "sweep"])]
    random_lag: Option<Range>,
    /// Draw the lags of that run again [default: others each time]
    #[arg(long, value_name = "N", requires = "random_lag")]
    seed: Option<u64>,
    /// So many rollouts of two replicas for each row, 50 at most
    #[arg(long, value_name = "N", default_value = "2", requires = "random_lag")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=50))]
    rollouts: u32,
    /// How long a hold that ends by itself takes at least and at most
    #[arg(long, value_name = "MIN..MAX", default_value = "1s..15s", requires = "random_lag")]
    #[arg(value_parser = duration::parse_range)]
    delay: Range,
    /// For so long there is no traffic before such a hold ends
    #[arg(long, value_name = "D", default_value = "3s", requires = "random_lag")]
    #[arg(value_parser = duration::parse)]
    quiet_window: Duration,
    /// What is left of a replica after this is killed, as a kubelet does
    #[arg(long, value_name = "D", default_value = "6s", value_parser = duration::parse)]
    #[arg(default_value_if("random_lag", ArgPredicate::IsPresent, "20s"))]
    grace_period: Duration,
    /// Only these rows of the table
    #[arg(long, value_name = "NAME[,NAME]", value_delimiter = ',', conflicts_with = "check")]
    init: Vec<Row>,
    /// What a replica is told to end with: on SIGQUIT, which its image asks for by STOPSIGNAL,
    /// nginx finishes its requests; on SIGTERM it cuts them, so an init that can rewrite that does
    #[arg(long, value_name = "SIG", default_value = "SIGQUIT")]
    stop_signal: StopSignal,
    /// Containers on a Docker network in place of namespaces
    #[arg(long)]
    docker: bool,
    /// After the table, try several lags against several delays
    #[arg(long, conflicts_with = "check")]
    sweep: bool,
    /// Draw what the sweep found, as SVG
    #[arg(long, value_name = "FILE", requires = "sweep")]
    picture: Option<PathBuf>,
    /// A short run for CI: exit with 1 unless requests are lost without a sufficient delay, none
    /// with it, and an app that ignores the stop signal ends before the grace period does; with
    /// `--random-lag`, unless none is lost and a hold ends by itself where it can, and nowhere else
    #[arg(long)]
    check: bool,
}

impl Options {
    /// What is compared, for lags from this range.
    fn delays(&self, lags: Range, times: &Times) -> Result<Vec<Delay>, String> {
        random::delays(lags, self.delay, self.quiet_window, times)
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let code = before(&options).and_then(|times| {
        fence::around(options.docker, |name, folder| inside(&options, times, name, folder))
    });
    ExitCode::from(code.unwrap_or_else(|error| {
        eprintln!("rolling-restart: {error}");
        2
    }))
}

/// All that can be known to be wrong before something is started.
fn before(options: &Options) -> Try<Times> {
    let times = Times::new(options.lag, options.grace_period)?;
    if let Some(lags) = options.random_lag {
        options.delays(lags, &times)?;
    }
    if options.sweep {
        sweep::fits(&times)?;
    }
    if let Some(picture) = &options.picture {
        picture::can_be_written(picture)?;
    }
    match options.docker {
        true => needs::docker()?,
        false if options.random_lag.is_some() => needs::namespaces(&[Row::Reprieve])?,
        false => needs::namespaces(&rows(options))?,
    }
    Ok(times)
}

/// What the table will have.
fn rows(options: &Options) -> Vec<Row> {
    match (options.check, options.init.is_empty()) {
        (true, _) => verdict::ROWS.to_vec(),
        (_, true) => Row::ALL.to_vec(),
        _ => options.init.clone(),
    }
}

/// The whole run, as PID 1 of its own namespace.
fn inside(options: &Options, times: Times, name: &str, folder: &Path) -> Try<u8> {
    let reprieve = match needs::reprieve() {
        Ok(reprieve) => reprieve,
        Err(error) => {
            eprintln!("rolling-restart: {error}");
            return Ok(2);
        }
    };
    let place =
        if options.docker { Place::docker(name, folder)? } else { Place::namespaces(folder)? };
    let installed = folder.join("reprieve");
    std::fs::copy(reprieve, &installed)?;
    let controller = Controller::new(place, times, options.stop_signal);
    if let Some(range) = options.random_lag {
        return compare(options, &times, range, &controller, &installed);
    }
    let mut outcomes = Vec::new();
    for row in rows(options) {
        let setup = row.setup(&times, options.stop_signal, &installed);
        eprintln!("{} ...", setup.title);
        let outcome = controller.rolls_out(&setup, [times.lag; REPLICAS], Clients::NewAndKept)?;
        eprintln!("  {outcome}");
        outcomes.push((row, setup.title, outcome));
    }
    let lag = format!("Lag {}", show(times.lag));
    println!("{}", versions::caption(controller.place(), &lag, &times, options.stop_signal)?);
    print!("{}", table::rollouts(&outcomes));
    if options.sweep {
        let lines = sweep::run(&controller, options.stop_signal, &times, &installed)?;
        print!("\n{}", table::sweep(&lines));
        if let Some(picture) = &options.picture {
            picture::draw(picture, &lines, &versions::line(controller.place())?)?;
        }
    }
    if options.check { Ok(verdict::of(&outcomes)) } else { Ok(0) }
}

/// Delays that end by themselves, against one that does not.
fn compare(
    options: &Options,
    times: &Times,
    range: Range,
    controller: &Controller,
    reprieve: &Path,
) -> Try<u8> {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..10_000));
    let lags = random::draw(range, options.rollouts, seed);
    let drawn: Vec<String> = lags.iter().flatten().map(|lag| show(*lag)).collect();
    let drawn = format!("Lags from {range} (--seed {seed}): {}", drawn.join(", "));
    eprintln!("{drawn}");
    let delays = options.delays(range, times)?;
    let lines = random::run(controller, options.stop_signal, times, &delays, &lags, reprieve)?;
    println!("{}", versions::caption(controller.place(), &drawn, times, options.stop_signal)?);
    print!("{}", table::random(&lines));
    if options.check { Ok(random::verdict(&lines)) } else { Ok(0) }
}
