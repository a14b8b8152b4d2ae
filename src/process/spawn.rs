//! From the new process to exec: for the app, and the last steps of it for hooks.
//!
//! Neither posix_spawn nor std's `Command` gives the child exactly what we inherited, and the
//! terminal before it reads. So it is clone(2) as in vfork(2): the child runs in our memory while
//! we sleep. That saves the copy of our page tables, and tells us without a pipe why an exec
//! failed. There is one thread, and all signals are blocked.

use std::convert::Infallible;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, clone};
use nix::sys::wait::waitpid;
use nix::unistd::{AccessFlags, Pid, access, execve, getpid, setpgid};

use crate::exit::StartError;
use crate::process::inherited::{Inherited, set_mask};
use crate::process::tty::Tty;

/// Where a name without a slash is looked for when there is no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the child needs until it executes the app. It is of our own stack, where clap was before:
/// no page of it is new.
const STACK: usize = 32 * 1024;

/// A command, ready to be executed.
pub struct Program {
    name: OsString,
    /// The files that may be meant, in the order of PATH.
    candidates: Vec<CString>,
    arguments: Vec<CString>,
}

impl Program {
    /// A command with its arguments; the first word is looked for in PATH unless it has a slash.
    pub fn new<S: AsRef<OsStr>>(words: &[S]) -> Program {
        let name = words.first().map(|word| word.as_ref().to_owned()).unwrap_or_default();
        let candidates = candidates(&name).iter().map(|file| c_string(file)).collect();
        let arguments = words.iter().map(|word| c_string(word.as_ref())).collect();
        Program { name, candidates, arguments }
    }

    /// Starts it in a process group of its own, and returns once it executes. The terminal, where
    /// one is given, has its group in the foreground before it runs.
    // Inlined, it would have its stack with us for good.
    #[inline(never)]
    pub fn spawn(
        &self,
        environment: &[&CStr],
        inherited: &Inherited,
        tty: Option<&Tty>,
    ) -> Result<i32, StartError> {
        // Who is to take the descriptors of socket activation (sd_listen_fds(3)): the app is.
        let names_us = |entry: &&CStr| {
            let pid = entry.to_bytes().strip_prefix(b"LISTEN_PID=");
            pid.is_some_and(|pid| pid == getpid().to_string().as_bytes())
        };
        let listener = environment.iter().position(names_us);
        let mut verdict = None;
        let become_app = || {
            // A new process can always have a group of its own.
            let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
            if let Some(tty) = tty {
                tty.take();
            }
            let it: CString;
            let mut environment = environment.to_vec();
            if let Some(index) = listener {
                it = CString::new(format!("LISTEN_PID={}", getpid())).unwrap_or_default();
                environment[index] = &it;
            }
            let Err(errno) = self.run(&environment, inherited);
            verdict = Some(errno);
            0
        };
        let mut stack = [0; STACK];
        let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
        // SAFETY: there is one thread, and it sleeps until the child has executed the app or has
        // ended; meanwhile the child has our memory to itself, and a stack of its own. What it
        // allocates for exec stays ours for good: some hundred bytes, once. What it changes else
        // (signal actions, the mask, descriptors) is its own.
        let child = unsafe { clone(Box::new(become_app), &mut stack, flags, Some(libc::SIGCHLD)) };
        let child = child.map_err(|errno| {
            StartError::Failed(format!("cannot start a process: {}", errno.desc()))
        })?;
        let Some(errno) = verdict else {
            return Ok(child.as_raw());
        };
        let _ = waitpid(child, None);
        if let Some(tty) = tty {
            tty.give_back(child.as_raw());
        }
        Err(self.failure(errno))
    }

    /// In the child: becomes the command, with what we inherited, or returns why not.
    pub fn run(&self, environment: &[&CStr], inherited: &Inherited) -> Result<Infallible, Errno> {
        set_mask(inherited.mask);
        self.execute(environment)
    }

    /// Whether there is a file that can be executed: what else may be wrong is seen at exec alone.
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

    /// Tries the files in their order, as execvp(3) does with both C libraries, which differ in
    /// what they do with a script that has no `#!`: as from a shell, sh runs it.
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

    /// What to tell about a failed exec.
    pub fn failure(&self, errno: Errno) -> StartError {
        let found = self.candidates.iter().map(|file| path(file));
        let found = found.filter_map(|file| Some((file, file.metadata().ok()?))).next();
        let name = found.as_ref().map_or(Path::new(&self.name), |(file, _)| file).display();
        let has_slash = self.name.as_bytes().contains(&b'/');
        let why = match (errno, &found) {
            (Errno::ENOENT | Errno::ENOTDIR, Some((file, _))) => match interpreter(file) {
                Some(interpreter) => format!("its interpreter {interpreter} does not exist"),
                None if is_text(file) => "it has no #! line, and there is no /bin/sh".into(),
                None => "the dynamic loader that it asks for does not exist".into(),
            },
            (Errno::ENOENT | Errno::ENOTDIR, None) if has_slash => "no such file".into(),
            // Or in a folder of PATH that we may not look into.
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

fn candidates(name: &OsStr) -> Vec<OsString> {
    if name.as_bytes().contains(&b'/') {
        return vec![name.to_owned()];
    }
    if name.is_empty() {
        return Vec::new();
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    let in_folder = |folder: &[u8]| match folder {
        b"" => Path::new(".").join(name).into_os_string(),
        _ => Path::new(OsStr::from_bytes(folder)).join(name).into_os_string(),
    };
    path.as_bytes().split(|byte| *byte == b':').map(in_folder).collect()
}

fn path(file: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(file.to_bytes()))
}

/// The words came from the kernel as C strings: no NUL can be in them.
fn c_string(text: &OsStr) -> CString {
    CString::new(text.to_owned().into_vec()).unwrap_or_default()
}

/// Whether a file that the kernel refused may be a script: no program has a NUL in its first line.
fn is_text(file: &Path) -> bool {
    let head = head(file);
    !head.split(|byte| *byte == b'\n').next().unwrap_or(&head).contains(&0)
}

/// What the first line of a script names after `#!`.
fn interpreter(file: &Path) -> Option<String> {
    let head = head(file);
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    // A script that was written on Windows names "sh\r".
    let name = line.trim_matches([' ', '\t']).split([' ', '\t']).next()?;
    Some(name.escape_debug().to_string())
}

/// As much of a file as the kernel looks at (BINPRM_BUF_SIZE in linux/binfmts.h).
fn head(file: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    if let Ok(file) = File::open(file) {
        let _ = file.take(256).read_to_end(&mut head);
    }
    head
}
