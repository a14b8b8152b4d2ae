use super::*;

fn fields(message: &str, at_ms: Option<u64>) -> Fields {
    let event = Some("forwarded".into());
    Fields { event, at_ms, message: message.into(), json: None }
}

#[test]
fn a_line_of_text_is_one_line() {
    let line = text_line(Level::INFO, &fields("it is \"x\ny\"", Some(15_003)), false);
    assert_eq!(line, "reprieve: +15.003s it is \"x?y\"\n");
    let line = text_line(Level::WARN, &fields("bad", None), false);
    assert_eq!(line, "reprieve: warning: bad\n");
}

#[test]
fn no_line_is_longer_than_a_pipe_takes_at_once() {
    let long = fields(&"\u{1}".repeat(2 * LONGEST), Some(u64::MAX));
    assert_eq!(text_line(Level::ERROR, &long, true).len(), LONGEST);
    let json = json_line(Level::ERROR, &long);
    assert!(json.len() <= LONGEST, "{}", json.len());
    assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
}

#[test]
fn a_line_of_json_is_one_object() {
    let line = json_line(Level::WARN, &fields("it is \"x\ny\"", Some(7)));
    assert_eq!(
        line,
        "{\"level\":\"warn\",\"event\":\"forwarded\",\"at_ms\":7,\
         \"message\":\"it is \\\"x\\ny\\\"\"}\n"
    );
}
