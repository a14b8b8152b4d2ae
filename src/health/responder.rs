//! The process that answers probes of whether the app is ready and alive. It is a helper process
//! beside the app, since PID 1 parses nothing that comes from a network. This file has its listener
//! and its clients, with the limits of each.

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

/// How long a client may be connected, so that none can use resources for long.
const MAX_CONNECTION_TIME: Duration = Duration::from_secs(5);
const MAX_CONNECTIONS: usize = 64;

/// How long to pause when no connection can be accepted and there is none to close for it: the
/// listener stays readable, so without a pause the loop would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listener for probes.
pub struct ProbeListener {
    listener: TcpListener,
    upstream: Option<Request>,
}

impl ProbeListener {
    /// Listens, in PID 1, so that the address stays taken when the responder dies.
    pub fn bind(address: SocketAddr, upstream: Option<Url>) -> Result<ProbeListener, StartError> {
        let listener = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let listener = listener.map_err(|error| {
            let why = Errno::from_raw(error.raw_os_error().unwrap_or_default()).desc();
            StartError::Failed(format!("cannot listen on {address} for health probes: {why}"))
        })?;
        Ok(ProbeListener { listener, upstream: upstream.map(Request::get) })
    }

    /// The descriptor that PID 1 must keep open.
    pub fn descriptor(&self) -> RawFd {
        self.listener.as_raw_fd()
    }

    /// Answers probes for good, or returns why it cannot. It runs in a process that leads its own
    /// process group and has all signals blocked.
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

/// The process that answers probes.
struct Responder<'a> {
    listener: &'a TcpListener,
    /// In the order in which they came, the oldest first.
    connections: Vec<Connection>,
    probes: Probes<'a>,
    /// When it accepts connections again, where it pauses.
    accepts_at: Option<Instant>,
}

impl Responder<'_> {
    /// Waits for one wake-up: something to read, a new connection, or a deadline; and handles it.
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
        // One for each wake-up, so that a client is read before many newer ones can push it out.
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
            Ok(_) => self.connections.len() >= MAX_CONNECTIONS,
            Err(error) if matches!(error.kind(), WouldBlock | Interrupted | ConnectionAborted) => {
                false
            }
            // Descriptors or memory are short: closes the oldest connection, or tries again later.
            Err(_) => {
                let has_oldest = !self.connections.is_empty();
                self.accepts_at = (!has_oldest).then(|| now + ACCEPT_PAUSE);
                has_oldest
            }
        };
        if makes_room {
            self.connections.remove(0);
        }
        let ends_at = now + MAX_CONNECTION_TIME;
        let connection = |stream| Connection { stream, ends_at, head: Some(Vec::new()) };
        self.connections.extend(accepted.map(connection));
    }
}

/// A client, which gets one response.
struct Connection {
    stream: TcpStream,
    ends_at: Instant,
    /// What has come of the request, until it is answered. What comes after that is discarded until
    /// the client closes: a close with unread data is a reset, by which the client may lose the
    /// response.
    head: Option<Vec<u8>>,
}

impl Connection {
    /// Reads what has come, and answers it once it is a whole request. Whether the connection stays
    /// open.
    fn read(&mut self, probes: &mut Probes) -> bool {
        let mut bytes = [0; 4096];
        let received = match self.stream.read(&mut bytes) {
            Ok(0) => return false,
            Ok(length) => &bytes[..length],
            Err(error) => return matches!(error.kind(), WouldBlock | Interrupted),
        };
        if let Some(head) = &mut self.head {
            head.extend_from_slice(received);
            if probes.answer(head, &self.stream) {
                self.head = None;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
