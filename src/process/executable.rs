//! What a file is that is to be executed, by what stands in it: a script and its interpreter, or a
//! program and its loader.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

/// The kernel reads no more of a file to see what it is (BINPRM_BUF_SIZE in linux/binfmts.h).
const HEAD: u64 = 256;

/// So many interpreters the kernel follows that are scripts themselves (linux/fs/exec.c).
const MAX_SCRIPTS: u8 = 5;

/// The first bytes of a file; none where it cannot be read.
pub fn head(file: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    if let Ok(file) = File::open(file) {
        let _ = file.take(HEAD).read_to_end(&mut head);
    }
    head
}

/// Whether a file that the kernel refused may be a script. In a program for another machine there is
/// a NUL in what would be the first line.
pub fn is_text(head: &[u8]) -> bool {
    !head.split(|byte| *byte == b'\n').next().unwrap_or(head).contains(&0)
}

/// The interpreter that a script names after `#!`.
pub fn interpreter(head: &[u8]) -> Option<&[u8]> {
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    // A script that was written on Windows names "sh\r".
    let is_blank = |byte: &u8| b" \t".contains(byte);
    line.split(is_blank).find(|word| !word.is_empty())
}

/// What is wrong with the first line of a script that starts all the same, and then goes another way
/// than its author thought.
pub fn flaw(head: &[u8]) -> Option<&'static str> {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if head.strip_prefix(MARK).is_some_and(|rest| rest.starts_with(b"#!")) {
        Some("a byte-order mark before its #! hides that line, so /bin/sh runs it: save it without")
    } else if !head.starts_with(b"#!") && head.trim_ascii_start().starts_with(b"#!") {
        Some("its #! is not at the very beginning, so /bin/sh runs it: leave out what comes before")
    } else if line.starts_with(b"#!") && line.ends_with(b"\r") {
        Some(
            "its #! line ends as on Windows, and its interpreter is told so: save it with Unix line ends",
        )
    } else {
        None
    }
}

/// The error with which execve(2) would refuse the file, as far as it can be seen without executing it.
pub fn check(file: &Path) -> Result<(), Errno> {
    check_nested(file, MAX_SCRIPTS)
}

fn check_nested(file: &Path, scripts: u8) -> Result<(), Errno> {
    may_be_executed(file)?;
    let head = head(file);
    if let Some(interpreter) = interpreter(&head) {
        let interpreter = Path::new(OsStr::from_bytes(interpreter));
        return match scripts.checked_sub(1) {
            Some(scripts) => check_nested(interpreter, scripts),
            None => Err(Errno::ELOOP),
        };
    }
    if head.starts_with(b"\x7fELF") {
        check_elf(file, &head)
    } else if is_text(&head) {
        // One that cannot be read may be a program, and is none that sh could run.
        if head.is_empty() { Ok(()) } else { may_be_executed(Path::new("/bin/sh")) }
    } else {
        Err(Errno::ENOEXEC)
    }
}

/// An error where it is not there, is a directory, or may not be executed.
pub fn may_be_executed(file: &Path) -> Result<(), Errno> {
    access(file, AccessFlags::X_OK)?;
    if file.is_dir() { Err(Errno::EACCES) } else { Ok(()) }
}

/// Whether a program is for this machine, and its dynamic loader there (elf(5)).
fn check_elf(file: &Path, head: &[u8]) -> Result<(), Errno> {
    /// By e_machine; a processor runs the programs of its 32-bit brother too.
    const MACHINES: [u64; 2] = if cfg!(target_arch = "x86_64") { [62, 3] } else { [183, 40] };
    const PT_INTERP: u64 = 3;
    const MAX_PATH: u64 = 4096;
    let number = |bytes: &[u8], at: usize, size: usize| {
        let bytes = bytes.get(at..at + size).unwrap_or_default();
        bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    if !MACHINES.contains(&number(head, 18, 2)) {
        return Err(Errno::ENOEXEC);
    }
    let is_64_bit = number(head, 4, 1) == 2;
    let Some(file) = File::open(file).ok().filter(|_| is_64_bit) else { return Ok(()) };
    let (first, size, count) = (number(head, 32, 8), number(head, 54, 2), number(head, 56, 2));
    for at in 0..count {
        let mut header = [0; 56];
        if file.read_exact_at(&mut header, first.saturating_add(at * size)).is_err() {
            return Err(Errno::ENOEXEC);
        }
        if number(&header, 0, 4) == PT_INTERP {
            let length = number(&header, 32, 8).min(MAX_PATH) as usize;
            let mut loader = vec![0; length.saturating_sub(1)];
            file.read_exact_at(&mut loader, number(&header, 8, 8)).map_err(|_| Errno::ENOEXEC)?;
            return may_be_executed(Path::new(OsStr::from_bytes(&loader)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
