//! The way into the namespaces of an init from outside.

use std::process::Command;

use super::init::Run;

impl Run {
    /// A command that enters some namespaces of the init, and lacks the program and its words.
    pub fn nsenter(&self, namespaces: &[&str]) -> Command {
        let pid = self.pid().to_string();
        let mut command = Command::new("nsenter");
        command.args(["--target", &pid]).args(namespaces);
        if !nix::unistd::geteuid().is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command
    }
}
