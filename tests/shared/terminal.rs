//! A new pseudo-terminal. Not by openpty(3): that would leak it into whatever another test starts
//! meanwhile, and a terminal hangs up only when nobody has its other side.

use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};

/// Its person's side and its program's.
pub fn open() -> (File, OwnedFd) {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags).expect("a terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("its other side");
    let name = ptsname_r(&master).expect("its name");
    let mut options = OpenOptions::new();
    let slave = options.read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(name);
    (File::from(OwnedFd::from(master)), slave.expect("its other side").into())
}
