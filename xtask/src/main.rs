//! What is made of the program: `cargo xtask --help`.
//!
//! Nothing of it is in the binary that we ship.

mod arch;
mod archive;
mod binary;
mod check;
mod completions;
mod declaration;
mod image;
mod manual;
mod options;
mod packages;
mod place;
mod project;
mod release;
mod run;
mod trial;
mod wheel;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::release::ReleaseArgs;
use crate::trial::TrialArgs;

/// What a task comes to; its error is for the one who runs it.
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Makes what reprieve is released as.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Make all files of a release in dist/
    Release(ReleaseArgs),
    /// Install and run what was made for this machine, as its users would: needs root, Docker, and tools
    /// that it names
    Try(TrialArgs),
    /// Write docs/options.md, the table of all options, from their declaration
    Options,
}

fn main() -> ExitCode {
    let done = match Args::parse().task {
        Task::Release(args) if args.check => check::run_twice(&args),
        Task::Release(args) => release::make(&args).map(drop),
        Task::Try(args) => trial::run_all(&args),
        Task::Options => options::write(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
