//! Which of our names somebody probably meant who wrote another one.

/// Names that are less alike than this are strangers to each other. 1 is the same name (Jaro's
/// similarity).
const ALIKE: f64 = 0.75;

/// A name that is a part of the other one is as good a guess as one with a slip of the pen.
const PART: f64 = 0.9;

/// What options are called elsewhere, by the orchestrators and other programs, without dashes.
const ELSEWHERE: [(&str, &str); 9] = [
    ("stoptimeout", "grace-period"),
    ("killtimeout", "grace-period"),
    ("timeout", "grace-period"),
    ("prestop", "on-stop"),
    ("poststop", "on-exit"),
    ("loglevel", "verbose"),
    ("debug", "verbose"),
    ("dryrun", "check"),
    ("ports", "traffic-port"),
];

/// The long name of an option that is nearest to this one, if any is near: `grace-period` for `grace`,
/// `GRACE_PERIODE`, `terminationGracePeriodSeconds` or `stop-timeout`.
pub fn nearest(name: &str, options: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace('_', "-");
    let bare = |name: &str| name.replace('-', "");
    let elsewhere = ELSEWHERE.iter().find(|(theirs, _)| *theirs == bare(&name));
    let mut found = (ALIKE, None);
    for option in options {
        if elsewhere.is_some_and(|(_, ours)| *ours == option) {
            return Some(option);
        }
        let is_part = |part: &str, whole: &str| part.len() > 3 && whole.contains(part);
        let part = is_part(&name, option) || is_part(&bare(option), &bare(&name));
        let alike = strsim::jaro(&name, option).max(if part { PART } else { 0.0 });
        if alike > found.0 {
            found = (alike, Some(option));
        }
    }
    found.1
}

#[cfg(test)]
mod tests;
