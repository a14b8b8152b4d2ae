//! The messages about Unix sockets (linux/unix_diag.h), as bytes.

use nix::libc;

use crate::traffic::sock_diag::message::{attribute, bytes, put};
use crate::traffic::socket::ESTABLISHED;

/// Where the fields of `struct unix_diag_req` are, and its size.
mod dump_request {
    pub const FAMILY: usize = 0;
    pub const STATES: usize = 4;
    pub const SHOW: usize = 12;
    pub const SIZE: usize = 24;
}

/// UDIAG_SHOW_NAME and UDIAG_SHOW_PEER.
const SHOW_NAME_AND_PEER: u32 = 0x1 | 0x4;

/// Where the fields of `struct unix_diag_msg` are, and its size.
mod diag_message {
    pub const FAMILY: usize = 0;
    pub const INODE: usize = 4;
    pub const SIZE: usize = 16;
}

/// The attributes with the name and with the inode of the peer.
const UNIX_DIAG_NAME: u16 = 0;
const UNIX_DIAG_PEER: u16 = 2;

/// A connected Unix socket that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixSocket<'a> {
    /// Its path or abstract name, as /proc/net/unix has it: any bytes, with `@` for each NUL.
    pub name: &'a [u8],
    pub inode: u64,
    /// That of the socket at the other end; None if that is closed.
    pub peer_inode: Option<u64>,
}

/// A `struct unix_diag_req` for those that are connected.
pub fn request() -> Vec<u8> {
    let mut request = vec![0; dump_request::SIZE];
    put(&mut request, dump_request::FAMILY, &[libc::AF_UNIX as u8]);
    put(&mut request, dump_request::STATES, &ESTABLISHED.to_ne_bytes());
    put(&mut request, dump_request::SHOW, &SHOW_NAME_AND_PEER.to_ne_bytes());
    request
}

/// Hands out the socket of a `struct unix_diag_msg` and its attributes, unless it is cut, of another
/// family, or without a name.
pub fn parse_socket(message: &[u8], each: &mut dyn FnMut(UnixSocket)) {
    let parse = || -> Option<(&[u8], u64, Option<u64>)> {
        let [family] = bytes(message, diag_message::FAMILY)?;
        let inode = u32::from_ne_bytes(bytes(message, diag_message::INODE)?).into();
        let attributes = message.get(diag_message::SIZE..)?;
        let name = attribute(attributes, UNIX_DIAG_NAME).filter(|name| !name.is_empty())?;
        let peer = attribute(attributes, UNIX_DIAG_PEER).and_then(|peer| bytes(peer, 0));
        let peer = peer.map(u32::from_ne_bytes).filter(|inode| *inode != 0);
        (i32::from(family) == libc::AF_UNIX).then_some((name, inode, peer.map(u64::from)))
    };
    let Some((name, inode, peer_inode)) = parse() else { return };
    // A path ends with a NUL; an abstract name begins with one, and may have more.
    let name = match name {
        [0, ..] => name,
        path => path.strip_suffix(&[0]).unwrap_or(path),
    };
    let mut shown = [0; size_of::<libc::sockaddr_un>()];
    let name = shown.get_mut(..name.len()).map(|shown| {
        let bytes = name.iter().map(|byte| if *byte == 0 { b'@' } else { *byte });
        shown.iter_mut().zip(bytes).for_each(|(shown, byte)| *shown = byte);
        &*shown
    });
    if let Some(name) = name {
        each(UnixSocket { name, inode, peer_inode });
    }
}

#[cfg(test)]
mod tests;
