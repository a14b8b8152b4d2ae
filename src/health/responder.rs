//! The responder to probes: whether the app is ready, and whether it lives. It is a process of
//! ours beside the app, since PID 1 parses nothing that comes from a network. Here are its clients,
//! each with its limits.

use std::convert::Infallible;
use std::io::ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::exit::StartError;
use crate::health::probe::{Probes, State};
use crate::http::url::{Request, Url};

/// What a client gets, so that none can hold anything for long.
const CONNECTION_TIME: Duration = Duration::from_secs(5);
const MOST_CONNECTIONS: usize = 64;

/// When no connection can be taken and none makes room, the listener stays ready: polled at once,
/// it would be a loop.
const PAUSE: Duration = Duration::from_millis(100);

/// A listener for probes.
pub struct Health {
    listener: TcpListener,
    upstream: Option<Request>,
}

impl Health {
    /// In PID 1: takes the address, which is kept when a responder dies.
    pub fn bind(address: SocketAddr, upstream: Option<Url>) -> Result<Health, StartError> {
        let listener = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let listener = listener.map_err(|error| {
            let why = Errno::from_raw(error.raw_os_error().unwrap_or_default()).desc();
            StartError::Failed(format!("cannot listen on {address} for health probes: {why}"))
        })?;
        Ok(Health { listener, upstream: upstream.map(Request::get) })
    }

    /// What PID 1 must keep open.
    pub fn descriptor(&self) -> RawFd {
        self.listener.as_raw_fd()
    }

    /// In a process of its own, which has a process group of its own and all signals blocked: answers
    /// for good, or returns why it cannot.
    pub fn serve(&self, state: State) -> io::Result<Infallible> {
        let probes = Probes::begin(state, self.upstream.as_ref())?;
        let mut responder = Responder {
            listener: &self.listener,
            connections: Vec::new(),
            probes,
            accepts_at: None,
        };
        loop {
            responder.wait()?;
        }
    }
}

/// The only loop.
struct Responder<'a> {
    listener: &'a TcpListener,
    /// The oldest first.
    connections: Vec<Connection>,
    probes: Probes<'a>,
    accepts_at: Option<Instant>,
}

impl Responder<'_> {
    /// Waits until there is something to do, and does it. Without connections it waits for one.
    fn wait(&mut self) -> Result<(), Errno> {
        let now = Instant::now();
        self.accepts_at = self.accepts_at.filter(|at| *at > now);
        let polled = |on| PollFd::new(on, PollFlags::POLLIN);
        let mut ready: Vec<_> =
            self.connections.iter().map(|connection| polled(connection.stream.as_fd())).collect();
        if self.accepts_at.is_none() {
            ready.push(polled(self.listener.as_fd()));
        }
        match poll(&mut ready, self.timeout(now)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        let ready: Vec<_> = ready.iter().map(|polled| polled.any().unwrap_or(true)).collect();
        let (served, listener) = ready.split_at(self.connections.len());

        self.probes.reap();
        let now = Instant::now();
        let mut served = served.iter();
        self.connections.retain_mut(|connection| {
            let is_ready = served.next() == Some(&true);
            now < connection.ends_at && (!is_ready || connection.read(&mut self.probes))
        });
        // One at a time, so that whoever comes has been heard before many others push it out.
        if listener == [true] {
            self.accept(now);
        }
        Ok(())
    }

    fn timeout(&self, now: Instant) -> PollTimeout {
        let ends = self.connections.iter().map(|connection| connection.ends_at);
        let reap_at = self.probes.reap_within().map(|within| now + within);
        let Some(at) = ends.chain(self.accepts_at).chain(reap_at).min() else {
            return PollTimeout::NONE;
        };
        // Rounded up, so that we do not wake before the time.
        let left = at.saturating_duration_since(now) + Duration::from_millis(1);
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
    }

    fn accept(&mut self, now: Instant) {
        let accepted = self.listener.accept().and_then(|(stream, _)| {
            stream.set_nonblocking(true)?;
            Ok(stream)
        });
        let makes_room = match &accepted {
            Ok(_) => self.connections.len() >= MOST_CONNECTIONS,
            Err(error) if matches!(error.kind(), WouldBlock | Interrupted | ConnectionAborted) => {
                false
            }
            // Descriptors or memory are short: the oldest makes room, or else time does.
            Err(_) => {
                let has_oldest = !self.connections.is_empty();
                self.accepts_at = (!has_oldest).then(|| now + PAUSE);
                has_oldest
            }
        };
        if makes_room {
            self.connections.remove(0);
        }
        let ends_at = now + CONNECTION_TIME;
        let connection = |stream| Connection { stream, ends_at, head: Some(Vec::new()) };
        self.connections.extend(accepted.map(connection));
    }
}

/// A client, which has one answer.
struct Connection {
    stream: TcpStream,
    ends_at: Instant,
    /// What has come of the request until there is an answer. What comes then is discarded until
    /// the client closes: where something is left unread, a close takes the answer back.
    head: Option<Vec<u8>>,
}

impl Connection {
    /// Takes what has come, and tells whether there is something to wait for.
    fn read(&mut self, probes: &mut Probes) -> bool {
        let mut bytes = [0; 4096];
        let came = match self.stream.read(&mut bytes) {
            Ok(0) => return false,
            Ok(length) => &bytes[..length],
            Err(error) => return matches!(error.kind(), WouldBlock | Interrupted),
        };
        if let Some(head) = &mut self.head {
            head.extend_from_slice(came);
            if probes.answer(head, &self.stream) {
                self.head = None;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
