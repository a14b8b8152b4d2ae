//! What /proc says of a process.

use std::collections::BTreeMap;

use crate::harness::eventually;

/// A line of /proc/PID/status.
pub fn status(pid: i32, key: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(":"))?;
    Some(value.trim().to_owned())
}

/// A set of signals in /proc/PID/status: bit n - 1 stands for signal n.
pub fn signals(pid: i32, key: &str) -> u64 {
    let mask = status(pid, key).and_then(|mask| u64::from_str_radix(&mask, 16).ok());
    mask.unwrap_or_default()
}

/// Whether a process executes a program of this name, of which 15 bytes count.
pub fn is_program(pid: i32, name: &str) -> bool {
    status(pid, "Name").is_some_and(|comm| comm == name)
}

pub fn parent(pid: i32) -> i32 {
    status(pid, "PPid").and_then(|parent| parent.parse().ok()).unwrap_or_default()
}

/// The open descriptors of a process, and what they lead to.
pub fn descriptors(pid: i32) -> BTreeMap<i32, String> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let lead = entries.filter_map(|entry| {
        let target = std::fs::read_link(entry.path()).ok()?;
        Some((entry.file_name().to_str()?.parse().ok()?, target.to_string_lossy().into_owned()))
    });
    lead.collect()
}

/// How many sockets a process has open.
pub fn sockets(pid: i32) -> usize {
    descriptors(pid).values().filter(|leads_to| leads_to.starts_with("socket:")).count()
}

/// What a process does, in one letter (proc_pid_stat(5)); 0 where it is gone.
pub fn process_state(pid: i32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or('0')
}

/// Whether a process is there and no zombie.
pub fn runs(pid: i32) -> bool {
    !['0', 'Z'].contains(&process_state(pid))
}

/// Waits until a process sleeps, as it does when it has nothing more to do.
#[track_caller]
pub fn sleeps(pid: i32) {
    eventually("a process to sleep", || (process_state(pid) == 'S').then_some(()));
}
