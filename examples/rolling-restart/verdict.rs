//! What CI asserts: the experiment shows a loss, and reprieve prevents it.

use crate::rollout::Outcome;
use crate::rows::Row;

pub const ROWS: [Row; 4] = [Row::Tini, Row::ReprieveShort, Row::Reprieve, Row::ReprieveIgnored];

/// The exit code; what is wrong is said on stderr.
pub fn of(outcomes: &[(Row, String, Outcome)]) -> u8 {
    let mut code = 0;
    for (row, title, outcome) in outcomes {
        if let Some(wrong) = what_is_wrong(*row, outcome) {
            eprintln!("check failed: {title}: {wrong}; the replicas said:\n{}", outcome.logs);
            code = 1;
        }
    }
    if code == 0 {
        eprintln!("check passed");
    }
    code
}

fn what_is_wrong(row: Row, outcome: &Outcome) -> Option<String> {
    let failures = outcome.tallies.failures();
    match row {
        Row::Reprieve if failures > 0 => Some(format!("{failures} requests failed")),
        Row::ReprieveIgnored if outcome.ends.iter().any(|end| end.killed) => {
            Some("a replica did not end before the grace period".into())
        }
        Row::Tini | Row::ReprieveShort | Row::ReprieveIgnored if failures == 0 => {
            Some("no request failed".into())
        }
        _ => None,
    }
}
