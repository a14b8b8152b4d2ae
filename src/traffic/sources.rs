//! Lists what listens and what is connected, from the best source that is permitted.
//!
//! Over netlink the kernel lists the sockets, with how many bytes came in on each, and sends an
//! event for each TCP socket that ends. Where netlink is refused, /proc/net lists them without the
//! bytes. Where there are no events, a connection that came and went between two looks is only
//! counted.

use std::io::{self, ErrorKind};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::traffic::counts::Missed;
use crate::traffic::listening::Listening;
use crate::traffic::proc_net::{self, AcceptedCount};
use crate::traffic::quiet::Connection;
use crate::traffic::seen::Source;
use crate::traffic::servers::Listing;
use crate::traffic::sock_diag::{DumpSocket, EventSocket};
use crate::traffic::socket::{ANY, LISTEN, ListedSocket, OPEN, Protocol, RECEIVING, Wanted};

/// The best first.
const SOURCES: [Source; 3] = [Source::Events, Source::Dumps, Source::Files];

/// What a look finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    Open(Connection),
    /// It ended since the look before. It may have been found open right before that.
    Ended(Connection),
}

/// Lists the sockets of our network namespace.
pub struct SocketSource {
    backend: Backend,
    /// The TCP ports whose connections are listed.
    ports: Vec<u16>,
    /// How much CPU time we had used when the last look began.
    look_began: Duration,
}

/// What each [`Source`] needs.
enum Backend {
    Events(DumpSocket, EventSocket),
    Dumps(DumpSocket, AcceptedCount),
    Files(AcceptedCount),
}

impl SocketSource {
    /// Opens the best source that works.
    pub fn open() -> io::Result<SocketSource> {
        SocketSource::open_one_of(&SOURCES)
    }

    /// Opens the first of these that works.
    pub fn open_one_of(kinds: &[Source]) -> io::Result<SocketSource> {
        let look_began = cpu_time();
        let open = |kind| -> io::Result<Backend> {
            let mut backend = Backend::open(kind)?;
            // Some are refused only when they are used.
            backend.list(&tcp(LISTEN, None), &mut |_| {})?;
            Ok(backend)
        };
        let none = Err(ErrorKind::Unsupported.into());
        let opened = kinds.iter().fold(none, |opened, kind| opened.or_else(|_| open(*kind)));
        Ok(SocketSource { backend: opened?, ports: Vec::new(), look_began })
    }

    pub fn kind(&self) -> Source {
        match self.backend {
            Backend::Events(..) => Source::Events,
            Backend::Dumps(..) => Source::Dumps,
            Backend::Files(..) => Source::Files,
        }
    }

    /// Begins a look: lists what may belong to a server.
    pub fn list_servers(&mut self, listening: &Listening) -> io::Result<Listing> {
        self.look_began = cpu_time();
        let scope = listening.scope();
        let mut listing = Listing::default();
        self.backend.list(&tcp(LISTEN, None), &mut |socket| listing.add_tcp(scope, &socket))?;
        self.backend.list_udp(&mut |socket| listing.add_udp(scope, &socket))?;
        listening.add_unix(&mut listing);
        if !listing.unix.is_empty() {
            self.backend.list_unix_peers(&mut listing);
        }
        Ok(listing)
    }

    /// Lists the connections to these TCP ports from now on.
    pub fn watch(&mut self, ports: &[u16]) {
        if self.ports == ports {
            return;
        }
        self.ports = ports.to_vec();
        if let Backend::Events(_, events) = &mut self.backend {
            // Where the kernel takes no filter, we filter ourselves.
            let _ = events.watch(ports);
        }
    }

    /// Of what ends from now on nothing is wanted any more.
    pub fn stop(&self) {
        if let Backend::Events(_, events) = &self.backend {
            events.stop();
        }
    }

    /// Hands out what is open now, and then what ended since the last look. Returns why something may
    /// have come and gone that is not in it.
    pub fn look(&mut self, each: &mut dyn FnMut(Sighting)) -> Option<Missed> {
        self.backend.look(&self.ports, each).unwrap_or(Some(Missed::ListFailed))
    }

    /// How long to wait until the next look, so that looks take at most 2 % of a CPU. It counts the
    /// CPU time since the last look began, so it is to be called when that has been evaluated.
    pub fn pause(&self) -> Duration {
        const MIN_PAUSE: Duration = Duration::from_millis(250);
        MIN_PAUSE.max(cpu_time().saturating_sub(self.look_began) * 50)
    }
}

/// The TCP ports of those that listen, and the inode of each; none where they cannot be listed.
pub fn listeners() -> Vec<(u16, u64)> {
    let mut listeners = Vec::new();
    let mut add = |socket: ListedSocket| {
        if listeners.try_reserve(1).is_ok() {
            listeners.push((socket.port, socket.inode));
        }
    };
    if let Ok(mut source) = SocketSource::open_one_of(&[Source::Dumps, Source::Files]) {
        let _ = source.backend.list(&tcp(LISTEN, None), &mut add);
    }
    listeners
}

/// TCP sockets in these states, of these ports.
fn tcp(states: u32, ports: Option<&[u16]>) -> Wanted<'_> {
    Wanted { protocol: Protocol::Tcp, states, ports }
}

impl Backend {
    fn open(kind: Source) -> io::Result<Backend> {
        Ok(match kind {
            // No port is watched yet, so no event is lost.
            Source::Events => Backend::Events(DumpSocket::open()?, EventSocket::open(&[])?),
            Source::Dumps => Backend::Dumps(DumpSocket::open()?, AcceptedCount::read()?),
            Source::Files => Backend::Files(AcceptedCount::read()?),
        })
    }

    fn list(&mut self, what: &Wanted, each: &mut dyn FnMut(ListedSocket)) -> io::Result<()> {
        match self {
            Backend::Events(dumps, _) | Backend::Dumps(dumps, _) => dumps.list(what, each),
            Backend::Files(_) => proc_net::list(what, each),
        }
    }

    /// Lists the UDP sockets, which a kernel may not be able to do over netlink (CONFIG_INET_UDP_DIAG).
    fn list_udp(&mut self, each: &mut dyn FnMut(ListedSocket)) -> io::Result<()> {
        let what = Wanted { protocol: Protocol::Udp, states: ANY, ports: None };
        self.list(&what, each).or_else(|_| proc_net::list(&what, each))
    }

    /// Lists what is connected to Unix sockets. Where that is refused none is seen.
    fn list_unix_peers(&mut self, listing: &mut Listing) {
        if let Backend::Events(dumps, _) | Backend::Dumps(dumps, _) = self {
            let _ = dumps.unix_accepted(&mut |socket| {
                if let Some(peer) = socket.peer_inode {
                    listing.add_unix_peer(socket.name, peer);
                }
            });
        }
    }

    fn look(
        &mut self,
        ports: &[u16],
        each: &mut dyn FnMut(Sighting),
    ) -> io::Result<Option<Missed>> {
        // Without the bytes, what is only half open counts as what brings data.
        let states = if matches!(self, Backend::Files(_)) { RECEIVING } else { OPEN };
        let mut found = |socket: ListedSocket| {
            socket.connection(ports).map(Sighting::Open).into_iter().for_each(&mut *each);
        };
        self.list(&tcp(states, Some(ports)), &mut found)?;
        match self {
            Backend::Events(_, events) => {
                let lost = events.drain(&mut |socket| {
                    socket.connection(ports).map(Sighting::Ended).into_iter().for_each(&mut *each);
                });
                Ok(lost.then_some(Missed::EventsLost))
            }
            Backend::Dumps(_, accepted) | Backend::Files(accepted) => {
                Ok((accepted.growth()? > 0).then_some(Missed::NotListed))
            }
        }
    }
}

/// The CPU time that we have used. On a machine that is busy with other processes, a look takes
/// longer, but no more of this.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests;
