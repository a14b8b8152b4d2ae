use std::net::TcpListener;
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::traffic::socket::{FIN_WAIT2, LISTEN};

/// Leaves room for a few events only.
pub fn cramp(events: &Events) {
    setsockopt(&events.0, sockopt::RcvBuf, &2048).unwrap();
}

/// The kernel's answer about listeners, of which there is at least one.
static ANSWER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let _listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut dumps = Dumps::open().unwrap();
    let request = request(1, libc::AF_INET as u8, LISTEN);
    send(dumps.socket.as_raw_fd(), &request, MsgFlags::empty()).unwrap();
    receive(&dumps.socket, &mut dumps.room).unwrap().to_vec()
});

#[test]
fn a_cut_answer_gives_fewer_rows() {
    let rows = |answer: &[u8]| {
        let mut rows = Vec::new();
        assert!(take_rows(answer, 1, &mut rows).unwrap());
        rows
    };
    let all = rows(&ANSWER);
    assert!(!all.is_empty() && all.iter().all(|row| row.received.is_some()));
    for end in 0..ANSWER.len() {
        assert!(all.starts_with(&rows(&ANSWER[..end])));
    }
    // What answers another question is not taken.
    let mut none = Vec::new();
    assert!(take_rows(&ANSWER, 2, &mut none).unwrap() && none.is_empty());
}

/// A message of this kind, to question 1, that begins with a number.
fn message(kind: u16, payload: i32) -> Vec<u8> {
    let mut message = request(1, 0, 0)[..20].to_vec();
    message[..4].copy_from_slice(&20u32.to_ne_bytes());
    message[4..6].copy_from_slice(&kind.to_ne_bytes());
    message[16..].copy_from_slice(&payload.to_ne_bytes());
    message
}

#[test]
fn an_answer_ends_with_an_errno() {
    for kind in [NLMSG_DONE, NLMSG_ERROR] {
        let errno = |payload| {
            let end = take_rows(&message(kind, payload), 1, &mut Vec::new());
            end.map_err(|error| error.raw_os_error())
        };
        assert_eq!(errno(0), Ok(false));
        assert_eq!(errno(-libc::ENOENT), Err(Some(libc::ENOENT)));
        assert!(errno(i32::MIN).is_err());
    }
}

/// Reads these as all that the kernel sends, and tells how many messages there were.
fn read_as_anything(bytes: &[u8]) -> usize {
    let mut rows = Vec::new();
    let _ = take_rows(bytes, 1, &mut rows);
    rows.extend(row(bytes));
    let _ = rows.into_iter().filter_map(|row| row.connection(&[80])).count();
    let _ = (0..4).filter_map(|kind| attribute(bytes, kind)).count();
    messages(bytes).count()
}

#[test]
fn what_is_left_of_a_socket_that_has_ended_is_no_connection() {
    let mut message = [0; 72];
    message[..3].copy_from_slice(&[libc::AF_INET as u8, 5, REMEMBERED]);
    assert_eq!(row(&message), None);
    message[2] = 0;
    assert_eq!(row(&message).map(|row| row.state), Some(FIN_WAIT2));
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_an_end(bytes in vec(any::<u8>(), 0..2000)) {
        prop_assert!(read_as_anything(&bytes) <= bytes.len() / 16);
    }

    #[test]
    fn a_spoiled_answer_is_read_to_an_end(
        spoiled in vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = ANSWER.clone();
        for (at, byte) in spoiled {
            // Half of them in the first lengths and kinds.
            let reach = if byte % 2 == 0 { 96 } else { bytes.len() };
            bytes[at.index(reach)] = byte;
        }
        bytes.truncate(end.index(bytes.len()) + 1);
        prop_assert!(read_as_anything(&bytes) <= bytes.len() / 16);
    }
}
