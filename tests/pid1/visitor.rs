//! Programs that enter the namespaces of an init from outside.

use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use crate::programs::{network, proxy};
use crate::shared::init::Run;
pub use crate::shared::visitor::Visitor;

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
        Visitor::start(self.nsenter(namespaces).args(words).stdin(stdin).stderr(Stdio::null()))
    }
}

impl Visitor {
    /// All that it says until its end.
    pub fn rest(mut self) -> String {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("text");
        rest
    }
}
