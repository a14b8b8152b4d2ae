//! A pseudo-terminal: a program that leads the session on it, and the person before it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use nix::libc;
use nix::unistd::setsid;

use crate::harness::*;
use crate::shared::terminal;

/// The keys of a person.
pub const CTRL_C: &str = "\x03";
pub const CTRL_Z: &str = "\x1a";
pub const CTRL_BACKSLASH: &str = "\x1c";

pub struct Pty {
    master: Option<File>,
    child: Child,
    /// All that was written to the terminal, and into the pipe beside it, if there is one.
    said: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

/// Where the program's stdout and stderr go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Output {
    Terminal,
    /// A pipe, so that they survive the terminal.
    Pipe,
}

impl Pty {
    /// Starts a program as the leader of a session on a new terminal that echoes nothing.
    pub fn start(command: Command, output: Output) -> Pty {
        Pty::launch(command, output, true)
    }

    /// Starts a program whose child is to be the leader: only root could take the terminal from
    /// the session of its parent.
    pub fn start_below(command: Command) -> Pty {
        Pty::launch(command, Output::Terminal, false)
    }

    fn launch(mut command: Command, output: Output, controls: bool) -> Pty {
        let (master, slave) = terminal::open();
        without_echo(&slave);
        let end = || Stdio::from(slave.try_clone().expect("a descriptor"));
        command.stdin(end());
        let said = Arc::new(Mutex::new(Vec::new()));
        let reader = match output {
            Output::Terminal => {
                command.stdout(end()).stderr(end());
                collect(&said, master.try_clone().expect("a descriptor"))
            }
            // A reader would keep the terminal from hanging up.
            Output::Pipe => {
                let (reader, writer) = std::io::pipe().expect("a pipe");
                command.stdout(writer.try_clone().expect("a pipe")).stderr(writer);
                collect(&said, reader)
            }
        };
        drop(slave);
        ignore_nothing(&mut command);
        // SAFETY: both calls are allowed between fork and exec.
        unsafe {
            command.pre_exec(move || {
                setsid()?;
                if !controls {
                    return Ok(());
                }
                match libc::ioctl(0, libc::TIOCSCTTY, 0) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        // The command holds the other side.
        drop(command);
        Pty { master: Some(master), child, said, reader }
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// A person types this.
    pub fn types(&self, keys: &str) {
        let mut master = self.master.as_ref().expect("a terminal");
        master.write_all(keys.as_bytes()).expect("a terminal");
    }

    /// Closes the terminal, as a lost connection does. Only with the output in a pipe.
    pub fn hangs_up(&mut self) {
        self.master = None;
    }

    pub fn resizes(&self, rows: u16, columns: u16) {
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let master = self.master.as_ref().expect("a terminal").as_raw_fd();
        // SAFETY: the kernel reads one structure, as told.
        assert_eq!(unsafe { libc::ioctl(master, libc::TIOCSWINSZ, &raw const size) }, 0);
    }

    /// The terminal's foreground process group.
    pub fn foreground(&self) -> i32 {
        let master = self.master.as_ref().expect("a terminal");
        nix::unistd::tcgetpgrp(master).map_or(0, nix::unistd::Pid::as_raw)
    }

    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().expect("a lock")).replace('\r', "")
    }

    pub fn times(&self, part: &str) -> usize {
        self.said().matches(part).count()
    }

    #[track_caller]
    pub fn hears(&self, part: &str) {
        self.hears_times(part, 1);
    }

    #[track_caller]
    pub fn hears_times(&self, part: &str, n: usize) {
        let what = || format!("{n} times {part:?}; was said:\n{}", self.said());
        eventually_or(what, || (self.times(part) >= n).then_some(()));
    }

    /// The pid that a listening fixture said.
    pub fn ready(&self, name: &str) -> i32 {
        let before = format!("{name}ready ");
        self.hears(&before);
        eventually("a whole line", || {
            let said = self.said();
            let (_, rest) = said.split_once(&before)?;
            rest.split_once('\n')?.0.parse().ok()
        })
    }

    /// Waits until this group is in the foreground.
    #[track_caller]
    pub fn foreground_becomes(&self, group: i32) {
        let what = || {
            format!(
                "{group} in the foreground, not {}; was said:\n{}",
                self.foreground(),
                self.said()
            )
        };
        eventually_or(what, || (self.foreground() == group).then_some(()));
    }

    /// Waits for the program's end, and returns its exit code and all that was said.
    pub fn ends(mut self) -> (i32, String) {
        let child = &mut self.child;
        let said = self.said.clone();
        let what = || {
            let said = said.lock().expect("a lock");
            format!("the end; was said:\n{}", String::from_utf8_lossy(&said))
        };
        let status = eventually_or(what, || child.try_wait().expect("a child"));
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        // Its last words are read when nobody holds the other side any more.
        eventually("the end of the output", || self.reader.is_finished().then_some(()));
        (code, self.said())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // All of the session, whatever its groups.
        let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let ours = nix::unistd::Pid::from_raw(self.pid());
        for pid in pids {
            if nix::unistd::getsid(Some(nix::unistd::Pid::from_raw(pid))) == Ok(ours) {
                send(pid, libc::SIGKILL);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(said: &Arc<Mutex<Vec<u8>>>, mut from: impl Read + Send + 'static) -> JoinHandle<()> {
    let said = said.clone();
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        // A terminal whose other side is closed answers EIO.
        while let Ok(length @ 1..) = from.read(&mut piece) {
            said.lock().expect("a lock").extend_from_slice(&piece[..length]);
        }
    })
}

fn without_echo(slave: &OwnedFd) {
    use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
    let mut modes = tcgetattr(slave).expect("a terminal");
    modes.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(slave, SetArg::TCSANOW, &modes).expect("a terminal");
}
