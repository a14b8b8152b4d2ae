//! From the text of a file to what is found in it.

use std::collections::HashSet;
use std::rc::Rc;

use crate::model::Workload;
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

/// A file that has been read.
#[derive(Debug)]
pub struct Manifest {
    workloads: Vec<Workload>,
    /// The names of the workloads whose number an autoscaler decides, which may stand in other files.
    pub scaled: Vec<String>,
    comments: Comments,
}

impl Manifest {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// Where the text cannot be read.
    pub fn read(text: &str, language: Language) -> Result<Manifest, Malformed> {
        let documents = match language {
            Language::Yaml => yaml::read(text).map_err(|error| explained(error, text))?,
            Language::Hcl => vec![Rc::new(hcl::read(text)?)],
        };
        let (workloads, scaled) = sources::workloads(documents.iter().map(|document| &**document));
        Ok(Manifest { workloads, scaled, comments: Comments::of(text) })
    }

    /// Finds what is wrong there, in the order of the lines, where an autoscaler decides the number of these
    /// workloads.
    #[must_use]
    pub fn judge(mut self, scaled: &HashSet<String>) -> Document {
        let mut findings = Vec::new();
        for workload in &mut self.workloads {
            if scaled.contains(&workload.name) {
                workload.replicas = None;
            }
            for (container, rule, fault) in rules::check(workload) {
                let silences = &workload.silences;
                findings.push(Finding {
                    rule,
                    place: fault.place,
                    workload: workload.name.clone(),
                    container: container.name.clone(),
                    message: fault.message,
                    silenced: self.comments.reason(rule.id, silences, fault.place),
                });
            }
        }
        findings.sort_by_key(|finding| finding.place);
        Document { workloads: self.workloads.len(), findings }
    }
}

/// Reads the text of a file that stands alone, and finds what is wrong there.
///
/// # Errors
///
/// Where the text cannot be read.
pub fn check(text: &str, language: Language) -> Result<Document, Malformed> {
    let manifest = Manifest::read(text, language)?;
    let scaled = manifest.scaled.iter().cloned().collect();
    Ok(manifest.judge(&scaled))
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
