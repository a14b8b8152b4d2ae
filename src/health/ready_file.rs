//! The ready file: what PID 1 does about it.

use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::stat::{FileStat, fstat};
use nix::unistd::geteuid;
use tracing::warn;

use crate::entry::{self, Entry, LastLink};
use crate::exit::StartError;

/// A file that exists as long as the app is ready. No descriptor of its directory is kept: that would
/// keep a mount busy, and probes look at the path, wherever the directory has gone to.
pub struct ReadyFile {
    path: PathBuf,
    /// The file that we made: its device and its inode.
    made: Option<(u64, u64)>,
}

impl ReadyFile {
    /// Removes a stale one, and makes sure that a new one can be made at this absolute path.
    pub fn prepare(path: PathBuf) -> Result<ReadyFile, StartError> {
        let stale = look(&path).map_err(|why| failure(&path, &why))?;
        if let Some(stale) = stale {
            stale.remove().map_err(|error| failure(&path, &in_words(&error)))?;
        }
        Ok(ReadyFile { path, made: None })
    }

    /// The app has been started. That the file cannot be made is a warning.
    pub fn make(&mut self) {
        match make(&self.path) {
            Ok(made) => self.made = Some(made),
            Err(error) => {
                let path = self.path.display();
                warn!(event = "no_ready_file", "cannot make the ready file {path}: {error}");
            }
        }
    }

    /// The app is not ready any more. What others have put in the file's place stays, with a warning.
    pub fn remove(self) {
        if let Some(made) = self.made
            && let Err(error) = remove(&self.path, made)
        {
            let path = self.path.display();
            warn!(event = "ready_file_stays", "cannot remove {path}: {error}");
        }
    }
}

/// Whether one could be made at this absolute path; nothing is changed for that.
pub fn check(path: &Path) -> Result<(), StartError> {
    look(path).map(drop).map_err(|why| failure(path, &why))
}

fn failure(path: &Path, why: &str) -> StartError {
    StartError::Failed(format!("--ready-file {}: {why}", path.display()))
}

/// The stale file that is there, if there is one; an error where no new one can be made.
fn look(path: &Path) -> Result<Option<Entry>, String> {
    let entry = Entry::find(path, LastLink::Left).map_err(|error| in_words(&error))?;
    // First, since in a read-only directory unlink(2) fails even where there is no file.
    entry.can_be_made().map_err(|errno| in_words(&errno.into()))?;
    match entry.status().map_err(|error| in_words(&error))? {
        None => Ok(None),
        Some(found) => why_it_stays(&found).map_or(Ok(Some(entry)), Err),
    }
}

/// Why what is there is no ready file that we may have left, and so may be needed.
fn why_it_stays(found: &FileStat) -> Option<String> {
    const INSTEAD: &str = "; remove it, or name a path where nothing is";
    let ours = geteuid().as_raw();
    if entry::is_kind(found, libc::S_IFDIR) {
        Some("it is a directory; name a file in it".into())
    } else if entry::is_kind(found, libc::S_IFLNK) {
        Some(format!("it is a link{INSTEAD}"))
    } else if !entry::is_regular(found) {
        Some(format!("it is no regular file{INSTEAD}"))
    } else if found.st_uid != ours {
        Some(format!("it belongs to uid {}, and we are {ours}{INSTEAD}", found.st_uid))
    } else if found.st_size > 0 {
        Some(format!("it is not empty, and a ready file is{INSTEAD}"))
    } else {
        None
    }
}

fn make(path: &Path) -> io::Result<(u64, u64)> {
    let entry = Entry::find(path, LastLink::Left)?;
    let file = entry.open(OFlag::O_CREAT | OFlag::O_EXCL)?;
    Ok(identity(&fstat(&file)?))
}

fn remove(path: &Path, made: (u64, u64)) -> io::Result<()> {
    let entry = match Entry::find(path, LastLink::Left) {
        // With its directory it has gone too.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entry => entry?,
    };
    match entry.status()? {
        None => Ok(()),
        Some(found) if identity(&found) == made => entry.remove(),
        Some(_) => Err(io::Error::other("it is not the file that we made")),
    }
}

fn identity(status: &FileStat) -> (u64, u64) {
    (status.st_dev, status.st_ino)
}

/// What would be right, for the errors that have a usual cause.
fn in_words(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EISDIR) => "it is a directory; name a file in it".into(),
        Some(Errno::ENOENT) => "its directory does not exist".into(),
        Some(Errno::EROFS) => {
            "its directory is read-only; mount a tmpfs or an emptyDir there".into()
        }
        Some(Errno::EBUSY) => "it is mounted; mount its directory instead".into(),
        Some(errno) => errno.desc().into(),
        None => error.to_string(),
    }
}
