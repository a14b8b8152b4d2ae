use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use super::*;
use crate::traffic::socket::{CLOSE, ESTABLISHED, LISTEN, Protocol};

fn list(protocol: Protocol, states: u32, ports: Option<&[u16]>) -> Vec<ListedSocket> {
    let mut found = Vec::new();
    let wanted = Wanted { protocol, states, ports };
    DumpSocket::open().unwrap().list(&wanted, &mut |socket| found.push(socket)).unwrap();
    found
}

fn uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

#[test]
fn only_what_is_wanted_is_listed() {
    let listeners = ["127.0.0.1:0", "[::1]:0", "[::]:0"].map(|at| TcpListener::bind(at).unwrap());
    let ports = listeners.each_ref().map(|listener| listener.local_addr().unwrap().port());
    let found = |ports: Option<&[u16]>| {
        let mut found = list(Protocol::Tcp, LISTEN, ports);
        assert!(found.iter().all(|socket| socket.state == LISTEN && socket.inode > 0));
        found
            .retain(|socket| socket.uid == uid() && ports.is_none_or(|p| p.contains(&socket.port)));
        found.into_iter().map(|socket| socket.port).collect::<Vec<_>>()
    };
    for port in ports {
        assert_eq!(found(Some(&[port])), [port]);
        assert!(found(None).contains(&port));
    }
    assert_eq!(found(Some(&ports)).len(), 3);
    assert!(found(Some(&[])).is_empty());
    // So many that the kernel cannot leave out the others.
    let many: Vec<u16> = (1..200).step_by(2).chain(ports).collect();
    let many = found(Some(&many));
    assert!(ports.iter().all(|port| many.contains(port)));
    assert_eq!(list(Protocol::Tcp, ESTABLISHED, Some(&ports)), []);
    assert!(list(Protocol::Udp, CLOSE, Some(&ports)).iter().all(|socket| socket.cookie != 0));
}

#[test]
fn what_came_in_and_what_went_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let one = || list(Protocol::Tcp, ESTABLISHED, Some(&[port]))[0];
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let waiting = list(Protocol::Tcp, LISTEN, Some(&[port]))[0];
    assert_eq!((waiting.queued, one().inode), (1, 0));
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(b"seven b").unwrap();
    let unread = one();
    assert_eq!((unread.queued, unread.received, unread.sent), (7, Some(7), Some(0)));
    assert_eq!((unread.uid, unread.inode > 0), (uid(), true));
    server.read_exact(&mut [0; 7]).unwrap();
    server.write_all(b"eleven byte").unwrap();
    client.read_exact(&mut [0; 11]).unwrap();
    let answered = one();
    assert_eq!((answered.queued, answered.received, answered.sent), (0, Some(7), Some(11)));
    let silent_for = answered.silent_for.unwrap();
    assert!(silent_for.as_secs() < 60, "{silent_for:?}");
    // It grows while nothing comes in.
    while one().silent_for.unwrap() <= silent_for {
        std::thread::yield_now();
    }
}

#[test]
fn a_datagram_waits_in_the_queue() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let server = UdpSocket::bind(address).unwrap();
        let to = server.local_addr().unwrap();
        let one = || {
            let found = list(Protocol::Udp, CLOSE, Some(&[to.port()]));
            assert_eq!(found.len(), 1, "{found:?}");
            found[0]
        };
        assert_eq!((one().queued, one().uid, one().peer.port()), (0, uid(), 0));
        let client = UdpSocket::bind(address).unwrap();
        client.send_to(b"query", to).unwrap();
        assert!(one().queued > 0);
        server.recv(&mut [0; 9]).unwrap();
        assert_eq!((one().queued, one().received), (0, None));
    }
}

#[test]
fn who_is_connected_to_a_unix_listener() {
    let name = format!("reprieve\0\n\u{fc} {}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    let shown = format!("@{}", name.replace('\0', "@"));
    let accepted = || {
        let mut found = Vec::new();
        let mut dumps = DumpSocket::open().unwrap();
        let mut each = |socket: UnixSocket| {
            if socket.name == shown.as_bytes() {
                found.push((socket.inode, socket.peer_inode));
            }
        };
        dumps.unix_accepted(&mut each).unwrap();
        found
    };
    assert_eq!(accepted(), []);
    let client = UnixStream::connect_addr(&address).unwrap();
    let (server, _) = listener.accept().unwrap();
    let inode = |socket: &UnixStream| {
        let owned = socket.try_clone().map(OwnedFd::from).map(std::fs::File::from);
        std::os::unix::fs::MetadataExt::ino(&owned.unwrap().metadata().unwrap())
    };
    assert_eq!(accepted(), [(inode(&server), Some(inode(&client)))]);
    drop(client);
    assert_eq!(accepted(), [(inode(&server), None)]);
}

/// The messages of an answer about the listeners.
fn listeners(request: &[u8], kind: u16) -> io::Result<Vec<ListedSocket>> {
    let mut found = Vec::new();
    let mut each = |message: &[u8]| found.extend(inet::parse_socket(message));
    DumpSocket::open()?.dump(kind, request, &mut each)?;
    found.sort_unstable_by_key(|socket: &ListedSocket| socket.cookie);
    Ok(found)
}

#[test]
fn the_kernel_itself_leaves_out_other_ports() {
    let listeners_of = |choice: &Choice| {
        let old = listeners(&inet::tcp_request(LISTEN, choice), message_type::TCPDIAG_GETSOCK);
        let of = |family| {
            let request = inet::request(family, Protocol::Tcp, LISTEN, choice);
            listeners(&request, message_type::SOCK_DIAG_BY_FAMILY).unwrap()
        };
        let ports = |sockets: &[ListedSocket]| {
            let mut ports: Vec<u16> = sockets.iter().map(|socket| socket.port).collect();
            ports.sort_unstable();
            ports
        };
        (ports(&old.unwrap()), ports(&[of(libc::AF_INET), of(libc::AF_INET6)].concat()))
    };
    let sockets = ["127.0.0.1:0", "[::1]:0", "[::]:0"].map(|at| TcpListener::bind(at).unwrap());
    let mut ports = sockets.each_ref().map(|listener| listener.local_addr().unwrap().port());
    ports.sort_unstable();
    let one = [ports[0]];
    assert_eq!(listeners_of(&Choice::One(ports[0])), (one.to_vec(), one.to_vec()));
    for ports in [&ports[..], &ports[1..]] {
        let choice = PortRanges::new(ports).choice();
        assert!(matches!(choice, Choice::Program(_)));
        assert_eq!(listeners_of(&choice), (ports.to_vec(), ports.to_vec()));
    }
    // The longest program that it gets.
    let [first, .., last] = ports;
    let many: Vec<u16> = (1..=126).step_by(2).map(|n| first.wrapping_sub(n + 1)).collect();
    let many = PortRanges::new(&[&many[..], &[last]].concat());
    let Choice::Program(_) = many.choice() else { panic!("it is too long") };
    let (old, new) = listeners_of(&many.choice());
    assert!(old.contains(&last) && !old.contains(&first) && old == new, "{old:?} {new:?}");
}

#[test]
fn a_cut_answer_lists_fewer_sockets() {
    let _listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut dumps = DumpSocket::open().unwrap();
    let request = inet::tcp_request(LISTEN, &Choice::All);
    let request = dump_request(1, message_type::TCPDIAG_GETSOCK, &request);
    send(dumps.socket.as_raw_fd(), &request, MsgFlags::empty()).unwrap();
    let answer = receive(&dumps.socket, &mut dumps.buffer).unwrap().to_vec();
    let listed = |answer: &[u8]| {
        let mut sockets = Vec::new();
        let mut each = |message: &[u8]| sockets.extend(inet::parse_socket(message));
        assert!(parse_answer(answer, 1, &mut each).unwrap());
        sockets
    };
    let all = listed(&answer);
    assert!(!all.is_empty() && all.iter().all(|socket| socket.received.is_some()));
    for end in 0..answer.len() {
        assert!(all.starts_with(&listed(&answer[..end])));
    }
}

#[test]
fn an_unfinished_answer_does_not_spoil_the_next() {
    let listeners: Vec<_> = (0..200).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<u16> = listeners.iter().map(|at| at.local_addr().unwrap().port()).collect();
    let mut dumps = DumpSocket::open().unwrap();
    let request = inet::tcp_request(LISTEN, &Choice::All);
    let request = dump_request(9, message_type::TCPDIAG_GETSOCK, &request);
    send(dumps.socket.as_raw_fd(), &request, MsgFlags::empty()).unwrap();
    // It answers no other one until all of this answer is read.
    let wrong = dumps.ask(message_type::TCPDIAG_GETSOCK, &[0; 60], &mut |_| {}).unwrap_err();
    assert_eq!(wrong.raw_os_error(), Some(libc::EBUSY));
    let wanted = Wanted { protocol: Protocol::Tcp, states: LISTEN, ports: Some(&ports[..1]) };
    let mut found = Vec::new();
    dumps.list(&wanted, &mut |socket| found.push(socket.port)).unwrap();
    assert_eq!(found, ports[..1]);
}

#[test]
fn what_the_kernel_does_not_know_is_an_error() {
    let unknown = inet::request(libc::AF_UNSPEC, Protocol::Tcp, LISTEN, &Choice::All);
    assert!(listeners(&unknown, message_type::SOCK_DIAG_BY_FAMILY).is_err());
    let wrong = inet::tcp_request(LISTEN, &Choice::Program(vec![99, 4, 4, 0]));
    assert!(listeners(&wrong, message_type::TCPDIAG_GETSOCK).is_err());
}
