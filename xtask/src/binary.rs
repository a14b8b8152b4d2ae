//! The static binaries, and the files that are installed beside them.

use std::fs;
use std::path::PathBuf;

use crate::arch::Arch;
use crate::archive::gzip;
use crate::project::{Project, unwanted};
use crate::run::{cargo, run};
use crate::{Outcome, completions, manual, place};

/// Where cargo puts what it builds for an architecture.
pub fn folder(arch: Arch) -> PathBuf {
    place::target().join(arch.target()).join("release")
}

/// A program of the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Init,
    Lint,
}

impl Program {
    pub fn name(self) -> &'static str {
        match self {
            Program::Init => "reprieve",
            Program::Lint => "reprieve-lint",
        }
    }

    pub fn file(self, arch: Arch) -> PathBuf {
        folder(arch).join(self.name())
    }
}

/// Builds a program as `cargo static` does, whatever the environment says of flags and profiles.
pub fn build(program: Program, arch: Arch) -> Outcome {
    let mut cargo = cargo();
    unwanted().for_each(|variable| {
        cargo.env_remove(variable);
    });
    let name = program.name();
    cargo.args(["build", "--quiet", "--release", "--locked", "--target", &arch.target()]);
    run(cargo.args(["--package", name, "--bin", name])).map_err(|error| {
        format!("{error}\nwhere the target is missing: rustup target add {}", arch.target()).into()
    })
}

/// What is installed beside the binary: the same for each architecture.
#[derive(Debug)]
pub struct Share {
    /// Each file's name and text.
    pub files: [(&'static str, String); 4],
}

impl Share {
    /// Makes all from the declaration of the options.
    pub fn new(project: &Project) -> Outcome<Share> {
        Ok(Share {
            files: [
                ("reprieve.1", manual::page(&project.description, &project.date)?),
                ("reprieve.bash", completions::bash()?),
                ("_reprieve", completions::zsh()?),
                ("copyright", copyright()?),
            ],
        })
    }

    /// Writes them where the packages take them from, as Cargo.toml says.
    pub fn write(&self) -> Outcome {
        let folder = place::root().join("target/xtask/share");
        fs::create_dir_all(&folder)?;
        for (name, text) in &self.files {
            fs::write(folder.join(name), text)?;
            if name.ends_with(".1") {
                fs::write(folder.join(format!("{name}.gz")), gzip(text.as_bytes())?)?;
            }
        }
        Ok(())
    }
}

/// The copyright file in Debian's format. Debian has the text of Apache's licence on every system, a container
/// without its documentation does not.
fn copyright() -> Outcome<String> {
    let indented = |name: &str| -> Outcome<String> {
        let text = fs::read_to_string(place::root().join(name))?;
        let line = |line: &str| match line.trim_end() {
            "" => " .\n".to_owned(),
            line => format!(" {line}\n"),
        };
        Ok(text.trim_end().lines().map(line).collect())
    };
    let (mit, apache) = (indented("LICENSE-MIT")?, indented("LICENSE-APACHE")?);
    Ok(format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
         Upstream-Name: reprieve\n\n\
         Files: *\nCopyright: 2026 The reprieve authors\nLicense: MIT or Apache-2.0\n\n\
         License: MIT\n{mit}\nLicense: Apache-2.0\n{apache}"
    ))
}
