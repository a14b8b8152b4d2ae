//! An init under test: how it is started, what it and its app write, and how it ends.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::libc;

use super::ended::{APP, Ended, LOG};
use super::namespaces::need_pid_namespaces;
use super::said::{Line, Said, show};
use super::waiting::{eventually, eventually_or};

/// An init that is to be started.
pub struct Init {
    /// As PID 1 of a PID namespace of its own, or else as an ordinary process: a subreaper.
    pub is_pid1: bool,
    pub program: PathBuf,
    pub options: Vec<OsString>,
    pub variables: Vec<(String, String)>,
    /// What executes the init.
    pub prelude: Vec<OsString>,
    /// In place of a pipe that is read.
    pub stderr: Option<Stdio>,
}

/// Our binary as PID 1 of a PID namespace.
pub fn pid1() -> Init {
    Init::new(true, env!("CARGO_BIN_EXE_reprieve").into())
}

impl Init {
    pub fn new(is_pid1: bool, program: PathBuf) -> Init {
        let (options, variables, prelude) = (vec![], vec![], vec![]);
        Init { is_pid1, program, options, variables, prelude, stderr: None }
    }

    /// Options of the init, split at spaces.
    pub fn options(mut self, words: &str) -> Init {
        self.options.extend(words.split_whitespace().map(OsString::from));
        self
    }

    pub fn variable(mut self, name: &str, value: &str) -> Init {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Something that changes what is inherited and then executes what follows, as
    /// `sh -c '... exec "$@"' sh`.
    pub fn through(mut self, script: &str) -> Init {
        self.prelude = ["sh", "-c", script, "sh"].map(OsString::from).to_vec();
        self
    }

    /// The words that make what follows PID 1 of a PID namespace. It ends with whoever started it, so
    /// that nothing outlives a test that somebody interrupts.
    #[track_caller]
    pub fn in_pid_namespace() -> impl Iterator<Item = &'static str> {
        need_pid_namespaces();
        let unshare = ["setpriv", "--pdeathsig=KILL", "--", "unshare", "--pid", "--fork"];
        let as_user: &[&str] =
            if nix::unistd::geteuid().is_root() { &[] } else { &["--user", "--map-root-user"] };
        let words = unshare.into_iter().chain(["--mount-proc", "--kill-child=SIGKILL"]);
        words.chain(as_user.iter().copied()).chain(["--"])
    }

    /// Starts it with any app.
    #[track_caller]
    pub fn app<W: Into<OsString>>(self, words: impl IntoIterator<Item = W>) -> Run {
        let mut line: Vec<OsString> = Vec::new();
        if self.is_pid1 {
            line.extend(Init::in_pid_namespace().map(Into::into));
        }
        line.extend(self.prelude);
        line.push(self.program.into());
        line.extend(self.options);
        line.push("--".into());
        line.extend(words.into_iter().map(Into::into));
        let mut command = Command::new(line.remove(0));
        command.args(line).envs(self.variables).env_remove("RUST_BACKTRACE");
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(self.stderr.unwrap_or_else(Stdio::piped));
        // Away from the test's process group and terminal.
        command.process_group(0);
        ignore_nothing(&mut command);
        let started_at = Instant::now();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let said = Arc::new(Said::default());
        let stdout = child.stdout.take().expect("a pipe");
        let log = match child.stderr.take() {
            Some(stderr) => said.listen(LOG, stderr),
            None => said.listen(LOG, std::io::empty()),
        };
        let readers = [said.listen(APP, stdout), log];
        Run { is_pid1: self.is_pid1, child, started_at, said, readers }
    }
}

/// Lets a program ignore no signal because we do: a shell starts what runs in the background with
/// SIGINT and SIGQUIT ignored, nohup with SIGHUP, and no shell sets a trap for such a signal.
pub fn ignore_nothing(command: &mut Command) {
    // SAFETY: signal is allowed between fork and exec (signal-safety(7)).
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        });
    }
}

/// An init that runs.
pub struct Run {
    pub is_pid1: bool,
    pub child: Child,
    pub started_at: Instant,
    pub said: Arc<Said>,
    readers: [JoinHandle<()>; 2],
}

impl Run {
    /// Waits until the app or the log has said a line with this in it, and returns that line.
    #[track_caller]
    pub fn hears(&self, part: &str) -> Line {
        self.said.hears_times(part, 1)
    }

    pub fn lines(&self) -> Vec<Line> {
        self.said.lines()
    }

    /// The pid of the init as we see it.
    pub fn pid(&self) -> i32 {
        eventually("the child of unshare", || self.pid_if_any())
    }

    /// The same, where it is not there before or after its time.
    pub fn pid_if_any(&self) -> Option<i32> {
        let us = self.child.id() as i32;
        if self.is_pid1 { children(us).first().copied() } else { Some(us) }
    }

    /// Sends a signal to the init, as an orchestrator does, and returns when.
    pub fn signal(&self, signal: i32) -> Instant {
        let pid = self.pid();
        let at = Instant::now();
        send(pid, signal);
        at
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ends(mut self) -> Ended {
        let said = self.said.clone();
        let what = || format!("its end; was said:\n{}", show(&said.lines()));
        let status = eventually_or(what, || self.child.try_wait().expect("a child"));
        let at = Instant::now();
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        // A leftover that outlives an init may hold the pipes, which else close now.
        let closes_at = at + Duration::from_secs(1);
        while !self.readers.iter().all(std::thread::JoinHandle::is_finished)
            && Instant::now() < closes_at
        {
            std::thread::yield_now();
        }
        Ended { code, started_at: self.started_at, at, lines: self.lines() }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // With --kill-child the namespace goes too; a process group of its own else.
        send(-(self.child.id() as i32), libc::SIGKILL);
        let _ = self.child.wait();
    }
}

/// The children of a process, as we see them; zombies too.
pub fn children(pid: i32) -> Vec<i32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    children.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

pub fn send(pid: i32, signal: i32) {
    // SAFETY: no pointer is involved.
    unsafe { libc::kill(pid, signal) };
}
