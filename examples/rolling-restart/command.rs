//! Programs that are called and waited for.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::Try;

/// What a command says, if it succeeds.
pub fn run(command: &mut Command) -> Try<String> {
    // Away from the terminal's process group: ^C is for us alone.
    let output = command.stdin(Stdio::null()).process_group(0).output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => {
            let said = [&output.stdout, &output.stderr].map(|bytes| text(bytes)).join("\n");
            Err(format!("{command:?} failed:\n{}", said.trim()).into())
        }
    }
}
