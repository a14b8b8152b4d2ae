//! What /proc says of processes (proc_pid_stat(5), proc_pid_status(5), proc_pid_fd(5)). Every answer
//! may be missing: /proc may not be mounted, may belong to another PID namespace or hide the processes
//! of other users, and the process may be gone.

use std::collections::HashMap;
use std::fs::{self, File, ReadDir};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::Instant;

use nix::errno::Errno;
use nix::libc;

use crate::process::slice;
use crate::process::target::Name;
use crate::room;
use crate::signal::{Signal, SignalSet};
use crate::sorted::sorted;

/// What a file of /proc/PID says, in one read: the kernel writes it anew for each that begins. It may
/// contain names that are not UTF-8. It is read into a buffer on the stack, as memory may be short.
fn read(pid: i32, file: &str, text: &mut [u8]) -> Option<String> {
    let length = File::open(format!("/proc/{pid}/{file}")).ok()?.read(text).ok()?;
    Some(String::from_utf8_lossy(&text[..length]).into_owned())
}

/// A process as it was when its /proc/PID/stat was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pub pid: i32,
    /// The name of its program (comm), 15 bytes at most.
    pub command: String,
    pub parent: i32,
    pub group: i32,
    /// In clock ticks after boot: a later process of the same pid has another one.
    pub started: u64,
    pub stopped: bool,
    /// Ended already, and not yet reaped.
    pub zombie: bool,
}

impl Process {
    /// The process that has this pid now.
    pub fn read(pid: i32) -> Option<Process> {
        // Each of its 52 fields has 21 bytes at most, and the command 64; and every page of the stack
        // that was touched once stays ours.
        Process::parse(&read(pid, "stat", &mut [0; 1536])?)
    }

    /// Parses a /proc/PID/stat. The command in it stands in parentheses, and may contain any byte,
    /// parentheses too.
    fn parse(stat: &str) -> Option<Process> {
        let (pid, rest) = stat.split_once(" (")?;
        let (command, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let state = *fields.first()?;
        Some(Process {
            pid: pid.parse().ok()?,
            command: command.to_owned(),
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
            stopped: state == "T",
            // A process whose first thread has ended has the state of a zombie while others run.
            zombie: ["Z", "X"].contains(&state) && fields.get(17)?.parse().unwrap_or(0) <= 1,
        })
    }

    /// Whether this process still runs, and its pid is not by now another's.
    pub fn is_still_there(&self) -> bool {
        Process::read(self.pid).is_some_and(|now| now.started == self.started && !now.zombie)
    }
}

impl From<&Process> for Name {
    fn from(process: &Process) -> Name {
        Name { pid: process.pid, command: process.command.clone() }
    }
}

/// Who is there, as a look at all processes found it.
#[derive(Debug, Default)]
pub struct Census {
    /// The running descendants of a process, by their pids.
    pub living: Vec<Process>,
    /// Those of them that have ended and are not reaped.
    pub ended: Vec<Process>,
    /// The pids of all others.
    pub others: Vec<i32>,
    /// Processes are shown at all, and the look was not broken off.
    pub is_complete: bool,
}

/// Looks at all processes, for the descendants of one. Those in `but` and their descendants are others,
/// and so is what came into our PID namespace from outside, which has the parent 0. The look is broken
/// off at `until`.
pub fn census(ancestor: i32, but: &[i32], until: Option<Instant>) -> Census {
    // A parent may end while we read, before we come to it: then it is missing, and its child was
    // read with a parent that is not there. We read all of them again.
    const ATTEMPTS: usize = 4;
    let mut census = Census::default();
    for _ in 0..ATTEMPTS {
        let all = everyone(until);
        let mut torn = false;
        census = Census { is_complete: !all.is_empty() && !is_over(until), ..Census::default() };
        let mut known = Known::new();
        know(&mut known, ancestor, but);
        for process in all.values() {
            match descends(process.pid, &all, &mut known) {
                Some(_) if process.pid == ancestor => census.others.push(ancestor),
                Some(true) if process.zombie => census.ended.push(process.clone()),
                Some(true) => census.living.push(process.clone()),
                Some(false) => census.others.push(process.pid),
                None => torn = true,
            }
        }
        if !torn || is_over(until) {
            break;
        }
    }
    census.living = sorted(census.living);
    census
}

/// Whether this time has come, after others had their turn. The clock is read here, since a look takes
/// its time. Without such a time nobody has a turn: each costs as much as many processes want the CPU, and a
/// look after SIGKILL would hold up our end by seconds.
pub(super) fn is_over(until: Option<Instant>) -> bool {
    until.is_some_and(|at| {
        slice::pause();
        at <= Instant::now()
    })
}

/// Whether processes descend from an ancestor, by their pids; none where a parent of theirs is missing.
type Known = HashMap<i32, Option<bool>>;

/// Adds what is known before anybody's parents are looked at.
fn know(known: &mut Known, ancestor: i32, but: &[i32]) {
    known.extend(but.iter().chain(&[0]).map(|pid| (*pid, Some(false))));
    known.insert(ancestor, Some(true));
}

/// Whether a process descends from the ancestor. Each parent is looked at once for all processes, or a
/// long chain of them would take a time that grows with its square.
fn descends(pid: i32, all: &HashMap<i32, Process>, known: &mut Known) -> Option<bool> {
    let mut at = pid;
    let descends = loop {
        if let Some(descends) = known.get(&at) {
            break (*descends)?;
        }
        let parent = all.get(&at)?.parent;
        // Parents read at different moments could form a circle, and lead here again.
        known.insert(at, None);
        at = parent;
    };
    at = pid;
    while known.get(&at) == Some(&None) {
        known.insert(at, Some(descends));
        at = all.get(&at)?.parent;
    }
    Some(descends)
}

/// Whether /proc is that of our PID namespace. In one of another namespace (`unshare --pid` without a
/// new /proc) our pids are those of other processes.
pub fn shows_our_namespace() -> bool {
    let us = fs::read_link("/proc/self").ok();
    us.is_some_and(|us| us.as_os_str() == std::process::id().to_string().as_str())
}

/// Whether there is memory to look at so many processes, and to keep of each what a look, and after it the
/// report, may keep.
fn has_room_for(count: usize) -> bool {
    const EACH: usize = 2048;
    room::is_there_for(count, EACH)
}

/// What is in a folder of /proc. Where a sandbox refuses close(2) that is an error: std panics where it cannot
/// close a folder.
pub fn folder(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    // SAFETY: no descriptor has this number, and so nothing is closed.
    unsafe { libc::close(-1) };
    match Errno::last() {
        Errno::EBADF => fs::read_dir(path),
        refused => Err(refused.into()),
    }
}

/// The numbers that stand for processes or threads in a folder of /proc. It is closed before a file is
/// opened: there may be no second descriptor.
fn numbered(path: &str) -> io::Result<Vec<i32>> {
    let mut numbers = Vec::new();
    for entry in folder(path)?.flatten() {
        numbers.try_reserve(1)?;
        numbers.extend(entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    Ok(numbers)
}

/// All processes that /proc shows, by their pids; those that were read until then. None where memory is
/// short.
fn everyone(until: Option<Instant>) -> HashMap<i32, Process> {
    if !shows_our_namespace() {
        return HashMap::new();
    }
    let pids = numbered("/proc").unwrap_or_default();
    let mut all = HashMap::new();
    if !has_room_for(pids.len()) {
        return all;
    }
    let in_time = pids.into_iter().take_while(|_| !is_over(until));
    all.extend(in_time.filter_map(Process::read).map(|process| (process.pid, process)));
    all
}

/// The name of the program of a process (comm), 15 bytes at most.
pub fn command(pid: i32) -> Option<String> {
    Process::read(pid).filter(|_| shows_our_namespace()).map(|process| process.command)
}

/// The command line of a process, words apart by spaces, 128 bytes of it at most: what is longer ends
/// with a mark. None of one that has ended, or hangs in the kernel.
pub fn command_line(pid: i32) -> Option<String> {
    const MOST: usize = 128;
    const MARK: &str = "...";
    // To read it the kernel takes the lock of the process's memory (mmap_lock; fs/proc/base.c). One that hangs
    // in the kernel may have that lock, and we would hang with it.
    if is_stuck(pid) {
        return None;
    }
    let line = read(pid, "cmdline", &mut [0; MOST + 1]).filter(|_| shows_our_namespace())?;
    let is_long = line.len() > MOST;
    let mut line = line.trim_end_matches('\0').replace('\0', " ");
    if is_long {
        line.truncate(line.floor_char_boundary(MOST - MARK.len()));
        line.push_str(MARK);
    }
    (!line.is_empty()).then_some(line)
}

/// Whether a process waits in the kernel, where no signal but SIGKILL ends the wait (state D).
fn is_stuck(pid: i32) -> bool {
    let stat = read(pid, "stat", &mut [0; 1536]);
    let state = stat.as_deref().and_then(|stat| stat.rsplit_once(") "));
    state.is_some_and(|(_, state)| state.starts_with('D'))
}

/// What a process does with signals (SigPnd to SigCgt in proc_pid_status(5)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// Of its first thread, or of the process.
    pub pending: SignalSet,
    pub blocked: SignalSet,
    pub ignored: SignalSet,
    pub caught: SignalSet,
}

/// What a process does with signals; none where that cannot be seen.
pub fn signals(pid: i32) -> Option<Signals> {
    parse_signals(&read(pid, "status", &mut [0; 8192])?)
}

fn parse_signals(status: &str) -> Option<Signals> {
    let set = |key| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    Some(Signals {
        pending: SignalSet(set("SigPnd:")? | set("ShdPnd:")?),
        blocked: SignalSet(set("SigBlk:")?),
        ignored: SignalSet(set("SigIgn:")?),
        caught: SignalSet(set("SigCgt:")?),
    })
}

/// Whether a process has a handler for this signal.
pub fn catches(pid: i32, signal: Signal) -> Option<bool> {
    signals(pid).map(|signals| signals.caught.contains(signal))
}

/// Whether a process takes its signals by rt_sigtimedwait(2), as tini does. While it waits, /proc
/// shows them as neither blocked nor caught.
pub fn waits_for_signals(pid: i32) -> bool {
    let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let number = call.split(' ').next().and_then(|number| number.parse().ok());
    // Of another user's process only the name of the kernel's function may be shown.
    let function = || fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
    number == Some(libc::SYS_rt_sigtimedwait) || function().starts_with("do_sigtimedwait")
}

/// The children of a process, zombies too, by /proc/PID/task/TID/children. A kernel without that file
/// (CONFIG_PROC_CHILDREN) is asked for the parent of each process. Where memory is short they are a few
/// of them, and those of its first thread: to read a folder takes memory too.
pub fn children(pid: i32) -> Vec<i32> {
    if !shows_our_namespace() {
        return Vec::new();
    }
    let tasks = format!("/proc/{pid}/task");
    let threads = numbered(&tasks).unwrap_or_else(|_| vec![pid]);
    let mut children = Vec::new();
    for thread in threads {
        let thread = Path::new(&tasks).join(thread.to_string());
        match fs::read_to_string(thread.join("children")) {
            Ok(list) => {
                let count = children.len() + list.bytes().filter(|byte| *byte == b' ').count();
                let most = if has_room_for(count) { count } else { room::FEW };
                let more = list.split(' ').filter_map(|pid| pid.parse::<i32>().ok());
                children.extend(more.take(most.saturating_sub(children.len())));
            }
            Err(error) if error.kind() == ErrorKind::NotFound && thread.exists() => {
                let all = everyone(None);
                let theirs = all.values().filter(|process| process.parent == pid);
                return theirs.map(|process| process.pid).collect();
            }
            Err(_) => {}
        }
    }
    children
}

/// A FIFO, by the numbers of its device and its inode.
pub type Fifo = (u64, u64);

/// The FIFO that is the standard input of a process, if it is one.
pub fn fifo_input(pid: i32) -> Option<Fifo> {
    let input = fs::metadata(format!("/proc/{pid}/fd/0")).ok()?;
    input.file_type().is_fifo().then(|| (input.dev(), input.ino()))
}

/// Whether a process has this FIFO open for writing. The mode of the link says for what a descriptor
/// is open (proc_pid_fd(5)). At most so many descriptors are looked at, which are counted down.
pub fn writes_to(pid: i32, fifo: Fifo, descriptors: &mut usize) -> bool {
    const WRITE: u32 = 0o200;
    if *descriptors == 0 {
        return false;
    }
    let open = folder(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    open.take_while(|_| {
        *descriptors = descriptors.saturating_sub(1);
        *descriptors > 0
    })
    .any(|link| {
        let is_it = |file: fs::Metadata| (file.dev(), file.ino()) == fifo;
        let for_writing = |link: fs::Metadata| link.mode() & WRITE != 0;
        link.metadata().is_ok_and(for_writing) && fs::metadata(link.path()).is_ok_and(is_it)
    })
}

#[cfg(any(fuzzing, test))]
pub mod fuzz;

#[cfg(test)]
mod tests;
