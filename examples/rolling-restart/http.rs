//! One HTTP client connection, as plain as it gets: it must be certain which byte of an answer
//! came, and no library may send a request again unseen.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// No answer takes this long, but where somebody holds a connection and serves it no more.
const PATIENCE: Duration = Duration::from_secs(5);

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: service\r\n\r\n";

/// How a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// There was no connection.
    Refused,
    /// It ended before a byte of the answer came.
    Unanswered,
    /// It ended within the answer.
    Cut,
    Late,
    /// The answer is not what was asked for: a 5xx, or no HTTP.
    Wrong,
}

/// To a server that speaks HTTP/1.1.
pub struct Connection(TcpStream);

impl Connection {
    pub fn open(server: SocketAddr) -> Result<Connection, Failure> {
        let stream = TcpStream::connect_timeout(&server, PATIENCE).map_err(|error| {
            if error.kind() == ErrorKind::TimedOut { Failure::Late } else { Failure::Refused }
        })?;
        let limits = stream.set_read_timeout(Some(PATIENCE)).and(stream.set_nodelay(true));
        limits.map_err(|_| Failure::Refused)?;
        Ok(Connection(stream))
    }

    /// Asks for the page, and tells whether the server will take one more request.
    pub fn get(&mut self) -> Result<bool, Failure> {
        self.0.write_all(REQUEST).map_err(|_| Failure::Unanswered)?;
        let mut answer = Vec::new();
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.0.read(&mut buffer) {
                Ok(length @ 1..) => answer.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(Failure::Late),
                Ok(_) | Err(_) if answer.is_empty() => return Err(Failure::Unanswered),
                Ok(_) | Err(_) => return Err(Failure::Cut),
            }
            if let Some(head) = Head::parse(&answer)?
                && answer.len() >= head.length + head.body_length
            {
                return Ok(!head.closes);
            }
        }
    }
}

/// What the head of an answer says.
struct Head {
    length: usize,
    body_length: usize,
    closes: bool,
}

impl Head {
    /// None where it has not come completely.
    fn parse(answer: &[u8]) -> Result<Option<Head>, Failure> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let Ok(parsed) = response.parse(answer) else { return Err(Failure::Wrong) };
        let httparse::Status::Complete(length) = parsed else { return Ok(None) };
        if response.code != Some(200) {
            return Err(Failure::Wrong);
        }
        let value = |name: &str| {
            let header =
                response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            header.and_then(|header| std::str::from_utf8(header.value).ok())
        };
        let body_length = value("Content-Length").and_then(|length| length.parse().ok());
        let body_length = body_length.ok_or(Failure::Wrong)?;
        let closes = value("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        Ok(Some(Head { length, body_length, closes }))
    }
}
