//! The program `reprieve-lint`; all of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    reprieve_lint::main().into()
}
