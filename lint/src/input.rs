//! What is read: files, folders, standard input.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::document::Language;
use crate::tree::{BYTE_ORDER_MARK, Malformed, Place};

/// A text with the name that findings call it by.
#[derive(Debug)]
pub struct Input {
    pub name: String,
    pub language: Language,
    pub text: Result<String, Unread>,
}

/// Why there is no text.
#[derive(Debug)]
pub struct Unread {
    pub place: Option<Place>,
    pub why: String,
}

impl From<Malformed> for Unread {
    fn from(error: Malformed) -> Unread {
        Unread { place: Some(error.place), why: error.why }
    }
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Unread {
        Unread { place: None, why: error.to_string() }
    }
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
            let text = read_text(io::stdin().lock());
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
    let text = fs::File::open(path).map_err(Unread::from).and_then(read_text);
    Input { name: path.display().to_string(), language, text }
}

fn read_text(mut from: impl Read) -> Result<String, Unread> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(|error| {
        let (before, _) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
        let before = String::from_utf8_lossy(before);
        let line = before.rsplit('\n').next().unwrap_or_default();
        let (line, column) = (before.matches('\n').count() + 1, line.chars().count() + 1);
        // As a PowerShell writes what it redirects.
        let is_utf16 =
            [[0xff, 0xfe], [0xfe, 0xff]].iter().any(|mark| error.as_bytes().starts_with(mark));
        let why =
            if is_utf16 { "this is UTF-16: write it as UTF-8" } else { "this byte is not UTF-8" };
        Unread { place: Some(Place { line, column }), why: why.to_owned() }
    })
}

/// Adds the files below a folder that may be manifests, in the order of their names.
fn search(folder: &Path, inputs: &mut Vec<Input>) {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            let name = folder.display().to_string();
            inputs.push(Input { name, language: Language::Yaml, text: Err(error.into()) });
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

/// A job in HCL begins with a block, as `job "web" {`; nothing in YAML does but a text.
fn guess(text: &str) -> Language {
    let is_comment =
        |line: &&str| line.is_empty() || line.starts_with('#') || line.starts_with("//");
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let first = text.lines().map(str::trim).find(|line| !is_comment(line)).unwrap_or_default();
    let begin = first.split('{').next().unwrap_or_default();
    let is_word = begin.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_block = is_word && begin.len() < first.len() && !begin.contains(':');
    if is_block { Language::Hcl } else { Language::Yaml }
}
