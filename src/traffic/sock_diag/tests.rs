use std::net::TcpListener;
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::traffic::socket::{FIN_WAIT2, LISTEN};

/// Makes the receive buffer so small that it has room for a few events only.
pub fn shrink_buffer(events: &EventSocket) {
    setsockopt(&events.0, sockopt::RcvBuf, &2048).unwrap();
}

/// The kernel's answer about listeners, of which there is at least one.
static ANSWER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let _listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut dumps = DumpSocket::open().unwrap();
    let request = request(1, libc::AF_INET as u8, LISTEN);
    send(dumps.socket.as_raw_fd(), &request, MsgFlags::empty()).unwrap();
    receive(&dumps.socket, &mut dumps.buffer).unwrap().to_vec()
});

#[test]
fn a_cut_answer_lists_fewer_sockets() {
    let listed = |answer: &[u8]| {
        let mut sockets = Vec::new();
        assert!(parse_answer(answer, 1, &mut sockets).unwrap());
        sockets
    };
    let all = listed(&ANSWER);
    assert!(!all.is_empty() && all.iter().all(|socket| socket.received.is_some()));
    for end in 0..ANSWER.len() {
        assert!(all.starts_with(&listed(&ANSWER[..end])));
    }
    // The answer to another request lists none.
    let mut none = Vec::new();
    assert!(parse_answer(&ANSWER, 2, &mut none).unwrap() && none.is_empty());
}

/// A message of this type, which answers request 1 and begins with a number.
fn message(kind: u16, payload: i32) -> Vec<u8> {
    const SIZE: usize = header::SIZE + 4;
    let mut message = request(1, 0, 0)[..SIZE].to_vec();
    message[header::LENGTH..][..4].copy_from_slice(&(SIZE as u32).to_ne_bytes());
    message[header::TYPE..][..2].copy_from_slice(&kind.to_ne_bytes());
    message[header::SIZE..].copy_from_slice(&payload.to_ne_bytes());
    message
}

#[test]
fn an_answer_ends_with_an_errno() {
    for kind in [message_type::DONE, message_type::ERROR] {
        let errno = |payload| {
            let end = parse_answer(&message(kind, payload), 1, &mut Vec::new());
            end.map_err(|error| error.raw_os_error())
        };
        assert_eq!(errno(0), Ok(false));
        assert_eq!(errno(-libc::ENOENT), Err(Some(libc::ENOENT)));
        assert!(errno(i32::MIN).is_err());
    }
}

/// Parses these bytes as each thing that the kernel sends. Returns how many messages were found.
fn parse_as_anything(bytes: &[u8]) -> usize {
    let mut sockets = Vec::new();
    let _ = parse_answer(bytes, 1, &mut sockets);
    sockets.extend(parse_socket(bytes));
    let _ = sockets.into_iter().filter_map(|socket| socket.connection(&[80])).count();
    let _ = (0..4).filter_map(|kind| attribute(bytes, kind)).count();
    messages(bytes).count()
}

#[test]
fn what_is_left_of_a_socket_that_has_ended_is_no_connection() {
    let mut message = [0; diag_message::SIZE];
    message[diag_message::FAMILY] = libc::AF_INET as u8;
    message[diag_message::STATE] = 5;
    message[diag_message::TIMER] = TIME_WAIT_TIMER;
    assert_eq!(parse_socket(&message), None);
    message[diag_message::TIMER] = 0;
    assert_eq!(parse_socket(&message).map(|socket| socket.state), Some(FIN_WAIT2));
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_an_end(bytes in vec(any::<u8>(), 0..2000)) {
        prop_assert!(parse_as_anything(&bytes) <= bytes.len() / header::SIZE);
    }

    #[test]
    fn a_spoiled_answer_is_read_to_an_end(
        spoiled in vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = ANSWER.clone();
        for (at, byte) in spoiled {
            // Half of them in the first lengths and types.
            let reach = if byte % 2 == 0 { 96 } else { bytes.len() };
            bytes[at.index(reach)] = byte;
        }
        bytes.truncate(end.index(bytes.len()) + 1);
        prop_assert!(parse_as_anything(&bytes) <= bytes.len() / header::SIZE);
    }
}
