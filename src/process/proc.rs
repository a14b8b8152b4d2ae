//! What /proc says of a process (proc_pid_stat(5), proc_pid_status(5), proc_pid_fd(5)). Every answer
//! may be missing: /proc may be unmounted, of another PID namespace, hide other users, or the process
//! may be gone.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::uio::pread;

use crate::signal::{Signal, SignalSet};

/// A process as it was when we looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    /// The name of its program, 15 bytes at most.
    pub command: String,
    pub parent: i32,
    pub group: i32,
    /// In clock ticks after boot: with the pid it tells a process from a later one.
    started: u64,
    pub stopped: bool,
    /// Ended already, and not yet reaped.
    zombie: bool,
}

impl Process {
    pub fn read(pid: i32) -> Option<Process> {
        // The command may not be UTF-8.
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Process::parse(&String::from_utf8_lossy(&stat))
    }

    /// The command stands in parentheses and may contain any byte, parentheses too.
    fn parse(stat: &str) -> Option<Process> {
        let (pid, rest) = stat.split_once(" (")?;
        let (command, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let state = *fields.first()?;
        Some(Process {
            pid: pid.parse().ok()?,
            // It goes into logs, each line of which is one line.
            command: command.replace(char::is_control, "?"),
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
            stopped: state == "T",
            // A process whose first thread has ended while others run looks like one.
            zombie: ["Z", "X"].contains(&state) && fields.get(17)?.parse().unwrap_or(0) <= 1,
        })
    }

    /// Whether this pid still names the process that we looked at.
    pub fn is_still_there(&self) -> bool {
        Process::read(self.pid).is_some_and(|now| now.started == self.started && !now.zombie)
    }
}

/// All living descendants of a process, but for these and what descends from them. Who came into our
/// PID namespace from outside has the parent 0 and is none; nor is what descends from it.
pub fn descendants(ancestor: i32, but: &[i32]) -> Vec<Process> {
    // While we read, a parent may end before we come to it, and its child seem to hang in the air.
    const ATTEMPTS: usize = 4;
    let mut found = Vec::new();
    for _ in 0..ATTEMPTS {
        let all = everyone();
        found.clear();
        let mut torn = false;
        for process in all.values() {
            match descends(process, ancestor, but, &all) {
                Some(true) if !process.zombie => found.push(process.clone()),
                Some(_) => {}
                None => torn = true,
            }
        }
        if !torn {
            break;
        }
    }
    found.sort_by_key(|process| process.pid);
    found
}

/// Follows the parents up; nothing where one of them is missing.
fn descends(
    process: &Process,
    ancestor: i32,
    but: &[i32],
    all: &HashMap<i32, Process>,
) -> Option<bool> {
    if but.contains(&process.pid) {
        return Some(false);
    }
    let mut parent = process.parent;
    // Parents read at different moments could form a circle.
    for _ in 0..all.len() {
        match parent {
            _ if parent == ancestor => return Some(true),
            0 => return Some(false),
            _ if but.contains(&parent) => return Some(false),
            _ => parent = all.get(&parent)?.parent,
        }
    }
    None
}

/// Whether /proc is that of our PID namespace: one of another (`unshare --pid` without a new /proc)
/// would have us take strangers for ours.
fn is_ours() -> bool {
    let us = fs::read_link("/proc/self").ok();
    us.is_some_and(|us| us.as_os_str() == std::process::id().to_string().as_str())
}

fn everyone() -> HashMap<i32, Process> {
    if !is_ours() {
        return HashMap::new();
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(Process::read).map(|process| (process.pid, process)).collect()
}

/// The name of its program, 15 bytes at most.
pub fn command(pid: i32) -> Option<String> {
    Process::read(pid).filter(|_| is_ours()).map(|process| process.command)
}

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
pub fn shell(pid: i32) -> Option<String> {
    if !is_ours() {
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
    catches(pid, signal)
}

/// Whether a process has a handler for this signal.
pub fn catches(pid: i32, signal: Signal) -> Option<bool> {
    let status = fs::read(format!("/proc/{pid}/status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
    let caught = SignalSet(u64::from_str_radix(caught.trim(), 16).ok()?);
    Some(caught.contains(signal))
}

/// The inodes of the sockets that these processes have; nothing where that cannot be told.
pub fn sockets(pids: &[i32]) -> Option<HashSet<u64>> {
    let mut inodes = HashSet::new();
    let mut read = false;
    for pid in pids {
        let gone = |error: &io::Error| error.kind() == ErrorKind::NotFound;
        let descriptors = match fs::read_dir(format!("/proc/{pid}/fd")) {
            Ok(descriptors) => descriptors,
            // Where all seem to have ended, /proc is not there.
            Err(error) if gone(&error) => continue,
            Err(_) => return None,
        };
        read = true;
        for descriptor in descriptors {
            match descriptor.and_then(|descriptor| fs::read_link(descriptor.path())) {
                Ok(target) => inodes.extend(inode(&target)),
                Err(error) if gone(&error) => {}
                Err(_) => return None,
            }
        }
    }
    read.then_some(inodes)
}

/// `socket:[4711]`
fn inode(target: &Path) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests;
