//! The pages: where their links lead, and what each begins with.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What cargo and Python make; no page of ours is in there.
const NOT_OURS: [&str; 3] = ["target", "corpus", "node_modules"];

/// All pages below a folder.
fn pages_in(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && !NOT_OURS.contains(&name.as_str()) {
            pages_in(&path, pages);
        } else if path.extension().is_some_and(|end| end == "md") {
            pages.push(path);
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> HashMap<PathBuf, String> {
    let mut pages = Vec::new();
    pages_in(root(), &mut pages);
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a page");
        (path, text)
    };
    pages.into_iter().map(read).collect()
}

/// The lines of a page that are in no block of code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// What a heading is called in a link to it, as GitHub has it: without marks, with dashes for spaces.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c => c.is_alphanumeric().then_some(c),
    });
    kept.collect::<String>().to_lowercase()
}

/// All that a link can lead to within a page.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for (_, line) in prose(text) {
        let heading = line.trim_start_matches('#');
        if heading.starts_with(' ') && heading.len() < line.len() {
            // A link in a heading counts by its words.
            let words = heading.replace("](", "]\0(");
            let words: String = words
                .split('\0')
                .map(|part| match part.strip_prefix('(') {
                    Some(rest) => rest.split_once(')').map_or("", |(_, after)| after),
                    None => part,
                })
                .collect();
            let name = anchor(&words);
            let same = anchors.iter().filter(|other| **other == name).count();
            anchors.push(if same == 0 { name } else { format!("{name}-{same}") });
        }
        let named = line.split("<a name=\"").skip(1).filter_map(|rest| rest.split_once('"'));
        anchors.extend(named.map(|(name, _)| name.to_owned()));
    }
    anchors
}

/// The targets of links in a line, without what is in `code`.
fn links(line: &str) -> Vec<String> {
    let bare: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
    let targets = bare.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

/// Links that lead nowhere.
fn dead_links(pages: &HashMap<PathBuf, String>) -> Vec<String> {
    let mut dead = Vec::new();
    for (page, text) in pages {
        let links =
            prose(text).flat_map(|(at, line)| links(line).into_iter().map(move |l| (at, l)));
        for (at, link) in links {
            if link.contains("://") {
                continue;
            }
            let (path, name) = link.split_once('#').unwrap_or((&link, ""));
            let folder = page.parent().expect("a folder");
            let target = if path.is_empty() { page.clone() } else { folder.join(path) };
            let target = target.canonicalize().ok();
            let is_there = target.is_some_and(|target| {
                name.is_empty()
                    || pages
                        .get(&target)
                        .is_some_and(|text| anchors(text).iter().any(|a| a == name))
            });
            if !is_there {
                dead.push(format!("{}:{}: {link} leads nowhere", page.display(), at + 1));
            }
        }
    }
    dead.sort();
    dead
}

#[test]
fn links_lead_somewhere() {
    let pages = pages();
    let links: usize =
        pages.values().flat_map(|text| prose(text)).map(|(_, l)| links(l).len()).sum();
    assert!(pages.len() > 15 && links > 100, "{} pages, {links} links", pages.len());
    super::assert_none(&dead_links(&pages));
}

/// What a release is called in the pages is what Cargo.toml says.
#[test]
fn pages_name_the_version_that_this_is() {
    let mut wrong = Vec::new();
    for (page, text) in pages() {
        let is_history = page.ends_with("CHANGELOG.md");
        for (at, line) in text.lines().enumerate().filter(|_| !is_history) {
            for before in ["reprieve:", "reprieve-", "reprieve_", "reprieve "] {
                for rest in line.split(before).skip(1) {
                    let is_version = |c: char| c.is_ascii_digit() || c == '.';
                    let end = rest.find(|c| !is_version(c)).unwrap_or(rest.len());
                    let version = rest[..end].trim_end_matches('.');
                    let is_of_measurement = line.contains("haproxy 2.");
                    if version.split('.').count() == 3
                        && version != env!("CARGO_PKG_VERSION")
                        && !is_of_measurement
                    {
                        wrong.push(format!("{}:{}: {before}{version}", page.display(), at + 1));
                    }
                }
            }
        }
    }
    super::assert_none(&wrong);
}

/// A page of docs/ says first which question it answers.
#[test]
fn pages_begin_with_a_question() {
    let docs = root().join("docs");
    let pages = pages().into_iter().filter(|(page, _)| page.starts_with(&docs));
    let silent = pages.filter(|(page, text)| {
        let begin: Vec<&str> = text.split("\n## ").take(1).collect();
        let for_contributors = ["architecture.md", "behaviour.md", "options.md"];
        !for_contributors.iter().any(|name| page.ends_with(name)) && !begin[0].contains('?')
    });
    super::assert_none(
        &silent.map(|(page, _)| format!("{}: no question", page.display())).collect::<Vec<_>>(),
    );
}

/// Rows of tables that have not as many cells as their head: what is too much is not shown.
#[test]
fn rows_of_tables_are_as_long_as_their_heads() {
    let cells = |line: &str| line.replace("\\|", "").trim().trim_matches('|').split('|').count();
    let mut wrong = Vec::new();
    for (page, text) in pages() {
        let mut head = None;
        for (at, line) in prose(&text) {
            let is_row = line.trim_start().starts_with('|');
            head = is_row.then(|| head.unwrap_or_else(|| cells(line)));
            if head.is_some_and(|head| head != cells(line)) {
                wrong.push(format!("{}:{}: {line}", page.display(), at + 1));
            }
        }
    }
    super::assert_none(&wrong);
}

#[test]
fn dead_links_are_found() {
    let a = "# One two\n## `--x y`: it's\n[1](#one-two) [2](#--x-y-its) [3](#none)\n```\n[4](#no)\n```\n`[5](#no)`\n";
    let page = root().join("README.md");
    let pages = HashMap::from([(page, format!("{a}[6](docs/none.md) [7](LICENSE-MIT)"))]);
    let dead = dead_links(&pages);
    assert_eq!(dead.len(), 2, "{dead:?}");
    assert!(dead[0].contains("#none") && dead[1].contains("docs/none.md"), "{dead:?}");
}
