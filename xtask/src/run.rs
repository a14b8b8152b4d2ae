//! Programs that are run, and what is said where one is missing.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Outcome, place};

/// How a program that is not part of Rust is installed.
const INSTALL: &[(&str, &str)] = &[
    ("cargo-deb", "cargo install --locked cargo-deb@3.8.0"),
    ("cargo-generate-rpm", "cargo install --locked cargo-generate-rpm@0.21.1"),
    ("python3", "apt-get install python3 python3-venv"),
    ("rpm2cpio", "apt-get install rpm2cpio cpio"),
    ("cpio", "apt-get install rpm2cpio cpio"),
    ("debootstrap", "apt-get install debootstrap"),
    ("docker", "apt-get install docker.io"),
    ("man", "apt-get install man-db"),
    ("zsh", "apt-get install zsh"),
    ("apt-get", "this runs on Debian and Ubuntu alone"),
];

/// The cargo that runs us, in the folder of the project.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(place::root());
    cargo
}

/// Runs a program, whose output is the user's to read.
pub fn run(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|error| missing(command, &error))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{}: {status}", line(command)).into()),
    }
}

/// Runs a program, and returns what it prints.
pub fn output(command: &mut Command) -> Outcome<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| missing(command, &error))?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(format!(
            "{}: {}\n{}{}",
            line(command),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
        .into()),
    }
}

/// What is said where a program cannot be started.
fn missing(command: &Command, error: &std::io::Error) -> String {
    let program = command.get_program().to_string_lossy();
    let name = Path::new(command.get_program()).file_name().and_then(OsStr::to_str);
    let how = INSTALL.iter().find(|(tool, _)| name == Some(tool)).map(|(_, how)| how);
    match how {
        Some(how) if error.kind() == ErrorKind::NotFound => {
            format!("{program} is missing: {how}")
        }
        _ => format!("{program} cannot be started: {error}"),
    }
}

/// A command line, as one would type it.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
