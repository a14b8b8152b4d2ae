//! A /proc/PID/status: the uids.

use crate::traffic::owners::Status;

pub fn status(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Some(Status { first_thread_ended, uids }) = Status::parse(&text) else { return };
    let state = if first_thread_ended { "Z (zombie)" } else { "S (sleeping)" };
    let numbers: String = uids.iter().map(|uid| format!("\t{uid}")).collect();
    let again = Status::parse(&format!("State:\t{state}\nUid:{numbers}\n"));
    assert!(again.is_some_and(|again| {
        again.first_thread_ended == first_thread_ended && again.uids == uids
    }));
}
