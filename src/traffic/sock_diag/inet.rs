//! The messages about TCP and UDP sockets (linux/inet_diag.h), as bytes: the request for a dump, and
//! a socket as a dump or an event has it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use nix::libc;

use crate::traffic::sock_diag::message::{attribute, attribute_header, bytes, put};
use crate::traffic::socket::{ListedSocket, Protocol, TIME_WAIT_TIMER};

/// Where the fields of `struct inet_diag_req_v2` are, and its size.
mod dump_request {
    pub const FAMILY: usize = 0;
    pub const PROTOCOL: usize = 1;
    pub const EXTENSIONS: usize = 2;
    pub const STATES: usize = 4;
    pub const LOCAL_PORT: usize = 8;
    pub const SIZE: usize = 56;
}

/// Where the fields of `struct inet_diag_req` are, and its size.
mod tcp_request {
    pub const EXTENSIONS: usize = 3;
    pub const LOCAL_PORT: usize = 4;
    pub const STATES: usize = 52;
    pub const SIZE: usize = 60;
}

/// Where the fields of `struct inet_diag_msg` are, and its size. Ports and addresses are in network
/// byte order.
mod diag_message {
    pub const FAMILY: usize = 0;
    pub const STATE: usize = 1;
    pub const TIMER: usize = 2;
    pub const LOCAL_PORT: usize = 4;
    pub const PEER_PORT: usize = 6;
    pub const PEER_ADDRESS: usize = 24;
    pub const COOKIE: usize = 44;
    pub const RECEIVE_QUEUE: usize = 56;
    pub const UID: usize = 64;
    pub const INODE: usize = 68;
    pub const SIZE: usize = 72;
}

/// Which sockets the kernel takes into a dump.
#[derive(Debug, PartialEq, Eq)]
pub enum Choice {
    All,
    /// Those with this local port. (0 would be all.)
    One(u16),
    /// Those for which this program says yes: a sequence of `struct inet_diag_bc_op`.
    Program(Vec<u8>),
}

/// Where a filter of events finds the local port, from the end of the header on.
pub const LOCAL_PORT: usize = diag_message::LOCAL_PORT;

/// The attribute of a request with a program that chooses the sockets.
const INET_DIAG_REQ_BYTECODE: u16 = 1;

/// The attribute of an answer with a `struct tcp_info`.
const INET_DIAG_INFO: u16 = 2;

/// Where the fields of `struct tcp_info` are (linux/tcp.h). Linux before 4.1 ends before the last two.
mod tcp_info {
    /// In milliseconds.
    pub const LAST_DATA_RECEIVED: usize = 52;
    pub const BYTES_ACKED: usize = 120;
    pub const BYTES_RECEIVED: usize = 128;
}

/// A `struct tcp_info` is asked for too: extension N is bit N - 1 (sock_diag(7)).
const EXTENSIONS: u8 = 1 << (INET_DIAG_INFO - 1);

/// A `struct inet_diag_req_v2`, for a message of the type SOCK_DIAG_BY_FAMILY.
pub fn request(family: libc::c_int, protocol: Protocol, states: u32, ports: &Choice) -> Vec<u8> {
    let protocol = match protocol {
        Protocol::Tcp => libc::IPPROTO_TCP,
        Protocol::Udp => libc::IPPROTO_UDP,
    };
    let mut request = vec![0; dump_request::SIZE];
    put(&mut request, dump_request::FAMILY, &[family as u8]);
    put(&mut request, dump_request::PROTOCOL, &[protocol as u8]);
    put(&mut request, dump_request::EXTENSIONS, &[EXTENSIONS]);
    put(&mut request, dump_request::STATES, &states.to_ne_bytes());
    choose(request, dump_request::LOCAL_PORT, ports)
}

/// A `struct inet_diag_req`, for a message of the type TCPDIAG_GETSOCK: for TCP of both families. It
/// is as old as the protocol, and the kernel walks its table of connections once in place of twice.
pub fn tcp_request(states: u32, ports: &Choice) -> Vec<u8> {
    let mut request = vec![0; tcp_request::SIZE];
    put(&mut request, tcp_request::EXTENSIONS, &[EXTENSIONS]);
    put(&mut request, tcp_request::STATES, &states.to_ne_bytes());
    choose(request, tcp_request::LOCAL_PORT, ports)
}

fn choose(mut request: Vec<u8>, local_port: usize, ports: &Choice) -> Vec<u8> {
    match ports {
        Choice::All => {}
        Choice::One(port) => put(&mut request, local_port, &port.to_be_bytes()),
        Choice::Program(program) => {
            let length = (attribute_header::SIZE + program.len()) as u16;
            request.extend_from_slice(&length.to_ne_bytes());
            request.extend_from_slice(&INET_DIAG_REQ_BYTECODE.to_ne_bytes());
            request.extend_from_slice(program);
        }
    }
    request
}

/// Parses a `struct inet_diag_msg` and its attributes. None if it is cut, of another family, or of a
/// socket that has ended and is kept in TIME_WAIT.
pub fn parse_socket(message: &[u8]) -> Option<ListedSocket> {
    let [family] = bytes(message, diag_message::FAMILY)?;
    let [state] = bytes(message, diag_message::STATE)?;
    let [timer] = bytes(message, diag_message::TIMER)?;
    if timer == TIME_WAIT_TIMER {
        return None;
    }
    let address = match i32::from(family) {
        libc::AF_INET => {
            IpAddr::V4(Ipv4Addr::from(bytes::<4>(message, diag_message::PEER_ADDRESS)?))
        }
        libc::AF_INET6 => {
            IpAddr::V6(Ipv6Addr::from(bytes::<16>(message, diag_message::PEER_ADDRESS)?))
                .to_canonical()
        }
        _ => return None,
    };
    let info = attribute(message.get(diag_message::SIZE..)?, INET_DIAG_INFO).unwrap_or_default();
    let silent_for = bytes(info, tcp_info::LAST_DATA_RECEIVED).map(u32::from_ne_bytes);
    Some(ListedSocket {
        state: 1u32.checked_shl(state.into())?,
        port: u16::from_be_bytes(bytes(message, diag_message::LOCAL_PORT)?),
        peer: SocketAddr::new(
            address,
            u16::from_be_bytes(bytes(message, diag_message::PEER_PORT)?),
        ),
        inode: u32::from_ne_bytes(bytes(message, diag_message::INODE)?).into(),
        uid: u32::from_ne_bytes(bytes(message, diag_message::UID)?),
        cookie: u64::from_ne_bytes(bytes(message, diag_message::COOKIE)?),
        queued: u32::from_ne_bytes(bytes(message, diag_message::RECEIVE_QUEUE)?),
        received: bytes(info, tcp_info::BYTES_RECEIVED).map(u64::from_ne_bytes),
        sent: bytes(info, tcp_info::BYTES_ACKED).map(u64::from_ne_bytes),
        silent_for: silent_for.map(|ms| Duration::from_millis(ms.into())),
    })
}

#[cfg(test)]
mod tests;
