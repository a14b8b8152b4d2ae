//! How many runs came to what: what none of them came to was not tested.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use crate::play::Played;

/// Events of the log.
const EVENTS: [&str; 12] = [
    "stop_signal",
    "stop_signal_repeated",
    "forwarded",
    "dropped_by_rewrite",
    "passed_on",
    "stand_in_ended",
    "swept",
    "killed",
    "gave_up",
    "hook_ended",
    "not_run",
    "not_sent",
];

/// How many runs there were of each kind.
#[derive(Default)]
pub struct Tally(Mutex<BTreeMap<&'static str, u64>>);

impl Tally {
    pub fn add(&self, kind: &'static str) {
        *self.0.lock().expect("a lock").entry(kind).or_default() += 1;
    }

    pub fn count(&self, kind: &str) -> u64 {
        self.0.lock().expect("a lock").get(kind).copied().unwrap_or_default()
    }

    pub fn add_events(&self, played: &Played) {
        for event in EVENTS {
            if played.ended.said(&format!("\"event\":\"{event}\"")) {
                self.add(event);
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let kinds = self.0.lock().expect("a lock");
        let kinds: Vec<_> = kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        f.write_str(&kinds.join(", "))
    }
}
