//! Findings for programs: one object.

use std::io::{self, Write};

use serde::Serialize;

use crate::Report;
use crate::rules::Level;
use crate::tree::Place;

#[derive(Serialize)]
struct Whole<'a> {
    files: usize,
    workloads: usize,
    findings: Vec<Finding<'a>>,
    unreadable: Vec<Unreadable<'a>>,
}

#[derive(Serialize)]
struct Finding<'a> {
    rule: &'a str,
    level: Level,
    file: &'a str,
    #[serde(flatten)]
    place: Place,
    workload: &'a str,
    container: &'a str,
    message: &'a str,
    fix: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    silenced: Option<&'a str>,
}

#[derive(Serialize)]
struct Unreadable<'a> {
    file: &'a str,
    #[serde(flatten)]
    place: Option<Place>,
    message: &'a str,
}

pub fn write(report: &Report, to: &mut impl Write) -> io::Result<()> {
    let findings = report.findings.iter().map(|(file, finding)| Finding {
        rule: finding.rule.id,
        level: finding.rule.level,
        file,
        place: finding.place,
        workload: &finding.workload,
        container: &finding.container,
        message: &finding.message,
        fix: finding.rule.fix,
        silenced: finding.silenced.as_deref(),
    });
    let unreadable = report.unreadable.iter().map(|unreadable| Unreadable {
        file: &unreadable.file,
        place: unreadable.place,
        message: &unreadable.why,
    });
    let whole = Whole {
        files: report.files,
        workloads: report.workloads,
        findings: findings.collect(),
        unreadable: unreadable.collect(),
    };
    serde_json::to_writer_pretty(&mut *to, &whole)?;
    writeln!(to)
}
