//! The files of /proc/PID, as they are after bytes that are not UTF-8 were replaced.

use crate::process::proc::{Process, Signals, parse_signals};

pub fn stat(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Some(process) = Process::parse(&text) else { return };
    let Process { pid, command, parent, group, started, stopped, zombie } = &process;
    assert!(text.contains(command.as_str()));
    assert!(!(*stopped && *zombie));
    let state = match (stopped, zombie) {
        (true, _) => 'T',
        (_, true) => 'Z',
        _ => 'S',
    };
    let unused = "0 ".repeat(14);
    let written = format!("{pid} ({command}) {state} {parent} {group} {unused}1 0 {started}\n");
    assert_eq!(Process::parse(&written), Some(process));
}

/// The masks of signals.
pub fn status(bytes: &[u8]) {
    let Some(signals) = parse_signals(&String::from_utf8_lossy(bytes)) else { return };
    let Signals { pending, blocked, ignored, caught } = signals;
    let pairs = [
        ("SigPnd", 0),
        ("ShdPnd", pending.0),
        ("SigBlk", blocked.0),
        ("SigIgn", ignored.0),
        ("SigCgt", caught.0),
    ];
    let written: String = pairs.map(|(key, mask)| format!("{key}:\t{mask:016x}\n")).concat();
    assert_eq!(parse_signals(&written), Some(signals));
}
