//! What a report says of the traffic of a hold. No system call, no clock.

use crate::traffic::quiet::Counts;

/// Where the connections are listed, the best source first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Netlink: the kernel lists what is open, and sends an event for each socket that ends.
    Events,
    /// Netlink, but without the events.
    Dumps,
    /// /proc/net: what is open, but not how many bytes came in on it.
    Files,
}

impl Source {
    /// Its name in JSON.
    pub fn key(self) -> &'static str {
        match self {
            Source::Events => "events",
            Source::Dumps => "dumps",
            Source::Files => "files",
        }
    }
}

/// What was seen of the traffic during a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldTraffic {
    Seen {
        /// The ports that were watched.
        ports: Vec<u16>,
        source: Source,
        counts: Counts,
    },
    /// Neither the app nor a descendant of it listens.
    NothingListens,
    /// There may have been traffic, but it could not be seen, for this reason.
    Unseen(String),
}
