//! The real binary as PID 1 of a real PID namespace, and as a subreaper.
//!
//! `unshare` from util-linux makes the namespace; without root it takes an unprivileged user
//! namespace, which Ubuntu 24.04 restricts (`sysctl kernel.apparmor_restrict_unprivileged_userns=0`
//! allows them). Where neither works the tests fail and show unshare's own message.

mod harness;
mod processes;
mod programs;
mod visitor;

mod commands;
mod deadlines;
mod drop_in;
mod hooks;
mod inherited;
mod laptop;
mod leftovers;
mod log;
mod memory;
mod options;
mod peers;
mod prober;
mod pty;
mod readiness;
mod rehearsal;
mod report_file;
mod reports;
mod responder;
mod shells;
mod sidecars;
mod signals;
mod starved;
mod terminal;
mod timeline;
mod topmost;
mod traffic;

#[path = "../shared"]
mod shared {
    pub mod at_once;
    pub mod ended;
    pub mod entering;
    pub mod folder;
    pub mod init;
    pub mod lateness;
    pub mod said;
    pub mod terminal;
    pub mod visitor;
    pub mod waiting;
}
