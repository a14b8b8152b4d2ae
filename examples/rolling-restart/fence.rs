//! What surrounds a run so that nothing of it is left, however it ends: all of it is below the
//! PID 1 of a PID namespace, and the kernel ends that with everything in it. Only a folder, and
//! what a Docker engine does for us, have to be removed by hand, which is done out here. (SIGKILL to
//! us leaves these two.)

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::Try;
use crate::command::run;

/// The label of all that the Docker engine makes for us.
pub const LABEL: &str = "reprieve-example";

/// Does the work with a name that is nobody else's and a folder, and returns its exit code.
pub fn around(docker: bool, work: impl FnOnce(&str, &Path) -> Try<u8>) -> Try<u8> {
    let name = format!("{LABEL}-{}", std::process::id());
    let folder = std::env::temp_dir().join(&name);
    let mut signals = Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGTERM])?;
    let outside = File::open("/proc/self/ns/pid")?;
    unshare(CloneFlags::CLONE_NEWPID).map_err(|errno| {
        format!("no PID namespace can be made: {errno}; in a container: docker run --privileged")
    })?;
    fs::create_dir(&folder)?;
    // SAFETY: there is one thread, so no lock can be held for ever in the child.
    let inside = match unsafe { fork() } {
        Ok(ForkResult::Parent { child }) => child,
        Ok(ForkResult::Child) => {
            let code = enter().and_then(|()| work(&name, &folder));
            std::process::exit(i32::from(code.unwrap_or_else(|error| {
                eprintln!("rolling-restart: {error}");
                1
            })));
        }
        Err(errno) => {
            let _ = fs::remove_dir(&folder);
            return Err(errno.into());
        }
    };
    // What we start from here on is in our own namespace again.
    let back = setns(outside, CloneFlags::CLONE_NEWPID);
    let code = wait(&mut signals, inside);
    let swept = if docker { sweep(&name) } else { Ok(()) };
    let removed = fs::remove_dir_all(&folder);
    match back.map_err(Into::into).and(swept).and(removed.map_err(Into::into)) {
        Ok(()) => Ok(code),
        Err(error) => {
            eprintln!("rolling-restart: {error}");
            Ok(1)
        }
    }
}

/// The first steps of PID 1.
fn enter() -> Try<()> {
    // Even where nobody is left who could tell us to end.
    set_pdeathsig(Signal::SIGKILL)?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    let nothing = None::<&str>;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), nothing)?;
    Ok(())
}

/// Waits for the end of the work, or ends it when a signal comes.
fn wait(signals: &mut Signals, inside: Pid) -> u8 {
    for signal in signals.forever() {
        if signal != SIGCHLD {
            let _ = kill(inside, Signal::SIGKILL);
            // Returns when the namespace is empty.
            let _ = waitpid(inside, None);
            return 128 + signal as u8;
        }
        match waitpid(inside, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => return code as u8,
            Ok(WaitStatus::Signaled(_, signal, _)) => return 128 + signal as u8,
            _ => {}
        }
    }
    unreachable!("the signals have no end")
}

/// Removes what the Docker engine has made for a run.
fn sweep(name: &str) -> Try<()> {
    let filter = format!("label={LABEL}={name}");
    let containers: [&[&str]; 2] = [&["ps", "--all"], &["rm", "--force"]];
    let networks: [&[&str]; 2] = [&["network", "ls"], &["network", "rm"]];
    for [list, remove] in [containers, networks] {
        let line = ["--quiet", "--filter", &filter];
        let found = run(Command::new("docker").args(list).args(line))?;
        let found: Vec<&str> = found.split_whitespace().collect();
        if !found.is_empty() {
            run(Command::new("docker").args(remove).args(found))?;
        }
    }
    Ok(())
}
