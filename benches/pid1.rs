//! An init as PID 1 of a PID namespace. Whatever way a benchmark ends, nothing stays: the init dies
//! with it, and the rest of the namespace with its PID 1.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{PipeReader, Read};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, clone};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::ptrace;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, kill, signal};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, execve, setsid};

use crate::arena::now;

/// How long a condition may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Cargo's own would have the loader of dynamic programs search in its folders first.
const ENVIRONMENT: [&CStr; 1] =
    [c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];

/// An init that runs, as PID 1 and leader of a session, with a /proc of its own. It ends with us,
/// or when it is dropped.
pub struct Pid1 {
    pub pid: Pid,
    /// Just before the exec.
    pub exec_at: u64,
    /// A pidfd.
    end: OwnedFd,
    stderr: PipeReader,
    /// Somebody has waited for it.
    pub is_over: bool,
}

impl Pid1 {
    /// Traced, it stops after its exec and waits for us (ptrace(2)).
    pub fn start(words: &[String], is_traced: bool) -> Result<Pid1, String> {
        let c_words = words.iter().map(|word| CString::new(word.as_bytes()).expect("no NUL"));
        let c_words: Vec<CString> = c_words.collect();
        let null = File::options().read(true).write(true).open("/dev/null").expect("/dev/null");
        let (stderr, end_of_stderr) = std::io::pipe().expect("a pipe");
        let (exec_at, failure) = (AtomicU64::new(0), AtomicI32::new(0));
        let mut stack = vec![0; 64 << 10];
        let none = None::<&str>;
        // So that nobody can end us before the init is bound to end with us.
        let former = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK).expect("a mask");
        let into_exec = || -> nix::Result<Infallible> {
            set_pdeathsig(Signal::SIGKILL)?;
            setsid()?;
            mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), none)?;
            dup2_stdin(&null)?;
            dup2_stdout(&null)?;
            dup2_stderr(&end_of_stderr)?;
            // Rust's runtime ignores it, and std's own Command restores it likewise.
            // SAFETY: the default action is no function of ours.
            unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }?;
            former.thread_set_mask()?;
            if is_traced {
                ptrace::traceme()?;
            }
            exec_at.store(now(), Ordering::Relaxed);
            execve(&c_words[0], &c_words, &ENVIRONMENT)
        };
        let child = Box::new(|| {
            failure.store(into_exec().unwrap_err() as i32, Ordering::Relaxed);
            127
        });
        let flags = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
        let flags = flags | CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
        // SAFETY: we sleep until the exec while the child uses our memory, on a stack of its own.
        let pid = unsafe { clone(child, &mut stack, flags, Some(libc::SIGCHLD)) };
        former.thread_set_mask().expect("a mask");
        let pid = pid.map_err(|errno| format!("a PID namespace: {errno}"))?;
        let end = pidfd(pid);
        let exec_at = exec_at.into_inner();
        let mut pid1 = Pid1 { pid, exec_at, end, stderr, is_over: false };
        match failure.into_inner() {
            0 => Ok(pid1),
            errno => {
                pid1.ends()?;
                Err(format!("{}: {}", words[0], Errno::from_raw(errno)))
            }
        }
    }

    /// Waits for its end, and returns its exit code as shells count.
    pub fn ends(&mut self) -> Result<i32, String> {
        if !readable(&self.end, PATIENCE) {
            return Err("does not end".into());
        }
        self.is_over = true;
        match waitpid(self.pid, None).expect("a child") {
            WaitStatus::Exited(_, code) => Ok(code),
            WaitStatus::Signaled(_, signal, _) => Ok(128 + signal as i32),
            other => panic!("{other:?}"),
        }
    }

    pub fn signal(&self, signal: Signal) {
        // A zombie is signalled in vain, and found out by what follows.
        let _ = kill(self.pid, signal);
    }

    /// What it said on stderr so far.
    pub fn said(&mut self) -> String {
        let mut said = vec![0; 4096];
        let length = match readable(&self.stderr, Duration::ZERO) {
            true => self.stderr.read(&mut said).unwrap_or(0),
            false => 0,
        };
        String::from_utf8_lossy(&said[..length]).trim_end().replace('\n', "; ")
    }
}

impl Drop for Pid1 {
    fn drop(&mut self) {
        if !self.is_over {
            self.signal(Signal::SIGKILL);
            let _ = waitpid(self.pid, None);
        }
    }
}

/// A descriptor that becomes readable when a process ends.
pub fn pidfd(pid: Pid) -> OwnedFd {
    // SAFETY: the call takes no pointer, and gives a descriptor that nobody else has.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) as i32;
        OwnedFd::from_raw_fd(Errno::result(fd).expect("a pidfd"))
    }
}

/// Waits until there is something to read, or all is over; says false if that takes too long.
pub fn readable(fd: impl AsFd, within: Duration) -> bool {
    let timeout = PollTimeout::try_from(within).expect("a short time");
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, timeout).expect("poll") == 1
}
