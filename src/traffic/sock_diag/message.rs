//! The frames of netlink(7), as bytes: a request, the messages of an answer, and their attributes.
//! No length in a message is trusted.

use std::io;
use std::iter;

use nix::libc;

/// Types of netlink messages (linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h).
pub mod message_type {
    use nix::libc;

    pub const ERROR: u16 = libc::NLMSG_ERROR as u16;
    pub const DONE: u16 = libc::NLMSG_DONE as u16;
    /// Those below are netlink's own.
    pub const MIN: u16 = 16;
    pub const TCPDIAG_GETSOCK: u16 = 18;
    pub const SOCK_DIAG_BY_FAMILY: u16 = 20;
}

/// Where the fields of `struct nlmsghdr` are, and its size (linux/netlink.h).
pub mod header {
    pub const LENGTH: usize = 0;
    pub const TYPE: usize = 4;
    pub const FLAGS: usize = 6;
    pub const SEQUENCE: usize = 8;
    pub const SIZE: usize = 16;
}

/// Where the fields of `struct nlattr` are, and its size (linux/netlink.h).
pub mod attribute_header {
    pub const LENGTH: usize = 0;
    pub const TYPE: usize = 2;
    pub const SIZE: usize = 4;
}

/// A `struct nlmsghdr` of this type, and what is asked of sock_diag(7): to list sockets.
pub fn dump_request(sequence: u32, kind: u16, what: &[u8]) -> Vec<u8> {
    const FLAGS: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    let mut request = vec![0; header::SIZE];
    put(&mut request, header::LENGTH, &((header::SIZE + what.len()) as u32).to_ne_bytes());
    put(&mut request, header::TYPE, &kind.to_ne_bytes());
    put(&mut request, header::FLAGS, &FLAGS.to_ne_bytes());
    put(&mut request, header::SEQUENCE, &sequence.to_ne_bytes());
    request.extend_from_slice(what);
    request
}

/// Writes these bytes over those from here on, as far as there are any.
pub fn put(all: &mut [u8], at: usize, bytes: &[u8]) {
    let places = all.get_mut(at..).unwrap_or_default();
    places.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
}

/// The bytes from here on; None if they are cut.
pub fn bytes<const N: usize>(all: &[u8], at: usize) -> Option<[u8; N]> {
    all.get(at..)?.first_chunk().copied()
}

/// Hands out what one datagram of the answer to this request lists, each without its header.
/// Whether the answer goes on in another datagram.
pub fn parse_answer(
    datagram: &[u8],
    sequence: u32,
    each: &mut dyn FnMut(&[u8]),
) -> io::Result<bool> {
    for message in messages(datagram).filter(|message| message.sequence == sequence) {
        match message.kind {
            message_type::MIN.. => each(message.payload),
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

/// A netlink message (netlink(7)).
pub struct Message<'a> {
    kind: u16,
    sequence: u32,
    pub payload: &'a [u8],
}

/// The messages of a datagram, up to the first that is cut.
pub fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
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
pub fn attribute(mut attributes: &[u8], kind: u16) -> Option<&[u8]> {
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

#[cfg(test)]
mod tests;
