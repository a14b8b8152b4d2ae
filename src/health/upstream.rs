//! What says whether the app is ready, before the stop signal: an HTTP server of its own, or that
//! somebody listens at a port. It is asked in a process of its own, one question at a time.

use std::fmt;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::str::FromStr;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::health::probe::Response;
use crate::http::client::{Deadline, addresses, connect, known_addresses};
use crate::http::url::{Authority, ParseUrlError, Request};
use crate::process::helper;
use crate::traffic::proc_net;

/// How long the app may take to answer.
const TIMEOUT: Duration = Duration::from_secs(1);

/// How long to wait for a question: longer than it takes, unless its process is stopped or killed.
const MAX_QUESTION_TIME: Duration = Duration::from_millis(1500);

/// How long it counts whether somebody listens.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Whom to ask whether the app is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// The status of the response is the answer.
    Http(Request),
    /// It is ready once somebody listens there.
    Tcp(Authority),
}

/// Why a text cannot be used as an upstream.
#[derive(Debug, PartialEq, Eq)]
pub enum ParseUpstreamError {
    Url(ParseUrlError),
    Tcp,
}

impl fmt::Display for ParseUpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            ParseUpstreamError::Url(why @ (ParseUrlError::Scheme | ParseUrlError::Tls)) => {
                write!(f, "{why}, or tcp://HOST:PORT, which is ready once somebody listens there")
            }
            ParseUpstreamError::Url(why) => why.fmt(f),
            ParseUpstreamError::Tcp => f.write_str(
                "write tcp://HOST:PORT, with a port of 1 to 65535 and without a path, such as \
                 tcp://localhost:50051",
            ),
        }
    }
}

impl std::error::Error for ParseUpstreamError {}

impl FromStr for Upstream {
    type Err = ParseUpstreamError;

    /// Takes `http://HOST:PORT/PATH` or `tcp://HOST:PORT`.
    fn from_str(text: &str) -> Result<Upstream, ParseUpstreamError> {
        match text.trim().split_once("://") {
            Some((scheme, server)) if scheme.eq_ignore_ascii_case("tcp") => {
                server.parse().map(Upstream::Tcp).map_err(|_| ParseUpstreamError::Tcp)
            }
            _ => match text.parse() {
                Ok(url) => Ok(Upstream::Http(Request::get(url))),
                Err(why) => Err(ParseUpstreamError::Url(why)),
            },
        }
    }
}

impl Upstream {
    /// Whether it is this listener, as far as that can be told without a name server.
    pub fn is_at(&self, listener: SocketAddr) -> bool {
        let server = match self {
            Upstream::Http(request) => request.url().authority(),
            Upstream::Tcp(server) => server,
        };
        let addresses = known_addresses(server).unwrap_or_default();
        addresses.into_iter().any(|address| serves(listener, address) && is_ours(address.ip()))
    }

    /// Asks, and returns the status of the answer; None if there is none in time.
    fn ask(&self) -> Option<u16> {
        match self {
            Upstream::Http(request) => request.send(TIMEOUT).ok().filter(|status| *status >= 200),
            Upstream::Tcp(server) => is_listened_at(server).then_some(200),
        }
    }

    fn response(&self, status: Option<u16>) -> Response {
        match (self, status) {
            (Upstream::Http(_), Some(status)) => Response(status, ""),
            (Upstream::Http(_), None) => Response(503, "no answer"),
            (Upstream::Tcp(_), Some(_)) => Response(200, "ok"),
            (Upstream::Tcp(_), None) => Response(503, "nobody listens"),
        }
    }

    /// How long an answer counts. That of an HTTP server does for those alone who wait for it.
    fn max_age(&self) -> Duration {
        match self {
            Upstream::Http(_) => Duration::ZERO,
            Upstream::Tcp(_) => MAX_AGE,
        }
    }
}

/// Whether somebody listens there. Where the address is ours, the kernel tells: a connection that says
/// nothing would be an error in the log of many a server, of gRPC and TLS for example. Only elsewhere,
/// or where /proc cannot be read, it connects.
fn is_listened_at(server: &Authority) -> bool {
    let deadline = Deadline::after(TIMEOUT);
    let Ok(addresses) = addresses(server, deadline) else { return false };
    let (ours, others): (Vec<_>, Vec<_>) = addresses.iter().partition(|to| is_ours(to.ip()));
    let is_served = |listener| ours.iter().any(|address| serves(listener, *address));
    match proc_net::is_listened_at(&is_served) {
        Ok(is_there) => is_there || connect(&others, deadline).is_ok(),
        Err(_) => connect(&addresses, deadline).is_ok(),
    }
}

/// Whether the address is one of our network namespace: only to such a one can a socket be bound.
fn is_ours(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Whether a listener accepts a connection to that address, one of ours. One at `::` is taken to
/// accept IPv4 too, as it does unless it was told not to.
fn serves(listener: SocketAddr, address: SocketAddr) -> bool {
    let at = listener.ip().to_canonical();
    let to = address.ip().to_canonical();
    let is_there = match at {
        IpAddr::V4(_) if at.is_unspecified() => to.is_ipv4(),
        IpAddr::V6(_) if at.is_unspecified() => true,
        _ => at == to || to.is_unspecified(),
    };
    listener.port() == address.port() && is_there
}

/// Asks an upstream, one question at a time.
pub struct Asker<'a> {
    upstream: &'a Upstream,
    /// Where each question leaves its answer: a status, or 0. The pipe stays, so that a question needs
    /// no descriptor where those are few.
    answer: PipeReader,
    answers_to: PipeWriter,
    question: Option<Question>,
    /// The last answer, and until when it counts.
    last: Option<(Response, Instant)>,
}

/// A process that asks.
struct Question {
    process: Pid,
    ends_at: Instant,
}

impl<'a> Asker<'a> {
    pub fn new(upstream: &'a Upstream) -> io::Result<Asker<'a>> {
        let (answer, answers_to) = io::pipe()?;
        Ok(Asker { upstream, answer, answers_to, question: None, last: None })
    }

    /// The last answer, if it still counts.
    pub fn last(&self, now: Instant) -> Option<Response> {
        let (response, until) = self.last?;
        (now < until).then_some(response)
    }

    /// Begins to ask, unless a question is under way. Its process first lets go of `clients`, which
    /// would else stay open for as long as it asks.
    pub fn begin<C>(&mut self, clients: &mut Vec<C>, now: Instant) -> Result<(), Errno> {
        if self.question.is_some() {
            return Ok(());
        }
        let process = helper::fork_task(|| {
            clients.clear();
            let status = self.upstream.ask().unwrap_or(0);
            // It fits: the pipe is empty.
            let _ = self.answers_to.write_all(&status.to_ne_bytes());
        })?;
        self.question = Some(Question { process, ends_at: now + MAX_QUESTION_TIME });
        Ok(())
    }

    /// What wakes the responder while a question is under way: its answer, or the end of its time.
    pub fn wakes(&self) -> Option<(PollFd<'_>, Instant)> {
        let question = self.question.as_ref()?;
        Some((PollFd::new(self.answer.as_fd(), PollFlags::POLLIN), question.ends_at))
    }

    /// Ends the question if it is answered or its time is over, and returns the answer.
    pub fn end(&mut self, now: Instant) -> Option<Response> {
        let Question { process, ends_at } = *self.question.as_ref()?;
        if !self.is_answered() && now < ends_at {
            return None;
        }
        self.question = None;
        let _ = kill(process, Signal::SIGKILL);
        let _ = waitpid(process, None);
        // It may have been answered at the last moment, and no answer may stay in the pipe.
        let mut status = [0; 2];
        let has_status = self.is_answered() && self.answer.read_exact(&mut status).is_ok();
        let status = Some(u16::from_ne_bytes(status)).filter(|status| has_status && *status > 0);
        let response = self.upstream.response(status);
        self.last = Some((response, now + self.upstream.max_age()));
        Some(response)
    }

    fn is_answered(&self) -> bool {
        let answer = PollFd::new(self.answer.as_fd(), PollFlags::POLLIN);
        poll(&mut [answer], PollTimeout::ZERO) == Ok(1)
    }
}

#[cfg(test)]
mod tests;
