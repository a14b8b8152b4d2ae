use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A message of this type, which answers request 1 and begins with a number.
fn message(kind: u16, payload: i32) -> Vec<u8> {
    dump_request(1, kind, &payload.to_ne_bytes())
}

#[test]
fn an_answer_ends_with_an_errno() {
    for kind in [message_type::DONE, message_type::ERROR] {
        let errno = |payload| {
            let end = parse_answer(&message(kind, payload), 1, &mut |_| panic!("none is listed"));
            end.map_err(|error| error.raw_os_error())
        };
        assert_eq!(errno(0), Ok(false));
        assert_eq!(errno(-libc::ENOENT), Err(Some(libc::ENOENT)));
        assert!(errno(i32::MIN).is_err());
    }
}

#[test]
fn the_answer_to_another_request_is_left_out() {
    let answer = message(message_type::SOCK_DIAG_BY_FAMILY, 7);
    for (sequence, listed) in [(1, vec![7i32.to_ne_bytes().to_vec()]), (2, vec![])] {
        let mut found = Vec::new();
        let has_more = parse_answer(&answer, sequence, &mut |message| found.push(message.to_vec()));
        assert!(has_more.unwrap());
        assert_eq!(found, listed);
    }
}

#[test]
fn bytes_are_put_only_where_there_are_some() {
    let mut all = [0; 4];
    put(&mut all, 2, &[1, 2, 3]);
    put(&mut all, 9, &[4]);
    assert_eq!(all, [0, 0, 1, 2]);
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_an_end(all in vec(any::<u8>(), 0..2000)) {
        let _ = parse_answer(&all, 1, &mut |_| {});
        let _ = (0..4).filter_map(|kind| attribute(&all, kind)).count();
        prop_assert!(messages(&all).count() <= all.len() / header::SIZE);
    }
}
