//! Speaks the kernel's sock_diag protocol over netlink: lists the sockets of our network namespace,
//! with how many bytes came in on each, and receives an event for each that ends. The kernel
//! answers without any capability (sock_diag(7); for the messages netlink(7)).
//!
//! - `dump.rs`: lists the sockets that are there
//! - `events.rs`: receives an event for each TCP socket of some ports that ends
//! - `filter.rs`: the programs by which the kernel leaves out other ports; pure
//! - `inet.rs`, `unix.rs`: the messages about TCP and UDP sockets, and about Unix sockets; pure
//! - `message.rs`: the frames of netlink that they are in; pure
//! - `netlink.rs`: a socket of netlink
//!
//! Nothing here waits, and no length in a message is trusted.

mod dump;
mod events;
mod filter;
#[cfg(any(fuzzing, test))]
pub mod fuzz;
mod inet;
mod message;
mod netlink;
mod unix;

pub use crate::traffic::sock_diag::dump::DumpSocket;
pub use crate::traffic::sock_diag::events::EventSocket;
pub use crate::traffic::sock_diag::unix::UnixSocket;

#[cfg(test)]
pub use crate::traffic::sock_diag::events::tests::shrink_buffer;
