//! What is made of the program: `cargo xtask --help`.
//!
//! Nothing of it is in the binary that we ship.

mod declaration;
mod options;
mod place;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    /// Write docs/options.md, the table of all options, from their declaration
    Options,
}

fn main() -> ExitCode {
    let done = match Args::parse().task {
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
