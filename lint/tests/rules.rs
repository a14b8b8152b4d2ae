//! Each rule on bad manifests and the nearest good ones. In a case of `tests/cases`, a comment
//! `# finds RULE at COLUMN` says what is found on its line, and nothing else may be found. JSON has no
//! comments: its cases are in `platforms.rs`.

use std::collections::BTreeSet;
use std::path::Path;

use reprieve_lint::document::{Document, Finding, Language, check};
use reprieve_lint::rules::RULES;
use reprieve_lint::tree::{Node, yaml};

const MARK: &str = "finds ";

/// What is found, as (line, column, rule).
type Found = (usize, usize, String);

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn marks(text: &str) -> Vec<Found> {
    let mark = |(line, text): (usize, &str)| {
        let (_, comment) = text.rsplit_once(['#', '/'])?;
        let (rule, column) = comment.trim().strip_prefix(MARK)?.split_once(" at ")?;
        Some((line, column.trim().parse().expect("a column"), rule.to_owned()))
    };
    (1..).zip(text.lines()).filter_map(mark).collect()
}

fn findings(text: &str, language: Language) -> Document {
    check(text, language).unwrap_or_else(|error| panic!("{error:?}"))
}

fn found(document: &Document) -> Vec<Found> {
    let found = document.findings.iter().filter(|finding| finding.silenced.is_none());
    let place =
        |finding: &Finding| (finding.place.line, finding.place.column, finding.rule.id.to_owned());
    found.map(place).collect()
}

/// 18.1 to 18.3
#[test]
fn each_case_finds_what_it_says_and_no_more() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases = 0;
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let is_hcl = path.extension().is_some_and(|ending| ending == "hcl");
        let text = read(&path);
        let document = findings(&text, if is_hcl { Language::Hcl } else { Language::Yaml });
        assert_eq!(found(&document), marks(&text), "in {}", path.display());
        cases += 1;
    }
    assert!(cases > RULES.len());
}

#[test]
fn each_rule_has_a_case() {
    for rule in &RULES {
        let case = format!("tests/cases/{}.yaml", rule.id);
        let text = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(case));
        assert!(marks(&text).iter().any(|(.., found)| found == rule.id), "{}", rule.id);
        let document = findings(&text, Language::Yaml);
        assert!(found(&document).iter().any(|(.., found)| found == rule.id));
    }
}

/// The rules that the policies of examples/kubernetes have too.
const SHARED: [&str; 8] = [
    "does-not-fit",
    "differs-from-allowance",
    "unreadable-value",
    "prestop-beside-delay",
    "probe-grace-period",
    "readiness-window",
    "native-sidecar",
    "unknown-variable",
];

/// Lint and the policies judge one table of pods, and agree.
#[test]
fn the_table_of_pods_is_judged_as_the_policies_judge_it() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/kubernetes/pods.yaml");
    let text = read(&table);
    let pods = yaml::read(&text).expect("YAML");
    assert!(pods.len() > 50);
    let document = findings(&text, Language::Yaml);
    let mut wrong = Vec::new();
    for pod in &pods {
        let text = |path: &[&str]| pod.at(path).and_then(Node::text).expect("a pod of the table");
        let name = text(&["metadata", "name"]);
        let expected = text(&["metadata", "annotations", "expect/rule"]).split(',');
        let expected: BTreeSet<&str> = expected.filter(|rule| !rule.is_empty()).collect();
        let workload = format!("Pod {name}");
        let of_pod = document.findings.iter().filter(|it| it.workload == workload);
        let rules = of_pod.map(|it| it.rule.id).filter(|rule| SHARED.contains(rule));
        let judged: BTreeSet<&str> = rules.collect();
        if judged != expected {
            wrong.push(format!("{name}: {judged:?}, and the table says {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
