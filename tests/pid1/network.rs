//! What the tests of the watch over traffic run: a network of their own, servers and clients.
//!
//!     network new [--volume PATH] [--refuse WHAT]... -- COMMAND...
//!         executes the command without capabilities in a network namespace of its own that has
//!         loopback. There is a file system of its own at `--volume PATH`, and it is refused `netlink` (its sockets), `events` (to join its groups),
//!         `files` (/proc/net) or `pidfd` (to signal by a descriptor)
//!     network serve [--unreadable] [ADDRESS]...
//!         listens on each `tcp:IP:PORT`, `udp:IP:PORT` and `unix:NAME` (a file where it is a path,
//!         else none), and on `crowd:N` Unix sockets that have numbers for names, prints `serving PID` and answers whatever a client of a stream sends, until a signal
//!         ends it; unreadable, none but root may see its descriptors
//!     network call IP:PORT|unix:NAME [FROM]
//!         does what each line of its stdin asks for, then prints it: `request` (on a connection of
//!         its own), `requests N` (that many), `probe` (a connection that brings nothing), `open N`
//!         (that many, which stay), `say` (a request on the last of those), `close` (that one),
//!         `bye` (the same, with bytes that come with its end, as TLS's close_notify does)

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write, stdin, stdout};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr, accept4, bind,
    connect, socket,
};
use nix::unistd::{execvp, getpid};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: app\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["new", words @ ..] => new(words),
        ["serve", "--unreadable", addresses @ ..] => {
            // SAFETY: no pointer is involved.
            unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
            serve(addresses)
        }
        ["serve", addresses @ ..] => serve(addresses),
        ["call", to] => call(to, None),
        ["call", to, from] => call(to, Some(from)),
        _ => panic!("unknown words {words:?}; see the head of tests/pid1/network.rs"),
    }
}

fn new(words: &[&str]) {
    let split = words.iter().position(|word| *word == "--").expect("-- and a command");
    unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
    bring_up_loopback();
    for pair in words[..split].chunks(2) {
        match pair {
            ["--refuse", "netlink"] => {
                refuse(libc::SYS_socket, 0, libc::AF_NETLINK as u32, Errno::EAFNOSUPPORT);
            }
            // An address of netlink is the only one of this length.
            ["--refuse", "events"] => {
                refuse(libc::SYS_bind, 2, size_of::<libc::sockaddr_nl>() as u32, Errno::EPERM);
            }
            // Its flags are always 0.
            ["--refuse", "pidfd"] => refuse(libc::SYS_pidfd_send_signal, 3, 0, Errno::EPERM),
            ["--refuse", "files"] => cover("/proc/self/net", MsFlags::MS_RDONLY),
            ["--volume", path] => cover(path, MsFlags::empty()),
            other => panic!("unknown option {other:?}"),
        }
    }
    // What is executed next has none of what is not in the bounding set, which has 64 bits. For the
    // capabilities that the kernel does not know it returns an error.
    for capability in 0..64 {
        // SAFETY: no pointer is involved.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability) };
    }
    let command = words[split + 1..].iter().map(|word| CString::new(*word).expect("no NUL"));
    let command: Vec<CString> = command.collect();
    panic!("{command:?}: {:?}", execvp(&command[0], &command));
}

/// Puts an empty file system there.
fn cover(path: &str, flags: MsFlags) {
    mount(Some("none"), path, Some("tmpfs"), flags, None::<&str>).expect(path);
}

/// A new network namespace has it, but down.
fn bring_up_loopback() {
    let flags = SockFlag::SOCK_CLOEXEC;
    let any = socket(AddressFamily::Inet, SockType::Datagram, flags, None).expect("a socket");
    // SAFETY: plain integers, of which all may be 0.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // SAFETY: the kernel reads one such structure.
    let done = unsafe { libc::ioctl(any.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) };
    Errno::result(done).expect("loopback");
}

/// From now on a system call with this argument fails, as under a seccomp profile. What is
/// executed later inherits that.
fn refuse(call: libc::c_long, argument: usize, value: u32, errno: Errno) {
    let number = std::mem::offset_of!(libc::seccomp_data, nr);
    let argument = std::mem::offset_of!(libc::seccomp_data, args) + 8 * argument;
    // The lower half of an argument; on big endian it is the second.
    let argument = argument + if cfg!(target_endian = "big") { 4 } else { 0 };
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let skip_unless = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let answer = (libc::BPF_RET | libc::BPF_K) as u16;
    let instruction = |code, jf, k| libc::sock_filter { code, jt: 0, jf, k };
    let mut filter = [
        instruction(load, 0, number as u32),
        instruction(skip_unless, 3, call as u32),
        instruction(load, 0, argument as u32),
        instruction(skip_unless, 1, value),
        instruction(answer, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        instruction(answer, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the kernel reads one program, as long as it says.
    let done =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &program) };
    Errno::result(done).expect("a filter");
}

fn serve(addresses: &[&str]) -> ! {
    allow_many_descriptors();
    // Not to outlive a test that somebody interrupts.
    set_pdeathsig(Signal::SIGKILL).expect("prctl");
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("an epoll");
    let watch = |socket: BorrowedFd| {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, socket.as_raw_fd() as u64);
        epoll.add(socket, event).expect("epoll_ctl");
    };
    let (mut listeners, mut streams) = (HashMap::new(), HashMap::new());
    let mut others: Vec<OwnedFd> = Vec::new();
    for address in addresses {
        let (kind, place) = address.split_once(':').expect("KIND:ADDRESS");
        let listener: OwnedFd = match kind {
            "tcp" => TcpListener::bind(place).expect(address).into(),
            "udp" => {
                // They are there to be bound.
                others.push(UdpSocket::bind(place).expect(address).into());
                continue;
            }
            "crowd" => {
                let count: usize = place.parse().expect(address);
                others.extend((0..count).map(|n| abstract_listener(&n.to_string())));
                continue;
            }
            "unix" if place.starts_with('/') => UnixListener::bind(place).expect(address).into(),
            "unix" => abstract_listener(place),
            _ => panic!("unknown address {address}"),
        };
        fcntl(&listener, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a socket");
        watch(listener.as_fd());
        listeners.insert(listener.as_raw_fd() as u64, listener);
    }
    let mut stdout = stdout();
    writeln!(stdout, "serving {}", getpid()).expect("a reader");
    stdout.flush().expect("a reader");
    let mut room = [0; 4096];
    loop {
        let mut events = [EpollEvent::empty(); 64];
        let count = epoll.wait(&mut events, EpollTimeout::NONE).expect("an event");
        for socket in events[..count].iter().map(EpollEvent::data) {
            if let Some(listener) = listeners.get(&socket) {
                // All of them: what finds the queue full tries again only after a second.
                while let Ok(stream) = accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC) {
                    // SAFETY: it is nobody else's.
                    let stream = unsafe { File::from_raw_fd(stream) };
                    watch(stream.as_fd());
                    streams.insert(stream.as_raw_fd() as u64, stream);
                }
            } else if let Some(mut stream) = streams.get(&socket)
                // At its end, or where a client has gone in between, it is dropped.
                && !stream.read(&mut room).is_ok_and(|n| n > 0 && stream.write_all(ANSWER).is_ok())
            {
                streams.remove(&socket);
            }
        }
    }
}

fn abstract_listener(name: &str) -> OwnedFd {
    let address = UnixAddress::from_abstract_name(name).expect(name);
    UnixListener::bind_addr(&address).expect(name).into()
}

fn call(to: &str, from: Option<&str>) {
    allow_many_descriptors();
    let connection = || connection(to, from);
    let mut open = Vec::new();
    // Whoever asks closes stdin at the end.
    for line in stdin().lines().map_while(Result::ok) {
        match line.split_once(' ') {
            None if line == "request" => ask(&mut connection()),
            None if line == "probe" => drop(connection()),
            None if line == "say" => ask(open.last_mut().expect("an open connection")),
            None if line == "close" => drop(open.pop().expect("an open connection")),
            None if line == "bye" => {
                open.pop().expect("an open connection").write_all(REQUEST).expect("a server");
            }
            Some(("requests", count)) => {
                (0..count.parse().expect("a number")).for_each(|_| ask(&mut connection()));
            }
            Some(("open", count)) => {
                for n in 1..=count.parse().expect("a number") {
                    open.push(connection());
                    // A queue that is full lets nobody in for a second: wait for the server.
                    if n % 64 == 0 {
                        ask(open.last_mut().expect("an open connection"));
                    }
                }
            }
            _ => panic!("unknown line {line:?}"),
        }
        println!("{line}");
    }
}

fn connection(to: &str, from: Option<&str>) -> File {
    let open =
        |family| socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
    if let Some(name) = to.strip_prefix("unix:") {
        let socket = open(AddressFamily::Unix);
        let name = UnixAddr::new_abstract(name.as_bytes()).expect("a name");
        connect(socket.as_raw_fd(), &name).expect("a server");
        return socket.into();
    }
    let to = SockaddrStorage::from(to.parse::<SocketAddr>().expect("an address"));
    let socket = open(to.family().expect("a family"));
    if let Some(from) = from {
        let from: IpAddr = from.parse().expect("an address");
        let from = SockaddrStorage::from(SocketAddr::new(from, 0));
        bind(socket.as_raw_fd(), &from).expect("an address of ours");
    }
    connect(socket.as_raw_fd(), &to).expect("a server");
    socket.into()
}

fn ask(connection: &mut File) {
    connection.write_all(REQUEST).expect("a server that reads");
    connection.read_exact(&mut [0; ANSWER.len()]).expect("an answer");
}

/// As many as a process may have without being root.
fn allow_many_descriptors() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("more descriptors");
}
