use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use nix::libc;
use nix::sys::socket::{Backlog, SockaddrIn, bind, connect};

use super::*;
use crate::traffic::quiet::{Connection, Counts, Traffic};
use crate::traffic::sock_diag;
use crate::traffic::tests::{eventually, is_alone};

fn listen(address: &str) -> (TcpListener, u16) {
    let listener = TcpListener::bind(address).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn watch(kind: Source, port: u16) -> (SocketSource, Look) {
    let (source, look) =
        SocketSource::open_one_of(&[kind], &Ports::Named(vec![port]), &[], &[]).unwrap();
    assert_eq!((source.kind(), source.ports()), (kind, &[port][..]));
    (source, look)
}

/// Looks until a look finds it.
fn look_for<T>(source: &mut SocketSource, what: &str, find: impl Fn(&Look) -> Option<T>) -> T {
    eventually(what, || find(&source.look()))
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
        let (mut source, first) = watch(Source::Events, port);
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
    let (mut source, _) = watch(Source::Events, port);
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
    let holder = Holder::of(listener.try_clone().unwrap());
    let (mut source, _) = holder.watch(&[]).ok().unwrap();
    assert_eq!((source.kind(), source.ports()), (Source::Events, &[port][..]));

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
    let named = Ports::Named(vec![left, port]);
    let (mut source, _) =
        SocketSource::open_one_of(&[Source::Events], &named, &[], &[]).ok().unwrap();
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
        let (mut source, _) = watch(kind, port);
        drop(TcpStream::connect(("127.0.0.1", port)).unwrap());
        drop(listener.accept().unwrap());
        look_for(&mut source, "something missed", |look| look.missed.then_some(()));
        // Others share the namespace.
        look_for(&mut source, "nothing missed", |look| (!look.missed).then_some(()));
    }
}

#[test]
fn files_list_without_bytes() {
    for address in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
        let (listener, port) = listen(address);
        let (mut source, first) = watch(Source::Files, port);
        assert_eq!(first.open, []);
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let peer = client.local_addr().unwrap();
        let open = Connection { cookie: 0, port, peer, received: None };
        assert_eq!(source.look().open, [open]);
    }
}

/// A process that has a socket of ours, until this or we end.
struct Holder(Child);

impl Holder {
    fn of(socket: impl Into<OwnedFd>) -> Holder {
        let mut cat = Command::new("cat");
        let cat = cat.stdin(Stdio::piped()).stdout(socket.into()).spawn().unwrap();
        Holder(cat)
    }

    fn watch(&self, ignored_ports: &[u16]) -> Result<(SocketSource, Look), OpenError> {
        SocketSource::open(&Ports::OfFamily, ignored_ports, &[self.0.id() as i32])
    }

    fn has_nothing(&self, ignored_ports: &[u16]) -> bool {
        matches!(self.watch(ignored_ports), Err(OpenError::NothingListens))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn only_what_the_family_listens_on_is_watched() {
    let (_other, other) = listen("127.0.0.1:0");
    let (listener, port) = listen("[::]:0");
    let holder = Holder::of(listener);
    let (source, _) = holder.watch(&[]).ok().unwrap();
    assert_eq!(source.ports(), [port]);
    assert!(holder.has_nothing(&[port]));
    // Whose sockets they are cannot be seen for a process that is not there: then all count.
    let (source, _) = SocketSource::open(&Ports::OfFamily, &[], &[i32::MAX]).ok().unwrap();
    assert!([port, other].iter().all(|port| source.ports().contains(port)));
}

#[test]
fn udp_and_unix_sockets_cannot_be_seen() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = udp.local_addr().unwrap().port();
    let holder = Holder::of(udp.try_clone().unwrap());
    let Err(OpenError::Unseen(unseen)) = holder.watch(&[]) else { panic!("it is seen") };
    assert_eq!(
        unseen.to_string(),
        format!("what UDP port {port} receives is counted with that of other sockets")
    );
    assert!(holder.has_nothing(&[port]));
    // A client's socket.
    udp.connect(("127.0.0.1", port)).unwrap();
    assert!(holder.has_nothing(&[]));

    let name = format!("reprieve-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let holder = Holder::of(UnixListener::bind_addr(&address).unwrap());
    let Err(OpenError::Unseen(UnseenReason::Unix(path))) = holder.watch(&[]) else {
        panic!("it is seen")
    };
    assert_eq!(path, format!("@{name}"));
    // A client of it: connected, and so no listener.
    let client = std::os::unix::net::UnixStream::connect_addr(&address).unwrap();
    assert!(Holder::of(client).has_nothing(&[]));
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
    let (listener, port) = listen("127.0.0.1:0");
    let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let holder = Holder::of(listener);
    for (refused, kind) in [
        (&[][..], Source::Events),
        (&[libc::SYS_bind], Source::Dumps),
        (&[libc::SYS_socket], Source::Files),
        (&[libc::SYS_sendto], Source::Files),
        (&[libc::SYS_recvfrom], Source::Files),
    ] {
        let (source, look) = refusing(refused, || holder.watch(&[])).ok().unwrap();
        assert_eq!((source.kind(), source.ports()), (kind, &[port][..]), "{refused:?}");
        assert_eq!(look.open.len(), 1);
    }
    // Without /proc it is not known whose they are, and what came and went.
    let (source, _) = refusing(&OPEN_A_FILE, || holder.watch(&[])).ok().unwrap();
    assert_eq!((source.kind(), source.ports().contains(&port)), (Source::Events, true));
    for refused in [libc::SYS_bind, libc::SYS_socket] {
        let refused = [&OPEN_A_FILE[..], &[refused]].concat();
        for ports in [Ports::OfFamily, Ports::Named(vec![port])] {
            let opened = refusing(&refused, || SocketSource::open(&ports, &[], &[]));
            let Err(OpenError::Unseen(unseen)) = opened else { panic!("it is seen") };
            assert!(matches!(unseen, UnseenReason::Refused(_)), "{unseen}");
        }
    }
}

#[test]
fn a_look_that_is_refused_may_have_missed_something() {
    let (_listener, port) = listen("127.0.0.1:0");
    for kind in SOURCES {
        let (mut source, _) = watch(kind, port);
        let refused = [&OPEN_A_FILE[..], &[libc::SYS_recvfrom]].concat();
        assert!(refusing(&refused, || source.look()).missed);
    }
}

#[test]
fn nobody_without_capabilities_sees_it_all() {
    if !is_alone("traffic::sources::tests::nobody_without_capabilities_sees_it_all") {
        return;
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    assert!(status.contains("\nCapEff:\t0000000000000000\n"), "{status}");
    // It cannot be known whose the sockets are. Here nothing else listens.
    let us = std::process::id() as i32;
    assert_eq!(sockets(&[us, 1]), None);
    let of_all = || SocketSource::open(&Ports::OfFamily, &[], &[us, 1]);
    assert!(matches!(of_all(), Err(OpenError::NothingListens)));
    let udp = UdpSocket::bind("[::1]:0").unwrap();
    let Err(OpenError::Unseen(UnseenReason::Udp(port))) = of_all() else { panic!("it is seen") };
    assert_eq!(port, udp.local_addr().unwrap().port());

    let (listener, port) = listen("[::]:0");
    let (mut source, first) = of_all().ok().unwrap();
    assert_eq!((source.kind(), source.ports()), (Source::Events, &[port][..]));
    assert_eq!(first, Look::default());
    let mut counting = [watch(Source::Dumps, port).0, watch(Source::Files, port).0];
    for address in ["127.0.0.1", "::1"] {
        let mut client = TcpStream::connect((address, port)).unwrap();
        client.write_all(b"hello").unwrap();
        let peer = client.local_addr().unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.read_exact(&mut [0; 5]).unwrap();
        let look = source.look();
        let received = Some(5);
        let cookie = look.open[0].cookie;
        assert_eq!(look.open, [Connection { cookie, port, peer, received }]);
        // It is open, and it was counted: the next look finds it quiet.
        for (source, received) in counting.iter_mut().zip([received, None]) {
            assert!(source.look().missed);
            let Look { open, missed, .. } = source.look();
            assert!(!missed);
            assert_eq!(open.len(), 1);
            assert_eq!((open[0].peer, open[0].received), (peer, received));
        }
        drop((client, server));
        let ended = look_for(&mut source, "the end", |look| look.ended.first().copied());
        assert_eq!((ended.cookie, ended.peer), (cookie, peer));
    }
}

#[test]
fn more_ends_than_there_is_room_for_are_missed() {
    if !is_alone("traffic::sources::tests::more_ends_than_there_is_room_for_are_missed") {
        return;
    }
    let (listener, port) = listen("127.0.0.1:0");
    let (mut source, _) = watch(Source::Events, port);
    let Backend::Events(_, events) = &source.backend else { panic!("no events") };
    sock_diag::shrink_buffer(events);
    for _ in 0..100 {
        drop(TcpStream::connect(("127.0.0.1", port)).unwrap());
        drop(listener.accept().unwrap());
    }
    look_for(&mut source, "something missed", |look| look.missed.then_some(()));
    look_for(&mut source, "nothing missed", |look| (!look.missed).then_some(()));
}

/// Prints what a look takes, too.
#[test]
#[ignore = "needs 10,100 open files: ulimit -Hn 20000, then --ignored"]
fn ten_thousand_connections() {
    const ALL: usize = 10_000;
    if !is_alone("traffic::sources::tests::ten_thousand_connections") {
        return;
    }
    // SAFETY: both are given a limit that lives for the call.
    unsafe {
        let mut limit = std::mem::zeroed::<libc::rlimit>();
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        assert!(limit.rlim_max > 10_100, "only {} open files: ulimit -Hn", limit.rlim_max);
    }
    // Nobody accepts them: the clients' ends are descriptors enough. A queue has 4,096 at most.
    let listeners: Vec<_> = (0..4).map(|_| listen("[::]:0")).collect();
    for (listener, _) in &listeners {
        // SAFETY: no pointer is involved.
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 4096) }, 0);
    }
    let ports: Vec<u16> = listeners.iter().map(|(_, port)| *port).collect();
    let mut clients: Vec<TcpStream> = Vec::new();
    for count in [0, ALL / 10, ALL] {
        while clients.len() < count {
            let port = ports[clients.len() % ports.len()];
            clients.push(TcpStream::connect(("127.0.0.1", port)).unwrap());
        }
        for kind in SOURCES {
            let named = Ports::Named(ports.clone());
            let (mut source, first) =
                SocketSource::open_one_of(&[kind], &named, &[], &[]).ok().unwrap();
            assert_eq!(first.open.len(), count);
            let mut traffic = Traffic::new(Vec::new(), &first, Instant::now());
            let mut costs: Vec<_> = (0..9)
                .map(|_| {
                    let began = Instant::now();
                    let look = source.look();
                    let wall = began.elapsed();
                    traffic.add(&look, Instant::now());
                    let cpu = cpu_time().saturating_sub(source.look_began);
                    assert!(source.pause() >= cpu * 50);
                    assert_eq!((look.open.len(), look.missed), (count, false));
                    (wall, cpu)
                })
                .collect();
            let Counts { arrived, with_data, .. } = traffic.counts();
            assert_eq!((arrived, with_data), (0, 0));
            costs.sort_unstable();
            let ((wall, cpu), pause) = (costs[4], source.pause());
            println!(
                "{count} connections, {kind:?}: {wall:.1?}, with adding it {cpu:.1?} of CPU, pause {pause:.0?}"
            );
        }
    }
}
