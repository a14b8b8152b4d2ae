use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::traffic::socket::FIN_WAIT2;

const LINES: [&str; 2] = [
    "   0: 0100007F:1F90 0200007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000000000000000 20 4 30 10 -1",
    "  12: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000200007F:9C40 01 00000000:00000000 00:00000000 00000000 0 0 4711 1 0",
];

#[test]
#[cfg(target_endian = "little")]
fn lines_of_both_families() {
    let peer = SocketAddr::from(([127, 0, 0, 2], 40_000));
    let state = crate::traffic::socket::ESTABLISHED;
    let socket = ListedSocket { state, port: 8080, peer, inode: 4711, cookie: 0, received: None };
    assert_eq!(LINES.map(parse_line), [Some(socket); 2]);
}

#[test]
fn what_is_left_of_a_socket_that_has_ended_is_no_connection() {
    let line = "0: 0100007F:1F90 0100007F:C350 05 00000000:00000000 03:0000176E 00000000 0 0 0 3";
    assert_eq!(parse_line(line), None);
    let alive = line.replace("03:0000176E", "00:00000000");
    assert_eq!(parse_line(&alive).map(|socket| socket.state), Some(FIN_WAIT2));
}

#[test]
#[cfg(target_endian = "little")]
fn the_address_of_a_listener() {
    let line = LINES[0].replace(" 01 ", " 0A ");
    assert_eq!(parse_listener(&line), Some(([127, 0, 0, 1], 8080).into()));
    assert_eq!(LINES.map(parse_listener), [None; 2]);
}

proptest! {
    #[test]
    fn any_line_is_read_to_an_end(bytes in vec(any::<u8>(), 0..2000)) {
        let line = String::from_utf8_lossy(&bytes);
        let _ = (parse_line(&line), parse_listener(&line));
    }

    #[test]
    fn a_spoiled_line_is_read_to_an_end(line in 0..2usize, at in any::<prop::sample::Index>(), put in any::<char>()) {
        let mut line = LINES[line].to_owned();
        let at = at.index(line.len());
        line.replace_range(at..=at, put.encode_utf8(&mut [0; 4]));
        let _ = parse_line(&line);
        let _ = parse_line(&line[..at]);
    }
}
