//! An HTTP client: sends one request and reads the status of the response, by one deadline. Only
//! helper processes use it, never PID 1.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;

use crate::http::url::{Authority, Request};
use crate::process::helper;
use crate::span::Span;

/// How many bytes may come until the head of the response is complete, heads of interim responses
/// included.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 100;

/// The most addresses of a host that are tried: so few that each has enough of the time, and that all
/// of them fit into a pipe at once.
const MAX_ADDRESSES: usize = 8;

impl Request {
    /// Sends the request, and returns the status of the response. Its body is not read, and no
    /// redirect is followed.
    pub fn send(&self, timeout: Duration) -> Result<u16, RequestError> {
        let deadline = Deadline::after(timeout);
        let mut stream = connect(&addresses(self.url().authority(), deadline)?, deadline)?;
        write_all(&mut stream, self.head().as_bytes(), deadline)?;
        let mut head = Vec::new();
        loop {
            if let Some(status) = status(&head)? {
                return Ok(status);
            }
            if head.len() >= MAX_HEAD {
                return Err(RequestError::TooLong);
            }
            match receive(&mut stream, &mut head, deadline)? {
                0 if head.is_empty() => return Err(RequestError::Empty),
                0 => return Err(RequestError::Cut),
                _ => {}
            }
        }
    }
}

/// Why there is no status.
#[derive(Debug)]
pub enum RequestError {
    UnknownHost,
    Refused,
    /// There was no complete head after this timeout.
    TimedOut(Duration),
    /// The server closed the connection before it sent anything.
    Empty,
    /// The connection ended within the head.
    Cut,
    NotHttp,
    TooLong,
    Failed(io::Error),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            RequestError::UnknownHost => f.write_str("no such host"),
            RequestError::Refused => f.write_str("connection refused"),
            RequestError::TimedOut(timeout) => write!(f, "no answer in {}", Span(*timeout)),
            RequestError::Empty => f.write_str("closed without an answer"),
            RequestError::Cut => f.write_str("the answer was cut short"),
            RequestError::NotHttp => f.write_str("the answer is not HTTP"),
            RequestError::TooLong => f.write_str("the head of the answer is too long"),
            RequestError::Failed(error) => match error.raw_os_error() {
                Some(errno) => f.write_str(Errno::from_raw(errno).desc()),
                None => error.fmt(f),
            },
        }
    }
}

/// When all has to be done, and the timeout that this comes from.
#[derive(Clone, Copy)]
pub struct Deadline {
    at: Instant,
    timeout: Duration,
}

impl Deadline {
    pub fn after(timeout: Duration) -> Deadline {
        Deadline { at: Instant::now() + timeout, timeout }
    }

    /// The time until then: never zero, which std refuses as a timeout.
    fn left(self) -> Result<Duration, RequestError> {
        match self.at.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(self.timed_out()),
            left => Ok(left),
        }
    }

    fn timed_out(self) -> RequestError {
        RequestError::TimedOut(self.timeout)
    }

    fn error_from(self, error: io::Error) -> RequestError {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => self.timed_out(),
            ErrorKind::ConnectionRefused => RequestError::Refused,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => RequestError::Cut,
            _ => RequestError::Failed(error),
        }
    }
}

/// The addresses of the host, with the port.
pub fn addresses(server: &Authority, deadline: Deadline) -> Result<Vec<SocketAddr>, RequestError> {
    known_addresses(server).map_or_else(|| look_up(server, deadline), Ok)
}

/// Those of a host that need not be looked up. `localhost` never is: where it has no line in
/// /etc/hosts, a name server could answer with any address.
pub fn known_addresses(server: &Authority) -> Option<Vec<SocketAddr>> {
    let to = |address| SocketAddr::new(address, server.port());
    if let Ok(address) = server.host().trim_matches(['[', ']']).parse() {
        return Some(vec![to(address)]);
    }
    let name = server.host().to_ascii_lowercase();
    let name = name.trim_end_matches('.');
    let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let is_localhost = name == "localhost" || name.ends_with(".localhost");
    is_localhost.then(|| loopback.map(to).to_vec())
}

/// Looks the host up. getaddrinfo(3) takes no deadline, and with a dead name server it takes long. So
/// it runs in a process, which can be killed; a thread would add 33 KB to the program.
fn look_up(server: &Authority, deadline: Deadline) -> Result<Vec<SocketAddr>, RequestError> {
    let (mut found, mut result) = io::pipe().map_err(RequestError::Failed)?;
    let resolver = helper::fork_task(|| {
        let addresses = (server.host(), server.port()).to_socket_addrs();
        let lines = addresses.into_iter().flatten().take(MAX_ADDRESSES);
        // It fails if the parent has given up.
        let _ =
            result.write_all(lines.map(|line| format!("{line}\n")).collect::<String>().as_bytes());
    });
    let resolver = resolver.map_err(|errno| RequestError::Failed(errno.into()))?;
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

/// Connects to the first address that accepts; each has an equal share of the time that is left.
pub fn connect(addresses: &[SocketAddr], deadline: Deadline) -> Result<TcpStream, RequestError> {
    let mut first_failure = None;
    for (address, shares) in addresses.iter().zip((1..=addresses.len() as u32).rev()) {
        let share = (deadline.left()? / shares).max(Duration::from_nanos(1));
        match TcpStream::connect_timeout(address, share) {
            Ok(stream) => {
                stream.set_nonblocking(true).map_err(RequestError::Failed)?;
                return Ok(stream);
            }
            // The resolver sorts the addresses: the failure of the best one is reported.
            Err(error) => first_failure = first_failure.or(Some(error)),
        }
    }
    Err(first_failure.map_or(RequestError::UnknownHost, |error| deadline.error_from(error)))
}

fn write_all(
    stream: &mut TcpStream,
    mut bytes: &[u8],
    deadline: Deadline,
) -> Result<(), RequestError> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                wait(&*stream, PollFlags::POLLOUT, deadline)?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(deadline.error_from(error)),
        }
    }
    Ok(())
}

/// Appends what has come, waiting for it if need be. Returns how many bytes; 0 at the end.
fn receive(
    from: &mut (impl Read + AsFd),
    into: &mut Vec<u8>,
    deadline: Deadline,
) -> Result<usize, RequestError> {
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
            Err(error) => return Err(deadline.error_from(error)),
        }
    }
}

/// Waits until it is ready. The timeout of a std socket would begin anew with each call, and a pipe
/// has none.
fn wait(on: impl AsFd, flags: PollFlags, deadline: Deadline) -> Result<(), RequestError> {
    loop {
        // Rounded up, so that it does not wake before its time.
        let left = deadline.left()? + Duration::from_millis(1);
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(on.as_fd(), flags)], timeout) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(RequestError::Failed(errno.into())),
        }
    }
}

/// Parses the status from what has come so far; None until its head is complete. Heads of interim
/// responses may stand before it.
fn status(mut bytes: &[u8]) -> Result<Option<u16>, RequestError> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let head = match response.parse(bytes) {
            Ok(httparse::Status::Complete(head)) => head,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(RequestError::TooLong),
            Err(_) => return Err(RequestError::NotHttp),
        };
        match response.code {
            // 101 is final: what follows is another protocol.
            Some(100 | 102..=199) => bytes = &bytes[head..],
            Some(code @ (101 | 200..=599)) => return Ok(Some(code)),
            _ => return Err(RequestError::NotHttp),
        }
    }
}

#[cfg(any(fuzzing, test))]
pub mod fuzz;

#[cfg(test)]
mod tests;
