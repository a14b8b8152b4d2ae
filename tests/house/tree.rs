//! The files of src, and what each imports. It reads lines, not Rust: `cargo fmt` and the rule that
//! paths begin with `crate::` make that enough.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Files by their path in src, as `traffic/quiet.rs`. Tests are left out.
pub struct Tree(BTreeMap<String, String>);

/// A path that a file names, as `crate::signal::Signal`.
pub struct Import<'a> {
    pub file: &'a str,
    line: usize,
    /// In a `use` declaration, not in line.
    pub is_declared: bool,
    pub path: String,
}

impl fmt::Display for Import<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "src/{}:{} imports {}", self.file, self.line, self.path)
    }
}

impl Import<'_> {
    pub fn root(&self) -> &str {
        self.path.split("::").next().unwrap_or_default()
    }
}

impl Tree {
    pub fn new<F: Into<String>, T: Into<String>>(files: impl IntoIterator<Item = (F, T)>) -> Tree {
        let files = files.into_iter().map(|(file, text)| (file.into(), text.into()));
        let is_test = |file: &str| file.ends_with("tests.rs") || file == "test_support.rs";
        Tree(files.filter(|(file, _)| !is_test(file)).collect())
    }

    pub fn of_folder(folder: &Path) -> Tree {
        let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
        while let Some(next) = folders.pop() {
            for entry in next.read_dir().expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let text = std::fs::read_to_string(&path).expect("a source file");
                    let file = path.strip_prefix(folder).expect("it is in the folder");
                    files.push((file.display().to_string(), text));
                }
            }
        }
        Tree::new(files)
    }

    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(file, text)| (file.as_str(), text.as_str()))
    }

    pub fn imports(&self) -> Vec<Import<'_>> {
        let mut imports = Vec::new();
        for (file, text) in self.files() {
            let (mut declaration, mut begin) = (None, 0);
            for (line, code) in (1..).zip(text.lines().map(without_comment)) {
                if declaration.is_none() && is_declaration(code) {
                    (declaration, begin) = (Some(String::new()), line);
                }
                let Some(whole) = &mut declaration else {
                    let paths = inline(code).into_iter();
                    imports.extend(paths.map(|path| Import {
                        file,
                        line,
                        is_declared: false,
                        path,
                    }));
                    continue;
                };
                whole.push_str(code);
                if code.contains(';') {
                    let paths = declaration.take().map(|whole| expand(&whole)).unwrap_or_default();
                    let line = begin;
                    imports.extend(paths.into_iter().map(|path| Import {
                        file,
                        line,
                        is_declared: true,
                        path,
                    }));
                }
            }
        }
        imports
    }

    /// The file of a path in the crate: `traffic/quiet.rs` for `crate::traffic::quiet::Look`.
    pub fn file_of(&self, path: &str) -> Option<&str> {
        let mut module = path.strip_prefix("crate::")?.replace("::", "/");
        loop {
            for file in [format!("{module}.rs"), format!("{module}/mod.rs")] {
                if let Some((file, _)) = self.0.get_key_value(&file) {
                    return Some(file);
                }
            }
            module.truncate(module.rfind('/')?);
        }
    }
}

/// It cuts an address in a string too, which does no harm here.
fn without_comment(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

fn is_declaration(code: &str) -> bool {
    let code = code.trim_start();
    code.starts_with("use ") || code.starts_with("pub") && code.contains(" use ")
}

/// `use a::{b, c::{self, D as E}};` is `a::b`, `a::c::self` and `a::c::D`.
fn expand(declaration: &str) -> Vec<String> {
    let (_, tree) = declaration.split_once("use ").unwrap_or_default();
    let (mut paths, mut prefixes, mut path) = (Vec::new(), vec![String::new()], String::new());
    for c in tree.chars() {
        match c {
            '{' => prefixes.push(path.clone()),
            ',' | '}' | ';' => {
                if prefixes.last() != Some(&path) {
                    paths.extend(path.split_whitespace().next().map(str::to_owned));
                }
                if c == '}' {
                    prefixes.pop();
                }
                path = prefixes.last().cloned().unwrap_or_default();
            }
            ' ' if path.is_empty() || path.ends_with(':') => {}
            _ => path.push(c),
        }
    }
    paths
}

fn inline(code: &str) -> Vec<String> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let words = code.split(|c: char| !is_part(c)).map(|word| word.trim_matches(':'));
    words.filter(|word| word.contains("::")).map(str::to_owned).collect()
}
