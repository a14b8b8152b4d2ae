//! What we were given before Rust's runtime touched it, and the first thing we do: block all
//! signals, so that none is lost from here on.
//!
//! Before `main`, Rust's runtime sets SIGPIPE to ignored and opens /dev/null in place of closed
//! descriptors 0 to 2. The app is to get both as we got them, so they are looked at earlier, from
//! the list of functions that the C library runs before `main` (ELF's `.init_array`).

use std::ffi::{CStr, c_char};
use std::os::fd::RawFd;
use std::ptr;
use std::sync::OnceLock;

use nix::libc;

use crate::signal::SignalSet;

/// What the app is to get as we got it.
#[derive(Clone, Copy, Debug)]
pub struct Inherited {
    /// The blocked signals.
    pub mask: SignalSet,
    pub sigpipe_ignored: bool,
    /// Which of the descriptors 0 to 2 were closed.
    pub closed: [bool; 3],
}

/// There is no other way from there into `main`.
static BEFORE_MAIN: OnceLock<Inherited> = OnceLock::new();

#[cfg(not(test))]
#[used]
#[unsafe(link_section = ".init_array")]
static RUN_BEFORE_MAIN: extern "C" fn() = before_main;

#[cfg_attr(test, allow(dead_code))]
extern "C" fn before_main() {
    take_over();
}

/// Blocks all signals and tells what we inherited, as the first call found it.
pub fn take_over() -> Inherited {
    // Each time: when Rust's runtime sets its handler for stack overflows, musl unblocks 33 and 34.
    let mask = set_mask(SignalSet::ALL);
    stop_ignoring_sigchld();
    *BEFORE_MAIN.get_or_init(|| Inherited {
        mask,
        sigpipe_ignored: is_sigpipe_ignored(),
        closed: closed(),
    })
}

fn is_sigpipe_ignored() -> bool {
    // SAFETY: zero is a valid sigaction, which lives for the call.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGPIPE, ptr::null(), &mut action);
        action.sa_sigaction == libc::SIG_IGN
    }
}

/// With an ignored SIGCHLD, as some parents leave it, the kernel would reap behind our back. The
/// app gets the default too.
fn stop_ignoring_sigchld() {
    // SAFETY: the default action is no function of ours.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// Asks in one call for all three, as Rust's runtime does.
fn closed() -> [bool; 3] {
    let mut asked = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: three, as many as it is told.
    unsafe { libc::poll(asked.as_mut_ptr(), 3, 0) };
    asked.map(|answer| answer.revents & libc::POLLNVAL != 0)
}

/// Sets the blocked signals and returns the former ones. It is the bare system call, since the C
/// libraries hide the signals that they use themselves (32 and 33; musl 34 too).
pub fn set_mask(mask: SignalSet) -> SignalSet {
    let mut former = SignalSet::default();
    // SAFETY: both masks are the eight bytes that rt_sigprocmask(2) is told they are.
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

/// The environment but for these variables, as we got it: std leaves out entries without a `=`.
pub fn environment(without: &[String]) -> Vec<&'static CStr> {
    let is_theirs =
        |entry: &&CStr| !without.iter().any(|variable| name(entry) == variable.as_bytes());
    entries().filter(is_theirs).collect()
}

/// Whether a variable is there whose name begins like this. std would copy the whole environment.
pub fn has_variable(prefix: &str) -> bool {
    entries().any(|entry| name(entry).starts_with(prefix.as_bytes()))
}

fn name(entry: &CStr) -> &[u8] {
    entry.to_bytes().split(|byte| *byte == b'=').next().unwrap_or_default()
}

fn entries() -> impl Iterator<Item = &'static CStr> {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: a list of C strings that ends with null (environ(7)), which nothing here changes.
    unsafe {
        let entries = (0..).map(|index| *environ.add(index)).take_while(|entry| !entry.is_null());
        entries.map(|entry| CStr::from_ptr(entry))
    }
}

/// Lets go of what we inherited and the app now has: the working directory, and every descriptor
/// above 2 but these. A pipe or a mount stays busy no longer than the app wants it.
pub fn let_go(mut keep: Vec<RawFd>) {
    keep.sort_unstable();
    let mut first = 3;
    for fd in keep.into_iter().chain([RawFd::MAX]) {
        if first < fd {
            close_range(first, fd - 1);
        }
        first = fd.saturating_add(1);
    }
    // Where / cannot be entered we stay.
    let _ = std::env::set_current_dir("/");
}

/// close_range(2), which neither nix nor musl has, or a walk where a kernel or seccomp refuses it.
fn close_range(first: RawFd, last: RawFd) {
    // SAFETY: nothing in this process uses these descriptors: they were inherited.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, last, 0) == 0 {
            return;
        }
        let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
        let open = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        for fd in open.filter(|fd| (first..=last).contains(fd)).collect::<Vec<RawFd>>() {
            libc::close(fd);
        }
    }
}
