//! Counts system calls, by ptrace(2).

use std::path::Path;

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use crate::pid1::Pid1;
use crate::room;
use crate::run::Init;

/// The event message of a stop before a system call, not after it (`linux/ptrace.h`); Linux 5.3.
const AT_ENTRY: libc::c_long = 1;

/// From the exec of an init to that of its app: those of the init up to its fork, and those of the
/// new process up to its exec.
pub fn calls_to_spawn(init: &Init, probe: &Path) -> Result<usize, String> {
    let (path, _arena) = room::arena();
    let mut pid1 = Pid1::start(&init.with_probe(probe, "stamp", &path), true)?;
    waitpid(pid1.pid, None).expect("a stop after the exec");
    let forks =
        Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK | Options::PTRACE_O_TRACECLONE;
    let others = Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_TRACESYSGOOD;
    ptrace::setoptions(pid1.pid, forks | others | Options::PTRACE_O_EXITKILL).expect("ptrace");
    ptrace::syscall(pid1.pid, None).expect("ptrace");

    let (mut calls, mut has_forked, mut has_spawned) = (0, false, false);
    loop {
        let (stopped, signal) = match waitpid(None, Some(WaitPidFlag::__WALL)).expect("a child") {
            WaitStatus::PtraceSyscall(pid) => {
                let stop = ptrace::getevent(pid).expect("ptrace");
                let counts = !has_spawned && (pid != pid1.pid || !has_forked);
                calls += usize::from(counts && stop == AT_ENTRY);
                (pid, None)
            }
            WaitStatus::PtraceEvent(pid, _, libc::PTRACE_EVENT_EXEC) => {
                has_spawned = true;
                (pid, None)
            }
            WaitStatus::PtraceEvent(pid, ..) => {
                has_forked = true;
                (pid, None)
            }
            // So a new process begins.
            WaitStatus::Stopped(pid, Signal::SIGSTOP) => (pid, None),
            WaitStatus::Stopped(pid, signal) => (pid, Some(signal)),
            WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..) if pid == pid1.pid => {
                pid1.is_over = true;
                let failure = || format!("it starts nothing; it says: {}", pid1.said());
                return has_spawned.then_some(calls).ok_or_else(failure);
            }
            _ => continue,
        };
        // It may have been killed meanwhile.
        let _ = ptrace::syscall(stopped, signal);
    }
}
