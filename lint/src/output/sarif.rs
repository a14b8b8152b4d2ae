//! Findings as SARIF 2.1.0 (OASIS), as far as code scanning reads it.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;

use crate::Report;
use crate::document::Finding;
use crate::rules::{Level, RULES, Rule};
use crate::tree::Place;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

#[derive(Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'a str,
    version: &'a str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool<'a>,
    invocations: [Invocation<'a>; 1],
    results: Vec<SarifResult<'a>>,
    /// Our columns count characters (3.14.17).
    column_kind: &'a str,
}

#[derive(Serialize)]
struct Tool<'a> {
    driver: Driver<'a>,
}

#[derive(Serialize)]
struct Driver<'a> {
    name: &'a str,
    version: &'a str,
    rules: Vec<Descriptor<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    id: &'a str,
    short_description: Text<'a>,
    help: Text<'a>,
    default_configuration: Configuration,
}

#[derive(Serialize)]
struct Configuration {
    level: Level,
}

#[derive(Serialize)]
struct Text<'a> {
    text: Cow<'a, str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation<'a> {
    execution_successful: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_execution_notifications: Vec<Notification<'a>>,
}

#[derive(Serialize)]
struct Notification<'a> {
    level: Level,
    message: Text<'a>,
    locations: [Location; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult<'a> {
    rule_id: &'a str,
    rule_index: usize,
    level: Level,
    message: Text<'a>,
    locations: [Location; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suppressions: Vec<Suppression<'a>>,
}

#[derive(Serialize)]
struct Suppression<'a> {
    kind: &'a str,
    justification: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: PhysicalLocation,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
struct ArtifactLocation {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
    start_column: usize,
}

pub fn write(report: &Report, to: &mut impl Write) -> io::Result<()> {
    let notifications = report.unreadable.iter().map(|unreadable| Notification {
        level: Level::Error,
        message: text(format!("cannot be read: {}", unreadable.why)),
        locations: [location(&unreadable.file, unreadable.place)],
    });
    let run = Run {
        tool: Tool {
            driver: Driver {
                name: "reprieve-lint",
                version: env!("CARGO_PKG_VERSION"),
                rules: RULES.iter().map(descriptor).collect(),
            },
        },
        invocations: [Invocation {
            execution_successful: report.unreadable.is_empty(),
            tool_execution_notifications: notifications.collect(),
        }],
        results: report.findings.iter().map(|(file, finding)| result(file, finding)).collect(),
        column_kind: "unicodeCodePoints",
    };
    let log = Log { schema: SCHEMA, version: "2.1.0", runs: [run] };
    serde_json::to_writer_pretty(&mut *to, &log)?;
    writeln!(to)
}

fn descriptor(rule: &Rule) -> Descriptor<'_> {
    Descriptor {
        id: rule.id,
        short_description: text(rule.summary),
        help: text(rule.fix),
        default_configuration: Configuration { level: rule.level },
    }
}

fn result<'a>(file: &str, finding: &'a Finding) -> SarifResult<'a> {
    let Finding { rule, place, workload, container, message, silenced } = finding;
    let suppression =
        silenced.as_deref().map(|justification| Suppression { kind: "inSource", justification });
    SarifResult {
        rule_id: rule.id,
        rule_index: RULES.iter().position(|known| known.id == rule.id).unwrap_or_default(),
        level: rule.level,
        message: text(format!("{workload}, container {container}: {message}")),
        locations: [location(file, Some(*place))],
        suppressions: suppression.into_iter().collect(),
    }
}

fn text<'a>(text: impl Into<Cow<'a, str>>) -> Text<'a> {
    Text { text: text.into() }
}

fn location(file: &str, place: Option<Place>) -> Location {
    let region =
        place.map(|Place { line, column }| Region { start_line: line, start_column: column });
    let artifact_location = ArtifactLocation { uri: uri(file) };
    Location { physical_location: PhysicalLocation { artifact_location, region } }
}

/// A path as a reference that is relative to the root of the sources: what is not plain is escaped
/// (RFC 3986).
fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    path.bytes()
        .map(|byte| match is_plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}
