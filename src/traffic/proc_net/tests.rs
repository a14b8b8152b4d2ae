use std::net::UdpSocket;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::traffic::socket::{CLOSE, FIN_WAIT2};
use crate::traffic::tests::is_alone;

const LINES: [&str; 2] = [
    "   0: 0100007F:1F90 0200007F:9C40 01 00000000:00000007 00:00000000 00000000  1000        0 4711 1 0000000000000000 20 4 30 10 -1",
    "  12: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000200007F:9C40 01 0000000A:00000007 00:00000000 00000000 1000 0 4711 1 0",
];

#[test]
#[cfg(target_endian = "little")]
fn lines_of_both_families() {
    let peer = SocketAddr::from(([127, 0, 0, 2], 40_000));
    let state = crate::traffic::socket::ESTABLISHED;
    let socket = ListedSocket {
        state,
        port: 8080,
        peer,
        inode: 4711,
        uid: 1000,
        cookie: 0,
        queued: 7,
        received: None,
        sent: None,
        silent_for: None,
    };
    assert_eq!(LINES.map(|line| parse_line(line.as_bytes())), [Some(socket); 2]);
}

#[test]
fn what_is_left_of_a_socket_that_has_ended_is_no_connection() {
    let line = "0: 0100007F:1F90 0100007F:C350 05 00000000:00000000 03:0000176E 00000000 0 0 0 3";
    assert_eq!(parse_line(line.as_bytes()), None);
    let alive = line.replace("03:0000176E", "00:00000000");
    assert_eq!(parse_line(alive.as_bytes()).map(|socket| socket.state), Some(FIN_WAIT2));
}

#[test]
fn a_long_line_is_cut_and_the_next_one_is_whole() {
    let long = [&[b'x'; 3 * MAX_LINE][..], b"\nsecond\n\nlast"].concat();
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut until = |stop: &[u8]| {
        lines.clear();
        let found = find_line(&mut &long[..], &mut |line| {
            lines.push(line.to_vec());
            line == stop
        });
        (found.unwrap(), lines.clone())
    };
    let all = [&[b'x'; MAX_LINE][..], b"second", b"", b"last"].map(<[u8]>::to_vec);
    assert_eq!(until(b"none"), (false, all.to_vec()));
    assert_eq!(until(b""), (true, all[..3].to_vec()));
}

#[test]
fn unix_listeners_with_any_name() {
    let line = |flags: &str, rest: &[u8]| {
        let head = format!("00000000914ea565: 00000002 00000000 {flags} 0001 01 ");
        [head.as_bytes(), rest].concat()
    };
    let listener = |name| Some(UnixListener { name, inode: 4711 });
    let parsed = |rest: &[u8], expected| {
        assert_eq!(parse_unix_line(&line("00010000", rest)), expected, "{rest:?}");
        assert_eq!(parse_unix_line(&line("00000000", rest)), None);
    };
    parsed(b" 4711 /run/my app.sock", listener(b"/run/my app.sock"));
    parsed(b" 4711 a.sock ", listener(b"a.sock "));
    parsed(b"  4711 @\xff\xfe@", listener(b"@\xff\xfe@"));
    parsed(b"4711  leading", listener(b" leading"));
    parsed(b" 4711 ", None);
    parsed(b" 4711", None);
    parsed(b" x /run/a", None);
    let names = [&b"@a"[..], b"/a", b"a@"];
    assert_eq!(names.map(|name| listener(name).unwrap().is_abstract()), [true, false, false]);
}

/// Its state is that of a connected one once it has a client.
#[test]
fn a_datagram_socket_with_a_path_takes_what_others_send() {
    for state in ["01", "03"] {
        let line = format!("00000000914ea565: 00000002 00000000 00000000 0002 {state}  4711 ");
        let parsed = |name: &str| parse_unix_line(format!("{line}{name}").as_bytes()).is_some();
        assert!(parsed("/run/dsd.sock") && !parsed("@00b1c"));
    }
}

#[test]
fn the_listeners_of_the_kernel() {
    let folder = std::env::temp_dir().join(format!("reprieve-{} \u{fc}", std::process::id()));
    let _listener = std::os::unix::net::UnixListener::bind(&folder).unwrap();
    std::fs::remove_file(&folder).unwrap();
    let mut found = 0;
    unix_listeners(&mut |listener| {
        found += usize::from(listener.name == folder.as_os_str().as_encoded_bytes());
    })
    .unwrap();
    assert_eq!(found, 1);
}

const SNMP: [&str; 4] = [
    "Tcp: RtoMin PassiveOpens",
    "Tcp: 200 7",
    "Udp: InDatagrams NoPorts InErrors Other",
    "Udp: 18446744073709551615 5 3 9",
];

#[test]
fn counters_are_found_by_their_names() {
    let sum = |lines: &[&str], protocol, counters| {
        let mut sum = Sum::of(protocol, counters);
        lines.iter().for_each(|line| sum.add_line(line.as_bytes()));
        sum.total().ok()
    };
    assert_eq!(sum(&SNMP, "Tcp:", &["PassiveOpens"]), Some(7));
    assert_eq!(sum(&SNMP, "Udp:", &["InErrors", "InDatagrams"]), Some(2));
    assert_eq!(sum(&SNMP, "Udp:", &["InErrors", "InNothing"]), None);
    assert_eq!(sum(&SNMP[..3], "Udp:", &["InErrors"]), None);
    assert_eq!(sum(&["Udp: InErrors", "Udp:"], "Udp:", &["InErrors"]), None);
    assert_eq!(sum(&["Udp: InErrors", "Udp: -1"], "Udp:", &["InErrors"]), None);
}

#[test]
#[cfg_attr(without_namespaces, ignore = "needs a user namespace")]
fn datagrams_count_when_they_are_read_or_dropped() {
    if !is_alone("traffic::proc_net::tests::datagrams_count_when_they_are_read_or_dropped") {
        return;
    }
    let mut count = DatagramCount::read().unwrap();
    let grown = |count: &mut DatagramCount| count.growth().unwrap();
    for (server, client) in [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1")] {
        let server = UdpSocket::bind((server, 0)).unwrap();
        let port = server.local_addr().unwrap().port();
        let sender = UdpSocket::bind((client, 0)).unwrap();
        sender.connect((client, port)).unwrap();
        let queued = || {
            let wanted = Wanted { protocol: Protocol::Udp, states: CLOSE, ports: Some(&[port]) };
            let mut queued = Vec::new();
            list(&wanted, &mut |socket| queued.push(socket.queued)).unwrap();
            assert_eq!(queued.len(), 1);
            queued[0]
        };
        sender.send(b"query").unwrap();
        assert_eq!((grown(&mut count), queued() > 0), (0, true));
        server.recv(&mut [0; 9]).unwrap();
        assert_eq!((grown(&mut count), queued()), (1, 0));
        // More than its queue has room for.
        let most = 10_000;
        (0..most).for_each(|_| assert_eq!(sender.send(&[0; 500]).unwrap(), 500));
        let dropped = grown(&mut count);
        assert!(0 < dropped && dropped < most, "{dropped}");
        drop(server);
        // Nobody has the port: the next call says so.
        let _ = (sender.send(b"query"), sender.send(b"query"));
        assert_eq!(grown(&mut count), 0);
    }
}

#[test]
fn the_ports_of_whoever_asks_for_none() {
    assert_eq!(parse_port_range("32768\t60999\n"), Some(32_768..=60_999));
    for text in ["", "1", "1 x", "1 65536"] {
        assert_eq!(parse_port_range(text), None, "{text}");
    }
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert!(ephemeral_ports().contains(&port));
}

#[test]
#[cfg(target_endian = "little")]
fn the_address_of_a_listener() {
    let line = LINES[0].replace(" 01 ", " 0A ");
    assert_eq!(parse_listener(line.as_bytes()), Some(([127, 0, 0, 1], 8080).into()));
    assert_eq!(LINES.map(|line| parse_listener(line.as_bytes())), [None; 2]);
}

proptest! {
    #[test]
    fn any_line_is_read_to_an_end(bytes in vec(any::<u8>(), 0..2000)) {
        let _ = (parse_line(&bytes), parse_listener(&bytes), parse_unix_line(&bytes));
        let mut lines = 0;
        let has_stopped = find_line(&mut &bytes[..], &mut |line| {
            assert!(!line.contains(&b'\n'));
            lines += 1;
            lines == 3
        }).unwrap();
        prop_assert_eq!(has_stopped, bytes.split_inclusive(|byte| *byte == b'\n').count() > 2);
        let mut sum = Sum::of("", &["a"]);
        bytes.split(|byte| *byte == b'\n').for_each(|line| sum.add_line(line));
    }

    #[test]
    fn a_spoiled_line_is_read_to_an_end(line in 0..2usize, at in any::<prop::sample::Index>(), put in any::<char>()) {
        let mut line = LINES[line].to_owned();
        let at = at.index(line.len());
        line.replace_range(at..=at, put.encode_utf8(&mut [0; 4]));
        let _ = parse_line(line.as_bytes());
        let _ = parse_line(&line.as_bytes()[..at]);
    }
}
