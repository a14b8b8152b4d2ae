//! `docker run -it` on a pseudo-terminal, as a person has it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::libc;
use nix::pty::Winsize;
use nix::sys::termios::{Termios, tcgetattr};

use crate::harness::{Setup, busybox, debian, docker, eventually, output, scratch};
use crate::shared::terminal;

/// A person at a terminal, who runs `docker run -it`.
struct Person {
    master: File,
    /// Held open, so that the terminal can be looked at when docker has gone.
    slave: OwnedFd,
    before: Termios,
    docker: Child,
    name: String,
    screen: Arc<Mutex<String>>,
    read_to: usize,
}

impl Person {
    fn runs(setup: Setup, app: &[&str]) -> Person {
        let (words, name) = setup.line(&["--interactive", "--tty", "--rm"], app);
        let (master, slave) = terminal::open();
        resize(&master, 24, 80);
        let before = tcgetattr(&slave).expect("its settings");
        let mut command = Command::new("docker");
        let [stdin, stdout, stderr] = [(); 3].map(|()| slave.try_clone().expect("a copy"));
        command.args(words).stdin(stdin).stdout(stdout).stderr(stderr);
        // SAFETY: both calls are allowed between fork and exec.
        unsafe {
            command.pre_exec(|| {
                nix::unistd::setsid()?;
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        let docker = command.spawn().expect("docker run");
        let screen = Arc::new(Mutex::new(String::new()));
        let (mut reader, shown) = (master.try_clone().expect("a copy"), screen.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]);
                shown.lock().expect("a lock").push_str(&text);
            }
        });
        Person { master, slave, before, docker, name, screen, read_to: 0 }
    }

    fn types(&self, keys: &str) {
        (&self.master).write_all(keys.as_bytes()).expect("a terminal");
    }

    /// Waits until this is on the screen, below all that was waited for before.
    #[track_caller]
    fn sees(&mut self, part: &str) {
        let give_up_at = Instant::now() + Duration::from_mins(1);
        loop {
            let screen = self.screen.lock().expect("a lock");
            if let Some(at) = screen[self.read_to..].find(part) {
                self.read_to += at + part.len();
                return;
            }
            let in_time = Instant::now() < give_up_at;
            let shown = screen.clone();
            drop(screen);
            assert!(in_time, "waited in vain for {part:?}; the screen:\n{shown}");
            // The pace of looking.
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn resizes(&self, rows: u16, columns: u16) {
        resize(&self.master, rows, columns);
    }

    /// Waits for the end of docker, and looks whether the terminal is as it was.
    #[track_caller]
    fn leaves(mut self) -> (i32, String) {
        let status = eventually("docker run ends", || self.docker.try_wait().expect("a child"));
        let after = tcgetattr(&self.slave).expect("its settings");
        assert_eq!(after, self.before);
        (status.code().unwrap_or(-1), self.screen.lock().expect("a lock").clone())
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = docker(["rm", "--force", "--volumes", &self.name]).output();
        let _ = self.docker.kill();
        let _ = self.docker.wait();
    }
}

fn resize(terminal: &File, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel reads one structure.
    let set = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &size) };
    assert_eq!(set, 0);
}

/// A program that shows that it reads.
const READER: &str = "sh -c 'echo re\"ady\"; while read line; do echo \"heard $line\"; done'\n";

/// What is typed is echoed, so the words that are waited for are typed in pieces; and each key
/// waits until the one before it has had its effect.
fn job_control(setup: Setup, shell: &[&str]) {
    let mut person = Person::runs(setup.variable("PS1", "% "), shell);
    person.sees("% ");
    person.types("sh -c 'echo sl\"eeps\"; exec sleep 1000'\n");
    person.sees("sleeps");
    person.types("\x03");
    person.sees("% ");
    person.types(READER);
    person.sees("ready");
    person.types("one\n");
    person.sees("heard one");
    // The shell lives on, and the stopped job can be continued.
    person.types("\x1a");
    person.sees("Stopped");
    person.sees("% ");
    person.types("echo sh'ell'\n");
    person.sees("shell\r\n");
    person.types("fg\n");
    person.sees("sh -c");
    person.types("two\n");
    person.sees("heard two");
    person.types("\x04");
    person.sees("% ");
    person.types("sh -c 'echo b\"ack\"; exec sleep 1000' &\n");
    person.sees("back");
    person.types("jobs\n");
    person.sees("Running");
    person.types("kill %1; wait; echo jo'bs'\n");
    person.sees("jobs\r\n");
    person.types("exit 7\n");
    let (code, screen) = person.leaves();
    assert_eq!(code, 7, "{screen}");
    assert!(!screen.contains("reprieve: "), "{screen}");
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn job_control_works_in_busybox_sh() {
    job_control(busybox(), &["sh"]);
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn job_control_works_in_bash() {
    job_control(debian(), &["bash", "--norc"]);
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn the_size_of_the_window_reaches_the_app() {
    let watch = "trap 'stty size' WINCH; stty size; echo ready; while :; do sleep 0.05; done";
    let mut person = Person::runs(busybox(), &["sh", "-c", watch]);
    person.sees("ready");
    // docker sets the first size a little after the start.
    eventually("the first size", || {
        person.screen.lock().expect("a lock").contains("24 80\r\n").then_some(())
    });
    person.resizes(40, 132);
    person.sees("40 132\r\n");
    person.types("\x03");
    assert_eq!(person.leaves().0, 130);
}

/// ^C goes to the app and is no shutdown of ours; an app that ^Z stopped is continued, since
/// nobody else could.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn keys_reach_an_app_without_a_shell() {
    let app = ["/fixture", "listen", "--until", "SIGQUIT"];
    let mut person = Person::runs(scratch().delay("30s").grace_period("60s"), &app);
    person.sees("ready");
    person.types("\x03");
    person.sees("got SIGINT");
    person.types("\x1a");
    person.sees("got SIGTSTP");
    person.types("\x1c");
    person.sees("got SIGQUIT");
    let (code, screen) = person.leaves();
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains("reprieve: "), "{screen}");

    let mut person = Person::runs(busybox(), &["cat"]);
    person.types("one\n");
    person.sees("one\r\none\r\n");
    person.types("\x1a");
    person.types("two\n");
    person.sees("two\r\ntwo\r\n");
    person.types("\x03");
    let (code, screen) = person.leaves();
    assert_eq!(code, 130, "{screen}");
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_terminal_is_usable_after_a_stop_from_elsewhere() {
    let mut person =
        Person::runs(busybox().delay("1s").grace_period("4s").variable("PS1", "% "), &["sh"]);
    person.sees("% ");
    // As under docker alone, it is an interactive shell that hears SIGTERM, and ignores it.
    person.types("/fixture listen; true\n");
    person.sees("ready");
    output(&mut docker(["stop", "--time", "10", &person.name]));
    person.sees("forwarding it at +1s");
    person.sees("report: ");
    assert_eq!(person.leaves().0, 137);
}
