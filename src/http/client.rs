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

use crate::http::url::{Request, Url};
use crate::process::fork;
use crate::span::Span;

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
mod tests;
