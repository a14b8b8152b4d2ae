//! The values of options as people write them; each error says what would have been right.

use std::net::SocketAddr;
use std::time::Duration;

use crate::shutdown::plan::Delay;
use crate::signal::{NoSignal, Signal};
use crate::traffic::network::{Network, ParseNetworkError};

/// The longest duration that is accepted, so that no sum of times can overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A newtype, since clap takes an `Option` for an option that may be missing.
#[derive(Clone, Copy, Debug)]
pub struct GracePeriod(pub Option<Duration>);

/// Forward the first as the second, or drop it.
#[derive(Clone, Copy, Debug)]
pub struct Rewrite(pub Signal, pub Option<Signal>);

/// A duration of at most 365 days; a bare number is seconds, as in Kubernetes.
pub fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = match is_number {
        true => text.parse().ok().map(Duration::from_secs),
        false => humantime::parse_duration(text).ok(),
    };
    match parsed {
        Some(duration) if duration <= LONGEST => Ok(duration),
        None if !is_number => Err("write 500ms, 15s, 1m30s, 2h or a number of seconds".into()),
        _ => Err("write at most 365 days".into()),
    }
}

/// A delay, or the shortest and the longest: `5s..20s`.
pub fn delay(text: &str) -> Result<Delay, String> {
    let Some((min, max)) = text.split_once("..") else {
        return duration(text).map(Delay::fixed).map_err(|why| format!("{why}, or 5s..20s"));
    };
    let end = |text| duration(text).map_err(|why| format!("{why}; a range is 5s..20s"));
    let (min, max) = (end(min)?, end(max)?);
    match min <= max {
        true => Ok(Delay { min, max }),
        false => Err(format!("the shortest comes first: {}", Delay { min: max, max: min })),
    }
}

pub fn duration_or_none(text: &str) -> Result<GracePeriod, String> {
    match text.trim() {
        "none" => Ok(GracePeriod(None)),
        text => duration(text)
            .map(|duration| GracePeriod(Some(duration)))
            .map_err(|why| format!("{why}, or none")),
    }
}

pub fn signal(text: &str) -> Result<Signal, String> {
    text.parse().map_err(|NoSignal| NoSignal.to_string())
}

/// A signal that reaches us, and so can begin a shutdown or be rewritten.
pub fn forwardable(text: &str) -> Result<Signal, String> {
    let signal = signal(text)?;
    match signal.reaches_us() {
        true => Ok(signal),
        false if signal == Signal::CHLD => {
            Err("SIGCHLD tells of children and is never forwarded; SIGTERM or SIGQUIT would do"
                .into())
        }
        false => Err(format!("no process can catch {signal}; SIGTERM or SIGQUIT would do")),
    }
}

/// A variable that stands for an option without a value.
pub fn switch(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("write true or false".into()),
    }
}

/// A variable that stands for an option that may be repeated.
pub fn times(text: &str) -> Result<u8, String> {
    let number = switch(text).map(u8::from).or_else(|_| text.trim().parse());
    number.map_err(|_| "write a number, such as 1".into())
}

pub fn port(text: &str) -> Result<u16, String> {
    let port = text.trim().parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| "write a port, 1 to 65535".into())
}

/// Where to listen.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let address = text.trim().parse().ok().filter(|address: &SocketAddr| address.port() > 0);
    address.ok_or_else(|| "write an address and a port, as 0.0.0.0:8086 or [::]:8086".into())
}

/// The addresses of peers.
pub fn network(text: &str) -> Result<Network, String> {
    text.parse().map_err(|error: ParseNetworkError| error.to_string())
}

pub fn exit_code(text: &str) -> Result<u8, String> {
    text.trim().parse().map_err(|_| "write an exit code, 0 to 255".into())
}

pub fn rewrite(text: &str) -> Result<Rewrite, String> {
    let (from, to) = text
        .split_once(':')
        .ok_or("write two signals as 15:3 or TERM:QUIT, or TERM:0 to drop it")?;
    let to = if to.trim() == "0" { None } else { Some(signal(to)?) };
    Ok(Rewrite(forwardable(from)?, to))
}

#[cfg(test)]
mod tests;
