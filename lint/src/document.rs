//! From the text of a file to what is found in it.

use std::rc::Rc;

use crate::rules::{self, Rule};
use crate::silence::Comments;
use crate::sources;
use crate::tree::{Malformed, Place, hcl, yaml};

/// What a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// JSON too, as that is YAML.
    Yaml,
    Hcl,
}

/// What is found in a file.
#[derive(Debug, Default)]
pub struct Document {
    /// How many workloads there are.
    pub workloads: usize,
    pub findings: Vec<Finding>,
}

/// A fault, with all that a reader needs.
#[derive(Clone, Debug)]
pub struct Finding {
    pub rule: &'static Rule,
    pub place: Place,
    pub workload: String,
    pub container: String,
    pub message: String,
    /// Why it is silenced, if it is.
    pub silenced: Option<String>,
}

/// Reads the text of a file, and finds what is wrong there, in the order of the lines.
///
/// # Errors
///
/// Where the text cannot be read.
pub fn check(text: &str, language: Language) -> Result<Document, Malformed> {
    let documents = match language {
        Language::Yaml => yaml::read(text).map_err(|error| explained(error, text))?,
        Language::Hcl => vec![Rc::new(hcl::read(text)?)],
    };
    let workloads = sources::workloads(documents.iter().map(|document| &**document));
    let comments = Comments::of(text);
    let mut findings = Vec::new();
    for workload in &workloads {
        for (container, rule, fault) in rules::check(workload) {
            let silences = &workload.silences;
            findings.push(Finding {
                rule,
                place: fault.place,
                workload: workload.name.clone(),
                container: container.name.clone(),
                message: fault.message,
                silenced: comments.reason(rule.id, silences, fault.place),
            });
        }
    }
    findings.sort_by_key(|finding| finding.place);
    Ok(Document { workloads: workloads.len(), findings })
}

/// What the parser's words do not say: a template is no YAML, and a quote that is left open takes in what
/// follows.
fn explained(error: Malformed, text: &str) -> Malformed {
    let mut before = text.lines().take(error.place.line);
    let hint = if before.any(|line| line.contains("{{")) {
        "this is a template: render it first, as helm template . | reprieve-lint -"
    } else if error.why.contains("quoted scalar") {
        "is a quote left open?"
    } else {
        return error;
    };
    Malformed { why: format!("{} ({hint})", error.why), ..error }
}
