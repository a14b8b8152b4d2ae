use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A socket of inode 7 with these attributes.
fn message(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut message = vec![0; diag_message::SIZE];
    put(&mut message, diag_message::FAMILY, &[libc::AF_UNIX as u8]);
    put(&mut message, diag_message::INODE, &7u32.to_ne_bytes());
    for (kind, content) in attributes {
        let length = (4 + content.len()) as u16;
        message.extend([length, *kind].iter().flat_map(|field| field.to_ne_bytes()));
        message.extend_from_slice(content);
        message.resize(message.len().next_multiple_of(4), 0);
    }
    message
}

fn parse(message: &[u8]) -> Option<(Vec<u8>, u64, Option<u64>)> {
    let mut found = None;
    parse_socket(message, &mut |UnixSocket { name, inode, peer_inode }| {
        assert!(found.is_none());
        found = Some((name.to_vec(), inode, peer_inode));
    });
    found
}

#[test]
fn names_are_as_in_proc() {
    let peer = (UNIX_DIAG_PEER, &9u32.to_ne_bytes()[..]);
    for (name, shown) in [
        (&b"/run/a.sock\0"[..], &b"/run/a.sock"[..]),
        // A path may be as long as there is room for, without a NUL.
        (&[b'a'; 108], &[b'a'; 108]),
        (b"\0abstract\0\xff\n", b"@abstract@\xff\n"),
        (b"\0", b"@"),
    ] {
        let found = parse(&message(&[(UNIX_DIAG_NAME, name), peer]));
        assert_eq!(found, Some((shown.to_vec(), 7, Some(9))), "{name:?}");
    }
}

#[test]
fn what_has_no_name_is_left_out() {
    let peer = (UNIX_DIAG_PEER, &9u32.to_ne_bytes()[..]);
    assert_eq!(parse(&message(&[peer])), None);
    assert_eq!(parse(&message(&[(UNIX_DIAG_NAME, b""), peer])), None);
    // No kernel has so long a name.
    assert_eq!(parse(&message(&[(UNIX_DIAG_NAME, &[b'a'; 400])])), None);
    let named = (UNIX_DIAG_NAME, &b"a\0"[..]);
    for (peer, expected) in [(9, Some(9)), (0, None)] {
        let peer = (UNIX_DIAG_PEER, &u32::to_ne_bytes(peer)[..]);
        assert_eq!(parse(&message(&[named, peer])).unwrap().2, expected);
    }
    let mut of_another_family = message(&[named]);
    put(&mut of_another_family, diag_message::FAMILY, &[libc::AF_INET as u8]);
    assert_eq!(parse(&of_another_family), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_an_end(bytes in vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn a_spoiled_message_is_read_to_an_end(
        spoiled in vec((any::<prop::sample::Index>(), any::<u8>()), 1..9),
        end in any::<prop::sample::Index>(),
    ) {
        let peer = (UNIX_DIAG_PEER, &9u32.to_ne_bytes()[..]);
        let mut bytes = message(&[(UNIX_DIAG_NAME, b"/run/a.sock\0"), peer]);
        for (at, byte) in spoiled {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = parse(&bytes[..=end.index(bytes.len())]);
    }
}
