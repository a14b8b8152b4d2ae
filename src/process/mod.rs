//! Processes: our own, the app, and what it starts; how signals reach us, and the terminal.
//!
//! - `inherited.rs`: what we got from our parent, for the app.
//! - `orphans.rs`: that orphans come to us.
//! - `executable.rs`: what a file is that is to be executed.
//! - `spawn.rs`: from the new process to exec.
//! - `wait.rs`: the one wait, for a signal or a deadline.
//! - `family.rs`: the main child and all that descends from us: reap, forward, sweep, kill.
//! - `topmost.rs`: who is to hear a stop signal, once each.
//! - `filter.rs`: who has to wait until others have ended that write to it.
//! - `shell.rs`: which shell a process is, and what that does with a signal.
//! - `reap.rs`: what the kernel says of our children.
//! - `killed.rs`: whom SIGKILL has ended.
//! - `slice.rs`: how long we run at a time.
//! - `send.rs`: how a signal is sent.
//! - `target.rs`: whom a signal went to, as plain values.
//! - `proc.rs`: what /proc says of a process.
//! - `helper.rs`, `helpers.rs`: processes of ours beside the app: how one is started, and those that run.
//! - `tty.rs`: the foreground process group and job control.

pub mod executable;
pub mod family;
pub mod filter;
pub mod helper;
pub mod helpers;
pub mod inherited;
pub mod killed;
pub mod orphans;
pub mod proc;
pub mod reap;
pub mod send;
pub mod shell;
pub mod slice;
pub mod spawn;
pub mod target;
pub mod topmost;
pub mod tty;
pub mod wait;
