//! A netlink socket to the kernel's sock_diag, which never waits.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, socket};

pub fn open_socket() -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let protocol = SockProtocol::NetlinkSockDiag;
    Ok(socket(AddressFamily::Netlink, SockType::Datagram, flags, protocol)?)
}

/// Receives one datagram; EMSGSIZE if it is longer than the buffer, EAGAIN if there is none.
pub fn receive<'a>(socket: &OwnedFd, buffer: &'a mut [u8]) -> nix::Result<&'a [u8]> {
    // With MSG_TRUNC the length is the real one.
    let length = recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_TRUNC)?;
    buffer.get(..length).ok_or(Errno::EMSGSIZE)
}
