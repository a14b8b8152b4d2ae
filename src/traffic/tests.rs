//! What the tests of several files need: to wait for a condition, and a network of their own.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc;
use nix::sched::{CloneFlags, unshare};

#[expect(dead_code, reason = "the tests of PID 1 ask it too")]
#[path = "../../tests/shared/namespaces.rs"]
mod namespaces;

/// Runs the test of this path in the crate once more, as nobody in a network namespace of its own: a user
/// namespace in which our uid has no name takes the capabilities away at exec. Returns whether
/// this is that run.
pub fn is_alone(test: &str) -> bool {
    const ALONE: &str = "REPRIEVE_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--include-ignored"]);
    command.args(["--nocapture"]).env(ALONE, "1");
    // SAFETY: between fork and exec these are but system calls.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
            raise_loopback()
        });
    }
    let output = command.output().unwrap_or_else(|error| {
        panic!("no user and network namespace can be made here ({error}): {}", namespaces::remedy())
    });
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
    print!("{said}");
    false
}

fn raise_loopback() -> io::Result<()> {
    // SAFETY: zero is a valid ifreq, and the name in it is a C string.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[..2].copy_from_slice(&[b'l' as _, b'o' as _]);
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as _;
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        match libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &request) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
