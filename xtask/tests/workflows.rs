//! The workflows of GitHub, read as YAML: what has to be in them, and what may be.

use std::path::Path;
use std::rc::Rc;

use reprieve_lint::tree::{Node, yaml};

/// The actions that are used, each at one commit, with the version that the commit is.
const ACTIONS: &[(&str, &str, &str)] = &[
    ("actions/checkout", "08c6903cd8c0fde910a37f88322edcfb5dd907a8", "v5.0.0"),
    ("actions/cache", "0057852bfaa89a56745cba8c7296529d2fc39830", "v4.3.0"),
    ("actions/attest-build-provenance", "977bb373ede98d70efbf0b7b13af9c3d6651dc60", "v4.1.0"),
    ("actions/upload-artifact", "ea165f8d65b6e75b540449e92b4886f43607fa02", "v4.6.2"),
    ("actions/download-artifact", "d3f86a106a0bac45b974a628896c90dbdf5c8093", "v4.3.0"),
    ("pypa/gh-action-pypi-publish", "ed0c53931b1dc9bd32cbe73a98c7f6766f8a527e", "v1.13.0"),
];

/// The file of a job, its name, and what it may do beyond reading the repository.
type Job = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const JOBS: &[Job] = &[
    ("ci.yml", "all", &[]),
    ("ci.yml", "advisories", &[]),
    ("release.yml", "build", &[]),
    ("release.yml", "attest", &[("id-token", "write"), ("attestations", "write")]),
    ("release.yml", "files", &[("contents", "write")]),
    ("release.yml", "image", &[("packages", "write")]),
    ("release.yml", "wheel", &[("id-token", "write")]),
];

/// A command or an action that a job has to have.
const MUST_HAVE: &[(&str, &str, &str)] = &[
    ("ci.yml", "all", ".ci/run"),
    ("ci.yml", "all", "actions/cache"),
    ("ci.yml", "advisories", "cargo deny --locked check advisories"),
    ("release.yml", "build", "cargo xtask release --check"),
    ("release.yml", "build", "actions/upload-artifact"),
    ("release.yml", "attest", "actions/attest-build-provenance"),
    ("release.yml", "files", "sha256sum --check --strict SHA256SUMS"),
    ("release.yml", "files", "gh release create"),
    ("release.yml", "image", "skopeo copy --all"),
    ("release.yml", "wheel", "pypa/gh-action-pypi-publish"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder")
}

fn read(file: &str) -> (String, Rc<Node>) {
    let path = root().join(".github/workflows").join(file);
    let text = std::fs::read_to_string(path).expect(file);
    let mut documents = yaml::read(&text).expect(file);
    assert_eq!(documents.len(), 1, "{file}");
    (text, documents.remove(0))
}

fn text<'a>(node: &'a Node, path: &[&str]) -> &'a str {
    node.at(path).and_then(Node::text).unwrap_or_default()
}

/// A mapping of texts, in the order that it has.
fn pairs<'a>(node: &'a Node, path: &[&str]) -> Vec<(&'a str, &'a str)> {
    let entries = node.at(path).into_iter().flat_map(Node::entries);
    entries.filter_map(|(key, value)| Some((key.text()?, value.text()?))).collect()
}

#[test]
fn each_job_is_known_and_may_do_no_more_than_it_has_to() {
    for file in ["ci.yml", "release.yml"] {
        let (_, workflow) = read(file);
        assert_eq!(pairs(&workflow, &["permissions"]), [("contents", "read")], "{file}");
        let jobs = workflow.get("jobs").expect("jobs").entries();
        let names: Vec<_> = jobs.filter_map(|(name, _)| name.text()).collect();
        let known: Vec<_> =
            JOBS.iter().filter(|(of, ..)| *of == file).map(|(_, job, _)| *job).collect();
        assert_eq!(names, known, "{file}");
    }
    for (file, job, permissions) in JOBS {
        let (_, workflow) = read(file);
        assert_eq!(pairs(&workflow, &["jobs", job, "permissions"]), *permissions, "{file}: {job}");
        let minutes = workflow.at(&["jobs", job, "timeout-minutes"]).and_then(Node::number);
        assert!(minutes.is_some_and(|minutes| minutes <= 60), "{file}: {job} has no time limit");
    }
}

#[test]
fn each_action_is_pinned_to_a_commit_and_says_its_version() {
    for file in ["ci.yml", "release.yml"] {
        let (text, _) = read(file);
        for line in text.lines().filter(|line| line.contains("uses:")) {
            let used = line.split_once("uses:").expect("an action").1.trim();
            let is_it = |(name, commit, version): &&(&str, &str, &str)| {
                used == format!("{name}@{commit} # {version}")
            };
            assert!(ACTIONS.iter().any(|action| is_it(&action)), "{file}: {used}");
        }
    }
}

#[test]
fn jobs_have_what_they_are_for() {
    for (file, job, what) in MUST_HAVE {
        let (_, workflow) = read(file);
        let steps = workflow.at(&["jobs", job, "steps"]).expect("steps");
        let has = steps.items().any(|step| {
            text(step, &["run"]).contains(what) || text(step, &["uses"]).starts_with(what)
        });
        assert!(has, "{file}: {job} lacks {what}");
    }
}

/// What others can write, such as the name of a branch, is no part of a script; and a checkout leaves no token behind.
#[test]
fn scripts_take_what_they_need_from_variables() {
    for (file, job, _) in JOBS {
        let (_, workflow) = read(file);
        for step in workflow.at(&["jobs", job, "steps"]).expect("steps").items() {
            let script = text(step, &["run"]);
            assert!(!script.contains("${{"), "{file}: {job}: {script}");
            if text(step, &["uses"]).starts_with("actions/checkout@") {
                assert_eq!(text(step, &["with", "persist-credentials"]), "false", "{file}: {job}");
            }
        }
    }
}

#[test]
fn a_release_begins_with_a_tag_alone_and_ci_with_every_change() {
    let (_, release) = read("release.yml");
    let on: Vec<_> = release.get("on").expect("on").entries().map(|(key, _)| key.text()).collect();
    assert_eq!(on, [Some("push")]);
    let push: Vec<_> = release.at(&["on", "push"]).expect("push").entries().collect();
    assert_eq!(push.len(), 1);
    let tags = release.at(&["on", "push", "tags"]).expect("tags").items();
    assert_eq!(tags.filter_map(Node::text).collect::<Vec<_>>(), ["v*"]);
    let (_, ci) = read("ci.yml");
    for event in ["push", "pull_request", "schedule"] {
        assert!(ci.at(&["on", event]).is_some(), "{event}");
    }
}

/// The Rust of the containers is the one that a release is built with, and each tool has one version everywhere.
#[test]
fn versions_are_the_same_everywhere() {
    let read_root = |name: &str| std::fs::read_to_string(root().join(name)).expect(name);
    let rust = read_root("Cargo.toml");
    let rust = rust.lines().find_map(|line| line.strip_prefix("rust = \""));
    let image = format!("rust:{}-bookworm", rust.expect("a version").trim_end_matches('"'));
    for (file, job) in [("ci.yml", "all"), ("release.yml", "build")] {
        assert_eq!(text(&read(file).1, &["jobs", job, "container", "image"]), image, "{file}");
    }
    for version in ["cargo-deb@3.8.0", "cargo-generate-rpm@0.21.1"] {
        assert!(read("release.yml").0.contains(version), "{version}");
        assert!(read_root("xtask/src/run.rs").contains(version), "{version}");
    }
    assert!(read_root(".ci/run").contains("cargo-deb --version 3.8.0"));
    assert!(read_root(".ci/run").contains("cargo-deny --version 0.20.2"));
    assert!(read("ci.yml").0.contains("cargo-deny --version 0.20.2"));
}
