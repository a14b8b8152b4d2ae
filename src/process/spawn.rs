//! Starts a program: finds its file, creates the process of the app, and executes the program in it
//! (or in a helper, for a hook); and explains why that failed.
//!
//! Neither posix_spawn nor std's `Command` gives the child exactly what we inherited, or the terminal
//! before it reads. So we use clone(2) as vfork(2) does: the child runs in our memory while we sleep.
//! That saves the copy of our page tables, and the child can leave us the error of a failed exec in a
//! variable. There is one thread, and all signals are blocked.

use std::borrow::Cow;
use std::convert::Infallible;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, clone};
use nix::sys::wait::waitpid;
use nix::unistd::{AccessFlags, Pid, access, execve, fchdir, getpid, getppid, setpgid};

use crate::exit::StartError;
use crate::process::inherited::{self, Inherited, set_mask};
use crate::process::tty::Tty;

/// Where a name without a slash is looked for when there is no PATH.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The size in bytes of the stack on which the child runs until it executes the app; the pages that it
/// does not touch cost nothing.
const STACK: usize = 128 * 1024;

/// A command, ready to be executed.
pub struct Program {
    name: OsString,
    /// The files to try, in the order of PATH.
    candidates: Vec<CString>,
    arguments: Vec<CString>,
}

impl Program {
    /// The program that the first word names, with all of the words as its arguments (from `argv[0]`
    /// on). It is searched in the PATH of the environment, unless it contains a slash.
    pub fn new<S: AsRef<OsStr>>(words: &[S], environment: &[&CStr]) -> Program {
        let name = words.first().map(|word| word.as_ref().to_owned()).unwrap_or_default();
        let path = inherited::value(environment, "PATH").unwrap_or(DEFAULT_PATH);
        let candidates = candidates(name.as_bytes(), path);
        let arguments = words.iter().map(|word| c_string(word.as_ref().as_bytes())).collect();
        Program { name, candidates, arguments }
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
            StartError::Failed(format!("cannot start a process: {}", errno.desc()))
        })?;
        let Some(errno) = exec_error else {
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

    /// An error where no file of that name can be executed. Other errors, as a missing interpreter, are
    /// found only by exec.
    pub fn check(&self) -> Result<(), StartError> {
        let mut why_not = Errno::ENOENT;
        for file in &self.candidates {
            let is_folder = path(file).is_dir();
            match access(file.as_c_str(), AccessFlags::X_OK) {
                Ok(()) if !is_folder => return Ok(()),
                Ok(()) | Err(Errno::EACCES) => why_not = Errno::EACCES,
                Err(_) => {}
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
                Err(Errno::ENOEXEC) if is_text(path(file)) => {
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
            (Errno::ENOENT | Errno::ENOTDIR, Some((file, _))) => match interpreter(file) {
                Some(interpreter) => format!("its interpreter {interpreter} does not exist"),
                None if is_text(file) => "it has no #! line, and there is no /bin/sh".into(),
                None => "the dynamic loader that it asks for does not exist".into(),
            },
            (Errno::ENOENT | Errno::ENOTDIR, None) if has_slash => "no such file".into(),
            // With EACCES it may be in a folder of PATH that we may not search.
            (Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES, None) if !has_slash => {
                "not found in PATH".into()
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

/// Whether a file that the kernel refused may be a script. In a program for another machine there is
/// a NUL in what would be the first line.
fn is_text(file: &Path) -> bool {
    let head = head(file);
    !head.split(|byte| *byte == b'\n').next().unwrap_or(&head).contains(&0)
}

/// The interpreter that a script names after `#!`.
fn interpreter(file: &Path) -> Option<String> {
    let head = head(file);
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    // A script that was written on Windows names "sh\r".
    let name = line.trim_matches([' ', '\t']).split([' ', '\t']).next()?;
    Some(name.escape_debug().to_string())
}

/// The first 256 bytes of a file: the kernel reads no more of it to see what it is (BINPRM_BUF_SIZE in
/// linux/binfmts.h).
fn head(file: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    if let Ok(file) = File::open(file) {
        let _ = file.take(256).read_to_end(&mut head);
    }
    head
}
