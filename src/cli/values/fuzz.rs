//! The value of an option, as one of each.

use std::fmt::Debug;
use std::time::Duration;

use crate::cli::values::{
    GracePeriod, MAX_DURATION, Rewrite, count, delay, duration, exit_code, forwardable_signal,
    grace_period, ignored_peer, leftovers_timeout, listen_address, port, rewrite, signal, switch,
};
use crate::signal::Signal;
use crate::span::Span;

pub fn values(bytes: &[u8]) {
    let text = &*String::from_utf8_lossy(bytes);
    checked(leftovers_timeout(text));
    checked(count(text));
    checked(switch(text));
    if let Some(time) = checked(duration(text)) {
        assert!(time <= MAX_DURATION);
        // A fraction is shown, and not read.
        let said = Span(time).to_string();
        assert!(said.contains('.') || duration(&said) == Ok(shown(time)), "{said}");
        assert!(grace_period(text).is_ok_and(|GracePeriod(period)| period == Some(time)));
    }
    if let Some(delay) = checked(delay(text)) {
        assert!(delay.min <= delay.max && delay.max <= MAX_DURATION);
    }
    if let Some(parsed) = checked(signal(text)) {
        assert!((1..=64).contains(&parsed.number()));
        assert_eq!(signal(&parsed.number().to_string()), Ok(parsed));
        assert!(
            parsed.to_string().starts_with("signal ") || signal(&parsed.to_string()) == Ok(parsed)
        );
        assert_eq!(checked(forwardable_signal(text)).is_some(), parsed.reaches_us());
    }
    if let Some(Rewrite(from, to)) = checked(rewrite(text)) {
        assert!(from.reaches_us());
        let to_number = to.map_or(0, Signal::number);
        let again = rewrite(&format!("{}:{to_number}", from.number()));
        assert!(again.is_ok_and(|Rewrite(a, b)| (a, b) == (from, to)));
    }
    if let Some(parsed) = checked(port(text)) {
        assert_eq!(port(&parsed.to_string()), Ok(parsed));
    }
    if let Some(address) = checked(listen_address(text)) {
        assert_ne!(address.port(), 0);
        assert_eq!(listen_address(&address.to_string()), Ok(address));
    }
    if let Some(code) = checked(exit_code(text)) {
        assert_eq!(exit_code(&code.to_string()), Ok(code));
    }
    checked(ignored_peer(text));
}

/// A value; where there is none, its error is one sentence in one line.
fn checked<T: Debug>(parsed: Result<T, String>) -> Option<T> {
    if let Err(error) = &parsed {
        assert!(!error.is_empty() && !error.chars().any(char::is_control), "{error:?}");
    }
    parsed.ok()
}

/// What is shown of a duration: whole milliseconds.
fn shown(time: Duration) -> Duration {
    Duration::from_millis(time.as_millis() as u64)
}
