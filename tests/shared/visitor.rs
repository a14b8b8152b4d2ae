//! A program that a test talks with, line by line.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

/// One that came in from outside, or stands beside an init; it goes with the test.
pub struct Visitor {
    child: Child,
    pub stdout: BufReader<ChildStdout>,
}

impl Visitor {
    #[track_caller]
    pub fn start(command: &mut Command) -> Visitor {
        let child = command.stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Visitor { child, stdout }
    }

    /// The next line that it says.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        let length = self.stdout.read_line(&mut line).expect("a line");
        assert!(length > 0, "the visitor has gone");
        line.trim_end().to_owned()
    }

    /// Asks it for something, and waits until it is done.
    pub fn does(&mut self, what: &str) {
        assert!(self.tries(what), "it cannot {what}");
    }

    /// Gives it a line; whether it is there.
    pub fn tell(&mut self, what: &str) -> bool {
        let stdin = self.child.stdin.as_mut().expect("one that listens");
        writeln!(stdin, "{what}").is_ok()
    }

    /// The same as [`Visitor::does`], where it may end instead.
    pub fn tries(&mut self, what: &str) -> bool {
        let mut line = String::new();
        self.tell(what) && self.stdout.read_line(&mut line).is_ok() && line.trim_end() == what
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
