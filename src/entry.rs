//! A file by its name in a directory, found without following a link that others may have made.
//!
//! Where others can write, as in /tmp, a link may be theirs, and lead us to a file that only we can
//! write. So a link is followed only in a directory that nobody else can write, at each step of the
//! way (protected_symlinks in proc_sys_fs(5) looks at the last step in /tmp alone). Each step begins
//! in the directory that the one before has opened, so what was looked at cannot be exchanged.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, readlinkat, renameat};
use nix::libc;
use nix::sys::stat::{FileStat, Mode, fstat, fstatat, stat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use nix::unistd::{AccessFlags, UnlinkatFlags, faccessat, geteuid, unlinkat};

/// As many links as the kernel follows (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// A name in a directory, and what is there under this name, if anything is.
pub struct Entry {
    directory: OwnedFd,
    name: OsString,
    /// The kernel follows the link that it is: in /proc, where a name stands for an open file.
    is_followed: bool,
}

/// What becomes of a link that an absolute path ends with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum LastLink {
    Followed,
    /// The entry is the link itself.
    Left,
}

impl Entry {
    /// Finds the directory of an absolute path. It is an error where that is not there, and where the
    /// way leads through a link that others may have made.
    pub fn find(path: &Path, last_link: LastLink) -> io::Result<Entry> {
        if path.as_os_str().as_bytes().ends_with(b"/") {
            return Err(Errno::EISDIR.into());
        }
        let mut directory = root()?;
        let mut ahead = names_from_last(path);
        let mut links = 0;
        while let Some(name) = ahead.pop() {
            let is_last = ahead.is_empty();
            if is_last && last_link == LastLink::Left {
                return Ok(Entry { directory, name, is_followed: false });
            }
            if !is_last && let Some(next) = enter(&directory, &name)? {
                directory = next;
                continue;
            }
            let target = match readlinkat(&directory, name.as_os_str()) {
                Ok(target) => target,
                Err(_) if is_last => return Ok(Entry { directory, name, is_followed: false }),
                Err(_) => return Err(Errno::ENOTDIR.into()),
            };
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::ELOOP.into());
            }
            if is_proc(&directory) {
                // Nobody else makes links there, and to what is open no text leads.
                if is_last {
                    return Ok(Entry { directory, name, is_followed: true });
                }
                directory = openat(&directory, name.as_os_str(), DIRECTORY, Mode::empty())?;
                continue;
            }
            if others_can_write(&directory)? {
                let why = "is a link in a directory that others can write; name what it leads to";
                return Err(io::Error::other(format!("'{}' {why}", name.display())));
            }
            let target = Path::new(&target);
            if target.is_absolute() {
                directory = root()?;
            }
            ahead.extend(names_from_last(target));
        }
        Err(Errno::EISDIR.into())
    }

    /// What is there, if anything is.
    pub fn status(&self) -> io::Result<Option<FileStat>> {
        let flags = match self.is_followed {
            true => AtFlags::empty(),
            false => AtFlags::AT_SYMLINK_NOFOLLOW,
        };
        match fstatat(&self.directory, self.name.as_os_str(), flags) {
            Ok(status) => Ok(Some(status)),
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a file can be made there.
    pub fn can_be_made(&self) -> Result<(), Errno> {
        let mode = AccessFlags::W_OK | AccessFlags::X_OK;
        faccessat(&self.directory, ".", mode, AtFlags::empty())
    }

    /// Whether what is there may be written.
    pub fn may_be_written(&self) -> Result<(), Errno> {
        faccessat(&self.directory, self.name.as_os_str(), AccessFlags::W_OK, AtFlags::empty())
    }

    /// Opens it, to write. A file that others have made another name of is an error: it may be one
    /// that they cannot write.
    pub fn open(&self, flags: OFlag) -> io::Result<File> {
        let no_link = if self.is_followed { OFlag::empty() } else { OFlag::O_NOFOLLOW };
        let flags = flags | no_link | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(0o666);
        let file = openat(&self.directory, self.name.as_os_str(), flags, mode)?;
        let status = fstat(&file)?;
        if is_regular(&status) && status.st_nlink > 1 && others_can_write(&self.directory)? {
            let why = "has a second name, and is in a directory that others can write";
            return Err(io::Error::other(format!("'{}' {why}", self.name.display())));
        }
        Ok(file.into())
    }

    /// Whether a file that was opened here, with this status, is a mount point: it is of another file
    /// system than its directory. (Nobody knows where a link of /proc leads to.)
    pub fn is_mount_point(&self, status: &FileStat) -> io::Result<bool> {
        let is_of_another = status.st_dev != fstat(&self.directory)?.st_dev;
        Ok(is_of_another && !self.is_followed && is_regular(status))
    }

    /// Puts a new file in its place: nobody ever finds a part of it there, and where it cannot be
    /// written, what is there stays. It is made beside it, under a name that nobody else uses.
    pub fn replace(&self, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!(".{}.{}.{}", self.name.display(), process::id(), since.as_nanos());
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let made = openat(&self.directory, name.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let written = write(&mut made.into()).and_then(|()| {
            Ok(renameat(&self.directory, name.as_str(), &self.directory, self.name.as_os_str())?)
        });
        if written.is_err() {
            let _ = unlinkat(&self.directory, name.as_str(), UnlinkatFlags::NoRemoveDir);
        }
        written
    }

    /// Removes it.
    pub fn remove(&self) -> io::Result<()> {
        Ok(unlinkat(&self.directory, self.name.as_os_str(), UnlinkatFlags::NoRemoveDir)?)
    }
}

/// A directory as a step of the way; it may be one that only may be searched.
const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

fn root() -> io::Result<OwnedFd> {
    Ok(open("/", DIRECTORY, Mode::empty())?)
}

/// The names of a path, the last one first.
fn names_from_last(path: &Path) -> Vec<OsString> {
    let is_name = |part: &Component| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().rev().filter(is_name).map(|part| part.as_os_str().to_owned()).collect()
}

/// A directory in a directory; none where it is no directory, a link perhaps.
fn enter(directory: &OwnedFd, name: &OsString) -> io::Result<Option<OwnedFd>> {
    match openat(directory, name.as_os_str(), DIRECTORY | OFlag::O_NOFOLLOW, Mode::empty()) {
        Ok(next) => Ok(Some(next)),
        Err(Errno::ENOTDIR | Errno::ELOOP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn is_proc(directory: &OwnedFd) -> bool {
    fstatfs(directory).is_ok_and(|system| system.filesystem_type() == PROC_SUPER_MAGIC)
}

/// Whether anybody can make links in a directory but us, root, and whoever owns the root directory
/// and with it all paths. (In a user namespace that may be a user without a number.)
fn others_can_write(directory: impl AsFd) -> io::Result<bool> {
    const GROUP_OR_OTHERS: u32 = 0o022;
    let status = fstat(directory)?;
    let trusted = [0, geteuid().as_raw(), stat("/")?.st_uid];
    Ok(status.st_mode & GROUP_OR_OTHERS != 0 || !trusted.contains(&status.st_uid))
}

/// Whether it is a regular file.
pub fn is_regular(status: &FileStat) -> bool {
    is_kind(status, libc::S_IFREG)
}

/// Whether it is a file of this kind (S_IFREG and others in inode(7)).
pub fn is_kind(status: &FileStat, kind: u32) -> bool {
    status.st_mode & libc::S_IFMT == kind
}

#[cfg(test)]
mod tests;
