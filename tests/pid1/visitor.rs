//! Programs that enter the namespaces of an init from outside.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::programs::{network, proxy};
use crate::shared::init::Run;

impl Run {
    /// A program that enters the init's PID namespace from outside, as `docker exec` does.
    pub fn enter(&self, words: &[&str]) -> Visitor {
        self.join(&["--pid", "--mount"], words, Stdio::null())
    }

    /// A server or client in the init's network, as another container of the pod is.
    pub fn beside(&self, words: &str) -> Visitor {
        self.join_network(&network(), words)
    }

    /// A sidecar in the init's network, which listens by now.
    pub fn proxy(&self, words: &str) -> Visitor {
        let mut proxy = self.join_network(&proxy(), words);
        assert_eq!(proxy.line(), "serving");
        proxy
    }

    fn join_network(&self, program: &Path, words: &str) -> Visitor {
        let program = program.to_str().expect("a path in UTF-8");
        let words: Vec<&str> = std::iter::once(program).chain(words.split(' ')).collect();
        self.join(&["--net"], &words, Stdio::piped())
    }

    fn join(&self, namespaces: &[&str], words: &[&str], stdin: Stdio) -> Visitor {
        let pid = self.pid().to_string();
        let mut command = Command::new("nsenter");
        command.args(["--target", &pid]).args(namespaces);
        if !nix::unistd::geteuid().is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.args(words).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Visitor { child, stdout }
    }
}

/// A program that came in from outside.
pub struct Visitor {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Visitor {
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
        let stdin = self.child.stdin.as_mut().expect("one that is beside");
        writeln!(stdin, "{what}").is_ok()
    }

    /// The same as [`Visitor::does`], where it may end instead.
    pub fn tries(&mut self, what: &str) -> bool {
        let mut line = String::new();
        self.tell(what) && self.stdout.read_line(&mut line).is_ok() && line.trim_end() == what
    }

    /// All that it says until its end.
    pub fn rest(mut self) -> String {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("text");
        rest
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
