use crate::model::Silence;
use crate::silence::reason;
use crate::tree::Place;

fn reason_on(line: &str) -> Option<String> {
    reason("stop-signal", &[], &["", line], Place { line: 2, column: 1 })
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
    assert_eq!(reason("stop-signal", &[], &[text], Place { line: 2, column: 1 }), None);
}

#[test]
fn a_silence_without_a_reason_is_none() {
    for line in ["# reprieve-lint: ignore stop-signal", "# reprieve-lint: ignore stop-signal: "] {
        assert_eq!(reason_on(line), None);
    }
    let silence = |reason: &str| Silence { rule: "stop-signal".into(), reason: reason.into() };
    let at = Place { line: 1, column: 1 };
    assert_eq!(reason("stop-signal", &[silence("")], &[], at), None);
    assert_eq!(reason("stop-signal", &[silence("why")], &[], at), Some("why".into()));
    assert_eq!(reason("does-not-fit", &[silence("why")], &[], at), None);
}
