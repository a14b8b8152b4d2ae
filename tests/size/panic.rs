//! Calls into the library as the program does, and panics. Ours has no way to be made to panic.

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().len() > 1 {
        return reprieve::main(&std::env::args_os().collect::<Vec<_>>().into_iter()).into();
    }
    panic!("a message with a number: {}", std::process::id());
}
