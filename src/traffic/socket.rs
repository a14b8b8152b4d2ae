//! A socket as the kernel lists it, by netlink and in /proc/net alike, and the states in which it
//! can be (the kernel's include/net/tcp_states.h).

use std::net::SocketAddr;

use crate::traffic::quiet::Connection;

// What the kernel numbers, as sets of them.
pub const ESTABLISHED: u32 = 1 << 1;
const FIN_WAIT1: u32 = 1 << 4;
pub const FIN_WAIT2: u32 = 1 << 5;
/// UDP that is not connected.
pub const CLOSE: u32 = 1 << 7;
const CLOSE_WAIT: u32 = 1 << 8;
const LAST_ACK: u32 = 1 << 9;
pub const LISTEN: u32 = 1 << 10;
const CLOSING: u32 = 1 << 11;
/// Those in which data may still come in.
pub const RECEIVING: u32 = ESTABLISHED | FIN_WAIT1 | FIN_WAIT2;
/// Those of a connection that has been established and has not ended.
pub const OPEN: u32 = RECEIVING | CLOSE_WAIT | LAST_ACK | CLOSING;

/// The timer of what is left of a socket that has ended, in TIME_WAIT or FIN_WAIT2: it takes no data
/// and tells of none (idiag_timer in sock_diag(7)).
pub const REMEMBERED: u8 = 3;

/// A socket as the kernel lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// One of the bits above.
    pub state: u32,
    pub port: u16,
    pub peer: SocketAddr,
    pub inode: u64,
    pub cookie: u64,
    pub received: Option<u64>,
}

impl Row {
    /// A listener that ends has no peer.
    pub fn connection(self, ports: &[u16]) -> Option<Connection> {
        let Row { port, peer, cookie, received, .. } = self;
        let ours = ports.contains(&port) && peer.port() != 0;
        ours.then_some(Connection { cookie, port, peer, received })
    }
}
