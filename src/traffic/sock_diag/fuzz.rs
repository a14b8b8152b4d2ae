//! A datagram of netlink, and the sockets in it.

use nix::libc;

use crate::traffic::sock_diag::message::{self, bytes, header, message_type};
use crate::traffic::sock_diag::{inet, unix};

/// The size of a `struct inet_diag_msg`.
const INET_MESSAGE: usize = 72;

pub fn netlink(datagram: &[u8]) {
    let sequence = bytes(datagram, header::SEQUENCE).map_or(0, u32::from_ne_bytes);
    let mut messages = 0;
    let goes_on = message::parse_answer(datagram, sequence, &mut |payload| {
        messages += 1;
        sockets(payload);
    });
    assert!(messages <= datagram.len() / header::SIZE, "{messages} messages");
    assert!(goes_on.is_ok_and(|goes_on| goes_on) || !datagram.is_empty());
    for found in message::messages(datagram) {
        assert!(found.payload.len() + header::SIZE <= datagram.len());
    }
    // As what one message lists.
    sockets(datagram);
    framed(datagram);
}

fn sockets(payload: &[u8]) {
    let whole = inet::parse_socket(payload);
    if let Some(socket) = whole {
        assert!(socket.state.is_power_of_two());
        assert_eq!(socket.peer.ip(), socket.peer.ip().to_canonical(), "of IPv4, but shown as IPv6");
    }
    // The attributes can be cut off, and nothing else.
    let bare = inet::parse_socket(payload.get(..INET_MESSAGE).unwrap_or(payload));
    assert_eq!(bare.map(|socket| socket.cookie), whole.map(|socket| socket.cookie));
    let cut = &payload[..payload.len().min(INET_MESSAGE - 1)];
    assert_eq!(inet::parse_socket(cut), None);
    let mut found = 0;
    unix::parse_socket(payload, &mut |socket| {
        found += 1;
        let length = socket.name.len();
        assert!((1..=size_of::<libc::sockaddr_un>()).contains(&length), "{length} bytes");
        assert!(!socket.name.contains(&0), "a NUL is shown");
        assert_ne!(socket.peer_inode, Some(0));
    });
    assert!(found <= 1);
}

/// What we send is read as it was written.
fn framed(payload: &[u8]) {
    let request = message::dump_request(7, message_type::SOCK_DIAG_BY_FAMILY, payload);
    let mut times = 0;
    let goes_on = message::parse_answer(&request, 7, &mut |read| {
        times += 1;
        assert_eq!(read, payload);
    });
    assert!(times == 1 && goes_on.is_ok_and(|goes_on| goes_on));
}
