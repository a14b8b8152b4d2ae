//! What becomes of the requests of a rehearsal, as the process that sends them tells it to PID 1: a row
//! of numbers, none of which comes from the network. No system call, no clock.

use std::net::Ipv6Addr;

use serde::Serialize;

/// The requests of one process, or of several together. Those before the stop signal do not count, but
/// for those that are in flight then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Those that were answered, whatever the status.
    pub answered: u32,
    /// Those of them that were answered 4xx, and 5xx.
    pub client_errors: u32,
    pub server_errors: u32,
    /// Those that had been sent when the stop signal was forwarded, and were not answered yet.
    pub in_flight: u32,
    /// Those of them that were answered.
    pub in_flight_answered: u32,
    /// Those that were lost after they had been sent, in flight at the forward or not.
    pub cut: u32,
    /// Those of them that were sent after the forward.
    pub late_cut: u32,
    /// Those for which there was no connection, before the stop signal was forwarded.
    pub refused: u32,
    /// Those that were sent again, as their kept connection had been closed between two requests.
    pub retried: u32,
}

/// How many bytes a record has.
pub const RECORD: usize = 64;

/// What a process tells: always the last such record counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub tally: Tally,
    /// It has had an answer.
    pub is_ready: bool,
    /// The app let it in no more.
    pub is_over: bool,
    /// From where it connects; an IPv4 address as a mapped one.
    pub address: Ipv6Addr,
}

impl Default for Record {
    fn default() -> Record {
        let (is_ready, is_over) = (false, false);
        Record { tally: Tally::default(), is_ready, is_over, address: Ipv6Addr::UNSPECIFIED }
    }
}

impl Tally {
    fn numbers(&self) -> [u32; 9] {
        let Tally { answered, client_errors, server_errors, in_flight, .. } = *self;
        let Tally { in_flight_answered, cut, late_cut, refused, retried, .. } = *self;
        [
            answered,
            client_errors,
            server_errors,
            in_flight,
            in_flight_answered,
            cut,
            late_cut,
            refused,
            retried,
        ]
    }

    fn of(numbers: [u32; 9]) -> Tally {
        let [
            answered,
            client_errors,
            server_errors,
            in_flight,
            in_flight_answered,
            cut,
            late_cut,
            refused,
            retried,
        ] = numbers;
        Tally {
            answered,
            client_errors,
            server_errors,
            in_flight,
            in_flight_answered,
            cut,
            late_cut,
            refused,
            retried,
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(&self, other: &Tally) -> Tally {
        let (ours, theirs) = (self.numbers(), other.numbers());
        Tally::of(std::array::from_fn(|at| ours[at].saturating_add(theirs[at])))
    }

    /// Whether a request failed.
    pub fn has_failures(&self) -> bool {
        self.cut > 0 || self.refused > 0
    }
}

impl Record {
    /// The record as it is told: the numbers, whether it is ready and over, and the address.
    pub fn to_bytes(self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        let numbers = self.tally.numbers();
        for (at, number) in numbers.iter().enumerate() {
            bytes[4 * at..][..4].copy_from_slice(&number.to_le_bytes());
        }
        bytes[40] = self.is_ready.into();
        bytes[41] = self.is_over.into();
        bytes[48..].copy_from_slice(&self.address.octets());
        bytes
    }

    /// The last whole record of what has come, if there is one.
    pub fn last_of(bytes: &[u8]) -> Option<Record> {
        let bytes: &[u8; RECORD] = bytes.chunks_exact(RECORD).next_back()?.try_into().ok()?;
        let number = |at: usize| -> u32 {
            let mut number = [0; 4];
            number.copy_from_slice(&bytes[4 * at..][..4]);
            u32::from_le_bytes(number)
        };
        let mut address = [0; 16];
        address.copy_from_slice(&bytes[48..]);
        Some(Record {
            tally: Tally::of(std::array::from_fn(number)),
            is_ready: bytes[40] != 0,
            is_over: bytes[41] != 0,
            address: address.into(),
        })
    }
}

/// What came of a rehearsal beside the end of the app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rehearsed {
    /// Why the stop signal came before it was due, if it did.
    pub not_due: Option<String>,
    /// The requests, where there are URLs for them.
    pub requests: Option<Tally>,
    /// The URL of the first that failed.
    pub failed_url: Option<String>,
    /// How a process ended that was to send requests.
    pub asker_died: Option<String>,
}

#[cfg(test)]
mod tests;
