//! Who is connected to our ports, as far as the best way that we are given shows it.
//!
//! Over netlink the kernel lists the TCP sockets, with what came in on each, and tells of each that
//! ends. Where that is refused, /proc/net lists them without bytes, and what came and went between
//! two looks is only counted.

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::process::proc;
use crate::traffic::proc_net::{self, Opens};
use crate::traffic::quiet::{Connection, Look};
use crate::traffic::sock_diag::{Dumps, Events};
use crate::traffic::socket::{CLOSE, LISTEN, OPEN, RECEIVING, Row};

/// Which ports are watched.
#[derive(Clone, Debug)]
pub enum Ports {
    Named(Vec<u16>),
    /// Those on which the app or a descendant of it listens.
    OfFamily,
}

/// Why there is no traffic to look at.
#[derive(Debug)]
pub enum Unwatched {
    /// None of ours listens: there is no traffic to wait for.
    NothingListens,
    /// There may be traffic, and we cannot see it.
    Unseen(Unseen),
}

impl From<io::Error> for Unwatched {
    fn from(error: io::Error) -> Unwatched {
        Unwatched::Unseen(Unseen::Refused(error))
    }
}

#[derive(Debug)]
pub enum Unseen {
    /// The port of a UDP socket, which has no connections.
    Udp(u16),
    /// The path of a socket on which the app listens, and on TCP it does not.
    Unix(String),
    /// Neither netlink nor /proc/net can be read.
    Refused(io::Error),
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Unseen::Udp(port) => write!(f, "UDP on port {port} has no connections to look at"),
            Unseen::Unix(path) => write!(f, "what comes in on the Unix socket {path} is not shown"),
            Unseen::Refused(error) => {
                write!(f, "neither netlink nor /proc/net shows the connections: {error}")
            }
        }
    }
}

/// How we look, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The kernel lists what is open, and tells what ended.
    Events,
    /// It lists what is open.
    Dumps,
    /// It lists what is open, but not what came in on it.
    Files,
}

impl Way {
    /// Its name in JSON.
    pub fn key(self) -> &'static str {
        match self {
            Way::Events => "events",
            Way::Dumps => "dumps",
            Way::Files => "files",
        }
    }
}

const WAYS: [Way; 3] = [Way::Events, Way::Dumps, Way::Files];

/// Looks at the connections to our ports.
pub struct Watcher {
    ports: Vec<u16>,
    eyes: Eyes,
    /// On the clock of our own CPU time.
    look_began: Duration,
}

enum Eyes {
    Events(Dumps, Events),
    Dumps(Dumps, Opens),
    Files(Opens),
}

impl Watcher {
    /// Begins to watch, with the first look. The pids are the app's and its descendants'.
    pub fn open(
        ports: &Ports,
        ignored_ports: &[u16],
        pids: &[i32],
    ) -> Result<(Watcher, Look), Unwatched> {
        Watcher::open_by(&WAYS, ports, ignored_ports, pids)
    }

    fn open_by(
        ways: &[Way],
        ports: &Ports,
        ignored_ports: &[u16],
        pids: &[i32],
    ) -> Result<(Watcher, Look), Unwatched> {
        let look_began = cpu_time();
        let mut ports = match ports {
            Ports::Named(ports) => ports.clone(),
            Ports::OfFamily => listening(ignored_ports, pids)?,
        };
        ports.retain(|port| !ignored_ports.contains(port));
        if ports.is_empty() {
            return Err(Unwatched::NothingListens);
        }
        // The first look shows whether this way can be gone.
        let open = |way| Eyes::open(way).and_then(|mut eyes| Ok((eyes.look(&ports)?, eyes)));
        let none = Err(ErrorKind::Unsupported.into());
        let opened = ways.iter().fold(none, |opened, way| opened.or_else(|_| open(*way)));
        let (look, eyes) = opened?;
        Ok((Watcher { ports, eyes, look_began }, look))
    }

    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    pub fn way(&self) -> Way {
        match self.eyes {
            Eyes::Events(..) => Way::Events,
            Eyes::Dumps(..) => Way::Dumps,
            Eyes::Files(..) => Way::Files,
        }
    }

    /// What is open, and what ended since the last look.
    pub fn look(&mut self) -> Look {
        self.look_began = cpu_time();
        let blind = Look { missed: true, ..Look::default() };
        self.eyes.look(&self.ports).unwrap_or(blind)
    }

    /// How long until the next look, where this is called after all that the last one entailed:
    /// looking is to take at most 2 % of a CPU.
    pub fn pause(&self) -> Duration {
        const LEAST: Duration = Duration::from_millis(250);
        LEAST.max(cpu_time().saturating_sub(self.look_began) * 50)
    }
}

impl Eyes {
    fn open(way: Way) -> io::Result<Eyes> {
        match way {
            // The events first, so that nothing ends unseen between the two.
            Way::Events => {
                Events::open().and_then(|events| Ok(Eyes::Events(Dumps::open()?, events)))
            }
            Way::Dumps => Opens::read().and_then(|opens| Ok(Eyes::Dumps(Dumps::open()?, opens))),
            Way::Files => Opens::read().map(Eyes::Files),
        }
    }

    fn look(&mut self, ports: &[u16]) -> io::Result<Look> {
        let (open, ended, missed) = match self {
            Eyes::Events(dumps, events) => {
                let open = dumps.tcp(OPEN)?;
                let (ended, lost) = events.take();
                (open, ended, lost)
            }
            Eyes::Dumps(dumps, opens) => (dumps.tcp(OPEN)?, Vec::new(), opens.grew()?),
            Eyes::Files(opens) => (proc_net::rows("tcp", RECEIVING)?, Vec::new(), opens.grew()?),
        };
        let connections = |rows: Vec<Row>| -> Vec<Connection> {
            rows.into_iter().filter_map(|row| row.connection(ports)).collect()
        };
        Ok(Look { open: connections(open), ended: connections(ended), missed })
    }
}

/// The ports on which ours listen.
fn listening(ignored: &[u16], pids: &[i32]) -> Result<Vec<u16>, Unwatched> {
    let sockets = proc::sockets(pids);
    // Where whose socket it is cannot be told, all are ours.
    let is_ours = |inode| sockets.as_ref().is_none_or(|sockets| sockets.contains(&inode));
    let dumped = Dumps::open().and_then(|mut dumps| dumps.tcp(LISTEN));
    let rows = dumped.or_else(|_| proc_net::rows("tcp", LISTEN))?;
    let ours = |row: &Row| is_ours(row.inode) && !ignored.contains(&row.port);
    let mut ports: Vec<u16> = rows.iter().filter(|row| ours(row)).map(|row| row.port).collect();
    ports.sort_unstable();
    ports.dedup();
    if !ports.is_empty() {
        return Ok(ports);
    }
    let unconnected = proc_net::rows("udp", CLOSE)?;
    if let Some(row) = unconnected.iter().find(|row| ours(row)) {
        return Err(Unwatched::Unseen(Unseen::Udp(row.port)));
    }
    match proc_net::unix_listeners()?.into_iter().find(|(inode, _)| is_ours(*inode)) {
        Some((_, path)) => Err(Unwatched::Unseen(Unseen::Unix(path))),
        None => Err(Unwatched::NothingListens),
    }
}

/// The CPU time that we have used. It knows no other process, so a busy machine does not make a
/// look seem dear.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests;
