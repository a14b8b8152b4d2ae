//! Whether traffic still comes in: takes what was found at each look, and knows since when it is
//! quiet. No system call, no clock.
//!
//! Only data counts as traffic: a connection without any is a probe's, and an idle one does not
//! prolong a hold. The kernel counts the end of what a peer sends (its FIN) as one byte, so one byte more than
//! before is no data.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

use crate::traffic::network::Network;

/// An inbound connection, as it was found at one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The kernel's id of its socket, which is never used twice; 0 where the source has none.
    pub cookie: u64,
    /// The local port.
    pub port: u16,
    /// In IPv4 where it is an IPv4 client of an IPv6 socket.
    pub peer: SocketAddr,
    /// The bytes that came in on it so far; None where the source does not say.
    pub received: Option<u64>,
}

/// What was found at one look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The connections that are open, in any order.
    pub open: Vec<Connection>,
    /// Those that ended since the look before, as far as the source reports them.
    pub ended: Vec<Connection>,
    /// A connection may have come and gone that is in neither. That counts as traffic.
    pub missed: bool,
}

/// When something arrived, and from where. They are ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    pub at: Instant,
    pub peer: SocketAddr,
}

/// What came in since the stop signal, without what ignored peers sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that came after the stop signal, those of probes too. Where `missed` is set,
    /// there may have been more of them, and more with data.
    pub arrived: u64,
    /// Those of them that carried data.
    pub with_data: u64,
    /// When the last of those with data arrived: a delay until then would have covered them all.
    pub last_arrival: Option<Arrival>,
    /// The last data, on a new connection or an old one: it prolonged the hold.
    pub last_data: Option<Arrival>,
    /// Some traffic could not be seen.
    pub missed: bool,
}

/// The traffic since the stop signal.
#[derive(Debug)]
pub struct Traffic {
    ignored_peers: Vec<Network>,
    tracked: HashMap<ConnectionId, Tracked>,
    quiet_since: Instant,
    counts: Counts,
}

/// Cookie, local port and peer: where there is no cookie, the two ends of a connection tell it from
/// the others that are open.
type ConnectionId = (u64, u16, SocketAddr);

/// What is known of a connection, until its end is reported; for good where ends are not reported.
#[derive(Debug)]
struct Tracked {
    /// None if it was open at the stop signal.
    arrived_at: Option<Instant>,
    carried_data: bool,
    /// How many bytes had come in when it last brought data.
    received: u64,
}

impl Traffic {
    /// Begins at the stop signal, with the connections that are open then.
    pub fn new(ignored_peers: Vec<Network>, first: &Look, at: Instant) -> Traffic {
        let tracked = |connection: &Connection| {
            let received = connection.received.unwrap_or(0);
            (id(connection), Tracked { arrived_at: None, carried_data: false, received })
        };
        Traffic {
            ignored_peers,
            tracked: first.open.iter().map(tracked).collect(),
            quiet_since: at,
            counts: Counts::default(),
        }
    }

    /// Adds what was found at a look. It came in after the look before, and by now.
    pub fn add(&mut self, look: &Look, now: Instant) {
        // A connection that ended right after it was found open is in both.
        for connection in look.open.iter().chain(&look.ended) {
            self.record(connection, now);
        }
        for connection in &look.ended {
            self.tracked.remove(&id(connection));
        }
        if look.missed {
            self.counts.missed = true;
            self.quiet_since = now;
        }
    }

    /// Since when no data came in, as far as the last look shows.
    pub fn quiet_since(&self) -> Instant {
        self.quiet_since
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn record(&mut self, connection: &Connection, now: Instant) {
        let peer = connection.peer;
        if self.ignored_peers.iter().any(|network| network.contains(peer.ip())) {
            return;
        }
        let tracked = self.tracked.entry(id(connection)).or_insert_with(|| {
            self.counts.arrived += 1;
            Tracked { arrived_at: Some(now), carried_data: false, received: 0 }
        });
        match connection.received {
            Some(received) if received <= tracked.received.saturating_add(1) => return,
            Some(received) => tracked.received = received,
            // It may have brought data: the hold must not get shorter because that is unknown.
            None => {}
        }
        self.quiet_since = now;
        self.counts.last_data = self.counts.last_data.max(Some(Arrival { at: now, peer }));
        if let Some(at) = tracked.arrived_at
            && !tracked.carried_data
        {
            self.counts.with_data += 1;
            self.counts.last_arrival = self.counts.last_arrival.max(Some(Arrival { at, peer }));
        }
        tracked.carried_data = true;
    }
}

fn id(connection: &Connection) -> ConnectionId {
    (connection.cookie, connection.port, connection.peer)
}

#[cfg(test)]
mod tests;
