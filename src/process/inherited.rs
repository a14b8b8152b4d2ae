//! What we inherited, and the first thing we do: block all signals, so that none is lost from here
//! on.
//!
//! The app is to inherit the same from us: the blocked and ignored signals (SIGPIPE is one that many
//! parents ignore), the descriptors and the environment. So we change no signal's action but that of
//! SIGCHLD, and remember what we change. A write to a closed pipe needs no ignored SIGPIPE: all
//! signals are blocked in us and in our helper processes, so the write fails with EPIPE and the
//! signal stays pending, until [`Wait`](crate::process::wait::Wait) drops it as our own.

use std::ffi::{CStr, c_char};
use std::fs::File;
use std::io;
use std::os::fd::{IntoRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal as NixSignal, sigaction};
use nix::sys::stat::Mode;
use nix::unistd::{chdir, fchdir};

use crate::exit::StartError;
use crate::process::proc;
use crate::signal::SignalSet;
use crate::sorted::sorted;

/// What we have changed for ourselves, as it was: the app is to inherit that.
#[derive(Clone, Copy, Debug)]
pub struct Inherited {
    /// The blocked signals.
    pub mask: SignalSet,
}

/// Blocks all signals, opens /dev/null in place of closed descriptors 0 to 2, and returns what the
/// app is to inherit. To be called first, before anything opens a file.
pub fn take_over() -> Result<Inherited, StartError> {
    let mask = set_mask(SignalSet::ALL);
    stop_ignoring_sigchld();
    fill_closed().map_err(|error| {
        let why = Errno::from_raw(error.raw_os_error().unwrap_or_default()).desc();
        StartError::Failed(format!(
            "cannot open /dev/null in place of a closed standard descriptor: {why}"
        ))
    })?;
    Ok(Inherited { mask })
}

/// With an ignored SIGCHLD, as some parents leave it, the kernel would reap behind our back. The
/// app gets the default too. Of children that are stopped and continued we do not hear.
fn stop_ignoring_sigchld() {
    set_sigchld(SaFlags::SA_NOCLDSTOP);
}

/// From now on a SIGCHLD tells us also of children that are stopped: there is a terminal.
pub fn hear_of_stops() {
    set_sigchld(SaFlags::empty());
}

/// Sets the default action of SIGCHLD. The flags are ours alone: exec clears them.
fn set_sigchld(flags: SaFlags) {
    let action = SigAction::new(SigHandler::SigDfl, flags, SigSet::empty());
    // SAFETY: the default action is no function of ours.
    let _ = unsafe { sigaction(NixSignal::SIGCHLD, &action) };
}

/// Opens /dev/null in place of those descriptors 0 to 2 that are closed. Else the next file that we
/// open would become one of them: as 2, it would get the lines of the log. In the app they are closed
/// again, since exec closes what std opens (O_CLOEXEC).
fn fill_closed() -> io::Result<()> {
    let mut standard = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // One call shows which of them are closed (POLLNVAL in poll(2)).
    // SAFETY: the array has three elements, which is the number that is passed.
    unsafe { libc::poll(standard.as_mut_ptr(), 3, 0) };
    for _ in standard.iter().filter(|polled| polled.revents & libc::POLLNVAL != 0) {
        // A new descriptor is the lowest that is free (open(2)).
        let _ = File::options().read(true).write(true).open("/dev/null")?.into_raw_fd();
    }
    Ok(())
}

/// Whether our stdout or stderr, which the app has too, is a pipe or socket whose reader is gone.
pub fn is_unread() -> bool {
    let mut outputs = [1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: the array has the two elements that the call is told of.
    unsafe { libc::poll(outputs.as_mut_ptr(), 2, 0) };
    // Nobody reads a pipe: POLLERR in poll(2). The other side of a socket is closed: POLLHUP.
    outputs.iter().any(|polled| polled.revents & (libc::POLLERR | libc::POLLHUP) != 0)
}

/// Sets the blocked signals and returns the former ones. It is the bare system call, since the C
/// libraries hide the signals that they use themselves (32 and 33; musl 34 too).
pub fn set_mask(mask: SignalSet) -> SignalSet {
    let mut former = SignalSet::default();
    // SAFETY: both masks have eight bytes, which is the size that is passed.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask.0,
            &raw mut former.0,
            size_of::<u64>(),
        );
    }
    former
}

/// The inherited environment. Entries without a `=` are in it too, which std leaves out.
pub fn environment() -> Vec<&'static CStr> {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: a list of C strings that ends with null (environ(7)), which nothing here changes.
    unsafe {
        let mut count = 0;
        while !(*environ.add(count)).is_null() {
            count += 1;
        }
        (0..count).map(|index| CStr::from_ptr(*environ.add(index))).collect()
    }
}

/// The value of a variable in an environment; of two of one name the first counts, as for getenv(3).
pub fn value<'a>(environment: &[&'a CStr], name: &str) -> Option<&'a [u8]> {
    let rest = |entry: &&'a CStr| entry.to_bytes().strip_prefix(name.as_bytes());
    environment.iter().filter_map(rest).find_map(|rest| rest.strip_prefix(b"="))
}

/// Leaves the working directory for `/`, and returns it for the app to go back to. It is done before
/// the app runs, so that the app never finds us where it was started. Where nobody could come back (it
/// may not be searched, or no descriptor is left) we stay, until [`let_go`].
pub fn leave_directory() -> Option<OwnedFd> {
    // A path would not do: the directory may have been removed, or lie below one that is closed to us.
    // Not by std: on musl it leaves out O_PATH, without which the directory has to be readable.
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let directory = openat(AT_FDCWD, ".", flags, Mode::empty()).ok()?;
    // To where we are. NFS and FUSE may refuse it where they let us open it.
    fchdir(&directory).ok()?;
    // Where `/` cannot be entered we stay where we are.
    let _ = chdir("/");
    Some(directory)
}

/// Closes all inherited descriptors above 2 (all but those to `keep`, which are ours), and leaves the
/// working directory for `/` if we are still there. The app has both by now, and a pipe or a mount is
/// to stay in use no longer than the app uses it.
pub fn let_go(keep: Vec<RawFd>) {
    let mut first = 3;
    for fd in sorted(keep).into_iter().chain([RawFd::MAX]) {
        if first < fd {
            close_range(first, fd - 1);
        }
        first = fd.saturating_add(1);
    }
    let _ = chdir("/");
}

/// Closes the descriptors from `first` to `last`: by close_range(2), which neither nix nor musl has;
/// where an old kernel or seccomp refuses that, by a walk through /proc/self/fd.
fn close_range(first: RawFd, last: RawFd) {
    // SAFETY: nothing in this process uses these descriptors: they are inherited, and not ours.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, last, 0) == 0 {
            return;
        }
        let open = proc::folder("/proc/self/fd").into_iter().flatten().flatten();
        let open = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        for fd in open.filter(|fd| (first..=last).contains(fd)).collect::<Vec<RawFd>>() {
            libc::close(fd);
        }
    }
}
