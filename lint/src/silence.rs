//! Findings that are silenced, by the workload or by a comment on their line.

use crate::model::Silence;
use crate::tree::Place;

/// What a comment says before the rule and the reason: `# reprieve-lint: ignore RULE: REASON`.
const COMMENT: &str = "reprieve-lint: ignore ";

/// The reason for which this rule is silenced at this place. A silence without a reason is none.
pub fn reason(rule: &str, silences: &[Silence], lines: &[&str], place: Place) -> Option<String> {
    let on_line = lines.get(place.line.wrapping_sub(1)).and_then(|line| comment(line));
    let all = silences.iter().cloned().chain(on_line);
    all.filter(|silence| silence.rule == rule && !silence.reason.is_empty())
        .map(|silence| silence.reason)
        .next()
}

/// The silence that a comment at the end of a line asks for.
fn comment(line: &str) -> Option<Silence> {
    let (before, after) = line.split_once(COMMENT)?;
    let begin = before.trim_end();
    if !begin.ends_with('#') && !begin.ends_with("//") {
        return None;
    }
    let (rule, reason) = after.split_once(':').unwrap_or((after, ""));
    Some(Silence { rule: rule.trim().to_owned(), reason: reason.trim().to_owned() })
}

#[cfg(test)]
mod tests;
