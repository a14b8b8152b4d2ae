//! The connections that are tracked during a hold: a sorted list of small entries, since PID 1 is to
//! take 4 MiB at most for 100,000 of them. No system call, no clock.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

/// The most connections that are tracked: they take 24 MiB.
pub const MAX_TRACKED: usize = 1 << 20;

/// It was open at the stop signal.
pub const OLD: u8 = 1;
/// It has been found since the list was last put in order.
pub const FRESH: u8 = 1 << 1;
/// It has brought data since the stop signal.
pub const SPOKE: u8 = 1 << 2;
/// At the last look it was open, and the app had not let go of it.
pub const OPEN: u8 = 1 << 3;
/// At the last look it had brought some bytes that may belong to its end.
pub const PENDING: u8 = 1 << 4;

/// What is kept of a connection, in 24 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracked {
    /// Tells it from all others: see [`key`].
    pub key: u64,
    /// How many bytes had come in when it last brought data: the low bits, which suffice to see
    /// what has been added.
    pub received: u32,
    /// How many had been sent then, and acknowledged by the peer: the low bits.
    pub sent: u32,
    /// When data last came in on it, and before there is any when it arrived: in milliseconds since
    /// the stop signal, less than 0 for what was before that.
    pub at: i32,
    /// The number of the look that last found it.
    pub look: u8,
    /// Those of the bits above that are true of it.
    pub flags: u8,
}

impl Tracked {
    pub fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub fn set(&mut self, flag: u8, on: bool) {
        self.flags = if on { self.flags | flag } else { self.flags & !flag };
    }
}

/// The kernel's id of a socket; where the source has none, the two ends tell a connection from the
/// others that are open.
pub fn key(cookie: u64, port: u16, peer: SocketAddr) -> u64 {
    if cookie != 0 {
        return cookie;
    }
    let mut hasher = DefaultHasher::new();
    (port, peer).hash(&mut hasher);
    hasher.finish()
}

/// The connections that are tracked. Those that were added last stand at the end, out of order.
#[derive(Debug, Default)]
pub struct TrackedList {
    entries: Vec<Tracked>,
    in_order: usize,
}

impl TrackedList {
    /// The one with this key, if it is there since the list was last put in order.
    pub fn find(&mut self, key: u64) -> Option<&mut Tracked> {
        let known = self.entries.get_mut(..self.in_order)?;
        let at = known.binary_search_by_key(&key, |tracked| tracked.key).ok()?;
        known.get_mut(at)
    }

    /// Adds one, which may have been added already. False where there is no room for it.
    pub fn add(&mut self, tracked: Tracked) -> bool {
        let count = self.entries.len();
        // By an eighth and not to the double, which nobody may ever need.
        let is_full = count == self.entries.capacity();
        let room = (count / 8).max(64).min(MAX_TRACKED - count.min(MAX_TRACKED));
        if is_full && (room == 0 || self.entries.try_reserve_exact(room).is_err()) {
            return false;
        }
        self.entries.push(tracked);
        true
    }

    /// Puts the list in order, and does this to each that has been added, once.
    pub fn put_in_order(&mut self, mut to_added: impl FnMut(&mut Tracked)) {
        if self.in_order == self.entries.len() {
            return;
        }
        // A list of the kernel's that changes while it is read can have one twice: the later counts.
        self.entries.sort_unstable_by_key(|tracked| (tracked.key, tracked.received));
        self.entries.dedup_by(|later, kept| {
            let is_same = later.key == kept.key;
            if is_same {
                *kept = *later;
            }
            is_same
        });
        self.in_order = self.entries.len();
        self.entries.iter_mut().filter(|tracked| tracked.is(FRESH)).for_each(|tracked| {
            tracked.set(FRESH, false);
            to_added(tracked);
        });
    }

    /// Keeps those of which this is true. They have to be in order.
    pub fn retain(&mut self, is_kept: impl FnMut(&mut Tracked) -> bool) {
        self.entries.retain_mut(is_kept);
        self.in_order = self.entries.len();
    }

    pub fn iter(&self) -> impl Iterator<Item = &Tracked> {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests;
