//! The examples of log lines in the documentation are what the program says (docs/behaviour.md, 15).
//!
//! Before each stands a comment with the run that it is of:
//!
//!     <!-- log of: reprieve --delay 5s -- python3 server.py (12 visitors, drains 700 ms) -->
//!
//! The app is the fixture under the name that it has there. What may stand in the parentheses: `N
//! visitors` that come after the stop signal, or `N visitors that stay`; `drains N ms`; `deaf`, which
//! does not end of SIGTERM; `leaves N tasks`, a worker that serves nobody and has processes that
//! outlive it, or `leaves N deaf tasks`. Some lines of a plan, with `...` for those that are left
//! out, come after
//!
//!     <!-- plan of: REPRIEVE_DELAY=15s reprieve -- node server.js -->

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::libc;
use serde_json::Value;

use crate::harness::*;

/// A block of lines in a page, and the run that they are of.
#[derive(Debug)]
struct Example {
    page: PathBuf,
    run: String,
    lines: String,
}

/// All pages, and the files of the examples.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md"].iter().map(|name| root.join(name)).collect();
    let mut folders = vec![root.join("docs"), root.join("examples")];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().expect("a folder") {
            let path = entry.expect("an entry").path();
            let is_page = |end: &std::ffi::OsStr| end == "md" || end == "yml" || end == "yaml";
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(is_page) => pages.push(path),
                false => {}
            }
        }
    }
    pages
}

/// Whether a line of a page is one of a log.
fn is_of_log(line: &str) -> bool {
    let line = line.trim_start_matches(['#', ' ']);
    let begins = ["reprieve: ", "report: ", "rehearsal passed", "rehearsal failed"];
    begins.iter().any(|begin| line.starts_with(begin))
        || line.starts_with('{') && line.contains("\"event\":")
}

/// The examples of a page. A line of a log that is in none fails.
fn examples(page: &Path) -> Vec<Example> {
    let text = std::fs::read_to_string(page).expect("a page");
    let mut examples = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        assert!(
            !is_of_log(line),
            "{}: {line}\nA comment with the run that this is of has to come before it: see \
             tests/pid1/examples.rs",
            page.display()
        );
        let Some(run) = line.strip_prefix("<!-- log of: reprieve ") else { continue };
        let run = run.strip_suffix(" -->").expect("the end of the comment").to_owned();
        let mut lines = lines.by_ref().skip_while(|line| !line.starts_with("```")).skip(1);
        let lines: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
        examples.push(Example { page: page.to_owned(), run, lines: lines.join("\n") });
    }
    examples
}

/// What comes after the stop signal: so many, one after the other, each with a request.
fn visit(port: u16, count: usize) -> Vec<TcpStream> {
    let visit = |_| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a server");
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("a server");
        stream.read_exact(&mut [0; 12]).expect("an answer");
        stream
    };
    (0..count).map(visit).collect()
}

/// Plays the run of an example.
fn play(run: &str) -> Ended {
    let (command, notes) = match run.rsplit_once(" (") {
        Some((command, notes)) => (command, notes.trim_end_matches(')')),
        None => (run, ""),
    };
    let (mut plays, mut tasks, mut visitors, mut stay) = (String::new(), String::new(), 0, false);
    for note in notes.split(", ").filter(|note| !note.is_empty()) {
        let number = note.split(' ').find_map(|word| word.parse::<usize>().ok());
        match (note.split(' ').next(), number) {
            (Some("deaf"), _) => plays.push_str("--ignore SIGTERM --until SIGUSR2 "),
            (Some("drains"), Some(ms)) => plays.push_str(&format!("--drain {ms} ")),
            (Some("leaves"), Some(count)) if note.contains("deaf") => {
                tasks = format!("{count} --name task --ignore SIGTERM --until SIGUSR2");
            }
            (Some("leaves"), Some(count)) => tasks = format!("{count} --name task --drain 300"),
            (_, Some(count)) if note.contains("visitors") => {
                (visitors, stay) = (count, note.ends_with("that stay"));
            }
            _ => panic!("{note} is nothing that a run of an example can have: {run}"),
        }
    }
    let (options, app) = command.split_once("-- ").expect("a -- before the app");
    // Between single quotes is one word.
    let parts = app.split('\'').enumerate();
    let app = parts.flat_map(|(at, part)| match at % 2 {
        0 => part.split_whitespace().collect(),
        _ => vec![part],
    });
    let folder = Folder::new();
    for name in ["node", "python3"] {
        symlink(fixture(), folder.path(name)).expect("a link");
    }
    let path = format!("{}:{}", folder.path("").display(), std::env::var("PATH").expect("a path"));
    let init = pid1().variable("PATH", &path).variable("PLAYS", &plays).options(options);
    let init = if tasks.is_empty() { init } else { init.variable("TASKS", &tasks) };
    let started = init.app(app);
    let serves = || started.hears("listening on ").text;
    let port = if tasks.is_empty() { serves() } else { " 0".into() };
    let port = port.rsplit(' ').next().and_then(|port| port.parse().ok()).expect("a port");
    started.ready("");
    for at in 1..=tasks.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0) {
        started.hears_times("task ready ", at);
    }
    if options.contains("--rehearse ") {
        return started.ends();
    }
    let began_at = started.signal(libc::SIGTERM);
    started.hears("forwarding it ");
    // What comes before the first look may be missed.
    wait_until(began_at + 500 * MS);
    let open = visit(port, visitors);
    let open = open.into_iter().filter(|_| stay).collect::<Vec<_>>();
    let ended = started.ends();
    drop(open);
    ended
}

/// A text in which times and pids are all the same.
fn same_times(text: &str) -> String {
    let mut same = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, number) = rest.split_at(at);
        let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
        let (digits, after) = number.split_at(end);
        let is_time = after
            .strip_prefix('s')
            .is_some_and(|after| !after.starts_with(|c: char| c.is_ascii_alphanumeric()));
        same.push_str(before);
        same.push_str(if is_time || before.ends_with("pid ") { "N" } else { digits });
        rest = after;
    }
    same + rest
}

/// An object in which times, pids and ports are all the same; what was asked for stays.
fn same_values(value: &Value) -> Value {
    const ASKED_FOR: [&str; 4] = ["min_delay_ms", "delay_ms", "grace_period_ms", "margin_ms"];
    let same = |(key, value): (&String, &Value)| {
        let is_any = key.ends_with("_ms") && !ASKED_FOR.contains(&key.as_str());
        let value = match value {
            Value::Number(_) if is_any || key == "pid" || key == "local_port" => 0.into(),
            Value::String(time) if key == "time" => {
                assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
                "T".into()
            }
            Value::Array(ports) if key == "ports" => ports.len().into(),
            value => same_values(value),
        };
        (key.clone(), value)
    };
    match value {
        Value::Object(object) => Value::Object(object.iter().map(same).collect()),
        Value::Array(all) => all.iter().map(same_values).collect(),
        Value::String(text) => same_times(text).into(),
        value => value.clone(),
    }
}

/// A text is the whole log; objects are some of it, and may be written over several lines.
fn assert_said(example: &Example, ended: &Ended) {
    let Example { page, run, lines } = example;
    let what = || format!("{}, the log of: reprieve {run}\n{}", page.display(), ended.all());
    if !lines.starts_with('{') {
        let said = ended.log().join("\n");
        assert_eq!(same_times(&said), same_times(lines), "{}", what());
        return;
    }
    let log: Vec<Value> = ended
        .log()
        .iter()
        .map(|line| same_values(&serde_json::from_str(line).expect("an object")))
        .collect();
    for object in serde_json::Deserializer::from_str(lines).into_iter::<Value>() {
        let object = same_values(&object.unwrap_or_else(|error| panic!("{error}: {}", what())));
        let like = log.iter().find(|line| line["event"] == object["event"]);
        assert_eq!(like, Some(&object), "{}", what());
    }
}

#[test]
fn the_examples_of_the_documentation_are_what_is_said() {
    let examples: Vec<Example> = pages().iter().flat_map(|page| examples(page)).collect();
    assert!(examples.len() >= 4, "{examples:?}");
    at_once(&examples, |example| assert_said(example, &play(&example.run)));
}

/// What `--check` says of a command line with variables before it.
fn plan_of(line: &str) -> String {
    let (variables, command) = line.split_once("reprieve ").expect("our name");
    let (options, app) = command.split_once("-- ").expect("a -- before the app");
    let folder = Folder::new();
    symlink(fixture(), folder.path("node")).expect("a link");
    let mut check = reprieve();
    check.args(options.split_whitespace()).args(["--check", "--"]).args(app.split_whitespace());
    check.envs(variables.split_whitespace().filter_map(|variable| variable.split_once('=')));
    let call = call(check.env("PATH", folder.path(""))).expect_code(0);
    call.stdout.replace(&folder.path("").display().to_string(), "/usr/local/bin/")
}

#[test]
fn plans_in_the_documentation_are_what_is_planned() {
    let mut count = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page");
        for part in text.split("<!-- plan of: ").skip(1) {
            let (line, rest) = part.split_once(" -->\n```text\n").expect("a block");
            let plan = plan_of(line).replace("//", "/");
            let mut said = plan.lines();
            for wanted in rest.split("\n```").next().into_iter().flat_map(str::lines) {
                let is_there = wanted == "..." || said.any(|line| line == wanted);
                assert!(is_there, "{}: {wanted}\n{plan}", page.display());
            }
            count += 1;
        }
    }
    assert!(count > 0);
}

/// The queries of docs/report.md: the language of each code block that has one.
fn queries() -> Vec<(String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/report.md");
    let text = std::fs::read_to_string(page).expect("a page");
    let (_, section) = text.split_once("\n## Queries\n").expect("a section of queries");
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let blocks = section.split("```").skip(1).step_by(2);
    blocks
        .filter_map(|block| block.split_once('\n'))
        .map(|(language, query)| (language.to_owned(), query.to_owned()))
        .collect()
}

/// A report as it is in the log, of an app that was killed with requests after the stop signal up to the
/// end of the hold.
fn bad_report() -> Value {
    let run = "--log-format json --delay 1200ms --grace-period 2s --margin 500ms -- python3 server.py \
               (3 visitors, deaf)";
    play(run).report()
}

#[test]
fn the_queries_name_keys_that_there_are() {
    let report = bad_report();
    let queries = queries();
    let mut named = BTreeMap::new();
    for (language, query) in &queries {
        // What stands in quotes is a value.
        let bare: String = query.split('"').step_by(2).collect();
        let words = bare.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'));
        for word in words.filter(|word| word.contains('_') || word.contains("traffic")) {
            let key = match language.as_str() {
                // Loki joins the keys of objects within objects.
                "logql" => word.replacen("traffic_", "/traffic/", 1),
                _ => word.trim_start_matches('.').replace('.', "/"),
            };
            let key = format!("/{}", key.trim_start_matches('/'));
            assert!(report.pointer(&key).is_some(), "{word} is no key: {query}");
            *named.entry(language.clone()).or_insert(0) += 1;
        }
    }
    assert_eq!(named.len(), 3, "LogQL, CloudWatch Logs Insights and jq: {named:?}");
}

/// 15.16
#[test]
#[ignore = "needs jq: apt-get install jq"]
fn the_queries_for_jq_find_the_bad_and_not_the_good() {
    let good = play("--log-format json -- python3 server.py").report();
    let queries: Vec<String> =
        queries().into_iter().filter(|(language, _)| language == "sh").map(|(_, q)| q).collect();
    assert_eq!(queries.len(), 3, "{queries:?}");
    for (report, finds) in [(bad_report(), true), (good, false)] {
        for query in &queries {
            let script = query.replace("docker logs app 2>&1", "cat");
            let mut command = Command::new("sh");
            command.args(["-ec", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut jq = command.spawn().expect("a shell");
            // Among lines of the app.
            let log = format!("not JSON\n[1]\n{{\"level\":\"info\"}}\n{report}\n");
            jq.stdin.take().expect("a pipe").write_all(log.as_bytes()).expect("jq");
            let output = jq.wait_with_output().expect("jq");
            assert!(output.status.success(), "{query}\njq is missing: apt-get install jq");
            let found = String::from_utf8_lossy(&output.stdout);
            assert_eq!(!found.is_empty(), finds, "{query}\n{report}\n{found}");
        }
    }
}
