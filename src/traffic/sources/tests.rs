use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::libc;
use nix::sys::socket::{Backlog, SockaddrIn, bind, connect};

use super::*;
use crate::test_support::eventually;
use crate::traffic::servers::{Candidate, Ports};
use crate::traffic::sock_diag;
use crate::traffic::tests::is_alone;

fn listen(address: &str) -> (TcpListener, u16) {
    let listener = TcpListener::bind(address).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// What was found at one look.
#[derive(Debug, Default, PartialEq)]
struct Look {
    open: Vec<Connection>,
    ended: Vec<Connection>,
    missed: Option<Missed>,
}

fn look(source: &mut SocketSource) -> Look {
    let mut look = Look::default();
    look.missed = source.look(&mut |sighting| match sighting {
        Sighting::Open(connection) => look.open.push(connection),
        Sighting::Ended(connection) => look.ended.push(connection),
    });
    look
}

/// Watches these ports from a source of this kind, of which this is the first look.
fn watch(kind: Source, ports: &[u16]) -> (SocketSource, Look) {
    let mut source = SocketSource::open_one_of(&[kind]).unwrap();
    assert_eq!(source.kind(), kind);
    source.watch(ports);
    let first = look(&mut source);
    (source, first)
}

/// Looks until a look finds it.
fn look_for<T>(source: &mut SocketSource, what: &str, find: impl Fn(&Look) -> Option<T>) -> T {
    eventually(what, || find(&look(source)))
}

#[test]
fn what_came_in_on_a_connection_of_either_family() {
    for (server, client) in [
        ("127.0.0.1:0", "127.0.0.1"),
        ("[::1]:0", "::1"),
        // An IPv4 client of a listener for both.
        ("[::]:0", "127.0.0.1"),
        ("0.0.0.0:0", "127.0.0.1"),
    ] {
        let (_listener, port) = listen(server);
        let (mut source, first) = watch(Source::Events, &[port]);
        assert_eq!(first, Look::default());
        // Nobody accepts it: it is open all the same.
        let mut client = TcpStream::connect((client, port)).unwrap();
        client.write_all(b"hello").unwrap();
        let open = look_for(&mut source, "five bytes", |look| {
            look.open.iter().any(|open| open.received == Some(5)).then(|| look.open.clone())
        });
        // The client's end is none of ours.
        let [open] = open[..] else { panic!("{open:?}") };
        assert_eq!((open.port, open.peer), (port, client.local_addr().unwrap()));
        assert_ne!(open.cookie, 0);
    }
}

#[test]
fn an_end_is_reported_with_what_had_come_in() {
    let (listener, port) = listen("127.0.0.1:0");
    let (mut source, _) = watch(Source::Events, &[port]);
    // A request and the FIN; a probe, whose FIN counts as a byte.
    for (sent, received) in [(&b"request"[..], 8), (b"", 1)] {
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (mut server, peer) = listener.accept().unwrap();
        client.write_all(sent).unwrap();
        drop(client);
        server.read_to_end(&mut Vec::new()).unwrap();
        drop(server);
        let ended = look_for(&mut source, "the end", |look| look.ended.first().copied());
        assert_eq!((ended.port, ended.peer, ended.received), (port, peer, Some(received)));
    }
}

/// As Go's servers listen since 1.24.
#[test]
#[ignore = "needs multipath TCP in the kernel: sysctl net.mptcp.enabled=1"]
fn multipath_tcp_is_seen_too() {
    let multipath = || {
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        // SAFETY: no pointer is involved, and nobody else has the descriptor.
        unsafe {
            let socket = libc::socket(libc::AF_INET, kind, libc::IPPROTO_MPTCP);
            assert!(socket >= 0, "multipath TCP: {}", io::Error::last_os_error());
            OwnedFd::from_raw_fd(socket)
        }
    };
    let listener = multipath();
    bind(listener.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    nix::sys::socket::listen(&listener, Backlog::MAXCONN).unwrap();
    let listener = TcpListener::from(listener);
    let port = listener.local_addr().unwrap().port();
    let (mut source, _) = watch(Source::Events, &[port]);

    let client = multipath();
    connect(client.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, port)).unwrap();
    let plain = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let five = |connections: &[Connection], peer| {
        let five = |found: &&Connection| found.peer == peer && found.received >= Some(5);
        connections.iter().find(five).copied()
    };
    // The end of one that really has several paths is reported late, or never.
    for (mut client, end_is_reported) in [(TcpStream::from(client), false), (plain, true)] {
        client.write_all(b"hello").unwrap();
        let (mut server, peer) = listener.accept().unwrap();
        server.read_exact(&mut [0; 5]).unwrap();
        look_for(&mut source, "the bytes", |look| five(&look.open, peer));
        drop((client, server));
        if end_is_reported {
            look_for(&mut source, "the end", |look| five(&look.ended, peer));
        }
    }
}

#[test]
fn the_end_of_a_listener_is_that_of_no_connection() {
    let (leaving, left) = listen("127.0.0.1:0");
    let (staying, port) = listen("127.0.0.1:0");
    let (mut source, _) = watch(Source::Events, &[left, port]);
    drop(leaving);
    // Its event comes before those of what ends later.
    drop(TcpStream::connect(("127.0.0.1", port)).unwrap());
    drop(staying.accept().unwrap());
    let ended = look_for(&mut source, "the end", |look| {
        (!look.ended.is_empty()).then(|| look.ended.clone())
    });
    assert!(ended.iter().all(|ended| ended.port == port), "{ended:?}");
}

#[test]
fn what_came_and_went_without_an_event_is_missed() {
    for kind in [Source::Dumps, Source::Files] {
        let (listener, port) = listen("127.0.0.1:0");
        let (mut source, _) = watch(kind, &[port]);
        drop(TcpStream::connect(("127.0.0.1", port)).unwrap());
        drop(listener.accept().unwrap());
        look_for(&mut source, "something missed", |look| look.missed.map(drop));
        // Others share the namespace.
        look_for(&mut source, "nothing missed", |look| look.missed.is_none().then_some(()));
    }
}

#[test]
fn files_list_without_bytes() {
    for address in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
        let (listener, port) = listen(address);
        let (mut source, first) = watch(Source::Files, &[port]);
        assert_eq!(first.open, []);
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let peer = client.local_addr().unwrap();
        let open = Connection {
            cookie: 0,
            port,
            peer,
            received: None,
            sent: None,
            silent_for: None,
            peer_closed: false,
            app_closed: false,
        };
        assert_eq!(look(&mut source).open, [open]);
    }
}

/// Runs this in a thread to which the kernel refuses these system calls (seccomp(2)).
fn refusing<T: Send>(calls: &[libc::c_long], run: impl FnOnce() -> T + Send) -> T {
    let statement = |code: u32, jt, k| libc::sock_filter { code: code as u16, jt, jf: 0, k };
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    let mut filter = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (call, left) in calls.iter().zip((1..=calls.len()).rev()) {
        filter.push(statement(equal, left as u8, *call as u32));
    }
    filter.push(statement(answer, 0, libc::SECCOMP_RET_ALLOW));
    filter.push(statement(answer, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32));
    let refused = move || {
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        // SAFETY: the program lives for the calls, which change this thread alone.
        let done = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0
        };
        assert!(done, "seccomp: {}", io::Error::last_os_error());
        run()
    };
    std::thread::scope(|scope| scope.spawn(refused).join().unwrap())
}

#[cfg(target_arch = "x86_64")]
const OPEN_A_FILE: [libc::c_long; 2] = [libc::SYS_open, libc::SYS_openat];
#[cfg(not(target_arch = "x86_64"))]
const OPEN_A_FILE: [libc::c_long; 1] = [libc::SYS_openat];

#[test]
fn where_one_source_is_refused_the_next_is_used() {
    let (_listener, port) = listen("127.0.0.1:0");
    let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    for (refused, kind) in [
        (&[][..], Source::Events),
        (&OPEN_A_FILE[..], Source::Events),
        (&[libc::SYS_bind], Source::Dumps),
        (&[libc::SYS_socket], Source::Files),
        (&[libc::SYS_sendto], Source::Files),
        (&[libc::SYS_recvfrom], Source::Files),
    ] {
        let mut source = refusing(refused, SocketSource::open).unwrap();
        assert_eq!(source.kind(), kind, "{refused:?}");
        source.watch(&[port]);
        assert_eq!(look(&mut source).open.len(), 1);
    }
    // Without /proc it is not known what came and went.
    for refused in [libc::SYS_bind, libc::SYS_socket] {
        let refused = [&OPEN_A_FILE[..], &[refused]].concat();
        assert!(refusing(&refused, SocketSource::open).is_err());
    }
}

#[test]
fn a_look_that_is_refused_may_have_missed_something() {
    let (_listener, port) = listen("127.0.0.1:0");
    for kind in SOURCES {
        let (mut source, _) = watch(kind, &[port]);
        let refused = [&OPEN_A_FILE[..], &[libc::SYS_recvfrom]].concat();
        let look = refusing(&refused, || look(&mut source));
        assert_eq!(look.missed, Some(Missed::ListFailed));
    }
}

#[test]
fn all_that_may_be_a_servers_is_listed() {
    let (_tcp, tcp) = listen("127.0.0.1:0");
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp = udp.local_addr().unwrap().port();
    let named = Listening::new(Ports::Named(vec![tcp, udp]), Vec::new());
    for kind in SOURCES {
        let mut source = SocketSource::open_one_of(&[kind]).unwrap();
        let listing = source.list_servers(&named).unwrap();
        let ports = |all: &[Candidate]| all.iter().map(|one| one.port).collect::<Vec<u16>>();
        assert_eq!((ports(&listing.tcp), ports(&listing.udp)), (vec![tcp], vec![udp]), "{kind:?}");
    }
}

#[test]
#[cfg_attr(without_namespaces, ignore = "needs a user namespace")]
fn nobody_without_capabilities_sees_it_all() {
    if !is_alone("traffic::sources::tests::nobody_without_capabilities_sees_it_all") {
        return;
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    assert!(status.contains("\nCapEff:\t0000000000000000\n"), "{status}");
    let (listener, port) = listen("[::]:0");
    let (mut source, first) = watch(Source::Events, &[port]);
    assert_eq!(first, Look::default());
    let mut counting = [watch(Source::Dumps, &[port]).0, watch(Source::Files, &[port]).0];
    for address in ["127.0.0.1", "::1"] {
        let mut client = TcpStream::connect((address, port)).unwrap();
        client.write_all(b"hello").unwrap();
        let peer = client.local_addr().unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.read_exact(&mut [0; 5]).unwrap();
        let [open] = look(&mut source).open[..] else { panic!("it is not open") };
        assert_eq!((open.peer, open.received), (peer, Some(5)));
        // It is open, and it was counted: the next look finds it quiet.
        for (source, received) in counting.iter_mut().zip([Some(5), None]) {
            assert_eq!(look(source).missed, Some(Missed::NotListed));
            let Look { open, missed, .. } = look(source);
            assert_eq!(missed, None);
            assert_eq!(open.len(), 1);
            assert_eq!((open[0].peer, open[0].received), (peer, received));
        }
        drop((client, server));
        let ended = look_for(&mut source, "the end", |look| look.ended.first().copied());
        assert_eq!((ended.cookie, ended.peer), (open.cookie, peer));
    }
}

#[test]
#[cfg_attr(without_namespaces, ignore = "needs a user namespace")]
fn more_ends_than_there_is_room_for_are_missed() {
    if !is_alone("traffic::sources::tests::more_ends_than_there_is_room_for_are_missed") {
        return;
    }
    let (listener, port) = listen("127.0.0.1:0");
    let (mut source, _) = watch(Source::Events, &[port]);
    let Backend::Events(_, events) = &source.backend else { panic!("no events") };
    sock_diag::shrink_buffer(events);
    for _ in 0..100 {
        drop(TcpStream::connect(("127.0.0.1", port)).unwrap());
        drop(listener.accept().unwrap());
    }
    look_for(&mut source, "something missed", |look| look.missed.map(drop));
    look_for(&mut source, "nothing missed", |look| look.missed.is_none().then_some(()));
}
