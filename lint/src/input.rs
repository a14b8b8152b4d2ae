//! What is read: files, folders, standard input.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::document::Language;

/// A text with the name that findings call it by.
#[derive(Debug)]
pub struct Input {
    pub name: String,
    pub language: Language,
    pub text: io::Result<String>,
}

/// Standard input, by its name on the command line.
const STDIN: &str = "-";

/// What findings call standard input.
const STDIN_NAME: &str = "stdin";

/// Reads what these paths name, in their order. A folder is searched for what may be a manifest; what
/// begins with a dot is left out there.
pub fn read(paths: &[PathBuf]) -> Vec<Input> {
    let mut inputs = Vec::new();
    for path in paths {
        if path.as_os_str() == STDIN {
            let text = io::read_to_string(io::stdin());
            let language = text.as_ref().map_or(Language::Yaml, |text| guess(text));
            inputs.push(Input { name: STDIN_NAME.to_owned(), language, text });
        } else if path.is_dir() {
            search(path, &mut inputs);
        } else {
            inputs.push(file(path));
        }
    }
    inputs
}

fn file(path: &Path) -> Input {
    let language = if has_ending(path, &["hcl", "nomad"]) { Language::Hcl } else { Language::Yaml };
    Input { name: path.display().to_string(), language, text: read_text(path) }
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        io::Error::new(io::ErrorKind::InvalidData, format!("byte {at} is not UTF-8"))
    })
}

/// Adds the files below a folder that may be manifests, in the order of their names.
fn search(folder: &Path, inputs: &mut Vec<Input>) {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            let name = folder.display().to_string();
            inputs.push(Input { name, language: Language::Yaml, text: Err(error) });
            return;
        }
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        // A link to a folder may lead in a circle.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_hidden {
            continue;
        }
        if is_folder {
            search(&path, inputs);
        } else if path.is_file() && has_ending(&path, &["yaml", "yml", "json", "hcl", "nomad"]) {
            let input = file(&path);
            if input.text.as_ref().map_or(true, |text| may_be_manifest(&path, text)) {
                inputs.push(input);
            }
        }
    }
}

/// Of JSON and HCL in a folder, most is something else, and need not be what we can read.
fn may_be_manifest(path: &Path, text: &str) -> bool {
    let has_any = |marks: &[&str]| marks.iter().any(|mark| text.contains(mark));
    if has_ending(path, &["json"]) {
        has_any(&[
            "\"containerDefinitions\"",
            "\"apiVersion\"",
            "\"services\"",
            "\"job\"",
            "\"Job\"",
        ])
    } else if has_ending(path, &["hcl"]) {
        has_any(&["job \"", "job\t\""])
    } else {
        true
    }
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension()
        .is_some_and(|ending| endings.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

/// A job in HCL begins with a block, as `job "web" {`; nothing in YAML does.
fn guess(text: &str) -> Language {
    let is_comment =
        |line: &&str| line.is_empty() || line.starts_with('#') || line.starts_with("//");
    let first = text.lines().map(str::trim).find(|line| !is_comment(line)).unwrap_or_default();
    let is_block = first.ends_with('{') && first.len() > 1 && !first.contains(':');
    if is_block { Language::Hcl } else { Language::Yaml }
}
