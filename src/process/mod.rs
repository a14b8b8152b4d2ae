//! Processes: ours, the app, and what it starts; signals as they reach us, and the terminal.

pub mod family;
pub mod fork;
pub mod helper;
pub mod inherited;
pub mod proc;
pub mod spawn;
pub mod target;
pub mod tty;
pub mod wait;
