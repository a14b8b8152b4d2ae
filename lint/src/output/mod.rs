//! How findings are written.
//!
//! - `text.rs`: for people
//! - `json.rs`: for programs
//! - `sarif.rs`: for code scanning
//! - `github.rs`: as annotations of a pull request

mod github;
mod json;
mod sarif;
mod text;

use std::io::{self, Write};

use crate::Report;
use crate::cli::Format;
use crate::rules::RULES;

/// Writes all that was found.
///
/// # Errors
///
/// Where it cannot be written.
pub fn write(report: &Report, format: Format, to: &mut impl Write) -> io::Result<()> {
    match format {
        Format::Text => text::write(report, to),
        Format::Json => json::write(report, to),
        Format::Sarif => sarif::write(report, to),
        Format::Github => github::write(report, to),
    }
}

/// Writes the rules.
///
/// # Errors
///
/// Where they cannot be written.
pub fn list(to: &mut impl Write) -> io::Result<()> {
    for rule in &RULES {
        writeln!(to, "{} ({})\n  {}\n  {}", rule.id, rule.level, rule.summary, rule.fix)?;
    }
    Ok(())
}
