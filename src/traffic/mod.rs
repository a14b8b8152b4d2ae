//! The traffic that comes in while a stop signal is held back:
//!
//! - `watch.rs`: watches one hold: when to look, and whether traffic has stopped
//! - `quiet.rs`: counts the traffic that looks find, and knows when it will have stopped; pure
//! - `counts.rs`: what has come in since the stop signal; pure
//! - `tracked.rs`: the list of connections that `quiet.rs` keeps from look to look; pure
//! - `seen.rs`: what a report says of the traffic of a hold; pure
//! - `peers.rs`: which peers new connections come from, and which of them looks like a probe; pure
//! - `network.rs`: the peers that `--ignore-peer` names: an address or a network
//! - `gateway.rs`: whom `--ignore-peer gateway` stands for
//! - `routes.rs`: the default gateways in a table of routes; pure
//! - `last_look.rs`: a look at the connections shortly before SIGKILL
//! - `sources.rs`: lists what listens and what is connected from the best source that is permitted
//! - `listening.rs`: what the app listens on, from look to look
//! - `servers.rs`: which sockets are its servers', and whether all can be seen; pure
//! - `unseen.rs`: why traffic cannot be seen; pure
//! - `owners.rs`: which sockets the app and its descendants have open
//! - `unix.rs`: who can reach a Unix socket
//! - `mounts.rs`: on which mount a path lies; pure
//! - `sock_diag/`: lists sockets over netlink, and receives an event for each of TCP that ends
//! - `proc_net.rs`: lists sockets as /proc/net has them, where netlink is refused
//! - `socket.rs`: a listed socket, its states and its timer, as both number them

pub mod counts;
pub mod gateway;
pub mod last_look;
pub mod listening;
pub mod mounts;
pub mod network;
pub mod owners;
pub mod peers;
pub mod proc_net;
pub mod quiet;
pub mod routes;
pub mod seen;
pub mod servers;
pub mod sock_diag;
pub mod socket;
pub mod sources;
pub mod tracked;
pub mod unix;
pub mod unseen;
pub mod watch;

#[cfg(test)]
pub mod tests;
