//! What /proc says of an init.

use std::fs;
use std::path::{Path, PathBuf};

use crate::pid1::Pid1;

impl Pid1 {
    /// Microseconds of CPU time, of all threads.
    pub fn cpu(&self) -> f64 {
        let nanoseconds = |task: PathBuf| {
            let schedstat = fs::read_to_string(task.join("schedstat")).expect("schedstat");
            schedstat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).expect("a number")
        };
        self.tasks().map(nanoseconds).sum::<f64>() / 1e3
    }

    /// How often its threads went to sleep, and so were woken.
    pub fn wakeups(&self) -> f64 {
        self.tasks().map(|task| status(&task, "voluntary_ctxt_switches")).sum()
    }

    /// A number of its status; memory is in KiB.
    pub fn status(&self, key: &str) -> f64 {
        status(&self.proc(), key)
    }

    fn tasks(&self) -> impl Iterator<Item = PathBuf> {
        let tasks = fs::read_dir(self.proc().join("task")).expect("/proc");
        tasks.map(|task| task.expect("a task").path())
    }

    pub fn proc(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.pid))
    }
}

/// A number of a status under /proc; memory is in KiB.
fn status(folder: &Path, key: &str) -> f64 {
    let status = fs::read_to_string(folder.join("status")).expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no {key} in {}", folder.display()))
}
