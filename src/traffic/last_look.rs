//! A look at the connections shortly before SIGKILL, which may cut what is on them.

use std::time::{Duration, Instant};

use crate::traffic::quiet::{Rules, Traffic};
use crate::traffic::seen::{HoldTraffic, OpenConnections, Seen, Source};
use crate::traffic::sources::{Sighting, SocketSource};

/// At least so long before SIGKILL it comes, not to be in its way.
const BEFORE_KILL: Duration = Duration::from_millis(500);

/// A look that is to come while the app drains.
pub struct LastLook {
    at: Option<Instant>,
    rules: Rules,
    ports: Vec<u16>,
    found: Option<OpenConnections>,
}

impl LastLook {
    /// Plans it after a hold in which this was seen, by looks that took so long. Where there is no time before SIGKILL, what was
    /// found at the forward counts.
    pub fn plan(
        rules: &Rules,
        seen: &HoldTraffic,
        look_took: Duration,
        kill_at: Instant,
    ) -> Option<LastLook> {
        let HoldTraffic::Seen(Seen { ports, at_forward, .. }) = seen else { return None };
        let at = kill_at.checked_sub(BEFORE_KILL.max(look_took * 4));
        let at = at.filter(|at| *at > Instant::now());
        let (rules, ports) = (rules.clone(), ports.clone());
        Some(LastLook { at, rules, ports, found: *at_forward })
    }

    /// When to look.
    pub fn next_at(&self) -> Option<Instant> {
        self.at
    }

    /// Looks, over netlink alone: files do not show when data came.
    pub fn look(&mut self, now: Instant) {
        self.at = None;
        self.found = SocketSource::open_one_of(&[Source::Dumps]).ok().map(|mut source| {
            let mut traffic = Traffic::new(self.rules.clone(), now);
            source.watch(&self.ports);
            traffic.begin_look(now);
            source.look(&mut |sighting| {
                if let Sighting::Open(connection) = sighting {
                    traffic.found(&connection);
                }
            });
            traffic.end_look();
            traffic.counts(now).into()
        });
    }

    /// What was found.
    pub fn found(&self) -> Option<OpenConnections> {
        self.found
    }
}
