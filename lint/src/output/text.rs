//! Findings for people: each in a line that editors can follow, with its fix below it.

use std::io::{self, Write};

use crate::Report;

pub fn write(report: &Report, to: &mut impl Write) -> io::Result<()> {
    for unreadable in &report.unreadable {
        let place = unreadable.place.map(|place| format!(":{place}")).unwrap_or_default();
        writeln!(to, "{}{place}: cannot be read: {}", unreadable.file, unreadable.why)?;
    }
    let (silenced, open): (Vec<_>, Vec<_>) =
        report.findings.iter().partition(|(_, finding)| finding.silenced.is_some());
    for (file, finding) in &open {
        let rule = finding.rule;
        writeln!(
            to,
            "{file}:{}: {}: {}, container {}: {} [{}]",
            finding.place,
            rule.level,
            finding.workload,
            finding.container,
            finding.message,
            rule.id
        )?;
        writeln!(to, "    {}", rule.fix)?;
    }
    let silenced = match silenced.len() {
        0 => String::new(),
        number => format!(", {number} silenced"),
    };
    writeln!(
        to,
        "{} in {}: {}{silenced}",
        counted(report.workloads, "workload"),
        counted(report.files, "file"),
        counted(open.len(), "finding")
    )
}

fn counted(number: usize, what: &str) -> String {
    match number {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}
