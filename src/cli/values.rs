//! Parsers for the values of options. Each error is a sentence for the user that says what would
//! have been right.

use std::net::SocketAddr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::http::url::ParseUrlError;
use crate::log::Format;
use crate::rehearsal::When;
use crate::shutdown::plan::{Delay, Leftovers, LeftoversTimeout, OnRepeat};
use crate::signal::Signal;
use crate::tasks::sidecar::Preset;
use crate::traffic::network::IgnoredPeer;
use crate::traffic::quiet::HoldUntil;

/// The longest duration that is accepted, so that no sum of times can overflow.
pub const MAX_DURATION: Duration = Duration::from_hours(365 * 24);

/// The value of `--grace-period`. It is a type of its own since clap takes a bare `Option` for an
/// option that may be missing.
#[derive(Clone, Copy, Debug)]
pub struct GracePeriod(pub Option<Duration>);

/// A value of `--rewrite`: the signal that comes, and the one that is forwarded instead, if any.
#[derive(Clone, Copy, Debug)]
pub struct Rewrite(pub Signal, pub Option<Signal>);

/// A value that is one of a few, each of which has a name on the command line.
pub trait Named: Copy + Send + Sync + 'static {
    /// All of them, each with its name.
    const NAMES: &[(&str, Self)];
}

/// The enums belong to modules that know no command line.
macro_rules! named {
    ($enum:ty: $($variant:ident = $name:literal),+) => {
        impl Named for $enum {
            const NAMES: &[(&str, Self)] = &[$(($name, Self::$variant)),+];
        }
    };
}

named!(OnRepeat: Hurry = "hurry", Ignore = "ignore");
named!(Leftovers: Stop = "stop", Wait = "wait", Kill = "kill");
named!(HoldUntil: Quiet = "quiet", NoNew = "no-new", Closed = "closed");
named!(Format: Text = "text", Json = "json");
named!(
    Preset: None = "none",
    Linkerd = "linkerd",
    Istio = "istio",
    CloudSqlProxy = "cloud-sql-proxy",
    Consul = "consul",
    Dapr = "dapr",
    Kuma = "kuma"
);

/// The value that has this name. The error says nothing: clap does.
pub fn named<T: Named>(text: &str) -> Result<T, String> {
    let known = T::NAMES.iter().find(|(name, _)| *name == text);
    known.map(|(_, value)| *value).ok_or_else(String::new)
}

/// The same for clap, which tells the names where it is none of them. Less code than its `ValueEnum` has.
pub fn one_of<T: Named>() -> impl TypedValueParser<Value = T> {
    let names = PossibleValuesParser::new(T::NAMES.iter().map(|(name, _)| *name));
    names.try_map(|name| named(&name))
}

/// A duration of at most [`MAX_DURATION`], such as `500ms` or `1m30s`. A bare number is seconds, as
/// in Kubernetes.
pub fn duration(text: &str) -> Result<Duration, String> {
    const RIGHT: &str = "write 500ms, 15s, 1m30s, 2h or a number of seconds";
    let text = text.trim_ascii();
    let (mut rest, mut ms) = (text, 0_u64);
    loop {
        let (number, after) = split_where(rest, |byte| !byte.is_ascii_digit());
        if after.starts_with(['.', ',']) && !after.starts_with("..") {
            return Err("write it without a fraction: 500ms, or whole seconds".into());
        }
        let after = after.trim_ascii_start();
        let (unit, after) = split_where(after, |byte| !byte.is_ascii_alphabetic());
        let factor = match unit {
            _ if number.is_empty() => return Err(RIGHT.into()),
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" if number == text => 1_000,
            "" => return Err(RIGHT.into()),
            _ => return Err(format!("the units are ms, s, m (minutes) and h; {RIGHT}")),
        };
        let number = number.parse().unwrap_or(u64::MAX);
        ms = ms.saturating_add(number.saturating_mul(factor));
        rest = after.trim_ascii_start();
        if rest.is_empty() {
            break;
        }
    }
    let duration = Duration::from_millis(ms);
    if duration <= MAX_DURATION { Ok(duration) } else { Err("write at most 365 days".into()) }
}

/// What comes before the first of such bytes, of which the first of a character is one, and the rest.
fn split_where(text: &str, is_after: fn(u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().position(is_after).unwrap_or(text.len()))
}

/// A duration, `listening`, or a URL.
pub fn when(text: &str) -> Result<When, String> {
    match text.trim_ascii() {
        "listening" => Ok(When::Listening),
        text if text.contains("://") => {
            text.parse().map(When::Answers).map_err(|error: ParseUrlError| error.to_string())
        }
        text => duration(text)
            .map(When::After)
            .map_err(|error| format!("{error}; or listening, or http://HOST:PORT/PATH")),
    }
}

/// A fixed delay (`15s`), or a range from the shortest to the longest (`5s..20s`).
pub fn delay(text: &str) -> Result<Delay, String> {
    let Some((min, max)) = text.split_once("..") else {
        let fixed = duration(text).map(Delay::fixed);
        return fixed.map_err(|error| format!("{error}, or a range such as 5s..20s"));
    };
    let bound =
        |text| duration(text).map_err(|error| format!("{error}; a range is written 5s..20s"));
    let (min, max) = (bound(min)?, bound(max)?);
    match min <= max {
        true => Ok(Delay { min, max }),
        false => Err(format!("write the shorter one first: {}", Delay { min: max, max: min })),
    }
}

/// A duration, or `none`.
pub fn grace_period(text: &str) -> Result<GracePeriod, String> {
    match text.trim_ascii() {
        "none" => Ok(GracePeriod(None)),
        text => duration(text)
            .map(|duration| GracePeriod(Some(duration)))
            .map_err(|error| format!("{error}, or none")),
    }
}

/// How long leftovers have, or `none`.
pub fn leftovers_timeout(text: &str) -> Result<LeftoversTimeout, String> {
    grace_period(text).map(|GracePeriod(timeout)| match timeout {
        Some(timeout) => LeftoversTimeout::After(timeout),
        None => LeftoversTimeout::None,
    })
}

/// Any signal by its name or number.
pub fn signal(text: &str) -> Result<Signal, String> {
    text.parse::<Signal>().map_err(|error| error.to_string())
}

/// A signal that can be caught and forwarded, and so can begin a shutdown or be rewritten: all but
/// SIGKILL, SIGSTOP and SIGCHLD.
pub fn forwardable_signal(text: &str) -> Result<Signal, String> {
    let signal = signal(text)?;
    match signal.reaches_us() {
        true => Ok(signal),
        false if signal == Signal::CHLD => {
            Err("SIGCHLD reports a change of a child process and is never forwarded; \
                 SIGTERM or SIGQUIT would do"
                .into())
        }
        false => Err(format!("no process can catch {signal}; SIGTERM or SIGQUIT would do")),
    }
}

/// The variable of an option that has no value on the command line.
pub fn switch(text: &str) -> Result<bool, String> {
    match text.trim_ascii().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("write true or false".into()),
    }
}

/// The variable of an option that has no value and may be repeated: how often it is given.
pub fn count(text: &str) -> Result<u8, String> {
    let number = switch(text).map(u8::from).or_else(|_| text.trim_ascii().parse());
    number.map_err(|_| "write true, false or a number, 0 to 255".into())
}

/// A port, 1 to 65535.
pub fn port(text: &str) -> Result<u16, String> {
    let port = text.trim_ascii().parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| "write a port, 1 to 65535".into())
}

/// The address and port of a listening socket.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let address = text.trim_ascii().parse().ok().filter(|address: &SocketAddr| address.port() > 0);
    address.ok_or_else(|| "write an address and a port, such as 0.0.0.0:8086 or [::]:8086".into())
}

/// The address of a peer, the network of several, or `gateway`.
pub fn ignored_peer(text: &str) -> Result<IgnoredPeer, String> {
    text.parse::<IgnoredPeer>().map_err(|error| error.to_string())
}

/// An exit code, 0 to 255.
pub fn exit_code(text: &str) -> Result<u8, String> {
    text.trim_ascii().parse().map_err(|_| "write an exit code, 0 to 255".into())
}

/// `FROM:TO`, or `FROM:0` to forward nothing.
pub fn rewrite(text: &str) -> Result<Rewrite, String> {
    let (from, to) = text
        .split_once(':')
        .ok_or("write two signals, such as 15:3 or TERM:QUIT, or TERM:0 to forward nothing")?;
    let to = if to.trim_ascii() == "0" { None } else { Some(signal(to)?) };
    Ok(Rewrite(forwardable_signal(from)?, to))
}

#[cfg(any(fuzzing, test))]
pub mod fuzz;

#[cfg(test)]
mod tests;
