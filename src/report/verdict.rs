//! The verdict of a rehearsal: whether the app stops as it should, and its line, which is the last one of
//! the log.

use std::fmt;

use serde::Serialize;

use crate::rehearsal::tally::{Rehearsed, Tally};
use crate::report::timeline::{Timeline, Trigger};
use crate::shutdown::ending::Ending;
use crate::span::Span;

/// Whether a rehearsal went well, with the reason where it did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub passed: bool,
    pub why_not: Option<String>,
    /// What became of the requests, where there were some.
    pub requests: Option<Tally>,
    /// What was seen, for the line.
    #[serde(skip)]
    seen: String,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.why_not {
            Some(why_not) => {
                write!(f, "rehearsal failed: {why_not}")?;
                // With those that failed they are told already.
                match self.requests.filter(|tally| !tally.has_failures()) {
                    Some(tally) if tally.client_errors + tally.server_errors > 0 => {
                        write!(f, "; {}", answers(&tally))
                    }
                    _ => Ok(()),
                }
            }
            None => write!(f, "rehearsal passed: {}", self.seen),
        }
    }
}

impl Verdict {
    /// Judges a run. The code is the app's, 0 where it was expected.
    pub fn of(timeline: &Timeline, app_code: u8, rehearsed: Rehearsed) -> Verdict {
        let Rehearsed { not_due, requests, failed_url, asker_died } = rehearsed;
        // Unless our own SIGKILL has ended it, with all others.
        let died = asker_died.filter(|_| !timeline.killed());
        let died = died.map(|how| format!("a process of ours that sent requests {how}"));
        let failed = requests.and_then(|tally| failures(&tally, failed_url.as_deref()));
        let of_app = of_app(timeline, app_code);
        let reasons: Vec<String> = [not_due, of_app, failed, died].into_iter().flatten().collect();
        let why_not = (!reasons.is_empty()).then(|| reasons.join("; and "));
        Verdict { passed: why_not.is_none(), why_not, requests, seen: seen(timeline, requests) }
    }
}

/// Why the app's end is not as it should be.
fn of_app(timeline: &Timeline, code: u8) -> Option<String> {
    let ending = timeline.ended.map(|(_, ending)| ending);
    if timeline.trigger == Trigger::Exit {
        let how = ending.map(|ending| format!(": it {ending}")).unwrap_or_default();
        return Some(format!("the app ended before the stop signal of the rehearsal{how}"));
    }
    if timeline.app_killed || ending.is_none() {
        return Some("the app did not end by itself and had to be killed".into());
    }
    if timeline.killed() || !timeline.survivors.is_empty() {
        return Some("the app left processes over that had to be killed".into());
    }
    let is_shells = matches!(ending, Some(Ending::Signaled(_))) && is_shell(timeline);
    match code {
        0 => None,
        _ if is_shells => Some(format!(
            "the exit code is {code}, the status of {}, a shell that the signal ended, and not the \
             app's; start the app with exec, or say --expect-exit {code}",
            timeline.app.command
        )),
        _ => Some(format!(
            "the app ended with {code}; if that is how it stops, --expect-exit {code} says so"
        )),
    }
}

/// Whether the main child was a shell that ran the app.
fn is_shell(timeline: &Timeline) -> bool {
    timeline.forwarded.as_ref().is_some_and(|(.., target)| target.is_shell())
}

/// Which requests failed.
fn failures(tally: &Tally, url: Option<&str>) -> Option<String> {
    let Tally { in_flight, in_flight_answered, cut, late_cut, refused, .. } = *tally;
    let lost = in_flight.saturating_sub(in_flight_answered);
    let parts = [
        (refused, "refused before the stop signal was forwarded"),
        (lost, "in flight when the stop signal was forwarded, and cut"),
        (late_cut, "sent after the stop signal was forwarded, let in, and cut"),
        (cut.saturating_sub(lost + late_cut), "cut"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, how)| format!("{} {how}", requests(number)))
        .collect();
    let of = url.map(|url| format!(" ({url})")).unwrap_or_default();
    (!parts.is_empty()).then(|| format!("{}{of}; {}", parts.join(" and "), answers(tally)))
}

fn requests(number: u32) -> String {
    match number {
        1 => "1 request was".into(),
        number => format!("{number} requests were"),
    }
}

/// How many were answered, and how many of these were not as they should be.
fn answers(tally: &Tally) -> String {
    let errors = [(tally.client_errors, "4xx"), (tally.server_errors, "5xx")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, status)| format!(", {number} of them with {status}"));
    format!("{} answered{}", requests(tally.answered), errors.collect::<String>())
}

/// What a rehearsal that passed has shown.
fn seen(timeline: &Timeline, requests: Option<Tally>) -> String {
    let took = timeline.forwarded.as_ref().zip(timeline.ended).map(|((at, ..), (ended, _))| {
        format!(" {} after the forward", Span(ended.saturating_duration_since(*at)))
    });
    let ended = format!("the app ended by itself{}", took.unwrap_or_default());
    let Some(tally) = requests else { return format!("{ended}; no requests were sent") };
    let in_flight = match tally.in_flight {
        0 => "none of them was in flight at the forward, so whether such requests complete is not \
              known: use a slower URL (--rehearse-url)"
            .to_owned(),
        number => format!("{number} of them had been sent before the forward"),
    };
    format!("{ended}; {}; {in_flight}", answers(&tally))
}

#[cfg(test)]
mod tests;
