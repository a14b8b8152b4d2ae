//! What can be copied from README.md and docs/ works: each block of code is run, or read by the program's own parser.
//!
//! The language of a block says how it is checked ([`check`]). A comment before a block of commands may say that it is run:
//!
//!     <!-- run -->                        here, with our binary in place of `cargo run --release --`
//!     <!-- run with docker: NAME -->      by tests/containers/pages.rs
//!
//! Logs are in examples.rs, queries too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::*;

struct Block {
    /// Its page and line.
    place: String,
    /// What the comment before it says.
    mark: String,
    language: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<PathBuf> {
    let docs = root().join("docs").read_dir().expect("a folder");
    let docs = docs.map(|entry| entry.expect("an entry").path());
    let pages = docs.filter(|path| path.extension().is_some_and(|end| end == "md"));
    pages.chain([root().join("README.md")]).collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn blocks(page: &Path) -> Vec<Block> {
    let text = read(page);
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    let mut before = "";
    while let Some((at, line)) = lines.next() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            let body = lines.by_ref().take_while(|(_, line)| !line.trim_start().starts_with("```"));
            let body: Vec<&str> = body.map(|(_, line)| line).collect();
            let mark = before.strip_prefix("<!-- ").and_then(|mark| mark.strip_suffix(" -->"));
            blocks.push(Block {
                place: format!("{}:{}", page.display(), at + 1),
                mark: mark.unwrap_or_default().to_owned(),
                language: language.to_owned(),
                text: body.join("\n"),
            });
        }
        before = line;
    }
    blocks
}

/// The commands of a script: lines, joined where they go on, without comments and documents.
fn commands(script: &str) -> Vec<String> {
    let joined = script.replace("\\\n", " ");
    let mut commands = Vec::new();
    let mut lines = joined.lines();
    while let Some(line) = lines.next() {
        let line = line.split(" # ").next().unwrap_or_default().split("   #").next();
        let line = line.unwrap_or_default().trim();
        if !line.is_empty() && !line.starts_with('#') {
            commands.push(line.to_owned());
        }
        if line.ends_with("<<'END'") {
            lines.by_ref().find(|line| *line == "END");
        }
    }
    commands
}

/// Settings as variables, in whatever syntax: `NAME=VALUE`, `NAME: VALUE`, `NAME = "VALUE"`, and name and value apart.
fn variables(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for rest in text.split("REPRIEVE_").skip(1) {
        let end = rest.find(|c: char| !(c.is_ascii_uppercase() || c == '_')).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let rest = rest.trim_start_matches('"');
        let same_line = rest.split('\n').next().unwrap_or_default();
        let value = ["=", ": ", ", value: ", ", \"value\": "].iter().find_map(|sign| {
            let value = same_line.trim_start_matches(' ').strip_prefix(sign)?;
            Some(value.trim_start_matches([' ', '"']))
        });
        // Of a list, the name and the value stand in two lines.
        let value = value.or_else(|| rest.split('\n').nth(1)?.trim().strip_prefix("value: "));
        let Some(value) = value else { continue };
        let value = match value.find([' ', '"', '`', '}', '\n', ',']) {
            // A hook has words, a list has commas.
            Some(_) if name.starts_with("ON_") => {
                value.split('}').next().unwrap_or_default().trim()
            }
            Some(end) if value[end..].starts_with(',') => {
                value.split([' ', '"', '`', '}']).next().unwrap_or(value)
            }
            Some(end) => &value[..end],
            None => value,
        };
        if !value.is_empty() && !value.contains(['$', '<']) && !value.starts_with("...") {
            found.push((format!("REPRIEVE_{name}"), value.trim_end_matches('.').to_owned()));
        }
    }
    found
}

/// That the program takes these options and variables together, and has nothing to say against them.
fn accepts(place: &str, options: &[String], variables: &[(String, String)]) {
    // Kubernetes makes it in a container, and here only root may.
    let folder = Folder::new();
    let here = folder.path("termination-log").display().to_string();
    let variables = variables.iter().map(|(name, value)| match value.as_str() {
        "/dev/termination-log" => (name, &here),
        _ => (name, value),
    });
    let variables: Vec<_> = variables.collect();
    let mut command = reprieve();
    command.args(options).envs(variables.iter().copied()).args(["--check", "--", "true"]);
    let call = call(&mut command);
    // Hooks are not on this machine.
    let is_meant =
        |line: &str| line.contains(": cannot run /bin/") || line.contains("without a grace period");
    let wrong = call.stderr.lines().filter(|line| !is_meant(line)).count();
    assert_eq!(wrong, 0, "{place}: {options:?} {variables:?}\n{}", call.stderr);
}

/// The words of a list in JSON.
fn list(json: &str) -> Vec<String> {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// The options of ours among the words of a command line that begins with our program.
fn options(words: impl IntoIterator<Item = String>) -> Vec<String> {
    words.into_iter().skip(1).take_while(|word| word != "--").collect()
}

/// A part of the workspace that a cargo command names is there.
fn check_cargo(place: &str, command: &str) {
    let words: Vec<&str> = command.split_whitespace().skip(1).collect();
    let aliases = read(&root().join(".cargo/config.toml"));
    let verb = *words.iter().find(|word| !word.starts_with('+')).expect("a verb");
    let known = ["build", "run", "test", "bench", "install", "xtask"];
    assert!(
        known.contains(&verb) || aliases.contains(&format!("\n{verb} = ")),
        "{place}: {command}"
    );
    for pair in words.windows(2) {
        let part = match pair[0] {
            "--bench" => format!("benches/{}.rs", pair[1]),
            "--example" => format!("examples/{}", pair[1]),
            "--test" => format!("tests/{}", pair[1]),
            "-p" => pair[1].trim_start_matches("reprieve-").to_owned(),
            _ => continue,
        };
        assert!(root().join(&part).exists(), "{place}: there is no {part}");
    }
}

/// How a command is checked, by its first word. One that is not known here has to be run.
fn check_command(place: &str, command: &str) {
    let words: Vec<String> =
        command.split_whitespace().map(|word| word.replace('\'', "")).collect();
    match words[0].as_str() {
        "cargo" => check_cargo(place, command),
        program if program.ends_with("reprieve") => accepts(place, &options(words.clone()), &[]),
        "reprieve-lint" | "kustomize" | "helm" => {
            assert!(command.contains("reprieve-lint"), "{place}");
        }
        "kubectl" => {
            for file in words.iter().filter(|word| word.contains(".yaml")) {
                assert!(root().join(file).exists(), "{place}: there is no {file}");
            }
        }
        "rustup" => assert!(command.ends_with("target add x86_64-unknown-linux-musl"), "{place}"),
        // A reader of logs, in the queries of examples.rs.
        "docker" => {
            assert!(["run", "inspect", "build", "logs", "load"].contains(&&*words[1]), "{place}");
        }
        // With the files of a release, which `cargo xtask try` installs.
        "apt-get" | "rpm" | "pip" | "tar" => assert!(command.contains("reprieve"), "{place}"),
        "sha256sum" => {
            let folder = Folder::new();
            let sums = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  there\n\
                        0000000000000000000000000000000000000000000000000000000000000000  missing\n";
            std::fs::write(folder.path("SHA256SUMS"), sums).expect("a file");
            for (content, code) in [("", 0), ("changed", 1)] {
                std::fs::write(folder.path("there"), content).expect("a file");
                let mut check = Command::new("sh");
                let check = call(check.args(["-c", command]).current_dir(folder.path("")));
                assert_eq!(check.code, code, "{place}: {}", check.stderr);
            }
        }
        // What a shell is told in a trap.
        "trap" => assert!(call(Command::new("sh").args(["-nc", command])).code == 0, "{place}"),
        _ => panic!("{place}: how is this tested? See tests/pid1/pages.rs\n{command}"),
    }
}

fn check_dockerfile(block: &Block) {
    let joined = block.text.replace("\\\n", "");
    for line in joined.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (instruction, rest) = line.split_once(' ').expect("an instruction");
        match instruction {
            "ENTRYPOINT" => accepts(&block.place, &options(list(rest)), &[]),
            "CMD" if rest.starts_with('[') => assert!(!list(rest).is_empty(), "{}", block.place),
            "FROM" | "COPY" | "CMD" | "STOPSIGNAL" | "ARG" => {}
            // They name what they fetch by its version, which tests/house/pages.rs compares.
            "ADD" | "RUN" => assert!(rest.contains("/reprieve-"), "{}", block.place),
            _ => panic!("{}: {instruction} is not checked", block.place),
        }
    }
}

/// A block in any language is checked by this; none passes that is not known here.
fn check(block: &Block) {
    let Block { place, mark, language, text } = block;
    let all = |text: &str| accepts(place, &[], &variables(text));
    match language.as_str() {
        "sh" => commands(text).iter().for_each(|command| {
            check_command(place, command);
            all(command);
        }),
        "dockerfile" => check_dockerfile(block),
        // tests/kubernetes/policies.py parses it.
        "yaml" | "hcl" => all(text),
        "json" if text.starts_with("{\"time\"") || mark.starts_with("log of") => {}
        "json" => {
            serde_json::from_str::<serde_json::Value>(text)
                .unwrap_or_else(|e| panic!("{place}: {e}"));
            all(text);
        }
        "ini" => {
            let command = text.lines().find_map(|line| line.strip_prefix("ExecStart="));
            let words = command.expect("a command").split_whitespace().map(str::to_owned);
            accepts(place, &options(words), &[]);
        }
        "diff" => {
            let new: Vec<&str> = text
                .lines()
                .filter(|line| !line.starts_with('-'))
                .map(|l| l.get(1..).unwrap_or(""))
                .collect();
            all(&new.join("\n"));
        }
        // Logs are in examples.rs; the rest is pictures, and what other programs say or read.
        "text" | "logql" | "cloudwatch" => {}
        _ => panic!("{place}: nothing checks a block of `{language}`: see tests/pid1/pages.rs"),
    }
}

#[test]
fn each_block_of_code_is_checked() {
    let blocks: Vec<Block> = pages().iter().flat_map(|page| blocks(page)).collect();
    assert!(blocks.len() > 40, "{} blocks", blocks.len());
    at_once(&blocks, check);
}

#[test]
fn commands_that_are_marked_run() {
    let blocks: Vec<Block> = pages().iter().flat_map(|page| blocks(page)).collect();
    let in_containers = read(&root().join("tests/containers/pages.rs"));
    for block in blocks.iter().filter(|block| block.mark.starts_with("run with docker: ")) {
        let name = block.mark.rsplit(' ').next().expect("a name");
        assert!(
            in_containers.contains(&format!("\"{name}\"")),
            "{}: {name} is not run",
            block.place
        );
    }
    let run: Vec<&Block> = blocks.iter().filter(|block| block.mark == "run").collect();
    assert!(!run.is_empty());
    at_once(&run, |block| {
        let ours = format!("{} ", env!("CARGO_BIN_EXE_reprieve"));
        let script = block.text.replace("cargo run --release -- ", &ours);
        let call = call(Command::new("sh").args(["-ec", &script])).expect_code(0);
        assert!(
            call.stdout.contains("serving\n") && call.stdout.ends_with("bye\n"),
            "{}",
            call.stdout
        );
        assert!(call.stderr.contains("forwarding it at +4s"), "{}", call.stderr);
    });
}

/// Everywhere in the pages, not in blocks alone.
#[test]
fn variables_in_the_pages_are_variables() {
    let options = read(&root().join("docs/options.md"));
    let names = |text: &str| -> BTreeSet<String> {
        let ends = |c: char| !(c.is_ascii_uppercase() || c == '_');
        let names = text.split("REPRIEVE_").skip(1);
        names.map(|rest| rest.split(ends).next().unwrap_or_default().to_owned()).collect()
    };
    let mut known = names(&options);
    assert!(known.len() > 30, "{known:?}");
    // What hooks are given, what Kubernetes gives, and what is no setting of the program.
    let others = [
        "PHASE",
        "SIGNAL",
        "EXIT_CODE",
        "REPORT",
        "PORT",
        "SERVICE_",
        "X_SERVICE_HOST",
        "X_PORT",
        "",
    ];
    known.extend(others.map(str::to_owned));
    known.insert("TESTS_WITHOUT_NAMESPACES".into());
    for page in pages() {
        let unknown: Vec<String> = names(&read(&page)).difference(&known).cloned().collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", page.display());
    }
    let in_code =
        |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    for page in pages() {
        for span in
            read(&page).lines().flat_map(in_code).filter(|span| span.starts_with("REPRIEVE_"))
        {
            let mut set = variables(&span);
            if set
                .iter()
                .any(|(name, _)| name == "REPRIEVE_HOLD_UNTIL" || name == "REPRIEVE_QUIET_WINDOW")
            {
                set.push(("REPRIEVE_DELAY".into(), "1s..20s".into()));
            }
            accepts(&format!("{}: {span}", page.display()), &[], &set);
        }
    }
}
