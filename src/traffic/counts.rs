//! What has come in since the stop signal: the counts of it, and when it came last. No system call,
//! no clock.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::traffic::tracked::{FRESH, OLD, OPEN, PENDING, SPOKE, Tracked};

/// Why something may have come and gone unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// The kernel dropped events of connections that ended.
    EventsLost,
    /// A connection was accepted in this network namespace, and whose it was is not known.
    NotListed,
    /// The list of connections could not be read.
    ListFailed,
    /// There are more connections than can be tracked.
    TooMany,
}

impl Missed {
    /// It in words.
    pub fn why(self) -> &'static str {
        match self {
            Missed::EventsLost => "the kernel dropped events of connections that ended",
            Missed::NotListed => "not every short connection is listed here",
            Missed::ListFailed => "the connections could not be listed",
            Missed::TooMany => "there are more connections than can be tracked",
        }
    }
}

/// When something came in, and from where. They are ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    pub at: Instant,
    pub from: Origin,
}

/// Where something came from, and to which local port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// None of datagrams: who sent them is not shown.
    pub peer: Option<SocketAddr>,
    pub port: u16,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.peer {
            Some(peer) => write!(f, "{} on port {}", peer.ip(), self.port),
            None => write!(f, "UDP on port {}", self.port),
        }
    }
}

/// What came in since the stop signal, without what ignored peers sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that came after the stop signal, those of probes too.
    pub arrived: u64,
    /// Those of them that carried data.
    pub with_data: u64,
    /// Connections that were open at the stop signal and carried data after it.
    pub old_with_data: u64,
    /// When the last of the new ones with data arrived.
    pub last_arrival: Option<Arrival>,
    /// The last data, on a new connection or an old one, or in a datagram.
    pub last_data: Option<Arrival>,
    /// How often data was seen: on so many connections, at so many looks.
    pub data: u64,
    /// The longest time without data from the stop signal to the last data, as far as it was seen.
    pub longest_gap: Duration,
    /// Whose data keeps the hold from ending, or whose open connection.
    pub keeper: Option<Origin>,
    /// Why something may be missing above, which then says what there was at least.
    pub missed: Option<Missed>,
    /// How many connections are open that the app has not let go of.
    pub open: u64,
    /// How many of these brought data within the quiet window.
    pub active: u64,
}

/// What was seen so far.
#[derive(Debug)]
pub struct Record {
    /// The stop signal.
    began_at: Instant,
    pub counts: Counts,
    /// When data came in last, or may have; the beginning, if none did.
    pub data_at: Instant,
    /// When something new brought its first data last, or may have.
    pub news_at: Instant,
    /// The last such data that was seen.
    pub news: Option<Arrival>,
    /// The last data of which the next look shows whether it belonged to the end of its connection.
    pub pending: Option<Arrival>,
    /// The same of the look before.
    pub was_pending: Option<Arrival>,
    /// A connection that was open at the last look, if one was.
    pub open: Option<Origin>,
    /// The last data by the end of the look before; the beginning, if there was none.
    gap_begins_at: Instant,
    /// How many have brought data since then.
    after_gap: u32,
}

impl Record {
    /// Nothing has come in yet.
    pub fn new(began_at: Instant) -> Record {
        Record {
            began_at,
            counts: Counts::default(),
            data_at: began_at,
            news_at: began_at,
            news: None,
            pending: None,
            was_pending: None,
            open: None,
            gap_begins_at: began_at,
            after_gap: 0,
        }
    }

    /// A connection has brought data.
    pub fn take_in(&mut self, tracked: &mut Tracked, data: Arrival) {
        self.bring_data(data);
        if tracked.is(SPOKE) {
            return;
        }
        tracked.set(SPOKE, true);
        if tracked.is(OLD) {
            self.counts.old_with_data += 1;
            return;
        }
        self.bring_news(data);
        self.counts.with_data += u64::from(!tracked.is(FRESH));
        let arrived_after = Duration::from_millis(tracked.at.try_into().unwrap_or(0));
        let arrival = Arrival { at: self.began_at + arrived_after, ..data };
        self.counts.last_arrival = self.counts.last_arrival.max(Some(arrival));
    }

    /// Something has brought data: a connection, or datagrams.
    pub fn bring_data(&mut self, data: Arrival) {
        self.counts.data += 1;
        self.after_gap = self.after_gap.saturating_add(1);
        self.data_at = self.data_at.max(data.at);
        self.counts.last_data = self.counts.last_data.max(Some(data));
    }

    /// Something new has brought its first data.
    pub fn bring_news(&mut self, data: Arrival) {
        self.news_at = self.news_at.max(data.at);
        self.news = self.news.max(Some(data));
    }

    /// Something may have come and gone unseen by now.
    pub fn miss(&mut self, why: Missed, now: Instant) {
        self.counts.missed.get_or_insert(why);
        self.data_at = now;
        self.news_at = now;
    }

    /// A connection has come that was not open at the stop signal.
    pub fn count_new(&mut self, tracked: &Tracked) {
        self.counts.arrived += 1;
        self.counts.with_data += u64::from(tracked.is(SPOKE));
    }

    /// A connection is missing at a look. If it had brought something at the look before, what that
    /// was will not be known.
    pub fn lose(&mut self, tracked: &mut Tracked) {
        tracked.set(OPEN, false);
        if let Some(data) = self.was_pending.filter(|_| tracked.is(PENDING)) {
            tracked.set(PENDING, false);
            self.take_in(tracked, data);
        }
    }

    /// The longest time without data, if this is the last, with the time of the look before it. When
    /// each came between two looks is mostly not known, but how many did.
    pub fn gap_until(&self, last: Option<Arrival>, look_before: Instant) -> Duration {
        let Some(Arrival { at, .. }) = last.filter(|last| last.at > self.gap_begins_at) else {
            return self.counts.longest_gap;
        };
        let since = |at: Instant| at.saturating_duration_since(self.gap_begins_at);
        let gap = since(at) / self.after_gap.max(1);
        self.counts.longest_gap.max(gap).max(since(look_before))
    }

    /// A look has ended: the next gap begins with the last data.
    pub fn end_gap(&mut self, look_before: Instant) {
        self.counts.longest_gap = self.gap_until(self.counts.last_data, look_before);
        self.after_gap = 0;
        if let Some(last) = self.counts.last_data {
            self.gap_begins_at = last.at;
        }
    }
}
