//! What a report says of the traffic of a hold. No system call, no clock.

use std::time::Duration;

use crate::traffic::counts::Counts;
use crate::traffic::peers::PeerCount;

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

/// How many connections were open at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenConnections {
    /// Those that the app had not let go of.
    pub open: u64,
    /// Those of them that had brought data within the quiet window.
    pub active: u64,
}

impl From<Counts> for OpenConnections {
    fn from(Counts { open, active, .. }: Counts) -> OpenConnections {
        OpenConnections { open, active }
    }
}

/// What was seen of the traffic during a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The TCP ports that were watched, and those of UDP.
    pub ports: Vec<u16>,
    pub udp_ports: Vec<u16>,
    pub source: Source,
    /// Those at the end of the hold.
    pub counts: Counts,
    /// The peers that most of the new connections came from.
    pub peers: Vec<PeerCount>,
    pub quiet_window: Duration,
    /// Why traffic beside that of the counts cannot be seen, where there may be some.
    pub unseen_because: Option<String>,
    /// When the stop signal was forwarded; None where it was not.
    pub at_forward: Option<OpenConnections>,
    /// When SIGKILL was sent first; None where it was not, or where nobody looked.
    pub at_kill: Option<OpenConnections>,
}

/// What is known of the traffic during a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one, in a shutdown")]
pub enum HoldTraffic {
    Seen(Seen),
    /// Neither the app nor a descendant of it listens.
    NothingListens,
    /// There may have been traffic, but none of it could be seen, for this reason.
    Unseen(String),
}
