//! The dialogue with the kernel's sock_diag, over netlink: the TCP sockets of our network namespace,
//! with what came in on each, and each that ends. It answers anybody, without a capability
//! (sock_diag(7), linux/inet_diag.h, linux/sock_diag.h; for the messages netlink(7)).
//!
//! Nothing here waits, and no length that the kernel names is trusted.

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

use crate::traffic::socket::{REMEMBERED, Row};

/// A socket to the kernel's sock_diag, which never waits.
fn netlink() -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let protocol = SockProtocol::NetlinkSockDiag;
    Ok(socket(AddressFamily::Netlink, SockType::Datagram, flags, protocol)?)
}

/// The kernel's datagrams are at most 32 KiB long (netlink_recvmsg in its af_netlink.c).
const DATAGRAM: usize = 32 * 1024;

/// One datagram, as long as it really is; a longer one than there is room for is an error.
fn receive<'a>(socket: &OwnedFd, room: &'a mut [u8]) -> nix::Result<&'a [u8]> {
    let length = recv(socket.as_raw_fd(), room, MsgFlags::MSG_TRUNC)?;
    room.get(..length).ok_or(Errno::EMSGSIZE)
}

/// Asks for the sockets in a state.
pub struct Dumps {
    socket: OwnedFd,
    room: Vec<u8>,
    /// What is left of an answer to a question before is none to the next.
    sequence: u32,
}

impl Dumps {
    pub fn open() -> io::Result<Dumps> {
        Ok(Dumps { socket: netlink()?, room: vec![0; DATAGRAM], sequence: 0 })
    }

    /// The sockets in these states, of both families.
    pub fn tcp(&mut self, states: u32) -> io::Result<Vec<Row>> {
        let mut rows = Vec::new();
        for family in [libc::AF_INET, libc::AF_INET6] {
            self.sequence = self.sequence.wrapping_add(1);
            let request = request(self.sequence, family as u8, states);
            send(self.socket.as_raw_fd(), &request, MsgFlags::empty())?;
            while take_rows(receive(&self.socket, &mut self.room)?, self.sequence, &mut rows)? {}
        }
        Ok(rows)
    }
}

// Kinds of messages (netlink(7), linux/sock_diag.h).
const NLMSG_ERROR: u16 = libc::NLMSG_ERROR as u16;
const NLMSG_DONE: u16 = libc::NLMSG_DONE as u16;
const SOCK_DIAG_BY_FAMILY: u16 = 20;

/// A `struct nlmsghdr`, and a `struct inet_diag_req_v2` that asks for `struct tcp_info` too.
fn request(sequence: u32, family: u8, states: u32) -> [u8; 72] {
    const INFO: u8 = 1 << 1;
    let mut request = [0; 72];
    let mut put = |at: usize, bytes: &[u8]| request[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &72u32.to_ne_bytes());
    put(4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(6, &((libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16).to_ne_bytes());
    put(8, &sequence.to_ne_bytes());
    put(16, &[family, libc::IPPROTO_TCP as u8, INFO]);
    put(20, &states.to_ne_bytes());
    request
}

/// Takes the rows out of a part of an answer, and tells whether there are more to come.
fn take_rows(part: &[u8], sequence: u32, rows: &mut Vec<Row>) -> io::Result<bool> {
    for message in messages(part).filter(|message| message.sequence == sequence) {
        match message.kind {
            SOCK_DIAG_BY_FAMILY => rows.extend(row(message.payload)),
            // Both begin with an errno, negated; at the end it may be missing.
            NLMSG_DONE | NLMSG_ERROR => {
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

/// Is told of each TCP socket that ends.
pub struct Events(OwnedFd);

impl Events {
    pub fn open() -> io::Result<Events> {
        // SKNLGRP_INET_TCP_DESTROY and SKNLGRP_INET6_TCP_DESTROY (linux/sock_diag.h).
        const GROUPS: u32 = 1 << 0 | 1 << 2;
        // As many as the kernel lets us have (net.core.rmem_max): one event takes about 1 KB.
        const ROOM: usize = 8 << 20;
        let socket = netlink()?;
        setsockopt(&socket, sockopt::RcvBuf, &ROOM)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
        Ok(Events(socket))
    }

    /// What ended since the last time, and whether some of it was lost.
    pub fn take(&self) -> (Vec<Row>, bool) {
        // A storm is not to keep us here; the rest waits for the next look.
        const MOST: usize = 1 << 16;
        let mut rows = Vec::new();
        let mut room = [0; 4096];
        let mut lost = false;
        for _ in 0..MOST {
            match receive(&self.0, &mut room) {
                Ok(event) => rows.extend(messages(event).filter_map(|m| row(m.payload))),
                Err(Errno::EAGAIN) => break,
                // There was no room for all.
                Err(Errno::ENOBUFS) => lost = true,
                Err(_) => return (rows, true),
            }
        }
        (rows, lost)
    }
}

/// A `struct inet_diag_msg` and its attributes (linux/inet_diag.h).
fn row(message: &[u8]) -> Option<Row> {
    const ATTRIBUTES: usize = 72;
    const INET_DIAG_INFO: u16 = 2;
    // tcpi_bytes_received in struct tcp_info (linux/tcp.h); Linux before 4.1 has none.
    const BYTES_RECEIVED: usize = 128;
    let [family, state, timer] = bytes(message, 0)?;
    if timer == REMEMBERED {
        return None;
    }
    let address = match i32::from(family) {
        libc::AF_INET => IpAddr::V4(Ipv4Addr::from(bytes::<4>(message, 24)?)),
        libc::AF_INET6 => IpAddr::V6(Ipv6Addr::from(bytes::<16>(message, 24)?)).to_canonical(),
        _ => return None,
    };
    let info = attribute(message.get(ATTRIBUTES..)?, INET_DIAG_INFO);
    Some(Row {
        state: 1u32.checked_shl(state.into())?,
        port: u16::from_be_bytes(bytes(message, 4)?),
        peer: SocketAddr::new(address, u16::from_be_bytes(bytes(message, 6)?)),
        inode: u32::from_ne_bytes(bytes(message, 68)?).into(),
        cookie: u64::from_ne_bytes(bytes(message, 44)?),
        received: info.and_then(|info| bytes(info, BYTES_RECEIVED)).map(u64::from_ne_bytes),
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
    const HEADER: usize = 16;
    iter::from_fn(move || {
        let length = u32::from_ne_bytes(bytes(datagram, 0)?) as usize;
        let message = Message {
            kind: u16::from_ne_bytes(bytes(datagram, 4)?),
            sequence: u32::from_ne_bytes(bytes(datagram, 8)?),
            payload: datagram.get(HEADER..length)?,
        };
        datagram = after(datagram, length);
        Some(message)
    })
}

/// The content of an attribute: a `struct nlattr` and what follows it (netlink(7)).
fn attribute(mut attributes: &[u8], kind: u16) -> Option<&[u8]> {
    const HEADER: usize = 4;
    loop {
        let length = u16::from_ne_bytes(bytes(attributes, 0)?).into();
        let content = attributes.get(HEADER..length)?;
        if u16::from_ne_bytes(bytes(attributes, 2)?) == kind {
            return Some(content);
        }
        attributes = after(attributes, length);
    }
}

/// What follows the first so many bytes, and those that round them up to a multiple of four.
fn after(all: &[u8], length: usize) -> &[u8] {
    all.get(length.next_multiple_of(4)..).unwrap_or_default()
}

fn bytes<const N: usize>(all: &[u8], at: usize) -> Option<[u8; N]> {
    all.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
pub mod tests;
