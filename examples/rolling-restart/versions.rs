//! When and with what the figures were measured.

use std::time::SystemTime;

use nix::sys::signal::Signal;

use crate::Try;
use crate::duration::show;
use crate::place::Place;
use crate::rows::{StopSignal, Times};

const CALLS: [(&str, &str); 5] = [
    ("nginx", "nginx -v"),
    ("HAProxy", "haproxy -v"),
    ("tini", "tini --version"),
    ("dumb-init", "dumb-init --version"),
    ("catatonit", "catatonit --version"),
];

/// The line above the table.
pub fn caption(place: &Place, times: &Times, stop_signal: StopSignal) -> Try<String> {
    let signal = Signal::from(stop_signal);
    let [lag, grace_period] = [times.lag, times.grace_period].map(show);
    let line = line(place)?;
    Ok(format!("Lag {lag}, grace period {grace_period}, {signal}. {line}.\n"))
}

/// The date and the versions.
pub fn line(place: &Place) -> Try<String> {
    let day = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let day = day.split('T').next().unwrap_or_default();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut parts = vec![day.to_owned(), format!("Linux {}", number(&kernel))];
    for (name, call) in CALLS {
        // Where an init is not there, no row needed it.
        let said = place.says(&format!("{call} 2>&1 || true"))?;
        match number(&said) {
            "" => continue,
            number => parts.push(format!("{name} {number}")),
        }
    }
    parts.push(concat!("reprieve ", env!("CARGO_PKG_VERSION")).to_owned());
    Ok(parts.join(", "))
}

/// The first number with a dot in it.
fn number(text: &str) -> &str {
    let pieces = text.split(|letter: char| letter != '.' && !letter.is_ascii_digit());
    pieces.filter(|piece| piece.contains('.')).find(|piece| piece.len() > 2).unwrap_or_default()
}
