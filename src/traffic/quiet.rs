//! Whether traffic still comes in: looks at the connections and times in, "quiet since" out. No
//! system call, no clock.
//!
//! Traffic is data: a connection that brings none is a probe's, and an idle one is nobody's. The
//! kernel counts the end of what a peer sends (its FIN) as one byte, so one byte more is none.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Instant;

use ipnet::IpNet;

/// An inbound connection as a look found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The kernel's name for its socket, never used twice; 0 where it tells none.
    pub cookie: u64,
    /// Ours.
    pub port: u16,
    /// In IPv4 where it is an IPv4 client of an IPv6 socket.
    pub peer: SocketAddr,
    /// The bytes that came in on it so far, where the kernel tells them.
    pub received: Option<u64>,
}

/// What one look found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Those that are open, in any order.
    pub open: Vec<Connection>,
    /// Those that ended since the last look, as far as the kernel tells them.
    pub ended: Vec<Connection>,
    /// Something may have come and gone that is in neither. It counts as traffic.
    pub missed: bool,
}

/// When something arrived, and from where. The later one is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    pub at: Instant,
    pub peer: SocketAddr,
}

/// The traffic since the stop signal.
#[derive(Debug)]
pub struct Traffic {
    ignored_peers: Vec<Network>,
    known: HashMap<(u64, u16, SocketAddr), Known>,
    quiet_since: Instant,
    /// Connections that came after the stop signal, probes too. This and the next are the least
    /// that there were, where `missed` is set.
    pub arrived: u64,
    /// Those of them that carried data.
    pub with_data: u64,
    /// The last of those with data: a delay until then would have covered them all.
    pub last_arrival: Option<Arrival>,
    /// The last data, on a new connection or an old one: who kept the hold.
    pub last_data: Option<Arrival>,
    /// Some traffic could not be seen.
    pub missed: bool,
}

/// A connection until its end is told, and where no end is ever told, for good.
#[derive(Debug)]
struct Known {
    /// None if it was there at the stop signal.
    arrived_at: Option<Instant>,
    carried_data: bool,
    /// What had come in when it last brought data.
    received: u64,
}

impl Traffic {
    /// Begins at the stop signal, with what is open then.
    pub fn new(ignored_peers: Vec<Network>, first: &Look, at: Instant) -> Traffic {
        let known = |connection: &Connection| {
            let received = connection.received.unwrap_or(0);
            (identity(connection), Known { arrived_at: None, carried_data: false, received })
        };
        Traffic {
            ignored_peers,
            known: first.open.iter().map(known).collect(),
            quiet_since: at,
            arrived: 0,
            with_data: 0,
            last_arrival: None,
            last_data: None,
            missed: false,
        }
    }

    /// Takes in a look. What it found came since the one before, so at the latest now.
    pub fn take(&mut self, look: &Look, now: Instant) {
        // What ended right after it was found open is in both.
        for connection in look.open.iter().chain(&look.ended) {
            self.note(connection, now);
        }
        for connection in &look.ended {
            self.known.remove(&identity(connection));
        }
        if look.missed {
            self.missed = true;
            self.quiet_since = now;
        }
    }

    /// No data came in after this. It says nothing about the time after the last look.
    pub fn quiet_since(&self) -> Instant {
        self.quiet_since
    }

    fn note(&mut self, connection: &Connection, now: Instant) {
        let peer = connection.peer;
        if self.ignored_peers.iter().any(|network| network.contains(peer.ip())) {
            return;
        }
        let known = self.known.entry(identity(connection)).or_insert_with(|| {
            self.arrived += 1;
            Known { arrived_at: Some(now), carried_data: false, received: 0 }
        });
        match connection.received {
            Some(received) if received <= known.received.saturating_add(1) => return,
            Some(received) => known.received = received,
            // Nothing gets shorter because we cannot tell.
            None => {}
        }
        self.quiet_since = now;
        self.last_data = self.last_data.max(Some(Arrival { at: now, peer }));
        if let Some(at) = known.arrived_at
            && !known.carried_data
        {
            self.with_data += 1;
            self.last_arrival = self.last_arrival.max(Some(Arrival { at, peer }));
        }
        known.carried_data = true;
    }
}

/// Without a cookie, both ends tell a connection from the others that are open.
fn identity(connection: &Connection) -> (u64, u16, SocketAddr) {
    (connection.cookie, connection.port, connection.peer)
}

/// The addresses of a network, `10.0.0.0/8`, or a single one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// An IPv4 address is in a network that is written as IPv6 too: `::ffff:10.0.0.0/104`.
    fn contains(&self, address: IpAddr) -> bool {
        let in_ipv6 = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().into(),
            IpAddr::V6(_) => address,
        };
        [address, in_ipv6].iter().any(|address| self.0.contains(address))
    }
}

/// Not an address, nor one of a network.
#[derive(Debug, PartialEq, Eq)]
pub struct NoNetwork;

impl fmt::Display for NoNetwork {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("write an address or a network, such as 10.0.0.1, 10.0.0.0/8 or fd00::/8")
    }
}

impl std::error::Error for NoNetwork {}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Network, NoNetwork> {
        let text = text.trim();
        let network = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse());
        network.map(Network).map_err(|_| NoNetwork)
    }
}

#[cfg(test)]
mod tests;
