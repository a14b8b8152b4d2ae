//! Lists the connections to our ports, from the best source that is permitted.
//!
//! Over netlink the kernel lists the TCP sockets, with how many bytes came in on each, and sends an
//! event for each that ends. Where netlink is refused, /proc/net lists them without the bytes. Where
//! there are no events, a connection that came and went between two looks is only counted.

use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::traffic::counts::Missed;
use crate::traffic::proc_net::{self, AcceptedCount};
use crate::traffic::quiet::Connection;
use crate::traffic::seen::Source;
use crate::traffic::servers::Ports;
use crate::traffic::sock_diag::{DumpSocket, EventSocket};
use crate::traffic::socket::{CLOSE, LISTEN, ListedSocket, OPEN, Protocol, RECEIVING, Wanted};
use crate::traffic::unseen::UnseenReason;

/// Why there is no traffic to look at.
#[derive(Debug)]
pub enum OpenError {
    /// Neither the app nor a descendant of it listens: there is no traffic to wait for.
    NothingListens,
    /// There may be traffic, but it cannot be seen.
    Unseen(UnseenReason),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> OpenError {
        OpenError::Unseen(UnseenReason::Refused(error.to_string()))
    }
}

/// The best first.
const SOURCES: [Source; 3] = [Source::Events, Source::Dumps, Source::Files];

/// What was found at one look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The connections that are open, in any order.
    pub open: Vec<Connection>,
    /// Those that ended since the look before, as far as the source reports them.
    pub ended: Vec<Connection>,
    /// Why a connection may have come and gone that is in neither.
    pub missed: Option<Missed>,
}

/// Lists the connections to our ports.
pub struct SocketSource {
    ports: Vec<u16>,
    backend: Backend,
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
    /// Opens the best source that works, and looks for the first time. The pids are the app's and
    /// its descendants'.
    pub fn open(
        ports: &Ports,
        ignored_ports: &[u16],
        pids: &[i32],
    ) -> Result<(SocketSource, Look), OpenError> {
        SocketSource::open_one_of(&SOURCES, ports, ignored_ports, pids)
    }

    fn open_one_of(
        kinds: &[Source],
        ports: &Ports,
        ignored_ports: &[u16],
        pids: &[i32],
    ) -> Result<(SocketSource, Look), OpenError> {
        let look_began = cpu_time();
        let mut ports = match ports {
            Ports::Named(ports) => ports.clone(),
            Ports::OfFamily => listening_ports(ignored_ports, pids)?,
        };
        ports.retain(|port| !ignored_ports.contains(port));
        if ports.is_empty() {
            return Err(OpenError::NothingListens);
        }
        // Some are refused only when they are used: the first look shows it.
        let open = |kind| {
            Backend::open(kind, &ports).and_then(|mut backend| Ok((backend.look(&ports)?, backend)))
        };
        let none = Err(ErrorKind::Unsupported.into());
        let opened = kinds.iter().fold(none, |opened, kind| opened.or_else(|_| open(*kind)));
        let (look, backend) = opened?;
        Ok((SocketSource { ports, backend, look_began }, look))
    }

    /// The ports that are watched.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    pub fn kind(&self) -> Source {
        match self.backend {
            Backend::Events(..) => Source::Events,
            Backend::Dumps(..) => Source::Dumps,
            Backend::Files(..) => Source::Files,
        }
    }

    /// What is open, and what ended since the last look.
    pub fn look(&mut self) -> Look {
        self.look_began = cpu_time();
        let failed = Look { missed: Some(Missed::ListFailed), ..Look::default() };
        self.backend.look(&self.ports).unwrap_or(failed)
    }

    /// How long to wait until the next look, so that looks take at most 2 % of a CPU. It counts the
    /// CPU time since the last look began, so it is to be called when that has been evaluated.
    pub fn pause(&self) -> Duration {
        const MIN_PAUSE: Duration = Duration::from_millis(250);
        MIN_PAUSE.max(cpu_time().saturating_sub(self.look_began) * 50)
    }
}

impl Backend {
    fn open(kind: Source, ports: &[u16]) -> io::Result<Backend> {
        Ok(match kind {
            // The events first, so that nothing ends unseen between the two.
            Source::Events => {
                let events = EventSocket::open(ports)?;
                Backend::Events(DumpSocket::open()?, events)
            }
            Source::Dumps => {
                let accepted = AcceptedCount::read()?;
                Backend::Dumps(DumpSocket::open()?, accepted)
            }
            Source::Files => Backend::Files(AcceptedCount::read()?),
        })
    }

    fn look(&mut self, ports: &[u16]) -> io::Result<Look> {
        let (mut open, mut ended) = (Vec::new(), Vec::new());
        let mut found = |socket: ListedSocket| open.extend(socket.connection(ports));
        let tcp = |states| Wanted { protocol: Protocol::Tcp, states, ports: Some(ports) };
        let missed = match self {
            Backend::Events(dumps, events) => {
                dumps.list(&tcp(OPEN), &mut found)?;
                let lost = events.drain(&mut |socket| ended.extend(socket.connection(ports)));
                lost.then_some(Missed::EventsLost)
            }
            Backend::Dumps(dumps, accepted) => {
                dumps.list(&tcp(OPEN), &mut found)?;
                (accepted.growth()? > 0).then_some(Missed::NotListed)
            }
            Backend::Files(accepted) => {
                proc_net::list(&tcp(RECEIVING), &mut found)?;
                (accepted.growth()? > 0).then_some(Missed::NotListed)
            }
        };
        Ok(Look { open, ended, missed })
    }
}

/// The TCP ports on which these processes listen; where there is none, why.
fn listening_ports(ignored: &[u16], pids: &[i32]) -> Result<Vec<u16>, OpenError> {
    let inodes = sockets(pids);
    // Where it cannot be known whose sockets they are, all count as theirs.
    let is_theirs = |inode| inodes.as_ref().is_none_or(|inodes| inodes.contains(&inode));
    let counts = |socket: &ListedSocket| is_theirs(socket.inode) && !ignored.contains(&socket.port);
    let mut ports = Vec::new();
    let mut found = |socket: ListedSocket| ports.extend(counts(&socket).then_some(socket.port));
    let listening = Wanted { protocol: Protocol::Tcp, states: LISTEN, ports: None };
    let listed = DumpSocket::open().and_then(|mut dumps| dumps.list(&listening, &mut found));
    listed.or_else(|_| proc_net::list(&listening, &mut found))?;
    ports.sort_unstable();
    ports.dedup();
    if !ports.is_empty() {
        return Ok(ports);
    }
    // A connected one is a client's.
    let unconnected = Wanted { protocol: Protocol::Udp, states: CLOSE, ports: None };
    let mut unseen = None;
    proc_net::list(&unconnected, &mut |socket| {
        if counts(&socket) {
            unseen = Some(UnseenReason::Udp(socket.port));
        }
    })?;
    proc_net::unix_listeners(&mut |listener| {
        if is_theirs(listener.inode) && unseen.is_none() {
            let name = String::from_utf8_lossy(listener.name).replace(char::is_control, "?");
            unseen = Some(UnseenReason::Unix(name));
        }
    })?;
    Err(unseen.map_or(OpenError::NothingListens, OpenError::Unseen))
}

/// The CPU time that we have used. On a machine that is busy with other processes, a look takes
/// longer, but no more of this.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// The inodes of the sockets that these processes have open. None where that cannot be seen for one
/// of them (another user's, without CAP_SYS_PTRACE), or none of them is there.
fn sockets(pids: &[i32]) -> Option<HashSet<u64>> {
    let mut inodes = HashSet::new();
    let mut read = false;
    for pid in pids {
        let gone = |error: &io::Error| error.kind() == ErrorKind::NotFound;
        let descriptors = match fs::read_dir(format!("/proc/{pid}/fd")) {
            Ok(descriptors) => descriptors,
            // It has ended. Where all have, /proc is not mounted more likely.
            Err(error) if gone(&error) => continue,
            Err(_) => return None,
        };
        read = true;
        for descriptor in descriptors {
            match descriptor.and_then(|descriptor| fs::read_link(descriptor.path())) {
                Ok(target) => inodes.extend(inode(&target)),
                Err(error) if gone(&error) => {}
                Err(_) => return None,
            }
        }
    }
    read.then_some(inodes)
}

/// The inode in what a descriptor of a socket leads to: `socket:[4711]`.
fn inode(target: &Path) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests;
