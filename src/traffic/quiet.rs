//! Whether traffic still comes in: takes what is found at each look, and knows when it will have
//! stopped. No system call, no clock.
//!
//! Only data counts as traffic: a connection without any is a probe's, and an idle one does not
//! prolong a hold. The kernel counts the end of what a peer sends (its FIN) as one byte, so one byte
//! more than before is no data. What comes with the end of an idle connection is none either.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::traffic::counts::{Arrival, Counts, Missed, Origin, Record};
use crate::traffic::network::Network;
use crate::traffic::peers::{PeerCount, Peers};
use crate::traffic::tracked::{self, FRESH, OLD, OPEN, PENDING, SPOKE, Tracked, TrackedList};

/// The most bytes that come in with the end of an idle connection: the records that end TLS (24 to 85
/// bytes, by the cipher) and HTTP/2 (GOAWAY, 17 bytes and the record around them), or a close frame
/// of a WebSocket.
const MAX_FAREWELL: u32 = 128;
/// The most bytes that are sent in return, where the other side ends the protocol too. The answer to
/// a request over HTTP is longer: its status line and a Date alone are 54 bytes.
const MAX_REPLY: u32 = 64;
/// The end of what a peer sends.
const FIN: u32 = 1;

/// What has to be over for a hold to end before its MAX (`--hold-until`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HoldUntil {
    /// No data came in for the window, on any connection.
    #[default]
    Quiet,
    /// No new connection brought data for the window. Those that are kept do not count.
    NoNew,
    /// As [`HoldUntil::Quiet`], and all connections have been closed.
    Closed,
}

/// What counts as traffic, and when it has stopped.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// What comes from them is neither traffic nor counted.
    pub ignored_peers: Vec<Network>,
    pub until: HoldUntil,
    /// Traffic has stopped when nothing came in for so long.
    pub quiet_window: Duration,
}

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
    /// The bytes that were sent on it so far, and acknowledged; None where the source does not say.
    pub sent: Option<u64>,
    /// For how long no data has come in at this look; before there is any, how long ago it was
    /// established. None where the source does not say.
    pub silent_for: Option<Duration>,
    /// The peer sends no more (CLOSE_WAIT, LAST_ACK, CLOSING), or it has ended.
    pub peer_closed: bool,
    /// The app has let go of it (FIN_WAIT, LAST_ACK, CLOSING).
    pub app_closed: bool,
}

/// The traffic since the stop signal.
#[derive(Debug)]
pub struct Traffic {
    rules: Rules,
    tracked: TrackedList,
    look: Look,
    record: Record,
    peers: Peers,
}

/// The look that is being taken.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// The stop signal.
    began_at: Instant,
    /// The look before.
    before: Instant,
    now: Instant,
    /// 1 is the first.
    number: u64,
    /// Not all that is open has been found.
    is_partial: bool,
    /// A connection that has been found open.
    open: Option<Origin>,
    quiet_window: Duration,
}

/// What a connection has brought since it last brought data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Growth {
    /// No data, or what belongs to its end.
    Nothing,
    /// What may belong to its end.
    Pending,
    Data,
}

impl Traffic {
    /// Begins at the stop signal.
    pub fn new(rules: Rules, began_at: Instant) -> Traffic {
        let look = Look {
            began_at,
            before: began_at,
            now: began_at,
            number: 0,
            is_partial: false,
            open: None,
            quiet_window: rules.quiet_window,
        };
        let (tracked, record, peers) =
            (TrackedList::default(), Record::new(began_at), Peers::default());
        Traffic { rules, tracked, look, record, peers }
    }

    /// Begins a look, which takes in what is open, and then what has ended since the look before.
    /// The first shows what was open at the stop signal.
    pub fn begin_look(&mut self, now: Instant) {
        let Look { now: before, number, .. } = self.look;
        let number = number + 1;
        self.look = Look { before, now, number, is_partial: false, open: None, ..self.look };
        self.record.was_pending = self.record.pending.take();
    }

    /// A connection is open.
    pub fn found(&mut self, connection: &Connection) {
        if self.ignores(connection) {
            return;
        }
        if !connection.app_closed {
            self.look.open = self.look.open.max(Some(origin(connection)));
        }
        let look = self.look;
        if let Some(tracked) = self.tracked.find(key(connection)) {
            let at = look.time_of_data(tracked, connection);
            look.take_in(&mut self.record, tracked, connection, at);
            tracked.look = look.id();
            tracked.set(OPEN, !connection.app_closed);
            return;
        }
        let tracked = match look.is_first() {
            true => look.old(connection),
            false => self.arrive(connection, look.time_of_data(&Tracked::default(), connection)),
        };
        if !self.tracked.add(tracked) {
            self.miss(Missed::TooMany);
        }
    }

    /// A connection has ended since the look before. It may have been found open right before that,
    /// or have been missing for one look.
    pub fn ended(&mut self, connection: &Connection) {
        if self.ignores(connection) {
            return;
        }
        self.put_in_order();
        let look = self.look;
        if let Some(tracked) = self.tracked.find(key(connection)) {
            let ended = Connection { peer_closed: true, ..*connection };
            look.take_in(&mut self.record, tracked, &ended, look.now);
            // As if it had been missing twice.
            tracked.look = look.id().wrapping_sub(2);
            tracked.set(OPEN, false);
            if !tracked.is(OLD) {
                self.peers.end(connection.peer, connection.port, connection.received);
            }
        } else if !look.is_first() {
            let tracked = self.arrive(connection, look.now);
            self.record.count_new(&tracked);
            self.peers.end(connection.peer, connection.port, connection.received);
        }
    }

    /// UDP came in on a local port since the look before.
    pub fn datagrams(&mut self, port: u16) {
        let data = Arrival { at: self.look.now, from: Origin { peer: None, port } };
        self.record.bring_data(data);
        self.record.bring_news(data);
    }

    /// Something may have come and gone unseen since the look before. That counts as traffic.
    pub fn miss(&mut self, why: Missed) {
        self.look.is_partial |= why == Missed::ListFailed;
        self.record.miss(why, self.look.now);
    }

    /// Ends a look, and forgets what is gone. The event of an end may come one look after the list
    /// in which the connection is missing, so what is missing is kept for one more.
    pub fn end_look(&mut self) {
        self.put_in_order();
        let Traffic { look, record, tracked, .. } = self;
        let id = look.id();
        if look.is_partial {
            // What is missing may be there all the same: the next look takes the place of this one.
            look.number = look.number.saturating_sub(1);
            record.pending = record.pending.max(record.was_pending);
        } else {
            record.open = look.open;
            record.counts.open = 0;
            tracked.retain(|tracked| {
                let age = id.wrapping_sub(tracked.look);
                if age == 1 {
                    record.lose(tracked);
                }
                record.counts.open += u64::from(tracked.is(OPEN));
                age < 2
            });
        }
        record.end_gap(look.before);
    }

    /// When traffic will have stopped if nothing more comes. None while connections have to be
    /// closed first.
    pub fn stops_at(&self) -> Option<Instant> {
        let Record { data_at, news_at, pending, counts, .. } = &self.record;
        let quiet_since = match self.rules.until {
            HoldUntil::Closed if counts.open > 0 => return None,
            HoldUntil::NoNew => *news_at,
            _ => pending.map_or(*data_at, |pending| pending.at.max(*data_at)),
        };
        Some(quiet_since + self.rules.quiet_window)
    }

    /// When the last of the new connections with data arrived.
    pub fn last_arrival(&self) -> Option<Arrival> {
        self.record.counts.last_arrival
    }

    /// The peers that most of the new connections came from.
    pub fn peers(&self) -> Vec<PeerCount> {
        self.peers.most()
    }

    /// What was seen until the last look, of which the quiet window before `now` is the present.
    pub fn counts(&self, now: Instant) -> Counts {
        let Traffic { rules, look, record, tracked, .. } = self;
        let mut counts = record.counts;
        // What nobody knows yet counts as data.
        counts.last_data = counts.last_data.max(record.pending);
        counts.longest_gap = record.gap_until(record.pending, look.before);
        let last = if rules.until == HoldUntil::NoNew { record.news } else { counts.last_data };
        let keeps = last.filter(|last| last.at + rules.quiet_window > now);
        counts.keeper = match rules.until {
            HoldUntil::Closed if counts.open > 0 => record.open,
            _ => keeps.map(|data| data.from),
        };
        for tracked in tracked.iter() {
            let is_silent = tracked.is(OLD) && !tracked.is(SPOKE);
            counts.old_with_data += u64::from(is_silent && tracked.is(PENDING));
            counts.active += u64::from(tracked.is(OPEN) && look.is_active(tracked, now));
        }
        counts
    }

    fn ignores(&self, connection: &Connection) -> bool {
        let address = connection.peer.ip();
        self.rules.ignored_peers.iter().any(|network| network.contains(address))
    }

    /// One that was not there at the look before.
    fn arrive(&mut self, connection: &Connection, at: Instant) -> Tracked {
        let look = self.look;
        self.peers.add(connection.peer, connection.port, look.milliseconds(at));
        let mut tracked = Tracked {
            key: key(connection),
            at: look.milliseconds(at),
            look: look.id(),
            flags: FRESH,
            ..Tracked::default()
        };
        tracked.set(OPEN, !connection.app_closed);
        look.take_in(&mut self.record, &mut tracked, connection, at);
        tracked
    }

    /// Only when they are in order the new ones are counted, for a list may have one of them twice.
    fn put_in_order(&mut self) {
        let record = &mut self.record;
        self.tracked.put_in_order(|tracked| record.count_new(tracked));
    }
}

impl Look {
    fn is_first(&self) -> bool {
        self.number == 1
    }

    /// How tracked connections know it.
    fn id(&self) -> u8 {
        self.number as u8
    }

    fn milliseconds(&self, at: Instant) -> i32 {
        let since = at.saturating_duration_since(self.began_at).as_millis();
        since.try_into().unwrap_or(i32::MAX)
    }

    /// How long it has been since data came in on it, or since it arrived.
    fn silence(&self, tracked: &Tracked, now: Instant) -> Duration {
        let silence = self.milliseconds(now).saturating_sub(tracked.at);
        Duration::from_millis(silence.try_into().unwrap_or(0))
    }

    /// One that was open at the stop signal.
    fn old(&self, connection: &Connection) -> Tracked {
        let Connection { received, sent, silent_for, .. } = connection;
        let spoke_before = received.is_some_and(|received| received > FIN.into());
        let silent_for = silent_for.filter(|_| spoke_before);
        let silent_for = silent_for.and_then(|silent_for| silent_for.as_millis().try_into().ok());
        let mut tracked = Tracked {
            key: key(connection),
            received: low_bits(*received),
            sent: low_bits(*sent),
            at: silent_for.map_or(i32::MIN, |silent: i32| self.milliseconds(self.now) - silent),
            look: self.id(),
            flags: OLD,
        };
        tracked.set(OPEN, !connection.app_closed);
        tracked
    }

    /// Takes in what a connection has brought by now. That is kept where it was data, and what comes
    /// later is compared with it. What belongs to its end is not kept: a long answer to it shows
    /// that it was a request.
    fn take_in(
        &self,
        record: &mut Record,
        tracked: &mut Tracked,
        connection: &Connection,
        at: Instant,
    ) {
        let growth = self.growth(tracked, connection);
        let data = Arrival { at, from: origin(connection) };
        tracked.set(PENDING, growth == Growth::Pending);
        match growth {
            Growth::Nothing => {}
            Growth::Pending => record.pending = record.pending.max(Some(data)),
            Growth::Data => {
                record.take_in(tracked, data);
                tracked.received = low_bits(connection.received);
                tracked.sent = low_bits(connection.sent);
                tracked.at = self.milliseconds(at);
            }
        }
    }

    fn growth(&self, tracked: &Tracked, connection: &Connection) -> Growth {
        if connection.received.is_none() {
            // It may have brought data: the hold must not get shorter because that is unknown.
            return Growth::Data;
        }
        let received = low_bits(connection.received).wrapping_sub(tracked.received);
        if received <= FIN {
            return Growth::Nothing;
        }
        let sent = low_bits(connection.sent).wrapping_sub(tracked.sent);
        let is_farewell = self.is_idle(tracked)
            && received <= MAX_FAREWELL
            && connection.sent.is_some()
            && sent <= MAX_REPLY;
        match is_farewell {
            true if connection.peer_closed => Growth::Nothing,
            // It has one more look to close.
            true if !tracked.is(PENDING) || tracked.look == self.id() => Growth::Pending,
            _ => Growth::Data,
        }
    }

    /// Whether no data came in on it for the quiet window, or since the stop signal.
    fn is_idle(&self, tracked: &Tracked) -> bool {
        match tracked.is(SPOKE) {
            true => self.silence(tracked, self.now) >= self.quiet_window,
            false => tracked.is(OLD),
        }
    }

    fn is_active(&self, tracked: &Tracked, now: Instant) -> bool {
        // Before a new one speaks, its time is that of its arrival.
        let has_time = tracked.is(SPOKE) || tracked.is(OLD);
        tracked.is(PENDING) || has_time && self.silence(tracked, now) < self.quiet_window
    }

    /// When data came in on a connection that is open: after the look before, and by now.
    fn time_of_data(&self, tracked: &Tracked, connection: &Connection) -> Instant {
        let earliest = if tracked.is(PENDING) { self.began_at } else { self.before };
        let at = connection.silent_for.and_then(|silent_for| self.now.checked_sub(silent_for));
        at.unwrap_or(self.now).max(earliest)
    }
}

fn key(connection: &Connection) -> u64 {
    tracked::key(connection.cookie, connection.port, connection.peer)
}

fn origin(connection: &Connection) -> Origin {
    Origin { peer: Some(connection.peer), port: connection.port }
}

fn low_bits(bytes: Option<u64>) -> u32 {
    bytes.unwrap_or(0) as u32
}

#[cfg(test)]
mod tests;
