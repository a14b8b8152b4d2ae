use crate::model::Silence;
use crate::silence::Comments;
use crate::tree::Place;

fn reason(rule: &str, of_workload: &[Silence], text: &str, line: usize) -> Option<String> {
    Comments::of(text).reason(rule, of_workload, Place { line, column: 1 })
}

fn reason_on(line: &str) -> Option<String> {
    reason("stop-signal", &[], &format!("\n{line}\n"), 2)
}

#[test]
fn a_comment_on_the_line_gives_the_reason() {
    let because = Some("it reloads: nothing else".to_owned());
    let text = "image: nginx # reprieve-lint: ignore stop-signal: it reloads: nothing else";
    assert_eq!(reason_on(text), because);
    assert_eq!(reason_on(&text.replace('#', "//")), because);
    assert_eq!(reason_on(&text.replace("stop-signal", "does-not-fit")), None);
    assert_eq!(reason_on(&text.replace("# ", "")), None);
    // Another line.
    for line in [1, 3] {
        assert_eq!(reason("stop-signal", &[], &format!("\n{text}\n"), line), None);
    }
}

#[test]
fn one_comment_may_name_several_rules() {
    let because = Some("why, of both".to_owned());
    for rules in ["stop-signal,does-not-fit", "does-not-fit, stop-signal"] {
        let text = format!("# reprieve-lint: ignore {rules}: why, of both");
        assert_eq!(reason_on(&text), because);
    }
}

#[test]
fn a_silence_without_a_reason_is_none() {
    for line in ["# reprieve-lint: ignore stop-signal", "# reprieve-lint: ignore stop-signal: "] {
        assert_eq!(reason_on(line), None);
    }
    let silence = |reason: &str| Silence { rule: "stop-signal".into(), reason: reason.into() };
    assert_eq!(reason("stop-signal", &[silence("")], "", 1), None);
    assert_eq!(reason("stop-signal", &[silence("why")], "", 1), Some("why".into()));
    assert_eq!(reason("does-not-fit", &[silence("why")], "", 1), None);
}
