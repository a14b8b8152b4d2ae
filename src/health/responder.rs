//! The process that answers probes of whether the app is ready and alive. It is a helper process
//! beside the app, since PID 1 parses nothing that comes from a network. This file has its listener
//! and its clients, with the limits of each.

use std::convert::Infallible;
use std::io::ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
use std::io::{self, Read};
use std::mem;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{Backlog, listen};

use crate::exit::StartError;
use crate::health::probe::{Body, LiveState, Probe, ProbeRequest, Response, State};
use crate::health::upstream::{Asker, Upstream};

/// How long a client may be connected, so that none can use resources for long.
const MAX_CONNECTION_TIME: Duration = Duration::from_secs(5);

/// How many connections may be open that do not wait for the app's answer. A client in a crowd has to send its
/// request before as many newer ones push it out.
const MAX_IDLE: usize = 256;

/// How many are accepted in one wake-up at most: few beside `MAX_IDLE`, so that a client is read before newer
/// ones can push it out.
const MAX_ACCEPTED: usize = 16;

/// How many may wait for it.
const MAX_WAITING: usize = 256;

/// How long to pause when no connection can be accepted and there is none to close for it: the
/// listener stays readable, so without a pause the loop would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listener for probes.
pub struct ProbeListener {
    listener: TcpListener,
    upstream: Option<Upstream>,
}

impl ProbeListener {
    /// Listens, in PID 1, so that the address stays taken when the responder dies.
    pub fn bind(
        address: SocketAddr,
        upstream: Option<Upstream>,
    ) -> Result<ProbeListener, StartError> {
        let listener = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            // With the 128 of std, who comes in a crowd asks for a connection again only after a second.
            listen(&listener, Backlog::MAXCONN)?;
            Ok(listener)
        });
        let listener = listener.map_err(|error| {
            let why = Errno::from_raw(error.raw_os_error().unwrap_or_default()).desc();
            StartError::Failed(format!("cannot listen on {address} for health probes: {why}"))
        })?;
        Ok(ProbeListener { listener, upstream })
    }

    /// The descriptor that PID 1 must keep open.
    pub fn descriptor(&self) -> RawFd {
        self.listener.as_raw_fd()
    }

    /// Answers probes for good, or returns why it cannot. It runs in a process that leads its own
    /// process group and has all signals blocked.
    pub fn serve(&self, state: State) -> io::Result<Infallible> {
        let mut responder = Responder {
            listener: &self.listener,
            connections: Vec::new(),
            asker: self.upstream.as_ref().map(Asker::new).transpose()?,
            state: LiveState::begin(state)?,
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
    asker: Option<Asker<'a>>,
    state: LiveState,
    /// When it accepts connections again, where it pauses.
    accepts_at: Option<Instant>,
}

impl Responder<'_> {
    /// Waits for one wake-up: something to read, a new connection, the app's answer, a signal of PID 1,
    /// or a deadline; and handles it.
    fn wait(&mut self) -> Result<(), Errno> {
        let now = Instant::now();
        self.accepts_at = self.accepts_at.filter(|at| *at > now);
        let mut polled: Vec<_> = self.connections.iter().map(Connection::polled).collect();
        if self.accepts_at.is_none() {
            polled.push(PollFd::new(self.listener.as_fd(), PollFlags::POLLIN));
        }
        polled.extend(self.asker.as_ref().and_then(Asker::wakes).map(|(answer, _)| answer));
        match poll(&mut polled, self.timeout(now)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        let ready: Vec<_> = polled.iter().map(|polled| polled.any().unwrap_or(true)).collect();
        let (connections, others) = ready.split_at(self.connections.len());

        let now = Instant::now();
        self.answer_those_who_wait(now);
        self.read(connections, now);
        self.ask_the_app(now);
        if self.accepts_at.is_none() && others.first() == Some(&true) {
            let mut accepted = 0;
            while accepted < MAX_ACCEPTED && self.accept(now, accepted == 0) {
                accepted += 1;
            }
        }
        Ok(())
    }

    fn timeout(&self, now: Instant) -> PollTimeout {
        let ends = self.connections.iter().filter(|connection| !connection.waits());
        let ends = ends.map(|connection| connection.ends_at);
        let question_ends = self.asker.as_ref().and_then(Asker::wakes).map(|(_, at)| at);
        let Some(at) = ends.chain(self.accepts_at).chain(question_ends).min() else {
            return PollTimeout::NONE;
        };
        // Rounded up, so that we do not wake before the time.
        let left = at.saturating_duration_since(now) + Duration::from_millis(1);
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
    }

    /// Answers them if the app has answered, or if it is not ready whatever that answers.
    fn answer_those_who_wait(&mut self, now: Instant) {
        let answer = self.asker.as_mut().and_then(|asker| asker.end(now));
        let Some(response) = self.state.check(Probe::Ready).err().or(answer) else { return };
        for waiting in self.connections.iter_mut().filter(|connection| connection.waits()) {
            waiting.answer(response);
            // It can make room now.
            self.accepts_at = None;
        }
    }

    /// Reads from the connections that are ready, and closes those that have ended.
    fn read(&mut self, ready: &[bool], now: Instant) {
        let respond = |probe| match (self.state.check(probe), probe, &self.asker) {
            (Ok(()), Probe::Ready, Some(asker)) => asker.last(now),
            (state, ..) => Some(state.err().unwrap_or(Response(200, "ok"))),
        };
        let mut ready = ready.iter();
        self.connections.retain_mut(|connection| {
            let is_ready = ready.next() == Some(&true);
            let is_over = now >= connection.ends_at && !connection.waits();
            !is_over && (!is_ready || connection.read(respond))
        });
    }

    /// One question to the app answers all who wait by then.
    fn ask_the_app(&mut self, now: Instant) {
        let Some(asker) = &mut self.asker else { return };
        if !self.connections.iter().any(Connection::waits) {
            return;
        }
        let is_asked = asker.begin(&mut self.connections, now).is_ok();
        let may_wait = if is_asked { MAX_WAITING } else { 0 };
        let waiting = self.connections.iter_mut().filter(|connection| connection.waits());
        waiting.skip(may_wait).for_each(|connection| connection.answer(Response(503, "busy")));
    }

    /// Accepts a connection. Whether there was one, and room for it. Where there is none, one may be closed
    /// for it, but for those that were accepted in this wake-up: nothing of theirs has been read yet.
    fn accept(&mut self, now: Instant, may_close: bool) -> bool {
        let accepted = self.listener.accept().and_then(|(stream, _)| {
            stream.set_nonblocking(true)?;
            Ok(stream)
        });
        match accepted {
            Ok(stream) => {
                self.close_oldest(MAX_IDLE - 1);
                self.connections.push(Connection::new(stream, now));
                return true;
            }
            Err(error) if matches!(error.kind(), WouldBlock | Interrupted | ConnectionAborted) => {}
            Err(_) if !may_close => {}
            // Descriptors or memory are short: closes the oldest connection, or tries again later.
            Err(_) => match self.idle() {
                0 => self.accepts_at = Some(now + ACCEPT_PAUSE),
                idle => self.close_oldest(idle - 1),
            },
        }
        false
    }

    /// How many connections do not wait for the app's answer.
    fn idle(&self) -> usize {
        self.connections.iter().filter(|connection| !connection.waits()).count()
    }

    /// Closes the oldest of them, so that at most so many are left.
    fn close_oldest(&mut self, most: usize) {
        let mut surplus = self.idle().saturating_sub(most);
        self.connections.retain(|connection| {
            let closes = surplus > 0 && !connection.waits();
            surplus -= usize::from(closes);
            !closes
        });
    }
}

/// A client, which gets one response.
struct Connection {
    stream: TcpStream,
    ends_at: Instant,
    stage: Stage,
}

/// How far it is.
enum Stage {
    /// What has come of the request.
    Head(Vec<u8>),
    /// Its request is whole, and the app is asked.
    Waits(Body),
    /// What comes now is discarded until the client closes: a close with unread data is a reset, by
    /// which the client may lose the response.
    Answered,
}

impl Connection {
    fn new(stream: TcpStream, now: Instant) -> Connection {
        Connection { stream, ends_at: now + MAX_CONNECTION_TIME, stage: Stage::Head(Vec::new()) }
    }

    fn waits(&self) -> bool {
        matches!(self.stage, Stage::Waits(_))
    }

    /// Nothing is read of one that waits: the client may have closed its side, and wait all the same.
    fn polled(&self) -> PollFd<'_> {
        let wanted = if self.waits() { PollFlags::empty() } else { PollFlags::POLLIN };
        PollFd::new(self.stream.as_fd(), wanted)
    }

    /// Reads what has come. Once it is a whole request it is answered, or waits where there is no
    /// response yet. Whether the connection stays open.
    fn read(&mut self, respond: impl Fn(Probe) -> Option<Response>) -> bool {
        let mut bytes = [0; 4096];
        let head = match &mut self.stage {
            Stage::Head(head) => Some(head),
            Stage::Answered => None,
            // It was reset, for nothing else is polled for.
            Stage::Waits(_) => return false,
        };
        let received = match self.stream.read(&mut bytes) {
            Ok(0) => return false,
            Ok(length) => &bytes[..length],
            Err(error) => return matches!(error.kind(), WouldBlock | Interrupted),
        };
        let Some(head) = head else { return true };
        head.extend_from_slice(received);
        if let Some(ProbeRequest { probe, body }) = ProbeRequest::parse(head) {
            self.stage = Stage::Waits(body);
            if let Some(response) = probe.map_or_else(Some, respond) {
                self.answer(response);
            }
        }
        true
    }

    /// Answers one that waits.
    fn answer(&mut self, response: Response) {
        if let Stage::Waits(body) = mem::replace(&mut self.stage, Stage::Answered) {
            response.send(body, &self.stream);
        }
    }
}

#[cfg(test)]
mod tests;
