//! An init as PID 1 of a PID namespace, with the probe as its app. Whatever way a benchmark ends,
//! nothing stays: the init dies with it, and the rest of the namespace with its PID 1.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{ChildStderr, Command, Stdio};
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::ptrace;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::time::ClockId;
use nix::unistd::{Pid, setsid, write};

/// How long a condition may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Cargo's environment would have the loader of dynamic programs search in its folders first.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Nanoseconds of the clock that the probe says times of.
pub fn now() -> u64 {
    Duration::from(ClockId::CLOCK_MONOTONIC.now().expect("a clock")).as_nanos() as u64
}

/// An init that runs, as PID 1 and leader of a session, with a /proc of its own. It ends with us,
/// or when it is dropped.
pub struct Pid1 {
    pub pid: Pid,
    /// Somebody has waited for it.
    pub is_over: bool,
    /// The probe's stdin and stdout.
    probe: BufReader<UnixStream>,
    stderr: ChildStderr,
}

impl Pid1 {
    /// Starts an init, whose command line ends with the probe's path, and the probe in this role.
    /// Traced, it stops after its exec and waits for us (ptrace(2)).
    pub fn start(command: &[String], role: &[&str], is_traced: bool) -> Result<Pid1, String> {
        Pid1::start_with(&[], command, role, is_traced)
    }

    /// The same with these environment variables.
    pub fn start_with(
        variables: &[(&str, &str)],
        command: &[String],
        role: &[&str],
        is_traced: bool,
    ) -> Result<Pid1, String> {
        let (ours, theirs) = UnixStream::pair().expect("sockets");
        let theirs = OwnedFd::from(theirs);
        ours.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut init = Command::new(&command[0]);
        init.args(&command[1..]).args(role).env_clear().env("PATH", PATH);
        init.envs(variables.iter().copied());
        init.stdin(theirs.try_clone().expect("a descriptor")).stdout(theirs).stderr(Stdio::piped());
        // So that nobody can end us before the init is bound to end with us.
        let former = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK).expect("a mask");
        let into_exec = move || {
            set_pdeathsig(Signal::SIGKILL)?;
            setsid()?;
            unshare(CloneFlags::CLONE_NEWNS)?;
            mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), None::<&str>)?;
            former.thread_set_mask()?;
            if is_traced {
                ptrace::traceme()?;
            }
            write(std::io::stdout(), format!("exec {}\n", now()).as_bytes())?;
            Ok(())
        };
        // SAFETY: there is one thread, so that no other holds a lock across the fork.
        unsafe { init.pre_exec(into_exec) };
        let our_namespace = File::open("/proc/self/ns/pid").expect("/proc");
        let spawned =
            unshare(CloneFlags::CLONE_NEWPID).map_err(Into::into).and_then(|()| init.spawn());
        setns(our_namespace, CloneFlags::CLONE_NEWPID).expect("our own namespace");
        former.thread_set_mask().expect("a mask");
        let mut child = spawned.map_err(|error| format!("{}: {error}", command[0]))?;
        let stderr = child.stderr.take().expect("a pipe");
        let pid = Pid::from_raw(child.id() as i32);
        Ok(Pid1 { pid, is_over: false, probe: BufReader::new(ours), stderr })
    }

    /// Starts an init, and waits until it and the probe are at rest.
    pub fn at_rest(command: &[String], role: &[&str]) -> Result<Pid1, String> {
        let mut pid1 = Pid1::start(command, role, false)?;
        pid1.hears("ready")?;
        // Nothing tells when an init has come to rest after its spawn.
        std::thread::sleep(Duration::from_millis(20));
        Ok(pid1)
    }

    /// Waits until the probe says this word, and returns the number beside it.
    pub fn hears(&mut self, word: &str) -> Result<u64, String> {
        loop {
            let mut line = String::new();
            if !self.probe.read_line(&mut line).is_ok_and(|length| length > 0) {
                return Err(self.failure(&format!("waited in vain for {word:?}")));
            }
            match line.trim_end().split_once(' ') {
                Some((said, number)) if said == word => {
                    return Ok(number.parse().expect("a number"));
                }
                _ => {}
            }
        }
    }

    /// Gives the probe an order.
    pub fn tell(&mut self, order: &str) {
        // A probe that is gone is found out by what follows.
        let _ = writeln!(self.probe.get_mut(), "{order}");
    }

    pub fn signal(&self, signal: Signal) {
        // Likewise a zombie.
        let _ = kill(self.pid, signal);
    }

    /// Waits for its end, with this exit code, as shells count.
    pub fn ends(mut self, expected: i32) -> Result<(), String> {
        if std::io::copy(&mut self.probe, &mut std::io::sink()).is_err() {
            return Err(self.failure("it does not end"));
        }
        self.is_over = true;
        let code = match waitpid(self.pid, None).expect("a child") {
            WaitStatus::Exited(_, code) => code,
            WaitStatus::Signaled(_, signal, _) => 128 + signal as i32,
            other => panic!("{other:?}"),
        };
        match code == expected {
            true => Ok(()),
            false => Err(self.failure(&format!("exit code {code} in place of {expected}"))),
        }
    }

    /// Ends it, and adds to an error what it said on stderr.
    pub fn failure(&mut self, error: &str) -> String {
        self.kill();
        let mut said = String::new();
        let _ = self.stderr.read_to_string(&mut said);
        format!("{error}; it says: {}", said.trim_end().replace('\n', "; "))
    }

    fn kill(&mut self) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.signal(Signal::SIGKILL);
            let _ = waitpid(self.pid, None);
        }
    }
}

impl Drop for Pid1 {
    fn drop(&mut self) {
        self.kill();
    }
}
