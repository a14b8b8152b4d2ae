//! Programs that are called and waited for.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::Try;

/// What a command says, if it succeeds.
pub fn run(command: &mut Command) -> Try<String> {
    // Away from the terminal's process group: ^C is for us alone.
    let output = command.stdin(Stdio::null()).process_group(0).output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    let [out, err] =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).trim().to_owned());
    match output.status.success() {
        true => Ok(out),
        false if err.is_empty() => Err(format!("{command:?} failed:\n{out}").into()),
        false => Err(format!("{command:?} failed:\n{err}").into()),
    }
}
