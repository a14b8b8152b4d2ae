//! Which variables of the environment are ours, and which only look like it: a mistyped one would be
//! silent, and its option would have its default.

use std::ffi::CStr;

use crate::cli::args::{VARIABLE_PREFIX, WITHOUT_VARIABLE, variable};
use crate::cli::nearest::nearest;
use crate::cli::plain;
use crate::tasks::hook;

/// What an entry of the environment is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It sets an option.
    Ours,
    /// It begins as ours do, in capitals or not, and sets no option.
    Stray,
    /// It would set an option if our name in it had no slip of the pen: `REPREIVE_DELAY`, `REPRIEVE-DELAY`.
    Misspelt,
    /// It is the app's.
    Other,
}

/// What this entry of the environment is.
pub fn kind(entry: &CStr) -> Kind {
    let entry = entry.to_bytes();
    if !matches!(entry, [b'R' | b'r', ..]) {
        return Kind::Other;
    }
    let mut parts = entry.splitn(2, |byte| *byte == b'=');
    let (Some(name), Some(value)) = (parts.next(), parts.next()) else { return Kind::Other };
    let prefix = VARIABLE_PREFIX.as_bytes();
    match name.split_at_checked(prefix.len()) {
        Some((start, rest)) if start.eq_ignore_ascii_case(prefix) => {
            let is_exact = start == prefix;
            if is_exact && plain::has_variable(rest) {
                Kind::Ours
            } else if value.is_empty() || is_exact && (is_hooks(rest) || is_services(rest, value)) {
                Kind::Other
            } else {
                Kind::Stray
            }
        }
        _ if is_misspelt(name) => Kind::Misspelt,
        _ => Kind::Other,
    }
}

/// What is said of a variable that is stray or misspelt: which one its name is nearest to.
pub fn remedy(entry: &CStr) -> String {
    let entry = entry.to_string_lossy();
    let name = entry.split('=').next().unwrap_or_default();
    let is_between = |c: char| u8::try_from(c).is_ok_and(is_between);
    let (_, rest) =
        name.split_once(is_between).unwrap_or_else(|| name.split_at(VARIABLE_PREFIX.len() - 1));
    let has_variable = !WITHOUT_VARIABLE.iter().any(|long| variable(long).ends_with(rest));
    match nearest(rest, plain::longs()).filter(|_| has_variable) {
        Some(long) => format!("{name} sets no option: did you mean {}?", variable(long)),
        None => format!("{name} sets no option, and the app does not get it (see reprieve --help)"),
    }
}

/// Kubernetes makes such variables for a Service called `reprieve` or `reprieve-x`, in the manner of
/// Docker's links: `PORT_80_TCP_ADDR`, `X_SERVICE_HOST`, `X_PORT=tcp://10.0.0.1:80`.
fn is_services(name: &[u8], value: &[u8]) -> bool {
    // With an underscore before it, each part is found at the beginning too.
    let name = format!("_{}", String::from_utf8_lossy(name));
    let after_port = name.split("_PORT_").nth(1).and_then(|rest| rest.bytes().next());
    name.starts_with("_SERVICE_")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_SERVICE_HOST")
        || name == "_PORT"
        || name.starts_with("_PORT_")
        || after_port.is_some_and(|byte| byte.is_ascii_digit())
        || name.ends_with("_PORT") && value.windows(3).any(|bytes| bytes == b"://")
}

/// We may run in a hook ourselves.
fn is_hooks(name: &[u8]) -> bool {
    let is_it = |variable: &&str| {
        variable.as_bytes().strip_prefix(VARIABLE_PREFIX.as_bytes()) == Some(name)
    };
    hook::VARIABLES.iter().any(is_it)
}

/// Whether our name has a slip of the pen in it, or something else stands between it and the name of an
/// option: `REPRIVE_DELAY`, `REPRIEVE-DELAY`, `REPRIEVEDELAY`.
fn is_misspelt(name: &[u8]) -> bool {
    let ours = VARIABLE_PREFIX.trim_end_matches('_').as_bytes();
    let end = name.iter().position(|byte| is_between(*byte)).unwrap_or(name.len());
    let starts_as_ours =
        name.get(..ours.len()).is_some_and(|start| start.eq_ignore_ascii_case(ours));
    // Each start asks for all that begin with an R, so most are to be done with here.
    if !starts_as_ours && end.abs_diff(ours.len()) > 1 {
        return false;
    }
    let name = name.to_ascii_uppercase();
    let sets = |rest: &[u8]| {
        let letter = |byte: &u8| if is_between(*byte) { b'_' } else { *byte };
        plain::has_variable(&rest.iter().map(letter).collect::<Vec<_>>())
    };
    if name.strip_prefix(ours).is_some_and(sets) {
        return true;
    }
    // A word of its own, which is one letter away from ours.
    let (word, rest) = name.split_at(end);
    word != b"RETRIEVE"
        && is_slip(word, ours)
        && rest.split_first().is_some_and(|(_, rest)| sets(rest))
}

/// What stands between our name and that of an option, or might.
fn is_between(byte: u8) -> bool {
    matches!(byte, b'_' | b'-' | b'.')
}

/// Whether they differ by one letter: it is missing, too many, another one, or has changed places with
/// the next. Or in nothing.
fn is_slip(written: &[u8], meant: &[u8]) -> bool {
    let before = written.iter().zip(meant).take_while(|(one, other)| one == other).count();
    let (written, meant) = (&written[before..], &meant[before..]);
    let pairs = written.iter().rev().zip(meant.iter().rev());
    let after = pairs.take_while(|(one, other)| one == other).count();
    match (&written[..written.len() - after], &meant[..meant.len() - after]) {
        ([] | [_], [] | [_]) => true,
        ([a, b], [c, d]) => a == d && b == c,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
