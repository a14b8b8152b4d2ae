//! A socket as the kernel lists it, over netlink and in /proc/net alike, and the states in which it
//! can be (the kernel's include/net/tcp_states.h).

use std::net::SocketAddr;
use std::time::Duration;

use crate::traffic::quiet::Connection;

// The bit of each state; the kernel's number of it is the shift.
pub const ESTABLISHED: u32 = 1 << 1;
const FIN_WAIT1: u32 = 1 << 4;
pub const FIN_WAIT2: u32 = 1 << 5;
/// Also that of a UDP socket that is not connected.
pub const CLOSE: u32 = 1 << 7;
const CLOSE_WAIT: u32 = 1 << 8;
const LAST_ACK: u32 = 1 << 9;
pub const LISTEN: u32 = 1 << 10;
const CLOSING: u32 = 1 << 11;
/// Those in which data may still come in.
pub const RECEIVING: u32 = ESTABLISHED | FIN_WAIT1 | FIN_WAIT2;
/// Those of a connection that has been established and has not ended.
pub const OPEN: u32 = RECEIVING | CLOSE_WAIT | LAST_ACK | CLOSING;

/// All states.
pub const ANY: u32 = u32::MAX;

/// The timer of what the kernel keeps of a socket that has ended, in TIME_WAIT or FIN_WAIT2: it
/// receives no data, and no count of bytes is kept (idiag_timer in sock_diag(7)).
pub const TIME_WAIT_TIMER: u8 = 3;

/// Of which sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Tcp,
    Udp,
}

/// Which sockets are to be listed.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub protocol: Protocol,
    /// Some of the bits above.
    pub states: u32,
    /// The local ports, in any order; None for all.
    pub ports: Option<&'a [u16]>,
}

/// A socket as the kernel lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedSocket {
    /// One of the bits above.
    pub state: u32,
    /// The local port.
    pub port: u16,
    /// Port 0 where it has no peer.
    pub peer: SocketAddr,
    /// 0 until somebody accepts it, and after its last descriptor is closed.
    pub inode: u64,
    /// Of whoever made it, as our user namespace has it; 0 where there is no inode.
    pub uid: u32,
    /// As in [`Connection`], and so is `received`.
    pub cookie: u64,
    /// What waits to be read: bytes, of which the peer's FIN is one; for UDP, the memory that the
    /// datagrams take. Of a listener, the connections that wait to be accepted.
    pub queued: u32,
    pub received: Option<u64>,
    /// The bytes that the peer has acknowledged, of which our FIN is one (tcpi_bytes_acked).
    pub sent: Option<u64>,
    /// Since when no data came in, or since it was established if none ever did; neither a FIN nor
    /// a keepalive is data (tcpi_last_data_recv). None, as in `received`, where the source does not
    /// say.
    pub silent_for: Option<Duration>,
}

impl ListedSocket {
    /// The connection, if it is one to these ports: the end of a listener is reported too.
    pub fn connection(self, ports: &[u16]) -> Option<Connection> {
        let ListedSocket { state, port, peer, cookie, received, sent, silent_for, .. } = self;
        let is_watched = ports.contains(&port) && peer.port() != 0;
        is_watched.then_some(Connection {
            cookie,
            port,
            peer,
            received,
            sent,
            silent_for,
            peer_closed: state & (CLOSE_WAIT | LAST_ACK | CLOSING) != 0,
            app_closed: state & (FIN_WAIT1 | FIN_WAIT2 | LAST_ACK | CLOSING) != 0,
        })
    }
}
