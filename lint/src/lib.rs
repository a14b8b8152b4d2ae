//! `reprieve-lint`: checks that what reprieve is told fits what the orchestrator allows.
//!
//! A file becomes a tree of values with their places (`tree/`), whatever it is written in. The tree
//! becomes workloads (`model.rs`), whatever the platform (`sources/`). The rules (`rules/`) know workloads
//! alone, and what reprieve reads in their settings by its own code (`settings.rs`). The findings are
//! written in one of four formats (`output/`).
//!
//! It is a program; the library is for its tests and for fuzzing.

pub mod cli;
mod command_line;
pub mod document;
pub mod fuzz;
mod images;
pub mod input;
pub mod model;
pub mod output;
pub mod rules;
mod settings;
mod silence;
mod sources;
pub mod tree;

use std::io::{self, Write};

use clap::Parser;

use crate::cli::Args;
use crate::document::{Document, Finding, Manifest};
use crate::input::{Input, Unread};
use crate::tree::Place;

/// Nothing is found, or nothing that is bad enough.
pub const CLEAN: u8 = 0;
/// Something is found.
pub const FOUND: u8 = 1;
/// An input cannot be read, or the command line is wrong.
pub const UNREADABLE: u8 = 2;

/// All that was found in all inputs.
#[derive(Debug, Default)]
pub struct Report {
    pub files: usize,
    pub workloads: usize,
    /// Findings with the name of their file.
    pub findings: Vec<(String, Finding)>,
    pub unreadable: Vec<Unreadable>,
}

/// An input that could not be read.
#[derive(Debug)]
pub struct Unreadable {
    pub file: String,
    pub place: Option<Place>,
    pub why: String,
}

/// The whole program. Returns its exit code.
pub fn main() -> u8 {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let code = if error.use_stderr() { UNREADABLE } else { CLEAN };
            return error.print().map_or(UNREADABLE, |()| code);
        }
    };
    let mut stdout = io::stdout().lock();
    let written = if args.list {
        output::list(&mut stdout).map(|()| CLEAN)
    } else {
        let report = Report::of(input::read(&args.paths), &args);
        let code = report.exit_code(&args);
        output::write(&report, args.format, &mut stdout).map(|()| code)
    };
    written.and_then(|code| stdout.flush().map(|()| code)).unwrap_or_else(|error| {
        // A reader that has seen enough needs no word of it.
        if error.kind() != io::ErrorKind::BrokenPipe {
            eprintln!("reprieve-lint: cannot write: {error}");
        }
        UNREADABLE
    })
}

impl Report {
    pub fn of(inputs: Vec<Input>, args: &Args) -> Report {
        let mut report = Report::default();
        let mut manifests = Vec::new();
        for Input { name, language, text } in inputs {
            report.files += 1;
            let read = text.and_then(|text| Ok(Manifest::read(&text, language)?));
            match read {
                Ok(manifest) => manifests.push((name, manifest)),
                Err(Unread { place, why }) => {
                    report.unreadable.push(Unreadable { file: name, place, why });
                }
            }
        }
        let scaled = manifests.iter().flat_map(|(_, manifest)| &manifest.scaled).cloned().collect();
        for (name, manifest) in manifests {
            let Document { workloads, findings } = manifest.judge(&scaled);
            report.workloads += workloads;
            let wanted = findings.into_iter().filter(|finding| args.has(finding.rule.id));
            report.findings.extend(wanted.map(|finding| (name.clone(), finding)));
        }
        report
    }

    fn exit_code(&self, args: &Args) -> u8 {
        let counts =
            |finding: &Finding| finding.silenced.is_none() && finding.rule.level >= args.fail_on;
        match self.findings.iter().any(|(_, finding)| counts(finding)) {
            _ if !self.unreadable.is_empty() => UNREADABLE,
            true => FOUND,
            false => CLEAN,
        }
    }
}
