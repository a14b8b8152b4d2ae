//! What is made of the program: `cargo xtask --help`.
//!
//! Nothing of it is in the binary that we ship.

mod arch;
mod archive;
mod binary;
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
mod wheel;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::release::ReleaseArgs;

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
    /// Write docs/options.md, the table of all options, from their declaration
    Options,
}

fn main() -> ExitCode {
    let done = match Args::parse().task {
        Task::Release(args) => release::make(&args).map(drop),
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
