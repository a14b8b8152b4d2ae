//! What becomes of the requests of a rehearsal, as the process that sends them tells it to PID 1: a row
//! of numbers, none of which comes from the network. No system call, no clock.

use std::net::Ipv6Addr;

use serde::Serialize;

/// Makes the struct of these numbers, which a record has in a row.
macro_rules! tally {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// The requests of one process, or of several together. Those before the stop signal do not
        /// count, but for those that are in flight then. The report in JSON has these names too.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Tally {
            $($(#[$doc])* pub $name: u32),+
        }

        impl Tally {
            const COUNT: usize = [$(stringify!($name)),+].len();

            fn numbers(&self) -> [u32; Tally::COUNT] {
                [$(self.$name),+]
            }

            fn of([$($name),+]: [u32; Tally::COUNT]) -> Tally {
                Tally { $($name),+ }
            }
        }
    };
}

tally! {
    /// Those that were answered, whatever the status.
    answered,
    /// Those of them that were answered 4xx.
    client_errors,
    /// Those of them that were answered 5xx.
    server_errors,
    /// Those that had been sent when the stop signal was forwarded, and were not answered yet.
    in_flight,
    /// Those of them that were answered.
    in_flight_answered,
    /// Those that were lost after they had been sent, in flight at the forward or not.
    cut,
    /// Those of them that were sent after the forward.
    late_cut,
    /// Those for which there was no connection, before the stop signal was forwarded.
    refused,
    /// Those that were sent again, as their kept connection had been closed between two requests.
    retried,
}

/// How many bytes a record has.
pub const RECORD: usize = 64;

/// Where the numbers end in it.
const AFTER_NUMBERS: usize = 40;

const _: () = assert!(4 * Tally::COUNT <= AFTER_NUMBERS);

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
        bytes[AFTER_NUMBERS] = self.is_ready.into();
        bytes[AFTER_NUMBERS + 1] = self.is_over.into();
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
            is_ready: bytes[AFTER_NUMBERS] != 0,
            is_over: bytes[AFTER_NUMBERS + 1] != 0,
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
