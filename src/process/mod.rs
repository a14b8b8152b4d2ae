//! Processes: our own, the app, and what it starts; how signals reach us, and the terminal.

pub mod family;
pub mod filter;
pub mod helper;
pub mod inherited;
pub mod orphans;
pub mod proc;
pub mod send;
pub mod shell;
pub mod spawn;
pub mod target;
pub mod topmost;
pub mod tty;
pub mod wait;
