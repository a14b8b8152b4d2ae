//! Plain HTTP as a client: one request, its status, and one deadline for all of it. Only processes
//! of ours ask, never PID 1.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;

use crate::fork;
use crate::plan::Span;
use crate::url::{Request, Url};

/// What may come until the head of the answer is complete.
const LONGEST_HEAD: usize = 16 * 1024;
const MOST_HEADERS: usize = 100;

/// So that none has too small a share of the time, and all go into a pipe at once.
const MOST_ADDRESSES: usize = 8;

impl Request {
    /// Asks, and tells the status of the answer. Its body is not read, and no redirect is
    /// followed.
    pub fn ask(&self, patience: Duration) -> Result<u16, NoAnswer> {
        let deadline = Deadline { at: Instant::now() + patience, patience };
        let mut stream = connect(&addresses(self.url(), deadline)?, deadline)?;
        send(&mut stream, self.head().as_bytes(), deadline)?;
        let mut head = Vec::new();
        loop {
            if let Some(status) = status(&head)? {
                return Ok(status);
            }
            if head.len() >= LONGEST_HEAD {
                return Err(NoAnswer::TooLong);
            }
            match receive(&mut stream, &mut head, deadline)? {
                0 if head.is_empty() => return Err(NoAnswer::Nothing),
                0 => return Err(NoAnswer::Cut),
                _ => {}
            }
        }
    }
}

/// Why there is no status.
#[derive(Debug)]
pub enum NoAnswer {
    UnknownHost,
    Refused,
    Late(Duration),
    Nothing,
    Cut,
    NotHttp,
    TooLong,
    Failed(io::Error),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            NoAnswer::UnknownHost => f.write_str("no such host"),
            NoAnswer::Refused => f.write_str("connection refused"),
            NoAnswer::Late(patience) => write!(f, "no answer in {}", Span(*patience)),
            NoAnswer::Nothing => f.write_str("closed without an answer"),
            NoAnswer::Cut => f.write_str("the answer was cut short"),
            NoAnswer::NotHttp => f.write_str("the answer is not HTTP"),
            NoAnswer::TooLong => f.write_str("the head of the answer is too long"),
            NoAnswer::Failed(error) => match error.raw_os_error() {
                Some(errno) => f.write_str(Errno::from_raw(errno).desc()),
                None => error.fmt(f),
            },
        }
    }
}

/// Until when, and how long that was at the start.
#[derive(Clone, Copy)]
struct Deadline {
    at: Instant,
    patience: Duration,
}

impl Deadline {
    /// Never zero, which std refuses as a timeout.
    fn left(self) -> Result<Duration, NoAnswer> {
        match self.at.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(self.late()),
            left => Ok(left),
        }
    }

    fn late(self) -> NoAnswer {
        NoAnswer::Late(self.patience)
    }

    fn explain(self, error: io::Error) -> NoAnswer {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => self.late(),
            ErrorKind::ConnectionRefused => NoAnswer::Refused,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => NoAnswer::Cut,
            _ => NoAnswer::Failed(error),
        }
    }
}

/// What the host stands for. `localhost` is never looked up: where it has no line in
/// /etc/hosts, a name server could send us elsewhere.
fn addresses(url: &Url, deadline: Deadline) -> Result<Vec<SocketAddr>, NoAnswer> {
    let to = |address| SocketAddr::new(address, url.port());
    if let Ok(address) = url.host().trim_matches(['[', ']']).parse() {
        return Ok(vec![to(address)]);
    }
    let name = url.host().to_ascii_lowercase();
    let name = name.trim_end_matches('.');
    if name == "localhost" || name.ends_with(".localhost") {
        let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        return Ok(loopback.map(to).to_vec());
    }
    look_up(url, deadline)
}

/// The resolver knows no deadline: behind a dead name server it takes as long as it likes. So
/// it runs in a process that can be killed; a thread would add 33 KB.
fn look_up(url: &Url, deadline: Deadline) -> Result<Vec<SocketAddr>, NoAnswer> {
    let (mut found, mut result) = io::pipe().map_err(NoAnswer::Failed)?;
    let resolver = fork::start(|| {
        let addresses = (url.host(), url.port()).to_socket_addrs();
        let lines = addresses.into_iter().flatten().take(MOST_ADDRESSES);
        // Who waited for it may have given up.
        let _ =
            result.write_all(lines.map(|line| format!("{line}\n")).collect::<String>().as_bytes());
    });
    let resolver = resolver.map_err(|errno| NoAnswer::Failed(errno.into()))?;
    drop(result);
    let mut lines = Vec::new();
    let received = loop {
        match receive(&mut found, &mut lines, deadline) {
            Ok(0) => break Ok(()),
            Ok(_) => {}
            Err(why) => break Err(why),
        }
    };
    let _ = kill(resolver, Signal::SIGKILL);
    let _ = waitpid(resolver, None);
    received?;
    Ok(String::from_utf8_lossy(&lines).lines().flat_map(str::parse).collect())
}

/// To the first address that takes us; each has its share of the time that is left.
fn connect(addresses: &[SocketAddr], deadline: Deadline) -> Result<TcpStream, NoAnswer> {
    let mut first_failure = None;
    for (address, shares) in addresses.iter().zip((1..=addresses.len() as u32).rev()) {
        let share = (deadline.left()? / shares).max(Duration::from_nanos(1));
        match TcpStream::connect_timeout(address, share) {
            Ok(stream) => {
                stream.set_nonblocking(true).map_err(NoAnswer::Failed)?;
                return Ok(stream);
            }
            // The one that the resolver prefers says most.
            Err(error) => first_failure = first_failure.or(Some(error)),
        }
    }
    Err(first_failure.map_or(NoAnswer::UnknownHost, |error| deadline.explain(error)))
}

fn send(stream: &mut TcpStream, mut bytes: &[u8], deadline: Deadline) -> Result<(), NoAnswer> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                wait(&*stream, PollFlags::POLLOUT, deadline)?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(deadline.explain(error)),
        }
    }
    Ok(())
}

/// As much as has come; 0 at the end.
fn receive(
    from: &mut (impl Read + AsFd),
    into: &mut Vec<u8>,
    deadline: Deadline,
) -> Result<usize, NoAnswer> {
    let mut bytes = [0; 1024];
    loop {
        wait(&*from, PollFlags::POLLIN, deadline)?;
        match from.read(&mut bytes) {
            Ok(length) => {
                into.extend_from_slice(&bytes[..length]);
                return Ok(length);
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(deadline.explain(error)),
        }
    }
}

/// Until it is ready. A timeout of std's sockets would be for each call, and pipes have none.
fn wait(on: impl AsFd, flags: PollFlags, deadline: Deadline) -> Result<(), NoAnswer> {
    loop {
        // Rounded up, so that it does not wake before its time.
        let left = deadline.left()? + Duration::from_millis(1);
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(on.as_fd(), flags)], timeout) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(NoAnswer::Failed(errno.into())),
        }
    }
}

/// The status in what has come so far, once its head is complete. Heads of interim answers may
/// stand before it.
fn status(mut bytes: &[u8]) -> Result<Option<u16>, NoAnswer> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let head = match response.parse(bytes) {
            Ok(httparse::Status::Complete(head)) => head,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(NoAnswer::TooLong),
            Err(_) => return Err(NoAnswer::NotHttp),
        };
        match response.code {
            // 101 is a last answer: what follows is another protocol.
            Some(100 | 102..=199) => bytes = &bytes[head..],
            Some(code @ (101 | 200..=599)) => return Ok(Some(code)),
            _ => return Err(NoAnswer::NotHttp),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;

    use nix::sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket,
    };
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// More than any machine needs.
    const PATIENCE: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(100);

    /// A server for one client; what was sent to it comes over the channel.
    fn serve(
        conversation: impl FnOnce(&mut TcpStream) + Send + 'static,
    ) -> (String, Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heard, request) = channel();
        thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            heard.send(String::from_utf8(head).unwrap()).unwrap();
            conversation(&mut client);
        });
        (format!("http://127.0.0.1:{port}/"), request)
    }

    fn get(url: &str, patience: Duration) -> Result<u16, String> {
        Request::get(url.parse().unwrap()).ask(patience).map_err(|why| why.to_string())
    }

    fn answered(pieces: Vec<Vec<u8>>) -> Result<u16, String> {
        let (url, _request) = serve(move |client| {
            for piece in pieces {
                // A client that has its status leaves.
                let _ = client.write_all(&piece);
            }
        });
        get(&url, PATIENCE)
    }

    /// Until the client has gone.
    fn stay(client: &mut TcpStream) {
        let _ = client.read(&mut [0]);
    }

    #[test]
    fn the_status_of_the_last_answer_counts() {
        let headers = |count| format!("HTTP/1.1 200 \r\n{}\r\n", "X: y\r\n".repeat(count));
        for (answer, status) in [
            ("HTTP/1.1 200 OK\r\n\r\n", 200),
            ("HTTP/1.0 204 \r\n\r\n", 204),
            ("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc", 404),
            ("HTTP/1.1 302 \r\nLocation: http://127.0.0.1:1/\r\n\r\n", 302),
            ("HTTP/1.1 100 \r\n\r\nHTTP/1.1 103 \r\nLink: x\r\n\r\nHTTP/1.1 503 \r\n\r\n", 503),
            ("HTTP/1.1 101 \r\nUpgrade: x\r\n\r\nanything", 101),
            (&headers(MOST_HEADERS), 200),
        ] {
            assert_eq!(answered(vec![answer.into()]), Ok(status), "{answer}");
            let bytes = answer.bytes().map(|byte| vec![byte]).collect();
            assert_eq!(answered(bytes), Ok(status), "a byte at a time: {answer}");
        }
    }

    #[test]
    fn what_is_no_answer_says_why() {
        let long = format!("HTTP/1.1 200 \r\nX: {}", "y".repeat(LONGEST_HEAD));
        let many = format!("HTTP/1.1 200 \r\n{}\r\n", "X: y\r\n".repeat(MOST_HEADERS + 1));
        let endless = "HTTP/1.1 102 \r\n\r\n".repeat(LONGEST_HEAD / 10);
        for (answer, why) in [
            ("", "closed without an answer"),
            ("H", "the answer was cut short"),
            ("HTTP/1.1 200 OK\r\nX: y\r\n", "the answer was cut short"),
            ("HTTP/1.1 100 \r\n\r\n", "the answer was cut short"),
            ("\x15\x03\x01\0\x02\x02\x16", "the answer is not HTTP"),
            ("220 mail ESMTP\r\n", "the answer is not HTTP"),
            ("HTTP/2 200\r\n\r\n", "the answer is not HTTP"),
            ("HTTP/1.1 000 \r\n\r\n", "the answer is not HTTP"),
            ("HTTP/1.1 600 \r\n\r\n", "the answer is not HTTP"),
            ("HTTP/1.1 200 OK\r\n\0\r\n\r\n", "the answer is not HTTP"),
            (&long, "the head of the answer is too long"),
            (&many, "the head of the answer is too long"),
            (&endless, "the head of the answer is too long"),
        ] {
            // Where what is sent is left unread, the close would be a reset.
            let bytes = answer.as_bytes().to_vec();
            let (url, _request) = serve(move |client| {
                let _ = client.write_all(&bytes);
                let _ = client.shutdown(std::net::Shutdown::Write);
                stay(client);
            });
            assert_eq!(get(&url, PATIENCE), Err(why.into()), "{answer:.40}");
        }
    }

    #[test]
    fn the_request_is_sent_as_it_is_written() {
        let (url, request) = serve(|client| {
            let _ = client.write_all(b"HTTP/1.1 204 \r\n\r\n");
        });
        let post: Request = format!("{url}quit?now=1").parse().unwrap();
        assert_eq!(post.ask(PATIENCE).ok(), Some(204));
        assert_eq!(request.recv().unwrap(), post.head());
    }

    #[test]
    fn a_server_that_says_nothing_has_until_the_deadline() {
        let (url, _request) = serve(stay);
        let began = Instant::now();
        assert_eq!(get(&url, SHORT), Err("no answer in 0.1s".into()));
        assert!(began.elapsed() >= SHORT);
    }

    #[test]
    fn a_server_that_drips_has_until_the_same_deadline() {
        let (url, _request) = serve(|client| {
            let _ = client.write_all(b"HTTP/1.1 200 \r\nX: ");
            // The sleep is what makes it drip: each byte would start another timeout anew.
            while client.write_all(b"y").is_ok() {
                thread::sleep(SHORT / 20);
            }
        });
        let began = Instant::now();
        assert_eq!(get(&url, SHORT), Err("no answer in 0.1s".into()));
        assert!(began.elapsed() >= SHORT);
    }

    #[test]
    fn no_time_at_all_is_no_error_of_ours() {
        assert_eq!(get("http://127.0.0.1:1/", Duration::ZERO), Err("no answer in 0s".into()));
    }

    /// A port that is taken by a socket that does not listen: nobody else can have it meanwhile.
    fn refusing() -> (u16, impl Sized) {
        let flags = SockFlag::SOCK_CLOEXEC;
        let taken = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
        bind(std::os::fd::AsRawFd::as_raw_fd(&taken), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
        let address: SockaddrIn = getsockname(std::os::fd::AsRawFd::as_raw_fd(&taken)).unwrap();
        (address.port(), taken)
    }

    #[test]
    fn a_port_where_nobody_listens_refuses() {
        let (port, _taken) = refusing();
        let refused = Err("connection refused".to_owned());
        assert_eq!(get(&format!("http://127.0.0.1:{port}/"), PATIENCE), refused);
        assert_eq!(get(&format!("http://localhost:{port}/"), PATIENCE), refused);
    }

    #[test]
    fn every_address_is_tried_in_its_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, _taken) = refusing();
        let addresses = [([127, 0, 0, 1], port).into(), listener.local_addr().unwrap()];
        let deadline = Deadline { at: Instant::now() + PATIENCE, patience: PATIENCE };
        let stream = connect(&addresses, deadline).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), addresses[1]);
    }

    #[test]
    fn localhost_is_loopback_without_a_resolver() {
        let none = Deadline { at: Instant::now(), patience: Duration::ZERO };
        let found = |url: &str| addresses(&url.parse().unwrap(), none).ok();
        let loopback = ["127.0.0.1:80", "[::1]:80"].map(|address| address.parse().unwrap());
        for url in ["http://localhost", "http://LocalHost.", "http://a.localhost/"] {
            assert_eq!(found(url), Some(loopback.to_vec()), "{url}");
        }
        assert_eq!(found("http://[::1]:80"), Some(loopback[1..].to_vec()));
        assert_eq!(found("http://127.0.0.1"), Some(loopback[..1].to_vec()));
    }

    #[test]
    fn the_resolver_says_what_a_name_is() {
        let deadline = Deadline { at: Instant::now() + PATIENCE, patience: PATIENCE };
        // Every C library reads it as an address, but std does not: no name server is needed.
        let found = addresses(&"http://127.1:81".parse().unwrap(), deadline);
        assert_eq!(found.ok(), Some(vec![([127, 0, 0, 1], 81).into()]));
    }

    #[test]
    fn the_resolver_is_not_waited_for_after_the_deadline() {
        let none = Deadline { at: Instant::now(), patience: SHORT };
        let found = addresses(&"http://127.1".parse().unwrap(), none);
        assert_eq!(found.map_err(|why| why.to_string()), Err("no answer in 0.1s".into()));
    }

    /// What servers say, and what of it gets lost or wrong on the way.
    fn answers() -> impl Strategy<Value = Vec<u8>> {
        let whole = prop::sample::select(vec![
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 100 \r\n\r\nHTTP/1.1 404 Not Found\r\nA: b\r\nC:\r\n\r\n",
            "HTTP/1.0 503\n\n",
        ]);
        let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
        let changed = (whole, changes, any::<prop::sample::Index>());
        let changed = changed.prop_map(|(whole, changes, cut)| {
            let mut bytes = whole.as_bytes().to_vec();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(cut.index(bytes.len() * 2));
            bytes
        });
        prop_oneof![vec(any::<u8>(), 0..200), changed]
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_status_or_none(bytes in answers()) {
            if let Ok(Some(found)) = status(&bytes) {
                prop_assert!(found == 101 || (200..600).contains(&found));
                // It was there at once or with a later byte, and does not change.
                let first = (0..=bytes.len()).find_map(|end| status(&bytes[..end]).unwrap());
                prop_assert_eq!(first, Some(found));
            }
        }

        #[test]
        fn any_server_has_an_end(bytes in answers(), piece in 1..50usize) {
            let expected = status(&bytes).ok().flatten();
            let pieces = bytes.chunks(piece).map(<[u8]>::to_vec).collect();
            let began = Instant::now();
            prop_assert_eq!(answered(pieces).ok(), expected);
            prop_assert!(began.elapsed() < PATIENCE);
        }
    }
}
