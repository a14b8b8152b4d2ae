//! The traffic that comes in while a stop signal is held back.

pub mod proc_net;
pub mod quiet;
pub mod sock_diag;
pub mod socket;
pub mod sources;
pub mod watch;
