use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::traffic::socket::{ESTABLISHED, FIN_WAIT2};

/// A connection to port 8080 from 127.0.0.1:40000, with these attributes.
fn message(attributes: &[u8]) -> Vec<u8> {
    let mut message = vec![0; diag_message::SIZE];
    put(&mut message, diag_message::FAMILY, &[libc::AF_INET as u8, 1]);
    put(&mut message, diag_message::LOCAL_PORT, &8080u16.to_be_bytes());
    put(&mut message, diag_message::PEER_PORT, &40_000u16.to_be_bytes());
    put(&mut message, diag_message::PEER_ADDRESS, &[127, 0, 0, 1]);
    put(&mut message, diag_message::COOKIE, &9u64.to_ne_bytes());
    put(&mut message, diag_message::RECEIVE_QUEUE, &70u32.to_ne_bytes());
    put(&mut message, diag_message::UID, &1000u32.to_ne_bytes());
    put(&mut message, diag_message::INODE, &4711u32.to_ne_bytes());
    message.extend_from_slice(attributes);
    message
}

/// The attribute with the beginning of a `struct tcp_info`.
fn info(length: usize) -> Vec<u8> {
    let mut info = [0; 200];
    put(&mut info, tcp_info::LAST_DATA_RECEIVED, &1500u32.to_ne_bytes());
    put(&mut info, tcp_info::BYTES_ACKED, &11u64.to_ne_bytes());
    put(&mut info, tcp_info::BYTES_RECEIVED, &22u64.to_ne_bytes());
    let header = [(attribute_header::SIZE + length) as u16, INET_DIAG_INFO];
    let header = header.iter().flat_map(|field| field.to_ne_bytes());
    header.chain(info[..length].iter().copied()).collect()
}

#[test]
fn each_field_of_a_connection() {
    let expected = ListedSocket {
        state: ESTABLISHED,
        port: 8080,
        peer: SocketAddr::from(([127, 0, 0, 1], 40_000)),
        inode: 4711,
        uid: 1000,
        cookie: 9,
        queued: 70,
        received: Some(22),
        sent: Some(11),
        silent_for: Some(Duration::from_millis(1500)),
    };
    assert_eq!(parse_socket(&message(&info(200))), Some(expected));
    // The shorter ones of older kernels, and none.
    let no_received = ListedSocket { received: None, ..expected };
    assert_eq!(parse_socket(&message(&info(135))), Some(no_received));
    let no_bytes = ListedSocket { sent: None, ..no_received };
    assert_eq!(parse_socket(&message(&info(104))), Some(no_bytes));
    let without = ListedSocket { silent_for: None, ..no_bytes };
    assert_eq!(parse_socket(&message(&info(52))), Some(without));
    assert_eq!(parse_socket(&message(&[])), Some(without));
    let whole = message(&[]);
    assert!((0..whole.len()).all(|end| parse_socket(&whole[..end]).is_none()));
}

#[test]
fn what_is_left_of_a_socket_that_has_ended_is_no_connection() {
    let mut message = message(&[]);
    put(&mut message, diag_message::STATE, &[5, TIME_WAIT_TIMER]);
    assert_eq!(parse_socket(&message), None);
    put(&mut message, diag_message::TIMER, &[0]);
    assert_eq!(parse_socket(&message).map(|socket| socket.state), Some(FIN_WAIT2));
    put(&mut message, diag_message::FAMILY, &[libc::AF_UNIX as u8]);
    assert_eq!(parse_socket(&message), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_an_end(bytes in vec(any::<u8>(), 0..500)) {
        let _ = parse_socket(&bytes);
    }

    #[test]
    fn a_spoiled_message_is_read_to_an_end(
        spoiled in vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = message(&info(200));
        for (at, byte) in spoiled {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = parse_socket(&bytes[..=end.index(bytes.len())]);
    }
}
