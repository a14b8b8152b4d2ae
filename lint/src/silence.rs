//! Findings that are silenced, by the workload or by a comment on their line.

use std::collections::HashMap;

use crate::model::Silence;
use crate::tree::Place;

/// What a comment says before the rules and the reason: `# reprieve-lint: ignore RULE: REASON`.
const COMMENT: &str = "reprieve-lint: ignore ";

/// What the comments of a text silence, by their lines.
#[derive(Debug)]
pub struct Comments(HashMap<usize, Vec<Silence>>);

impl Comments {
    pub fn of(text: &str) -> Comments {
        let lines = (1..).zip(text.lines());
        let silences = lines.map(|(line, text)| (line, comment(text)));
        Comments(silences.filter(|(_, silences)| !silences.is_empty()).collect())
    }

    /// The reason for which this rule is silenced at this place. A silence without a reason is none.
    pub fn reason(&self, rule: &str, of_workload: &[Silence], place: Place) -> Option<String> {
        let on_line = self.0.get(&place.line).map_or(&[][..], Vec::as_slice);
        let mut all = of_workload.iter().chain(on_line);
        let silence = all.find(|silence| silence.rule == rule && !silence.reason.is_empty())?;
        Some(silence.reason.clone())
    }
}

/// What a comment at the end of a line silences: one rule, or several that commas part.
fn comment(line: &str) -> Vec<Silence> {
    let Some((before, after)) = line.split_once(COMMENT) else { return Vec::new() };
    let begin = before.trim_end();
    if !begin.ends_with('#') && !begin.ends_with("//") {
        return Vec::new();
    }
    let (rules, reason) = after.split_once(':').unwrap_or((after, ""));
    let silence =
        |rule: &str| Silence { rule: rule.trim().to_owned(), reason: reason.trim().to_owned() };
    rules.split(',').map(silence).collect()
}

#[cfg(test)]
mod tests;
