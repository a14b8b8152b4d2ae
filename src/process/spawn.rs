//! Starts a program: finds its file, creates the process of the app, and executes the program in it
//! (or in a helper, for a hook); and explains why that failed.
//!
//! Neither posix_spawn nor std's `Command` gives the child exactly what we inherited, or the terminal
//! before it reads. So we use clone(2) as vfork(2) does: the child runs in our memory while we sleep.
//! That saves the copy of our page tables, and the child can leave us the error of a failed exec in a
//! variable. There is one thread, and all signals are blocked.

use std::borrow::Cow;
use std::cell::Cell;
use std::convert::Infallible;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, clone};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, execve, fchdir, getpid, getppid, setpgid};
use tracing::warn;

use crate::exit::StartError;
use crate::process::executable::{self, head};
use crate::process::helper;
use crate::process::inherited::{self, Inherited, set_mask};
use crate::process::tty::Tty;

/// Where a name without a slash is looked for when there is no PATH.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The size in bytes of the stack on which the child runs until it executes the app; the pages that it
/// does not touch cost nothing.
const STACK: usize = 128 * 1024;

/// How closely a program is looked at that is not executed yet.
#[derive(Clone, Copy)]
pub enum Depth {
    /// Whether a file of its name may be executed.
    Name,
    /// Whether exec would refuse it for what stands in it, such as an interpreter that does not exist.
    File,
}

/// A command, ready to be executed.
pub struct Program {
    name: OsString,
    /// The files to try, in the order of PATH.
    candidates: Vec<CString>,
    arguments: Vec<CString>,
    /// What is wrong with the file that was handed to sh; the child leaves it here.
    flaw: Cell<Option<&'static str>>,
}

impl Program {
    /// The program that the first word names, with all of the words as its arguments (from `argv[0]`
    /// on). It is searched in the PATH of the environment, unless it contains a slash.
    pub fn new<S: AsRef<OsStr>>(words: &[S], environment: &[&CStr]) -> Program {
        let name = words.first().map(|word| word.as_ref().to_owned()).unwrap_or_default();
        let path = inherited::value(environment, "PATH").unwrap_or(DEFAULT_PATH);
        let candidates = candidates(name.as_bytes(), path);
        let arguments = words.iter().map(|word| c_string(word.as_ref().as_bytes())).collect();
        Program { name, candidates, arguments, flaw: Cell::new(None) }
    }

    /// Starts the program in a process group of its own, and returns its pid once it executes. Its
    /// group is in the foreground of the terminal (if there is one) before it runs.
    // Inlined into its caller, which calls the loop, it would keep its stack in use to the end.
    #[inline(never)]
    pub fn spawn(
        &self,
        environment: &[&CStr],
        inherited: &Inherited,
        tty: Option<&Tty>,
    ) -> Result<i32, StartError> {
        let directory = inherited::leave_directory();
        let mut exec_error = None;
        let become_app = || {
            // A new process can always have a group of its own.
            let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
            if let Some(tty) = tty {
                tty.take();
            }
            let entered = directory.as_ref().map_or(Ok(()), fchdir);
            let environment = readdressed(environment);
            let Err(errno) = entered.and_then(|()| self.run(&environment, inherited));
            exec_error = Some(errno);
            0
        };
        let mut stack = vec![0; STACK];
        let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
        // SAFETY: our one thread sleeps until the child has executed the app or has ended; meanwhile
        // nobody else uses our memory, and the child has a stack of its own. What it allocates for exec
        // is never freed: some hundred bytes, once. Its group, its signal mask and its working directory
        // are its own.
        let child = unsafe { clone(Box::new(become_app), &mut stack, flags, Some(libc::SIGCHLD)) };
        let child = child.map_err(|errno| {
            StartError::Failed(format!("cannot start a process: {}", helper::why_none(errno)))
        })?;
        let Some(errno) = exec_error else {
            warn_of(self.flaw.get(), Path::new(&self.name));
            return Ok(child.as_raw());
        };
        let _ = waitpid(child, None);
        // What is said of a file is said from here.
        let _ = directory.as_ref().map(fchdir);
        if let Some(tty) = tty {
            tty.give_back(child.as_raw());
        }
        Err(self.failure(errno))
    }

    /// In the child: executes the program with what we inherited, or returns the error.
    pub fn run(&self, environment: &[&CStr], inherited: &Inherited) -> Result<Infallible, Errno> {
        set_mask(inherited.mask);
        self.execute(environment)
    }

    /// The file that is to be executed; an error where none of that name can be. What is wrong with a
    /// script is a warning.
    pub fn check(&self, depth: Depth) -> Result<&Path, StartError> {
        let file = self.find(match depth {
            Depth::Name => executable::may_be_executed,
            Depth::File => executable::check,
        })?;
        warn_of(executable::flaw(&head(file)), file);
        Ok(file)
    }

    /// The first file that this finds right, in the order of PATH and with the errors of `execute`.
    fn find(&self, check: fn(&Path) -> Result<(), Errno>) -> Result<&Path, StartError> {
        let mut why_not = Errno::ENOENT;
        for file in self.candidates.iter().map(|file| path(file)) {
            match check(file) {
                Ok(()) => return Ok(file),
                Err(Errno::ENOENT | Errno::ENOTDIR) => {}
                Err(Errno::EACCES) => why_not = Errno::EACCES,
                Err(other) => return Err(self.failure(other)),
            }
        }
        Err(self.failure(why_not))
    }

    /// Tries the files in their order, as execvp(3) does. A script without a `#!` line is run by sh, as
    /// a shell and glibc do, and musl does not.
    fn execute(&self, environment: &[&CStr]) -> Result<Infallible, Errno> {
        let mut denied = false;
        for file in &self.candidates {
            match execve(file, &self.arguments, environment) {
                Err(Errno::ENOENT | Errno::ENOTDIR) => {}
                Err(Errno::EACCES) => denied = true,
                Err(Errno::ENOEXEC) if executable::is_text(&head(path(file))) => {
                    self.flaw.set(executable::flaw(&head(path(file))));
                    let mut arguments = vec![c"sh".to_owned(), file.clone()];
                    arguments.extend(self.arguments.iter().skip(1).cloned());
                    return execve(c"/bin/sh", &arguments, environment);
                }
                other => return other,
            }
        }
        Err(if denied { Errno::EACCES } else { Errno::ENOENT })
    }

    /// Explains a failed exec to the user.
    pub fn failure(&self, errno: Errno) -> StartError {
        let mut found = self.candidates.iter().map(|file| path(file));
        let found = found.find_map(|file| Some((file, file.metadata().ok()?)));
        let name = found.as_ref().map_or(Path::new(&self.name), |(file, _)| file).display();
        let has_slash = self.name.as_bytes().contains(&b'/');
        let why = match (errno, &found) {
            (Errno::ENOENT | Errno::ENOTDIR, Some((file, _))) => what_it_lacks(file),
            (Errno::ENOENT | Errno::ENOTDIR, None) if has_slash => {
                format!("no such file{}", self.remedy())
            }
            // With EACCES it may be in a folder of PATH that we may not search.
            (Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES, None) if !has_slash => {
                format!("not found in PATH{}", self.remedy())
            }
            (_, Some((_, metadata))) if metadata.is_dir() => "it is a directory".into(),
            (Errno::EACCES, Some((_, metadata))) if metadata.permissions().mode() & 0o111 == 0 => {
                "it is not executable (chmod +x)".into()
            }
            (Errno::ENOEXEC, _) => {
                "it is no program for this machine (built for another one, or damaged?)".into()
            }
            _ => errno.desc().into(),
        };
        let text = match self.name.is_empty() {
            true => "the command to run is empty".into(),
            false => format!("cannot run {name}: {why}"),
        };
        match errno {
            Errno::ENOENT | Errno::ENOTDIR => StartError::NotFound(text),
            Errno::EACCES if found.is_none() && !has_slash => StartError::NotFound(text),
            _ => StartError::NotExecutable(text),
        }
    }

    /// What was probably meant by a name that no file has.
    fn remedy(&self) -> String {
        const DASHES: [char; 3] = ['-', '\u{2013}', '\u{2014}'];
        const QUOTES: [char; 6] = ['"', '\'', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}'];
        const BUILTINS: [&str; 4] = ["cd", "exec", "export", "source"];
        const OURS: [&str; 3] = ["help", "version", "check"];
        let name = self.name.to_string_lossy();
        if name.starts_with(DASHES) {
            "; options of reprieve come before the --, or are variables (REPRIEVE_DELAY=5s for \
             --delay 5s)"
                .into()
        } else if name.starts_with('[') {
            "; it is a list that was taken for text (as a CMD, Docker takes one with double quotes \
             alone)"
                .into()
        } else if name.contains(char::is_whitespace) {
            let bare = name.split_whitespace().map(|word| word.trim_matches(QUOTES));
            let words: Vec<_> = bare.map(|word| format!("\"{word}\"")).collect();
            format!(
                "; it is one word with spaces in it: write separate words, {}",
                words.join(", ")
            )
        } else if name.starts_with(QUOTES) {
            "; leave the quotes out".into()
        } else if name.starts_with("REPRIEVE_") {
            "; a variable is set before the image, or before reprieve".into()
        } else if name.contains(['$', '=']) || BUILTINS.contains(&&*name) {
            "; only a shell understands that: write sh -c '...', with exec before the app".into()
        } else if OURS.contains(&&*name) {
            format!("; did you mean --{name}?")
        } else {
            String::new()
        }
    }
}

fn warn_of(flaw: Option<&str>, file: &Path) {
    if let Some(flaw) = flaw {
        warn!(event = "flawed_script", "{}: {flaw}", file.display());
    }
}

/// Why a file that is there is not found when it is executed.
fn what_it_lacks(file: &Path) -> String {
    let head = head(file);
    match executable::interpreter(&head) {
        Some(interpreter) => {
            let interpreter = String::from_utf8_lossy(interpreter);
            let is_of_windows = interpreter.ends_with('\r');
            let remedy = if is_of_windows { " (save it with Unix line ends)" } else { "" };
            format!("its interpreter {} does not exist{remedy}", interpreter.escape_debug())
        }
        None if executable::is_text(&head) => "it has no #! line, and there is no /bin/sh".into(),
        None => "the dynamic loader that it asks for does not exist".into(),
    }
}

/// By these systemd names the process that is to take its descriptors (sd_listen_fds(3)), or to send
/// it signs of life (sd_watchdog_enabled(3)). Any other process ignores them.
const NAME_A_PID: [&[u8]; 2] = [b"LISTEN_PID=", b"WATCHDOG_PID="];

/// Names the same process as `LISTEN_PID` by the inode of its pidfd, which sd_listen_fds(3) compares
/// where it is set. That of the app is not known here, so it goes where the other is changed.
const PIDFD_ID: &[u8] = b"LISTEN_PIDFDID=";

/// In the app's process just before exec: the environment with its pid in those of systemd's variables
/// that name us. What is made is never freed.
fn readdressed<'a>(environment: &'a [&'a CStr]) -> Cow<'a, [&'a CStr]> {
    if !environment.iter().any(|entry| pid_in(entry).is_some()) {
        return Cow::Borrowed(environment);
    }
    let us = getppid().to_string();
    let named_by = |entry| pid_in(entry).filter(|(_, pid)| *pid == us.as_bytes());
    let to_listen =
        environment.iter().any(|e| named_by(e).is_some_and(|(n, _)| n == NAME_A_PID[0]));
    let is_kept = |entry: &&&CStr| !(to_listen && entry.to_bytes().starts_with(PIDFD_ID));
    let readdressed = environment.iter().filter(is_kept).map(|entry| match named_by(entry) {
        Some((name, _)) => {
            let renamed = c_string(&[name, getpid().to_string().as_bytes()].concat());
            &*Box::leak(renamed.into_boxed_c_str())
        }
        None => *entry,
    });
    readdressed.collect()
}

/// The pid in an entry of the environment that is one of systemd's variables, and which of them it is.
fn pid_in(entry: &CStr) -> Option<(&'static [u8], &[u8])> {
    NAME_A_PID.into_iter().find_map(|name| Some((name, entry.to_bytes().strip_prefix(name)?)))
}

/// The files that a name stands for: one in each folder of PATH, or itself if it contains a slash.
fn candidates(name: &[u8], path: &[u8]) -> Vec<CString> {
    if name.contains(&b'/') {
        return vec![c_string(name)];
    }
    if name.is_empty() {
        return Vec::new();
    }
    let in_folder = |folder: &[u8]| match folder {
        b"" => c_string(&[b"./", name].concat()),
        [.., b'/'] => c_string(&[folder, name].concat()),
        _ => c_string(&[folder, b"/", name].concat()),
    };
    path.split(|byte| *byte == b':').map(in_folder).collect()
}

fn path(file: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(file.to_bytes()))
}

/// The words came from the kernel as C strings, so none contains a NUL.
fn c_string(text: &[u8]) -> CString {
    CString::new(text).unwrap_or_default()
}
