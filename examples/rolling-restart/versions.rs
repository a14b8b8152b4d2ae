//! When and with what the figures were measured.

use std::time::SystemTime;

use nix::sys::signal::Signal;

use crate::Try;
use crate::duration::show;
use crate::place::Place;
use crate::rows::{StopSignal, Times};

/// Each says its version in its first line.
const CALLS: &str = "\
nginx -v
haproxy -v
tini --version
dumb-init --version
catatonit --version";

/// The line above the table.
pub fn caption(place: &Place, lags: &str, times: &Times, stop_signal: StopSignal) -> Try<String> {
    let signal = Signal::from(stop_signal);
    let grace_period = show(times.grace_period);
    let line = line(place)?;
    Ok(format!("{lags}, grace period {grace_period}, {signal}. {line}.\n"))
}

/// The date and the versions.
pub fn line(place: &Place) -> Try<String> {
    let day = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let day = day.split('T').next().unwrap_or_default();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut parts = vec![day.to_owned(), format!("Linux {}", number(&kernel).unwrap_or("?"))];
    let script: String = CALLS.lines().map(|call| format!("{call} 2>&1 | head -n 1; ")).collect();
    for (call, said) in CALLS.lines().zip(place.says(&script)?.lines()) {
        // Where an init is not there, no row needed it.
        if let Some(number) = number(said) {
            let name = call.split(' ').next().unwrap_or_default();
            parts.push(format!("{name} {number}"));
        }
    }
    parts.push(concat!("reprieve ", env!("CARGO_PKG_VERSION")).to_owned());
    Ok(parts.join(", "))
}

/// The first number with a dot in it.
fn number(text: &str) -> Option<&str> {
    let mut pieces = text.split(|letter: char| letter != '.' && !letter.is_ascii_digit());
    pieces.find(|piece| piece.trim_matches('.').contains('.'))
}
