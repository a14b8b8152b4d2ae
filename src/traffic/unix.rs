//! Whether other containers can reach a Unix socket.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileTypeExt;

use crate::traffic::mounts::Mounts;
use crate::traffic::proc_net::UnixListener;
use crate::traffic::servers::Reach;

/// Whether other containers can reach this socket, as we see its path. A relative one
/// counts from the folder in which this process of its owner's is now. What cannot be seen counts as
/// within reach.
pub fn reach(socket: UnixListener, owner: Option<i32>, mounts: &Mounts) -> Reach {
    let name = socket.name;
    if socket.is_abstract() {
        return Reach::Private;
    }
    let mut path = name.to_vec();
    let is_relative = !name.starts_with(b"/");
    if is_relative {
        let Some(folder) = owner.and_then(|pid| read_link(format!("/proc/{pid}/cwd").as_bytes()))
        else {
            return Reach::Shared;
        };
        path = [&folder, b"/".as_slice(), name].concat();
    }
    // Where it is relative, the owner may have changed its folder since: then no socket is there.
    let is_socket = |file: fs::Metadata| file.file_type().is_socket();
    let is_there = || fs::symlink_metadata(OsStr::from_bytes(&path)).is_ok_and(is_socket);
    match mounts.root_has(&path, &mut read_link) && (!is_relative || is_there()) {
        true => Reach::Private,
        false => Reach::Shared,
    }
}

fn read_link(path: &[u8]) -> Option<Vec<u8>> {
    fs::read_link(OsStr::from_bytes(path)).ok().map(|target| target.into_os_string().into_vec())
}

/// The mounts that we see; None where that cannot be read, or is longer than any of a container.
pub fn mounts() -> Option<Mounts> {
    const LONGER_THAN_ANY: u64 = 1 << 20;
    let mut mountinfo = Vec::new();
    let file = File::open("/proc/self/mountinfo").ok()?;
    file.take(LONGER_THAN_ANY).read_to_end(&mut mountinfo).ok()?;
    ((mountinfo.len() as u64) < LONGER_THAN_ANY).then(|| Mounts::parse(&mountinfo))
}

#[cfg(test)]
mod tests;
