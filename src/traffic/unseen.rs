//! Why traffic cannot be seen, in words. No system call, no clock.

use std::fmt;

/// Why there may be traffic that is not seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnseenReason {
    /// A server has a UDP socket on this port, and others have UDP sockets too: the kernel counts
    /// what all of them receive together.
    Udp(u16),
    /// The app listens on the Unix socket with this path, which others can reach.
    Unix(String),
    /// `--traffic-port` names this port, on which nobody listens.
    NobodyListens(u16),
    /// `--traffic-port` names this port, which is one of UDP alone.
    OnlyUdp(u16),
    /// Neither netlink nor /proc/net can be read: this is the error.
    Refused(String),
    /// There is no memory to list all sockets, or to search for their owners.
    NoMemory,
}

impl fmt::Display for UnseenReason {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            UnseenReason::Udp(port) => {
                write!(f, "what UDP port {port} receives is counted with that of other sockets")
            }
            UnseenReason::Unix(path) => {
                write!(f, "what comes in on the Unix socket {path} is not shown")
            }
            UnseenReason::NobodyListens(port) => write!(f, "nobody listens on port {port}"),
            UnseenReason::OnlyUdp(port) => {
                write!(f, "port {port} is UDP, which has no connections to look at")
            }
            UnseenReason::Refused(error) => {
                write!(f, "neither netlink nor /proc/net shows the connections: {error}")
            }
            UnseenReason::NoMemory => f.write_str("there is no memory for a list of all sockets"),
        }
    }
}
