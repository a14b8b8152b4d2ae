//! Which shell a process is, and whether that has a trap: what decides whether a signal that is
//! forwarded goes to the main child or to its process group.

use std::fs::{self, File};
use std::io::Read;

use nix::errno::Errno;
use nix::sys::uio::pread;

use crate::process::proc;
use crate::signal::Signal;

/// The program that a process executes now.
///
/// An open /proc/PID/pagemap belongs to the memory that the process had then (pagemap_read in the
/// kernel's fs/proc/task_mmu.c): while that is in use, a read of one byte is refused as too short,
/// and once it has gone, by exec or exit, it reads empty. Asking costs half a microsecond, where
/// the name of the executable costs three.
pub struct Image(File);

impl Image {
    pub fn of(pid: i32) -> Option<Image> {
        File::open(format!("/proc/{pid}/pagemap")).ok().map(Image)
    }

    pub fn is_current(&self) -> bool {
        pread(&self.0, &mut [0], 0) == Err(Errno::EINVAL)
    }
}

const SHELLS: [&str; 8] = ["sh", "dash", "bash", "ash", "zsh", "ksh", "mksh", "ksh93"];

/// The name of the shell that it is, if it is one.
///
/// The executable decides, and `comm` would not: that of a script is the script's name. Of a
/// process of another uid only the command line can be read. All of busybox is one executable, so
/// there the command line decides too.
pub fn of(pid: i32) -> Option<String> {
    if !proc::shows_our_namespace() {
        return None;
    }
    let executable = fs::read_link(format!("/proc/{pid}/exe")).ok();
    let executable = executable.as_ref().and_then(|path| path.file_name()?.to_str());
    let known = |name: &&str| SHELLS.contains(name);
    match executable.map(|name| name.strip_suffix(" (deleted)").unwrap_or(name)) {
        Some(name) if !name.starts_with("busybox") => Some(name).filter(known).map(str::to_owned),
        _ => {
            let mut line = Vec::new();
            // An app can make it as long as it likes (PR_SET_MM_ARG_END in prctl(2)).
            let cmdline = File::open(format!("/proc/{pid}/cmdline")).ok()?;
            cmdline.take(4096).read_to_end(&mut line).ok()?;
            let line = String::from_utf8_lossy(&line);
            let mut words = line.split('\0').map(program_name);
            let first = words.next()?;
            // `busybox sh -c ...`
            let name = if first.starts_with("busybox") { words.next()? } else { first };
            Some(name).filter(known).map(str::to_owned)
        }
    }
}

/// `/bin/sh` and `-sh` (a login shell) are both sh.
fn program_name(word: &str) -> &str {
    let name = word.rsplit('/').next().unwrap_or(word);
    name.strip_prefix('-').unwrap_or(name)
}

/// Whether a shell has a trap for this signal. Of mksh nobody can tell: it catches the usual ones
/// in any case; and of SIGINT neither, which others catch while they wait for a command.
pub fn has_trap(shell: &str, pid: i32, signal: Signal) -> Option<bool> {
    if shell == "mksh" || signal == Signal::INT {
        return None;
    }
    proc::catches(pid, signal)
}

#[cfg(test)]
mod tests;
