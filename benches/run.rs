//! A run of an init with the probe as its app, and what /proc says of the init.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::arena::{Arena, QUIT_CODE, order};
use crate::pid1::{PATIENCE, Pid1};
use crate::room;

/// A command line to which that of an app is appended; empty where the app itself is PID 1.
#[derive(Clone)]
pub struct Init {
    pub name: String,
    pub command: Vec<String>,
}

impl Init {
    /// Its command line with the probe as its app, in one of the probe's roles.
    pub fn with_probe(&self, probe: &Path, role: &str, arena: &Path) -> Vec<String> {
        let path = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
        let app = [path(probe), role.into(), path(arena)];
        self.command.iter().cloned().chain(app).collect()
    }
}

/// An init with the probe as its app.
pub struct Run {
    pub pid1: Pid1,
    pub arena: Arena,
}

impl Run {
    pub fn start(init: &Init, probe: &Path) -> Result<Run, String> {
        let (path, arena) = room::arena();
        let mut pid1 = Pid1::start(&init.with_probe(probe, "app", &path), false)?;
        if !arena.ready.leaves(0, PATIENCE) {
            return Err(format!("its app does not start; it says: {}", pid1.said()));
        }
        // Nothing tells when an init has come to rest after its spawn.
        std::thread::sleep(Duration::from_millis(20));
        Ok(Run { pid1, arena })
    }

    /// Waits until the probe has carried out an order.
    pub fn carries_out(&self, order: u32) -> Result<(), String> {
        let done = self.arena.done.get();
        self.arena.order.set(order);
        match self.arena.done.leaves(done, PATIENCE) {
            true => Ok(()),
            false => Err("orphans are not reaped".into()),
        }
    }

    /// CPU time of the init in nanoseconds, of all threads.
    pub fn cpu(&self) -> u64 {
        let run = |task: PathBuf| {
            let schedstat = fs::read_to_string(task.join("schedstat")).expect("schedstat");
            schedstat.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).expect("a number")
        };
        self.tasks().map(run).sum()
    }

    /// How often the init went to sleep, and so was woken.
    pub fn sleeps(&self) -> u64 {
        self.tasks().map(|task| status(&task, "voluntary_ctxt_switches")).sum()
    }

    /// A number of the init's /proc/PID/status; memory is in KiB.
    pub fn status(&self, key: &str) -> u64 {
        status(&self.folder(), key)
    }

    /// Whether a C library is mapped into the init.
    pub fn needs_libc(&self) -> bool {
        fs::read_to_string(self.folder().join("maps")).expect("/proc").contains("/libc.so")
    }

    fn tasks(&self) -> impl Iterator<Item = PathBuf> {
        let tasks = fs::read_dir(self.folder().join("task")).expect("/proc");
        tasks.map(|task| task.expect("a task").path())
    }

    fn folder(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.pid1.pid))
    }

    /// Has the app end, whose exit code the init is to pass on.
    pub fn quits(mut self) -> Result<(), String> {
        self.arena.order.set(order::QUIT);
        match self.pid1.ends()? {
            QUIT_CODE => Ok(()),
            code => Err(format!("exit code {code} in place of {QUIT_CODE}")),
        }
    }
}

fn status(folder: &Path, key: &str) -> u64 {
    let status = fs::read_to_string(folder.join("status")).expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no {key} in {}", folder.display()))
}
