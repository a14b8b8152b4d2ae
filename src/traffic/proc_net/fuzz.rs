//! A file of /proc/net; each line as one of each of them.

use std::net::{IpAddr, SocketAddr};

use crate::traffic::proc_net::{
    MAX_LINE, Sum, find_line, parse_line, parse_listener, parse_port_range, parse_unix_line,
};
use crate::traffic::socket::{LISTEN, ListedSocket};

pub fn proc_net(mut text: &[u8]) {
    let whole = text;
    let mut read: Vec<u8> = Vec::new();
    let mut accepted = Sum::of("Tcp:", &["PassiveOpens"]);
    let mut datagrams = Sum::of("Udp:", &["InDatagrams", "InErrors"]);
    let all = find_line(&mut text, &mut |line| {
        assert!(line.len() <= MAX_LINE && !line.contains(&b'\n'));
        read.extend_from_slice(line);
        inet_line(line);
        if let Some(listener) = parse_unix_line(line) {
            assert!(!listener.name.is_empty() && line.ends_with(listener.name));
        }
        accepted.add_line(line);
        datagrams.add_line(line);
        false
    });
    assert_eq!(all.ok(), Some(false));
    if whole.split(|byte| *byte == b'\n').all(|line| line.len() < MAX_LINE) {
        let without_ends = whole.iter().filter(|byte| **byte != b'\n');
        assert!(read.iter().eq(without_ends), "a part of a line was left out");
    }
    for sum in [accepted, datagrams] {
        assert!(sum.total().is_err() || sum.places.len() == sum.counters.len());
    }
    parse_port_range(&String::from_utf8_lossy(whole));
}

fn inet_line(line: &[u8]) {
    let listener = parse_listener(line);
    let Some(socket) = parse_line(line) else { return };
    assert!(socket.state.is_power_of_two());
    assert_eq!(listener.is_some(), socket.state == LISTEN);
    assert_eq!(listener.map_or(socket.port, |address| address.port()), socket.port);
    assert_eq!(parse_line(as_the_kernel_does(&socket).as_bytes()), Some(socket));
}

/// Writes such a line (get_tcp4_sock in the kernel's net/ipv4/tcp_ipv4.c).
fn as_the_kernel_does(socket: &ListedSocket) -> String {
    let ListedSocket { state, port, peer, inode, uid, queued, .. } = socket;
    let local = SocketAddr::new(peer.ip(), *port);
    let [local, peer] = [local, *peer].map(|address| {
        let octets = match address.ip() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let words = octets.as_chunks().0.iter().map(|word| u32::from_ne_bytes(*word));
        let words: String = words.map(|word| format!("{word:08X}")).collect();
        format!("{words}:{:04X}", address.port())
    });
    let state = state.trailing_zeros();
    format!(
        "0: {local} {peer} {state:02X} 00000000:{queued:08X} 00:00000000 00000000 {uid} 0 {inode}"
    )
}
