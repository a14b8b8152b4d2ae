//! Speaks the kernel's sock_diag protocol over netlink: lists the TCP sockets of our network
//! namespace, with how many bytes came in on each, and receives an event for each that ends. The
//! kernel answers without any capability (sock_diag(7); for the messages netlink(7)).
//!
//! Nothing here waits, and no length in a message is trusted.

use std::io;
use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};

use crate::traffic::socket::{ListedSocket, TIME_WAIT_TIMER};

/// Types of netlink messages (linux/netlink.h, linux/sock_diag.h).
mod message_type {
    use nix::libc;

    pub const ERROR: u16 = libc::NLMSG_ERROR as u16;
    pub const DONE: u16 = libc::NLMSG_DONE as u16;
    pub const SOCK_DIAG_BY_FAMILY: u16 = 20;
}

/// Where the fields of `struct nlmsghdr` are, and its size (linux/netlink.h).
mod header {
    pub const LENGTH: usize = 0;
    pub const TYPE: usize = 4;
    pub const FLAGS: usize = 6;
    pub const SEQUENCE: usize = 8;
    pub const SIZE: usize = 16;
}

/// Where the fields of `struct nlattr` are, and its size (linux/netlink.h).
mod attribute_header {
    pub const LENGTH: usize = 0;
    pub const TYPE: usize = 2;
    pub const SIZE: usize = 4;
}

/// Where the fields of `struct inet_diag_req_v2` are, and its size (linux/inet_diag.h).
mod dump_request {
    pub const FAMILY: usize = 0;
    pub const PROTOCOL: usize = 1;
    pub const EXTENSIONS: usize = 2;
    pub const STATES: usize = 4;
    pub const SIZE: usize = 56;
}

/// Where the fields of `struct inet_diag_msg` are, and its size (linux/inet_diag.h). Ports and
/// addresses are in network byte order.
mod diag_message {
    pub const FAMILY: usize = 0;
    pub const STATE: usize = 1;
    pub const TIMER: usize = 2;
    pub const LOCAL_PORT: usize = 4;
    pub const PEER_PORT: usize = 6;
    pub const PEER_ADDRESS: usize = 24;
    pub const COOKIE: usize = 44;
    pub const INODE: usize = 68;
    pub const SIZE: usize = 72;
}

/// The attribute with a `struct tcp_info` (linux/inet_diag.h).
const INET_DIAG_INFO: u16 = 2;

/// Where tcpi_bytes_received is in `struct tcp_info` (linux/tcp.h); Linux before 4.1 has none.
const BYTES_RECEIVED: usize = 128;

/// The groups SKNLGRP_INET_TCP_DESTROY and SKNLGRP_INET6_TCP_DESTROY, 1 and 3 (linux/sock_diag.h);
/// group N is bit N - 1 of the mask (netlink(7)).
const DESTROY_GROUPS: u32 = 1 << 0 | 1 << 2;

/// The kernel's datagrams are at most 32 KiB long (netlink_recvmsg in its af_netlink.c).
const MAX_DATAGRAM: usize = 32 * 1024;

/// A netlink socket to the kernel's sock_diag, which never waits.
fn open_socket() -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let protocol = SockProtocol::NetlinkSockDiag;
    Ok(socket(AddressFamily::Netlink, SockType::Datagram, flags, protocol)?)
}

/// Receives one datagram; EMSGSIZE if it is longer than the buffer.
fn receive<'a>(socket: &OwnedFd, buffer: &'a mut [u8]) -> nix::Result<&'a [u8]> {
    // With MSG_TRUNC the length is the real one.
    let length = recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_TRUNC)?;
    buffer.get(..length).ok_or(Errno::EMSGSIZE)
}

/// Lists the TCP sockets that are there.
pub struct DumpSocket {
    socket: OwnedFd,
    buffer: Vec<u8>,
    /// Of the last request, so that what is left of the answer to an earlier one is not taken for
    /// an answer to this one.
    sequence: u32,
}

impl DumpSocket {
    pub fn open() -> io::Result<DumpSocket> {
        Ok(DumpSocket { socket: open_socket()?, buffer: vec![0; MAX_DATAGRAM], sequence: 0 })
    }

    /// The TCP sockets in these states, of IPv4 and IPv6.
    pub fn list(&mut self, states: u32) -> io::Result<Vec<ListedSocket>> {
        let mut sockets = Vec::new();
        for family in [libc::AF_INET, libc::AF_INET6] {
            self.sequence = self.sequence.wrapping_add(1);
            let request = request(self.sequence, family as u8, states);
            send(self.socket.as_raw_fd(), &request, MsgFlags::empty())?;
            let mut has_more = true;
            while has_more {
                let datagram = receive(&self.socket, &mut self.buffer)?;
                has_more = parse_answer(datagram, self.sequence, &mut sockets)?;
            }
        }
        Ok(sockets)
    }
}

const REQUEST_SIZE: usize = header::SIZE + dump_request::SIZE;

/// A `struct nlmsghdr`, and a `struct inet_diag_req_v2` that asks for `struct tcp_info` too.
fn request(sequence: u32, family: u8, states: u32) -> [u8; REQUEST_SIZE] {
    const FLAGS: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    // Extension N is bit N - 1 (sock_diag(7)).
    const EXTENSIONS: u8 = 1 << (INET_DIAG_INFO - 1);
    let mut request = [0; REQUEST_SIZE];
    let mut put = |at: usize, bytes: &[u8]| request[at..at + bytes.len()].copy_from_slice(bytes);
    put(header::LENGTH, &(REQUEST_SIZE as u32).to_ne_bytes());
    put(header::TYPE, &message_type::SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(header::FLAGS, &FLAGS.to_ne_bytes());
    put(header::SEQUENCE, &sequence.to_ne_bytes());
    put(header::SIZE + dump_request::FAMILY, &[family]);
    put(header::SIZE + dump_request::PROTOCOL, &[libc::IPPROTO_TCP as u8]);
    put(header::SIZE + dump_request::EXTENSIONS, &[EXTENSIONS]);
    put(header::SIZE + dump_request::STATES, &states.to_ne_bytes());
    request
}

/// Adds the sockets that one datagram of an answer lists. Whether the answer goes on in another one.
fn parse_answer(
    datagram: &[u8],
    sequence: u32,
    sockets: &mut Vec<ListedSocket>,
) -> io::Result<bool> {
    for message in messages(datagram).filter(|message| message.sequence == sequence) {
        match message.kind {
            message_type::SOCK_DIAG_BY_FAMILY => sockets.extend(parse_socket(message.payload)),
            // Both begin with a negated errno; DONE may have none.
            message_type::DONE | message_type::ERROR => {
                let errno = bytes(message.payload, 0).map_or(0, i32::from_ne_bytes);
                return match errno {
                    0 => Ok(false),
                    _ => Err(io::Error::from_raw_os_error(errno.saturating_neg())),
                };
            }
            _ => {}
        }
    }
    Ok(true)
}

/// Receives an event for each TCP socket that ends.
pub struct EventSocket(OwnedFd);

impl EventSocket {
    pub fn open() -> io::Result<EventSocket> {
        // The kernel grants what net.core.rmem_max allows: one event takes about 1 KB.
        const RECEIVE_BUFFER: usize = 8 << 20;
        let socket = open_socket()?;
        setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, DESTROY_GROUPS))?;
        Ok(EventSocket(socket))
    }

    /// The sockets that ended since the last call, and whether the events of some were lost.
    pub fn drain(&self) -> (Vec<ListedSocket>, bool) {
        // A limit, since events may come as fast as they are read; the next call goes on.
        const MAX_EVENTS: usize = 1 << 16;
        let mut ended = Vec::new();
        let mut buffer = [0; 4096];
        let mut lost = false;
        for _ in 0..MAX_EVENTS {
            match receive(&self.0, &mut buffer) {
                Ok(event) => ended.extend(messages(event).filter_map(|m| parse_socket(m.payload))),
                Err(Errno::EAGAIN) => break,
                // The receive buffer was full, and the kernel dropped events.
                Err(Errno::ENOBUFS) => lost = true,
                Err(_) => return (ended, true),
            }
        }
        (ended, lost)
    }
}

/// Parses a `struct inet_diag_msg` and its attributes. None if it is cut, of another family, or of a
/// socket that has ended and is kept in TIME_WAIT.
fn parse_socket(message: &[u8]) -> Option<ListedSocket> {
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
    let tcp_info = attribute(message.get(diag_message::SIZE..)?, INET_DIAG_INFO);
    let received = tcp_info.and_then(|info| bytes(info, BYTES_RECEIVED));
    Some(ListedSocket {
        state: 1u32.checked_shl(state.into())?,
        port: u16::from_be_bytes(bytes(message, diag_message::LOCAL_PORT)?),
        peer: SocketAddr::new(
            address,
            u16::from_be_bytes(bytes(message, diag_message::PEER_PORT)?),
        ),
        inode: u32::from_ne_bytes(bytes(message, diag_message::INODE)?).into(),
        cookie: u64::from_ne_bytes(bytes(message, diag_message::COOKIE)?),
        received: received.map(u64::from_ne_bytes),
    })
}

/// A netlink message (netlink(7)).
struct Message<'a> {
    kind: u16,
    sequence: u32,
    payload: &'a [u8],
}

/// The messages of a datagram, up to the first that is cut.
fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    iter::from_fn(move || {
        let length = u32::from_ne_bytes(bytes(datagram, header::LENGTH)?) as usize;
        let message = Message {
            kind: u16::from_ne_bytes(bytes(datagram, header::TYPE)?),
            sequence: u32::from_ne_bytes(bytes(datagram, header::SEQUENCE)?),
            payload: datagram.get(header::SIZE..length)?,
        };
        datagram = after(datagram, length);
        Some(message)
    })
}

/// The content of the first attribute of this type: what follows its `struct nlattr` (netlink(7)).
fn attribute(mut attributes: &[u8], kind: u16) -> Option<&[u8]> {
    loop {
        let length = u16::from_ne_bytes(bytes(attributes, attribute_header::LENGTH)?).into();
        let content = attributes.get(attribute_header::SIZE..length)?;
        if u16::from_ne_bytes(bytes(attributes, attribute_header::TYPE)?) == kind {
            return Some(content);
        }
        attributes = after(attributes, length);
    }
}

/// What follows so many bytes and their padding to a multiple of four (NLMSG_ALIGNTO and NLA_ALIGNTO
/// in linux/netlink.h).
fn after(all: &[u8], length: usize) -> &[u8] {
    all.get(length.next_multiple_of(4)..).unwrap_or_default()
}

fn bytes<const N: usize>(all: &[u8], at: usize) -> Option<[u8; N]> {
    all.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
pub mod tests;
