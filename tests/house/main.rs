//! Rules of the source that neither the compiler nor clippy knows.

mod needs;
mod pages;
mod tree;

use std::path::Path;
use std::process::Command;

use tree::Tree;

/// Files without system calls and without a clock of their own: all comes in as an argument, so unit
/// tests, mutants and other members of the workspace can use them as they are.
const PURE: &[&str] = &[
    "shutdown/",
    "escape.rs",
    "room.rs",
    "signal.rs",
    "sorted.rs",
    "span.rs",
    "http/url.rs",
    "traffic/counts.rs",
    "traffic/mounts.rs",
    "traffic/network.rs",
    "traffic/peers.rs",
    "traffic/quiet.rs",
    "traffic/routes.rs",
    "traffic/seen.rs",
    "traffic/servers.rs",
    "traffic/socket.rs",
    "traffic/tracked.rs",
    "traffic/unseen.rs",
    "process/target.rs",
    "rehearsal/tally.rs",
    "tasks/answer.rs",
    "tasks/queue.rs",
    "tasks/task.rs",
    "report/outcome.rs",
    "report/short.rs",
    "report/step.rs",
    "report/summary.rs",
    "report/verdict.rs",
    "report/timeline.rs",
    "report/traffic.rs",
    "report/words.rs",
    "report/text.rs",
    "report/json.rs",
];

/// What they may import beside each other: the beginning of the file's path, and of what it imports.
const MAY_IMPORT: &[(&str, &str)] = &[
    ("", "std::time::Duration"),
    ("", "std::time::Instant"),
    ("", "std::array"),
    ("", "std::borrow::Cow"),
    ("", "std::collections"),
    ("", "std::error::Error"),
    ("", "std::fmt"),
    ("", "std::iter"),
    ("", "std::mem::take"),
    ("", "std::ops::RangeInclusive"),
    ("", "std::str::FromStr"),
    ("", "serde"),
    ("report/json.rs", "serde_json::to_string"),
    // A hash of plain values, with fixed keys.
    ("traffic/tracked.rs", "std::hash"),
    // Addresses as plain values, and the networks that they are compared with.
    ("traffic/", "std::net::IpAddr"),
    ("traffic/", "std::net::Ipv4Addr"),
    ("traffic/", "std::net::Ipv6Addr"),
    ("traffic/", "std::net::SocketAddr"),
    ("traffic/", "ipnet"),
    ("report/json.rs", "std::net::IpAddr"),
    ("http/url.rs", "std::net::Ipv6Addr"),
    ("rehearsal/tally.rs", "std::net::Ipv6Addr"),
    // It splits words, and does nothing else.
    // The one exception: the numbers and names of signals belong to the platform. Nothing is called.
    ("signal.rs", "nix::libc"),
    ("signal.rs", "libc"),
    ("signal.rs", "signal_hook::consts::signal"),
    ("signal.rs", "signal_hook::low_level::signal_name"),
];

const MAX_LINES: usize = 500;

fn house() -> Tree {
    Tree::of_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

/// The same of the lint, which has the rules of any file, but nothing pure.
fn lint() -> Tree {
    Tree::of_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("lint/src"))
}

/// And of what makes a release.
fn xtask() -> Tree {
    Tree::of_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("xtask/src"))
}

/// What the other members use, and the program does not.
const CRATES_OF_OTHERS: [&str; 8] =
    ["clap_complete", "clap_mangen", "flate2", "hcl_edit", "roff", "saphyr_parser", "sha2", "tar"];

fn is_pure(file: &str) -> bool {
    PURE.iter().any(|pure| file.starts_with(pure))
}

/// Whether a path may begin with it, as `crate` or `nix`.
fn is_crate(root: &str) -> bool {
    let mut names = DEPENDENCIES.lines().map(|name| name.replace('-', "_"));
    let is_known = |roots: &[&str]| roots.contains(&root);
    is_known(&["crate", "std", "core"])
        || is_known(&CRATES_OF_OTHERS)
        || names.any(|name| name == root)
}

/// What imports in a circle: folders, or the files of one folder. A file in no folder is one itself.
fn circles(tree: &Tree) -> Vec<String> {
    let folder = |file| str::split(file, '/').next().unwrap_or(file).trim_end_matches(".rs");
    let mut edges = Vec::new();
    for import in tree.imports() {
        let Some(target) = tree.file_of(&import.path) else { continue };
        let (from, to) = (folder(import.file), folder(target));
        if from != to {
            edges.push((from, to, import.to_string()));
        } else if import.file != target {
            edges.push((import.file, target, import.to_string()));
        }
    }
    // What nobody imports and what imports nothing is in no circle.
    loop {
        let all = edges.clone();
        edges.retain(|(from, to, _)| {
            all.iter().any(|(_, other, _)| other == from)
                && all.iter().any(|(other, ..)| other == to)
        });
        if edges.len() == all.len() {
            let circle = "is part of a circle; move what is needed to a file below both";
            return edges.into_iter().map(|(.., import)| format!("{import}, {circle}")).collect();
        }
    }
}

/// What pure files import and should not.
fn impurities(tree: &Tree) -> Vec<String> {
    let is_allowed = |file: &str, path: &str| match tree.file_of(path) {
        Some(target) => is_pure(target),
        None => MAY_IMPORT.iter().any(|(files, allowed)| {
            let rest = path.strip_prefix(allowed);
            file.starts_with(files) && rest.is_some_and(|r| r.is_empty() || r.starts_with("::"))
        }),
    };
    let imports = tree.imports().into_iter().filter(|import| {
        is_pure(import.file) && is_crate(import.root()) && !is_allowed(import.file, &import.path)
    });
    let why = "but is pure: it may import pure files, and what MAY_IMPORT lists";
    let mut wrong: Vec<_> = imports.map(|import| format!("{import}, {why}")).collect();
    for (file, text) in tree.files().filter(|(file, _)| is_pure(file)) {
        if text.contains("Instant::now") || text.contains(".elapsed()") {
            wrong.push(format!("src/{file} is pure, but asks a clock: pass the time in"));
        }
    }
    wrong
}

/// `use` of what begins elsewhere than at a crate: the other checks cannot follow that.
fn relative_paths(tree: &Tree) -> Vec<String> {
    let relative = tree.imports().into_iter().filter(|import| {
        let is_relative = ["self", "super"].contains(&import.root());
        is_relative || import.is_declared && !is_crate(import.root())
    });
    relative.map(|import| format!("{import}: write the path from crate::")).collect()
}

/// Files that are too long, and tests that are not in a file of their own.
fn shapes(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    for (file, text) in tree.files() {
        let lines = text.lines().count();
        if lines > MAX_LINES {
            wrong.push(format!("src/{file} has {lines} lines, more than {MAX_LINES}: split it"));
        }
        let is_test = |line: &str| line == "#[test]" || line.starts_with("mod tests {");
        if text.lines().any(|line| is_test(line.trim())) {
            let tests = file.trim_end_matches(".rs").trim_end_matches("/mod");
            wrong.push(format!("src/{file} has tests: move them to src/{tests}/tests.rs"));
        }
    }
    wrong
}

#[track_caller]
fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn no_imports_in_a_circle() {
    let house = house();
    assert_none(&[relative_paths(&house), circles(&house)].concat());
}

#[test]
fn the_other_members_are_in_order() {
    for (member, tree) in [("lint", lint()), ("xtask", xtask())] {
        let wrong = [relative_paths(&tree), circles(&tree), shapes(&tree)].concat();
        let named = wrong.into_iter().map(|wrong| format!("{member}/{wrong}"));
        assert_none(&named.collect::<Vec<_>>());
    }
}

#[test]
fn pure_files_import_only_what_is_pure() {
    let house = house();
    let is_gone = |pure: &str| !house.files().any(|(file, _)| file.starts_with(pure));
    let gone = PURE.iter().filter(|pure| is_gone(pure));
    let gone = gone.map(|pure| format!("PURE lists src/{pure}, which is not there"));
    assert_none(&gone.chain(impurities(&house)).collect::<Vec<_>>());
}

#[test]
fn files_are_short_and_tests_apart() {
    assert_none(&shapes(&house()));
}

/// As the program is built: features and crates that only other members or tests need are not in it.
const DEPENDENCIES: &str = include_str!("dependencies.txt");

/// What cargo says of the crates that such packages are built of, a line each, in order.
fn crates(packages: &[&str], format: &str) -> Vec<String> {
    let packages = packages.iter().flat_map(|package| ["-p", package]);
    let args = ["-e", "normal", "--prefix", "none", "--no-dedupe", "--format", format];
    let mut cargo = Command::new(env!("CARGO"));
    let tree = cargo.args(["tree", "--locked"]).args(packages).args(args).output().expect("cargo");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).expect("UTF-8");
    let mut lines: Vec<_> = tree.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

#[test]
fn the_program_depends_on_no_more_than_is_written_down() {
    let crates = crates(&["reprieve"], "{p}");
    let mut names: Vec<_> = crates.iter().filter_map(|line| line.split(' ').next()).collect();
    names.dedup();
    let written: Vec<_> = DEPENDENCIES.lines().collect();
    assert!(
        names == written,
        "if it is meant, tests/house/dependencies.txt is to be:\n{}",
        names.join("\n")
    );
}

/// What is built at once shares its crates: no other member may bring more of them into the program.
#[test]
fn no_other_member_asks_for_a_feature_that_the_program_does_not_have() {
    let alone = crates(&["reprieve"], "{p} {f}");
    for member in ["reprieve-lint", "xtask"] {
        let both = crates(&["reprieve", member], "{p} {f}");
        let changed = alone.iter().filter(|line| !both.contains(line));
        let changed = changed.map(|line| format!("not so beside {member}: {line}"));
        assert_none(&changed.collect::<Vec<_>>());
    }
}

/// The checks themselves, on small trees.
mod checks {
    use super::{Tree, circles, impurities, relative_paths, shapes};

    #[test]
    fn circles_are_found() {
        let tree = Tree::new([
            ("a/mod.rs", "pub mod x;\nuse crate::a::x::X;\n"),
            ("a/x.rs", "use std::fmt;\nuse crate::{\n    d, b::{self, y::Y as Z},\n};\n"),
            ("b/y.rs", "use crate::d;\nfn f() {\n    crate::c::g(); // crate::d\n}\n"),
            ("c.rs", "/// Not [`crate::b`].\npub(crate) use crate::a::w;\n"),
            ("d/mod.rs", "use crate::d::z;\n"),
            ("d/z.rs", "fn f(_: crate::d::D) {}\n"),
            ("d/tests.rs", "use crate::a;\n"),
        ]);
        let found = circles(&tree);
        let imports: Vec<_> = found.iter().filter_map(|wrong| wrong.split(',').next()).collect();
        assert_eq!(
            imports,
            [
                "src/a/x.rs:2 imports crate::b::y::Y",
                "src/b/y.rs:3 imports crate::c::g",
                "src/c.rs:2 imports crate::a::w",
                "src/d/mod.rs:1 imports crate::d::z",
                "src/d/z.rs:1 imports crate::d::D",
            ]
        );
    }

    #[test]
    fn impure_imports_are_found() {
        let pure = "use std::time::{Duration, Instant};\nuse crate::signal::Signal;\n";
        let wrong = |line| {
            let signal = "use nix::libc;\nconst N: i32 = libc::SIGTERM;\n".to_owned();
            let log = ("log.rs", String::new());
            impurities(&Tree::new([
                ("shutdown/a.rs", format!("{pure}{line}\n")),
                ("signal.rs", signal),
                log,
            ]))
        };
        assert_eq!(wrong("use serde::Serialize;"), [""; 0]);
        for line in [
            "use std::io;",
            "use std::time::{self, SystemTime};",
            "use nix::libc;",
            "use crate::log::Format;",
            "fn f() { nix::unistd::getpid(); }",
            "fn f() { Instant::now(); }",
        ] {
            assert!(!wrong(line).is_empty(), "{line}");
        }
    }

    #[test]
    fn relative_paths_long_files_and_tests_in_place_are_found() {
        let long = "\n".repeat(501);
        let tree = Tree::new([
            ("a.rs", "use super::b;\npub use c::C;\n"),
            ("b.rs", "#[test]\nfn f() {}\n"),
            ("b/tests.rs", &long),
            ("c.rs", &long),
        ]);
        assert_eq!((relative_paths(&tree).len(), shapes(&tree).len()), (2, 2));
    }
}
