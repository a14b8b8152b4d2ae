//! The packages of Debian and of Fedora and its kin, by cargo-deb and cargo-generate-rpm. What is in them stands in
//! Cargo.toml.

use std::path::Path;

use crate::arch::Arch;
use crate::run::{cargo, output};
use crate::{Outcome, place};

/// The .deb of an architecture whose binary is built.
pub fn deb(arch: Arch, epoch: u64, dist: &Path) -> Outcome {
    let mut deb = tool("cargo-deb");
    deb.args(["deb", "--quiet", "--package", "reprieve", "--no-build", "--no-strip", "--locked"]);
    deb.args(["--target", &arch.target(), "--output"]).arg(dist);
    output(deb.env("SOURCE_DATE_EPOCH", epoch.to_string())).map(drop)
}

/// The .rpm.
pub fn rpm(arch: Arch, epoch: u64, dist: &Path) -> Outcome {
    let mut rpm = tool("cargo-generate-rpm");
    rpm.args(["generate-rpm", "--target", &arch.target(), "--target-dir"]).arg(place::target());
    rpm.args(["--source-date", &epoch.to_string(), "--output"]).arg(dist);
    output(&mut rpm).map(drop)
}

/// A subcommand of cargo, run by itself, so that a missing one is said by us.
fn tool(name: &str) -> std::process::Command {
    let mut tool = std::process::Command::new(name);
    tool.current_dir(place::root()).env("CARGO", cargo().get_program());
    tool
}
