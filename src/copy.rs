//! `--copy-to`: copies the program itself into a folder, for a container whose image does not have it.
//! The image that has it may have nothing else, and so no `cp`.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::geteuid;

use crate::entry::{Entry, LastLink};
use crate::exit::StartError;

/// The program that runs, whatever it was called as, and even where its file has been removed.
const PROGRAM: &str = "/proc/self/exe";

/// Copies the program as `reprieve` into a folder, whose path is absolute. Returns the path of the copy.
pub fn to(folder: &Path) -> Result<PathBuf, StartError> {
    let path = folder.join("reprieve");
    match copy(&path) {
        Ok(()) => Ok(path),
        Err(why) => Err(StartError::Failed(format!("--copy-to {}: {why}", folder.display()))),
    }
}

/// An error says what would be right.
fn copy(path: &Path) -> Result<(), String> {
    let mut program = File::open(PROGRAM).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("{PROGRAM} is missing: mount /proc in this container"),
        _ => format!("cannot read {PROGRAM}: {error}"),
    })?;
    let entry = Entry::find(path, LastLink::Left).map_err(|error| explain(&error))?;
    let write = |file: &mut File| {
        copy_all(&mut program, file)?;
        // The umask would take from it what others need to execute it.
        Ok(fchmod(file, Mode::from_bits_truncate(0o755))?)
    };
    entry.replace(write).map_err(|error| explain(&error))
}

/// As `io::copy`, which would be more code.
fn copy_all(from: &mut File, to: &mut File) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            count => to.write_all(buffer.get(..count).unwrap_or_default())?,
        }
    }
}

fn explain(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT) => "there is no such folder: make it, or mount a volume there".into(),
        Some(Errno::ENOTDIR) => "that is no folder: name the folder for the copy".into(),
        Some(Errno::EISDIR) => "'reprieve' is a folder there: choose another one".into(),
        Some(Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG) => {
            format!("{error}: the copy needs a megabyte")
        }
        Some(Errno::EROFS) => "it is read-only: choose a volume that can be written".into(),
        Some(Errno::EACCES | Errno::EPERM) => {
            format!("uid {} may not write there: choose a folder that it may write", geteuid())
        }
        _ => error.to_string(),
    }
}
