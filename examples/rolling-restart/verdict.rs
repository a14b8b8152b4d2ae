//! What CI asserts: the experiment shows a loss, and reprieve prevents it.

use crate::rollout::Outcome;
use crate::rows::{Row, Times};
use crate::table::seconds;

pub const ROWS: [Row; 4] = [Row::Tini, Row::ReprieveShort, Row::Reprieve, Row::ReprieveIgnored];

/// The exit code; what is wrong is said on stderr.
pub fn of(outcomes: &[(Row, String, Outcome)], times: &Times) -> u8 {
    let mut code = 0;
    for (row, title, outcome) in outcomes {
        if let Some(wrong) = what_is_wrong(*row, outcome, times) {
            eprintln!("check failed: {title}: {wrong}; the replicas said:\n{}", outcome.logs);
            code = 1;
        }
    }
    if code == 0 {
        eprintln!("check passed");
    }
    code
}

fn what_is_wrong(row: Row, outcome: &Outcome, times: &Times) -> Option<String> {
    let failures = outcome.tallies.failures();
    let last = outcome.ends.iter().map(|end| end.after).max().unwrap_or_default();
    match row {
        Row::Reprieve if failures > 0 => Some(format!("{failures} requests failed")),
        Row::Tini | Row::ReprieveShort if failures == 0 => Some("no request failed".into()),
        Row::ReprieveIgnored
            if last >= times.grace_period || outcome.ends.iter().any(|end| end.killed) =>
        {
            Some(format!("a replica ended only after {}", seconds(last)))
        }
        _ => None,
    }
}
