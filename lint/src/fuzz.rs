//! What `cargo fuzz` runs, see fuzz/README.md: any bytes as a manifest.

use crate::document::{Language, check};

/// Reads the bytes as YAML and as HCL.
///
/// # Panics
///
/// Where the place of a finding or of an error is not in the text.
pub fn manifest(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    // YAML ends a line at a carriage return too (5.4 of its specification). An error may come after the last.
    let lines = text.replace("\r\n", "\n").split(['\n', '\r']).count() + 1;
    for language in [Language::Yaml, Language::Hcl] {
        let places = match check(text, language) {
            Ok(document) => document.findings.iter().map(|finding| finding.place).collect(),
            Err(error) => vec![error.place],
        };
        for place in places {
            let is_inside = (1..=lines).contains(&place.line) && place.column > 0;
            assert!(is_inside, "{language:?}: {place} of {lines} lines");
        }
    }
}
