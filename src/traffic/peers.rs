//! Which peers new connections come from, and which of them looks like a probe. No system call, no clock.

use std::net::{IpAddr, SocketAddr};

use crate::sorted::sorted;

/// So many are told apart. Beyond that, a new one takes the place of the one with the fewest
/// connections: those with the most stay (Space-Saving; Metwally and others, 2005).
const MAX_PEERS: usize = 32;

/// So many are named in a report.
const MAX_NAMED: usize = 3;

/// What asks more often is no probe, and its pace is not seen: a look comes each 250 ms at most.
const MIN_PACE: i32 = 500;

/// So many connections show a pace.
const MIN_CONNECTIONS: u64 = 3;

/// The end of what a peer sends counts as a byte, where the peer closes first.
const FIN: u64 = 1;

/// How many new connections came from one peer to one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCount {
    pub peer: IpAddr,
    /// The local port.
    pub port: u16,
    pub connections: u64,
    /// They came at a steady pace, and brought the same number of bytes each.
    pub looks_like_probe: bool,
}

/// The peers that new connections came from.
#[derive(Debug, Default)]
pub struct Peers(Vec<Peer>);

#[derive(Clone, Copy, Debug)]
struct Peer {
    address: IpAddr,
    port: u16,
    connections: u64,
    /// Those of the peer whose place it took, and which were more than none of its own.
    before: u64,
    /// When the last one came, in milliseconds since the stop signal.
    last_at: i32,
    /// The shortest and the longest time between two of them.
    gaps: Option<(i32, i32)>,
    /// How many of them have ended, and with how many bytes at least and at most.
    ended: u64,
    bytes: Option<(u64, u64)>,
}

impl Peers {
    /// A connection has come at this time, in milliseconds since the stop signal.
    pub fn add(&mut self, peer: SocketAddr, port: u16, at: i32) {
        if let Some(known) = self.find(peer, port) {
            let gap = at.saturating_sub(known.last_at);
            let (least, most) = known.gaps.unwrap_or((gap, gap));
            known.gaps = Some((least.min(gap), most.max(gap)));
            known.connections += 1;
            known.last_at = at;
            return;
        }
        let mut new = Peer {
            address: peer.ip(),
            port,
            connections: 1,
            before: 0,
            last_at: at,
            gaps: None,
            ended: 0,
            bytes: None,
        };
        if self.0.len() < MAX_PEERS {
            self.0.push(new);
        } else if let Some(least) = self.0.iter_mut().min_by_key(|peer| peer.rank()) {
            new.before = least.rank();
            *least = new;
        }
    }

    /// One of them has ended, and has brought so many bytes, if that is known.
    pub fn end(&mut self, peer: SocketAddr, port: u16, bytes: Option<u64>) {
        if let (Some(known), Some(bytes)) = (self.find(peer, port), bytes) {
            let (least, most) = known.bytes.unwrap_or((bytes, bytes));
            known.bytes = Some((least.min(bytes), most.max(bytes)));
            known.ended += 1;
        }
    }

    /// Those with the most connections, these first.
    pub fn most(&self) -> Vec<PeerCount> {
        let ranked = self.0.iter().zip(0i32..).map(|(peer, at)| (peer.connections, at));
        let most = sorted(ranked.collect()).into_iter().rev().take(MAX_NAMED);
        most.map(|(_, at)| self.0[at as usize].count()).collect()
    }

    fn find(&mut self, peer: SocketAddr, port: u16) -> Option<&mut Peer> {
        self.0.iter_mut().find(|known| known.address == peer.ip() && known.port == port)
    }
}

impl Peer {
    fn rank(&self) -> u64 {
        self.before + self.connections
    }

    fn count(&self) -> PeerCount {
        let Peer { address: peer, port, connections, .. } = *self;
        PeerCount { peer, port, connections, looks_like_probe: self.looks_like_probe() }
    }

    fn looks_like_probe(&self) -> bool {
        // When one came that has ended is known as well as the looks are frequent.
        let is_steady =
            |(least, most): (i32, i32)| least >= MIN_PACE && most - least <= MIN_PACE + least / 8;
        // One may be under way.
        self.connections >= MIN_CONNECTIONS
            && self.ended + 1 >= self.connections
            && self.gaps.is_some_and(is_steady)
            && self.bytes.is_some_and(|(least, most)| most - least <= FIN)
    }
}

#[cfg(test)]
mod tests;
