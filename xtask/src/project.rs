//! What Cargo.toml and CHANGELOG.md say of the project: each fact of a release stands in one place.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::run::{cargo, output};
use crate::{Outcome, place};

/// Of the program, unless it says otherwise.
#[derive(Debug)]
pub struct Project {
    pub version: String,
    pub lint_version: String,
    pub description: String,
    pub license: String,
    /// Where the source is, once it is published.
    pub repository: Option<String>,
    /// The image's name, with its registry once it has one.
    pub image: String,
    /// The Rust that a release is built with.
    pub rust: String,
    /// The day of the version, as CHANGELOG.md has it: `2026-11-29`.
    pub date: String,
}

impl Project {
    /// Reads it.
    pub fn read() -> Outcome<Project> {
        let args = ["metadata", "--locked", "--no-deps", "--format-version", "1"];
        let metadata: Value = serde_json::from_str(&output(cargo().args(args))?)?;
        let package = |name: &str| {
            let packages = metadata["packages"].as_array();
            let found = packages.and_then(|all| all.iter().find(|one| one["name"] == name));
            found.cloned().ok_or(format!("Cargo.toml has no package {name}"))
        };
        let (program, lint) = (package("reprieve")?, package("reprieve-lint")?);
        let text = |value: &Value, what: &str| {
            let text = value.as_str().map(str::to_owned);
            text.ok_or(format!("Cargo.toml lacks {what}"))
        };
        let release = &metadata["metadata"]["release"];
        let version = text(&program["version"], "version")?;
        let changelog = std::fs::read_to_string(place::root().join("CHANGELOG.md"))?;
        Ok(Project {
            lint_version: text(&lint["version"], "the lint's version")?,
            description: text(&program["description"], "description")?,
            license: text(&program["license"], "license")?,
            repository: program["repository"].as_str().map(str::to_owned),
            image: text(&release["image"], "workspace.metadata.release.image")?,
            rust: text(&release["rust"], "workspace.metadata.release.rust")?,
            date: date_of(&changelog, &version)?,
            version,
        })
    }

    /// The second that all files of the release are of: the environment's SOURCE_DATE_EPOCH, or the
    /// beginning of the day.
    pub fn epoch(&self) -> Outcome<u64> {
        match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(text) => text.parse().map_err(|_| {
                format!("SOURCE_DATE_EPOCH={text}: write a number of seconds since 1970").into()
            }),
            Err(_) => epoch_of(&self.date),
        }
    }

    /// That the Rust in use is the one of releases, whose bytes others can compare.
    pub fn check_rust(&self) -> Outcome {
        let said = output(Command::new("rustc").arg("-V").current_dir(place::root()))?;
        let found = said.split(' ').nth(1).unwrap_or_default();
        match found == self.rust {
            true => Ok(()),
            false => Err(format!(
                "a release is built with Rust {}, and this is {found}: \
                 `rustup toolchain install {0} --target x86_64-unknown-linux-musl,aarch64-unknown-linux-musl`, \
                 then `cargo +{0} xtask ...`; or --any-rust, whose bytes nobody can compare",
                self.rust
            )
            .into()),
        }
    }
}

/// The date beside a version in a changelog: `## [0.2.0] - 2026-11-29`.
fn date_of(changelog: &str, version: &str) -> Outcome<String> {
    let begin = format!("## [{version}] - ");
    let date = changelog.lines().find_map(|line| line.strip_prefix(&begin));
    let date = date.ok_or(format!("CHANGELOG.md has no line `{begin}YEAR-MONTH-DAY`"))?;
    epoch_of(date).map(|_| date.to_owned())
}

/// The beginning of a day, in seconds since 1970 (days from civil, as Howard Hinnant has it).
fn epoch_of(date: &str) -> Outcome<u64> {
    let numbers: Vec<u64> = date.split('-').filter_map(|part| part.parse().ok()).collect();
    let &[year @ 1970..=9999, month @ 1..=12, day @ 1..=31] = &numbers[..] else {
        return Err(format!("{date} is no date such as 2026-11-29").into());
    };
    // Years begin in March, so that the leap day is their last.
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year;
    Ok((days - 719_468) * 86_400)
}

/// The variables that would change what is built: those of a developer's shell are not the release's.
pub fn unwanted() -> impl Iterator<Item = String> {
    let all: BTreeMap<String, String> = std::env::vars().collect();
    let is_unwanted = |name: &String| {
        ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"]
            .contains(&name.as_str())
            || ["CARGO_PROFILE_", "CARGO_BUILD_", "CARGO_TARGET_", "REPRIEVE_"]
                .iter()
                .any(|start| name.starts_with(start) && name != "CARGO_TARGET_DIR")
    };
    all.into_keys().filter(is_unwanted)
}

#[cfg(test)]
mod tests;
