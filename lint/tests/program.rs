//! The program as users run it: formats, exit codes, what it reads.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const BAD: &str = "\
apiVersion: v1
kind: Pod
metadata: { name: web }
spec:
  containers:
    - name: app
      image: app
      env:
        - name: REPRIEVE_DELAY
          value: 29s
        - name: REPRIEVE_GRACE_PERIOD
          value: 30s
        - name: REPRIEVE_DELY
          value: 1s
";

/// A folder of its own, which is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    fn add(&self, file: &str, text: &str) {
        let path = self.0.join(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn lint(folder: &Folder, args: &[&str]) -> (i32, String) {
    lint_with(folder, args, "")
}

fn lint_with(folder: &Folder, args: &[&str], stdin: &str) -> (i32, String) {
    // At build time a shell (.cargo/remap) has dropped the variable, as its name has a dash.
    let program = std::env::var_os("CARGO_BIN_EXE_reprieve-lint").expect("cargo names it");
    let mut command = Command::new(program);
    let command = command.args(args).current_dir(&folder.0);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the program");
    let _ = child.stdin.take().expect("a pipe").write_all(stdin.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().expect("its output");
    let text = String::from_utf8(stdout).expect("UTF-8") + &String::from_utf8_lossy(&stderr);
    (status.code().expect("an exit code"), text)
}

fn json(folder: &Folder, args: &[&str]) -> Value {
    let (_, text) = lint(folder, args);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// 18.1
#[test]
fn text_says_where_and_what_and_how_to_mend_it() {
    let folder = Folder::new("text");
    folder.add("web.yaml", BAD);
    let (code, text) = lint(&folder, &["web.yaml"]);
    assert_eq!(code, 1);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    let begin = "web.yaml:10:18: error: Pod web, container app: a delay of 29s and a margin of 1s do not fit";
    assert!(lines[0].starts_with(begin) && lines[0].ends_with("[does-not-fit]"), "{text}");
    assert_eq!(lines[1], "    Shorten the delay, or raise the platform's allowance.");
    let begin = "web.yaml:13:17: warning: Pod web, container app: REPRIEVE_DELY sets no option: did you mean REPRIEVE_DELAY?";
    assert!(lines[2].starts_with(begin), "{text}");
    assert_eq!(lines[4], "1 workload in 1 file: 2 findings");
}

/// 18.4
#[test]
fn the_exit_code_depends_on_how_bad_it_is() {
    let folder = Folder::new("codes");
    folder.add("web.yaml", BAD);
    folder.add("broken.yaml", "a: [\n");
    for (args, expected) in [
        (&["web.yaml", "--fail-on", "error"][..], 1),
        (&["web.yaml", "--only", "unknown-variable"], 1),
        (&["web.yaml", "--only", "unknown-variable", "--fail-on", "error"], 0),
        (&["web.yaml", "--ignore", "unknown-variable,does-not-fit"], 0),
        (&["web.yaml", "--ignore", "unknown-variable", "--ignore", "does-not-fit"], 0),
        (&["broken.yaml"], 2),
        (&["web.yaml", "broken.yaml"], 2),
        (&["missing.yaml"], 2),
        (&["web.yaml", "--only", "no-such-rule"], 2),
        (&["web.yaml", "--format", "xml"], 2),
        (&[], 2),
        (&["--help"], 0),
        (&["--list"], 0),
    ] {
        let (code, text) = lint(&folder, args);
        assert_eq!(code, expected, "{args:?}: {text}");
    }
}

/// 18.5
#[test]
fn what_cannot_be_read_has_its_place() {
    let folder = Folder::new("unreadable");
    folder.add("broken.yaml", "a: b\nc: [\n");
    folder.add("chart.yaml", "a: {{ .Values.a }}\nb: {{- if c }}: [\n");
    folder.add("quote.yaml", "a: \"b\nc: d\n");
    fs::write(folder.0.join("latin.yaml"), b"a: b\n\xc3\xa4: c \xe4\n").expect("a file");
    fs::write(folder.0.join("powershell.yaml"), b"\xff\xfea\0:\0").expect("a file");
    let files = ["broken", "chart", "latin", "missing", "powershell", "quote"];
    let files = files.map(|name| format!("{name}.yaml"));
    let (code, text) = lint(&folder, &files.each_ref().map(String::as_str));
    assert_eq!(code, 2);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("broken.yaml:3:1: cannot be read: "), "{text}");
    assert!(lines[1].starts_with("chart.yaml:") && lines[1].contains("helm template"), "{text}");
    assert_eq!(lines[2], "latin.yaml:2:6: cannot be read: this byte is not UTF-8");
    assert!(lines[3].starts_with("missing.yaml: cannot be read: No such file"), "{text}");
    assert_eq!(lines[4], "powershell.yaml:1:1: cannot be read: this is UTF-16: write it as UTF-8");
    assert!(lines[5].starts_with("quote.yaml:1:4: cannot be read: "), "{text}");
    assert!(lines[5].ends_with(" (is a quote left open?)"), "{text}");
    let (code, text) = lint_with(&folder, &["-"], "a: [\n");
    assert!(code == 2 && text.starts_with("stdin:2:1: cannot be read: "), "{text}");
}

#[test]
fn standard_input_is_yaml_or_hcl() {
    let folder = Folder::new("stdin");
    let (code, text) = lint_with(&folder, &["-"], BAD);
    assert_eq!(code, 1);
    assert!(text.starts_with("stdin:10:18: "), "{text}");
    let job = "# A job.\njob \"web\" {\n  group \"web\" {\n    task \"app\" {\n      env {\n        \
               REPRIEVE_DELAY = \"9s\"\n      }\n    }\n  }\n}\n";
    let (code, text) = lint_with(&folder, &["-"], job);
    assert_eq!(code, 1, "{text}");
    assert!(text.starts_with("stdin:6:26: error: job web, container app: "), "{text}");
    // With what an editor of Windows puts before it, and a comment.
    let job = job.replace("# A job.\n", "\u{feff}").replace("{\n  group", "{ # Jobs\n  group");
    let (code, text) = lint_with(&folder, &["-"], &job);
    assert!(code == 1 && text.starts_with("stdin:5:26: error: job web"), "{text}");
}

#[test]
fn folders_are_searched_for_manifests() {
    let folder = Folder::new("folders");
    folder.add("a/web.yml", BAD);
    folder.add("a/.hidden.yaml", "a: [\n");
    folder.add(".git/config.yaml", "a: [\n");
    folder.add("a/tsconfig.json", "{ // comments are no JSON\n}");
    folder.add("a/terraform.hcl", "a = = b");
    folder.add("a/notes.txt", "a: [\n");
    folder.add("b/task.json", r#"{ "containerDefinitions": [ { "name": "app" } ] }"#);
    folder.add("b/web.nomad", "job \"web\" {\n  group \"web\" {\n    task \"app\" {}\n  }\n}\n");
    let whole = json(&folder, &["--format", "json", "."]);
    assert_eq!(whole["unreadable"].as_array().map(Vec::len), Some(0), "{whole}");
    assert_eq!((&whole["files"], &whole["workloads"]), (&3.into(), &3.into()));
    assert_eq!(whole["findings"][0]["file"], "./a/web.yml");
}

/// An autoscaler mostly has a file of its own, and runs more than one.
#[test]
fn an_autoscaler_may_stand_in_another_file() {
    let folder = Folder::new("autoscaler");
    folder.add(
        "deployment.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\nspec:\n  template:\n    spec:\n      \
         containers:\n        - name: app\n          image: app\n          \
         command: [/reprieve, --health-listen, \"0.0.0.0:8086\", --, app]\n          \
         readinessProbe: { httpGet: { port: 8086 } }\n",
    );
    let (code, text) = lint(&folder, &["."]);
    assert!(code == 1 && text.contains("[readiness-on-health-port]"), "{text}");
    folder.add(
        "hpa.yaml",
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: { name: web }\nspec:\n  \
         scaleTargetRef: { kind: Deployment, name: web }\n",
    );
    let (code, text) = lint(&folder, &["."]);
    assert_eq!((code, text.as_str()), (0, "1 workload in 2 files: no findings\n"));
}

/// 18.6
#[test]
fn findings_are_silenced_with_a_reason() {
    let folder = Folder::new("silenced");
    let comment = BAD.replace("29s", "29s # reprieve-lint: ignore does-not-fit: it ends at once");
    let annotated = |key: &str, reason: &str| {
        let metadata = format!("{{ name: web, annotations: {{ {key}: \"{reason}\" }} }}");
        BAD.replace("{ name: web }", &metadata)
    };
    folder.add("comment.yaml", &comment);
    folder
        .add("annotation.yaml", &annotated("ignore.reprieve-lint/does-not-fit", "it ends at once"));
    folder.add("no-reason.yaml", &annotated("ignore.reprieve-lint/does-not-fit", ""));
    let args = |file| ["--only", "does-not-fit", "--format", "json", file];
    for file in ["comment.yaml", "annotation.yaml"] {
        assert_eq!(
            json(&folder, &args(file))["findings"][0]["silenced"],
            "it ends at once",
            "{file}"
        );
        let (code, text) = lint(&folder, &["--only", "does-not-fit", file]);
        assert_eq!((code, text.as_str()), (0, "1 workload in 1 file: no findings, 1 silenced\n"));
    }
    assert_eq!(lint(&folder, &["--only", "does-not-fit", "no-reason.yaml"]).0, 1);
}

#[test]
fn json_has_all_of_a_finding() {
    let folder = Folder::new("json");
    folder.add("web.yaml", BAD);
    folder.add("broken.yaml", "a: [\n");
    let whole = json(&folder, &["--format", "json", "web.yaml", "broken.yaml"]);
    let finding = &whole["findings"][0];
    let keys = ["rule", "level", "file", "line", "column", "workload", "container", "fix"];
    let values = keys.map(|key| finding[key].to_string());
    let fix = "\"Shorten the delay, or raise the platform's allowance.\"";
    let expected = ["\"does-not-fit\"", "\"error\"", "\"web.yaml\"", "10", "18"];
    assert_eq!(values[..5], expected);
    assert_eq!(values[5..], ["\"Pod web\"", "\"app\"", fix]);
    assert!(finding["message"].as_str().is_some_and(|text| text.contains("29s")));
    assert_eq!(
        (&whole["unreadable"][0]["line"], &whole["unreadable"][0]["file"]),
        (&2.into(), &"broken.yaml".into())
    );
}

#[test]
fn github_gets_one_command_a_finding() {
    let folder = Folder::new("github");
    folder.add("a,b.yaml", BAD);
    folder.add("broken.yaml", "a: [\n");
    let (code, text) = lint(&folder, &["--format", "github", "a,b.yaml", "broken.yaml"]);
    assert_eq!(code, 2);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(
        lines[0].starts_with("::error file=broken.yaml,line=2,col=1::cannot be read: "),
        "{text}"
    );
    let begin =
        "::error file=a%2Cb.yaml,line=10,col=18,title=does-not-fit::Pod web, container app: ";
    assert!(lines[1].starts_with(begin) && lines[1].contains("%0AShorten the delay"), "{text}");
    assert!(lines[2].starts_with("::warning file=a%2Cb.yaml,line=13,"), "{text}");
}

/// What SARIF 2.1.0 asks for (the standard's sections in the messages), and what GitHub's code scanning
/// needs beside that: the level of a rule, a path below the root, a line. The schema itself is
/// somebody else's text and is not kept here.
#[test]
fn sarif_has_what_the_standard_asks_for() {
    let folder = Folder::new("sarif");
    let silenced = BAD.replace(
        "name: REPRIEVE_DELY",
        "name: REPRIEVE_DELY # reprieve-lint: ignore unknown-variable: the app's",
    );
    folder.add("a b.yaml", &silenced);
    folder.add("broken.yaml", "a: [\n");
    let log = json(&folder, &["--format", "sarif", "./a b.yaml", "broken.yaml"]);
    assert_eq!(log["version"], "2.1.0", "3.13.2");
    let run = &log["runs"][0];
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["name"], "reprieve-lint", "3.19.8");
    let rules = driver["rules"].as_array().expect("3.19.23");
    assert_eq!(rules.len(), reprieve_lint::rules::RULES.len());
    for rule in rules {
        assert!(rule["id"].is_string(), "3.49.3");
        assert!(rule["shortDescription"]["text"].is_string(), "3.49.9");
        assert!(rule["help"]["text"].is_string(), "3.49.13");
        let level = rule["defaultConfiguration"]["level"].as_str().expect("3.50.3");
        assert!(["none", "note", "warning", "error"].contains(&level), "3.27.10");
    }
    let results = run["results"].as_array().expect("3.14.23");
    assert_eq!(results.len(), 2);
    for result in results {
        let index = result["ruleIndex"].as_u64().expect("3.27.6") as usize;
        assert_eq!(rules[index]["id"], result["ruleId"], "3.27.5");
        assert_eq!(rules[index]["defaultConfiguration"]["level"], result["level"], "3.27.10");
        assert!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()), "3.27.11");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%20b.yaml", "3.4.3");
    }
    let region = &results[0]["locations"][0]["physicalLocation"]["region"];
    assert_eq!((&region["startLine"], &region["startColumn"]), (&10.into(), &18.into()), "3.30");
    assert_eq!(run["columnKind"], "unicodeCodePoints", "3.14.17");
    assert!(results[0]["suppressions"].is_null(), "3.27.23");
    let suppression = &results[1]["suppressions"][0];
    assert_eq!(
        (&suppression["kind"], &suppression["justification"]),
        (&"inSource".into(), &"the app's".into()),
        "3.35"
    );
    let invocation = &run["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false, "3.20.14");
    let notification = &invocation["toolExecutionNotifications"][0];
    assert!(notification["message"]["text"].is_string(), "3.58.5");
}

#[test]
fn the_help_fits_into_80_columns() {
    let folder = Folder::new("help");
    let (_, text) = lint(&folder, &["--help"]);
    let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(long.is_empty(), "{long:#?}");
}
