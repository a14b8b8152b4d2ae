//! What the kernel says of our children: who has ended, who was stopped, and whether one is left
//! (wait(2)). It needs no /proc.
//!
//! A status is decoded here, since nix's `waitpid` answers EINVAL for a child that a real-time signal
//! killed, after the kernel has forgotten it.

use std::mem::MaybeUninit;

use nix::errno::Errno;
use nix::libc;

use crate::shutdown::ending::Ending;
use crate::signal::Signal;

/// What became of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ended(Ending),
    /// It was stopped by this signal, and can be continued.
    Stopped(Signal),
}

/// Takes the status of one child that has ended, and returns it with its pid; none where none has. The
/// options are those of waitpid(2): WUNTRACED asks for stops too, and `__WCLONE` for helpers that
/// execute nothing. ECHILD means that there is no child.
pub fn take(options: i32) -> nix::Result<Option<(i32, Status)>> {
    let mut status = 0;
    // SAFETY: the kernel writes one integer.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | options) };
    let pid = Errno::result(pid)?;
    Ok((pid > 0).then(|| (pid, decode(status))))
}

fn decode(status: i32) -> Status {
    let stopped = Signal::new(libc::WSTOPSIG(status)).filter(|_| libc::WIFSTOPPED(status));
    let killed = Signal::new(libc::WTERMSIG(status)).filter(|_| libc::WIFSIGNALED(status));
    match (stopped, killed) {
        (Some(signal), _) => Status::Stopped(signal),
        (_, Some(signal)) => Status::Ended(Ending::Signaled(signal)),
        _ => Status::Ended(Ending::Exited(libc::WEXITSTATUS(status) as u8)),
    }
}

/// How a child of ours has ended that is not reaped; none where it has not, or is no child of ours.
pub fn peek(pid: i32) -> Option<Ending> {
    let info = look(libc::P_PID, pid as libc::id_t).ok()?;
    // SAFETY: after waitid(2) the pid and the status are there, or the pid is 0.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    let ending = match info.si_code {
        libc::CLD_EXITED => Ending::Exited(status as u8),
        _ => Ending::Signaled(Signal::new(status)?),
    };
    (pid != 0).then_some(ending)
}

/// Whether there is no child that would report its end by SIGCHLD: orphans are our children, as hooks
/// are; the other processes of ours it leaves out.
pub fn none_left() -> bool {
    look(libc::P_ALL, 0).is_err_and(|errno| errno == Errno::ECHILD)
}

/// Looks for a child that has ended, and leaves its status where it is.
fn look(which: libc::idtype_t, id: libc::id_t) -> nix::Result<libc::siginfo_t> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the kernel writes into `info`, for which zeros are a value too.
    unsafe {
        Errno::result(libc::waitid(which, id, info.as_mut_ptr(), options))?;
        Ok(info.assume_init())
    }
}

#[cfg(test)]
mod tests;
