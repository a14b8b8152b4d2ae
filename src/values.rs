//! The values of options as people write them; each error says what would have been right.

use std::net::SocketAddr;
use std::time::Duration;

use crate::plan::Delay;
use crate::signal::{NoSignal, Signal};
use crate::traffic::{Network, NoNetwork};

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
    text.parse().map_err(|error: NoNetwork| error.to_string())
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
mod tests {
    use super::*;

    #[test]
    fn durations_as_people_write_them() {
        for (text, ms) in [
            ("500ms", 500),
            ("15s", 15_000),
            ("1m30s", 90_000),
            ("1m 30s", 90_000),
            ("2h", 7_200_000),
            ("15", 15_000),
            ("0", 0),
            (" 3s ", 3_000),
            ("365d", 31_536_000_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "-5", "1.5", "15x", "366d", "99999999999999999999", "none", "1m30"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_as_people_write_them() {
        let delay = |text| delay(text).map(|delay| delay.to_string());
        assert_eq!(["5s..20s", "7"].map(delay), [Ok("5s..20s".into()), Ok("7s".into())]);
        assert_eq!(delay("5s..5s"), Ok("5s".into()));
        assert_eq!(delay("20s..5s"), Err("the shortest comes first: 5s..20s".into()));
        let grace_period = |text| duration_or_none(text).map(|GracePeriod(period)| period);
        assert_eq!(grace_period(" none "), Ok(None));
        assert_eq!(grace_period("3"), Ok(Some(Duration::from_secs(3))));
        assert_eq!(["yes", "0"].map(switch), [Ok(true), Ok(false)]);
        assert!(switch("2").is_err());
        assert_eq!(["true", "no", " 3 "].map(times), [Ok(1), Ok(0), Ok(3)]);
        assert!(times("many").is_err());
        assert_eq!([" 80 ", "65535"].map(port), [Ok(80), Ok(65_535)]);
        assert!(port("0").is_err() && port("65536").is_err());
        let listen = |text| address(text).map(|address| address.to_string());
        assert_eq!(listen(" [::]:8086 "), Ok("[::]:8086".into()));
        assert!(listen("0.0.0.0:0").is_err() && listen("0.0.0.0").is_err());
        assert_eq!(
            network("10.0.0.0/8"),
            "10.0.0.0/8".parse().map_err(|_: NoNetwork| String::new())
        );
        assert!(network("ten").unwrap_err().contains("10.0.0.0/8"));
        assert_eq!([" 143 ", "0"].map(exit_code), [Ok(143), Ok(0)]);
        assert!(exit_code("256").is_err());
    }

    #[test]
    fn signals_as_people_write_them() {
        assert_eq!(["term", "15"].map(forwardable), [Ok(Signal::TERM), Ok(Signal::TERM)]);
        assert!(forwardable("CHLD").unwrap_err().contains("tells of children"));
        assert!(forwardable("KILL").unwrap_err().contains("no process can catch SIGKILL"));
        assert_eq!(signal("KILL"), Ok(Signal::KILL));
        assert!(signal("SIGTERMINATE").is_err());
        let rewrite = |text| rewrite(text).map(|Rewrite(from, to)| (from, to));
        assert_eq!(rewrite("TERM:QUIT"), Ok((Signal::TERM, Some(Signal::QUIT))));
        assert_eq!(rewrite("15: 0"), Ok((Signal::TERM, None)));
        for text in ["TERM", "KILL:TERM", "TERM:x", ":TERM"] {
            assert!(rewrite(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_too_long_is_told_how_long_it_may_be() {
        for (text, why) in [
            ("366d", "write at most 365 days, or 5s..20s"),
            ("99999999999999999999", "write at most 365 days, or 5s..20s"),
            ("5s..366d", "write at most 365 days; a range is 5s..20s"),
            ("5s..", "write 500ms, 15s, 1m30s, 2h or a number of seconds; a range is 5s..20s"),
        ] {
            assert_eq!(delay(text).unwrap_err(), why, "{text}");
        }
        assert_eq!(duration_or_none("366d").unwrap_err(), "write at most 365 days, or none");
    }
}
