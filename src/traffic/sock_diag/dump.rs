//! Lists the sockets that are there. They are handed out one by one, as the kernel lists them:
//! there may be very many.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::libc;
use nix::sys::socket::{MsgFlags, send};

use crate::traffic::sock_diag::filter::PortRanges;
use crate::traffic::sock_diag::inet::{self, Choice};
use crate::traffic::sock_diag::message::{dump_request, message_type, parse_answer};
use crate::traffic::sock_diag::netlink::{open_socket, receive};
use crate::traffic::sock_diag::unix::{self, UnixSocket};
use crate::traffic::socket::{ListedSocket, Protocol, Wanted};

/// The kernel's datagrams are at most 32 KiB long (netlink_recvmsg in its af_netlink.c).
const MAX_DATAGRAM: usize = 32 * 1024;

/// Lists the sockets that are there.
pub struct DumpSocket {
    socket: OwnedFd,
    buffer: Vec<u8>,
    /// Of the last request, so that what is left of the answer to an earlier one is not taken for
    /// an answer to this one.
    sequence: u32,
}

impl DumpSocket {
    pub fn open() -> io::Result<DumpSocket> {
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(MAX_DATAGRAM)?;
        buffer.resize(MAX_DATAGRAM, 0);
        Ok(DumpSocket { socket: open_socket()?, buffer, sequence: 0 })
    }

    /// Hands out what is wanted, of IPv4 and IPv6. A socket that comes or goes meanwhile may be
    /// left out, and another one may be handed out twice. Fails where the kernel does not list them.
    pub fn list(&mut self, what: &Wanted, each: &mut dyn FnMut(ListedSocket)) -> io::Result<()> {
        let ports = what.ports.map(PortRanges::new);
        if ports.as_ref().is_some_and(PortRanges::is_empty) {
            return Ok(());
        }
        let choice = ports.as_ref().map_or(Choice::All, PortRanges::choice);
        let is_wanted = |port| ports.as_ref().is_none_or(|ports| ports.contains(port));
        let mut each = |message: &[u8]| {
            let socket = inet::parse_socket(message).filter(|socket| is_wanted(socket.port));
            socket.into_iter().for_each(&mut *each);
        };
        if what.protocol == Protocol::Tcp {
            let request = inet::tcp_request(what.states, &choice);
            if self.dump(message_type::TCPDIAG_GETSOCK, &request, &mut each).is_ok() {
                return Ok(());
            }
        }
        for family in [libc::AF_INET, libc::AF_INET6] {
            let request = inet::request(family, what.protocol, what.states, &choice);
            self.dump(message_type::SOCK_DIAG_BY_FAMILY, &request, &mut each)?;
        }
        Ok(())
    }

    /// Hands out the connected Unix sockets that have a name: those that a listener accepted have
    /// its name. Fails where the kernel has no unix_diag.
    ///
    /// An accepted socket is in the network namespace of the client: who connects from another one
    /// is not listed.
    pub fn unix_accepted(&mut self, each: &mut dyn FnMut(UnixSocket)) -> io::Result<()> {
        let mut each = |message: &[u8]| unix::parse_socket(message, each);
        self.dump(message_type::SOCK_DIAG_BY_FAMILY, &unix::request(), &mut each)
    }

    /// Hands out each message of the answer to a request, without its header.
    fn dump(&mut self, kind: u16, request: &[u8], each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let dumped = self.ask(kind, request, each);
        // Before it has answered one request to the end, the kernel takes no other one (EBUSY).
        if dumped.is_err()
            && let Ok(socket) = open_socket()
        {
            self.socket = socket;
        }
        dumped
    }

    fn ask(&mut self, kind: u16, request: &[u8], each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = dump_request(self.sequence, kind, request);
        send(self.socket.as_raw_fd(), &request, MsgFlags::empty())?;
        let mut has_more = true;
        while has_more {
            let datagram = receive(&self.socket, &mut self.buffer)?;
            has_more = parse_answer(datagram, self.sequence, each)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
