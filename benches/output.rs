//! What a benchmark hands out: a table, a JSON file, an exit code.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::room;

/// Of a benchmark that went well or not, or that could not be run at all.
pub fn exit_code(outcome: Result<bool, String>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cargo bench: {error}");
            ExitCode::from(2)
        }
    }
}

/// When and on what it was measured.
pub fn about() -> Value {
    json!({
        "date": humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        "kernel": nix::sys::utsname::uname().expect("uname").release().to_string_lossy(),
        "cpus": room::cpus().len(),
    })
}

/// Opens the JSON file before anything is measured in vain.
pub fn create(path: &Path) -> Result<File, String> {
    File::create(path).map_err(|error| format!("{}: {error}", path.display()))
}

pub fn write(mut file: File, all: &Value) -> Result<(), String> {
    writeln!(file, "{all:#}").map_err(|error| format!("the JSON file: {error}"))
}

/// The first column to the left, the others to the right.
pub fn aligned(lines: &[Vec<String>]) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..lines[0].len()).filter_map(width).collect();
    let text = lines.iter().map(|line| {
        let cells = line.iter().zip(&widths).skip(1);
        let cells: String = cells.map(|(cell, width)| format!("  {cell:>width$}")).collect();
        format!("{:width$}{cells}\n", line[0], width = widths[0])
    });
    text.collect()
}

/// Linear between the two values around it.
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let at = part * (values.len() - 1) as f64;
    let (below, above) = (values[at.floor() as usize], values[at.ceil() as usize]);
    below + (above - below) * at.fract()
}
