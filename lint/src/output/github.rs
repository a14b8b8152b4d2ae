//! Findings as workflow commands of GitHub Actions, which shows them beside the lines of a pull request.

use std::io::{self, Write};

use crate::Report;
use crate::rules::Level;

pub fn write(report: &Report, to: &mut impl Write) -> io::Result<()> {
    for unreadable in &report.unreadable {
        let file = property(&unreadable.file);
        let place =
            unreadable.place.map(|place| format!(",line={},col={}", place.line, place.column));
        let place = place.unwrap_or_default();
        writeln!(to, "::error file={file}{place}::cannot be read: {}", message(&unreadable.why))?;
    }
    for (file, finding) in report.findings.iter().filter(|(_, finding)| finding.silenced.is_none())
    {
        let command = match finding.rule.level {
            Level::Note => "notice",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        let place = finding.place;
        let text = format!(
            "{}, container {}: {}\n{}",
            finding.workload, finding.container, finding.message, finding.rule.fix
        );
        writeln!(
            to,
            "::{command} file={},line={},col={},title={}::{}",
            property(file),
            place.line,
            place.column,
            finding.rule.id,
            message(&text)
        )?;
    }
    Ok(())
}

/// What would end a command or its line is escaped, as GitHub's toolkit does it (`command.ts`).
fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}
