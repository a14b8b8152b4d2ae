use std::time::Duration;

use super::*;

const NOW: SystemTime = UNIX_EPOCH;

fn fields(message: &str, at_ms: Option<u64>) -> Fields {
    let event = Some("forwarded".into());
    Fields { event, at_ms, message: message.into(), json: None }
}

fn message_of(json: &str) -> String {
    let object: serde_json::Value = serde_json::from_str(json).unwrap();
    object["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_line_of_text_is_one_line() {
    let line = text(Level::INFO, &fields("it is \"x\ny\"", Some(15_003)), false);
    assert_eq!(line, "reprieve: +15.003s it is \"x?y\"\n");
    let line = text(Level::WARN, &fields("bad", None), false);
    assert_eq!(line, "reprieve: warn: bad\n");
    let line = text(Level::INFO, &fields("gpj.\u{202e}txt\u{2028}", None), false);
    assert_eq!(line, "reprieve: gpj.?txt?\n");
}

#[test]
fn a_line_of_json_is_one_object() {
    let now = UNIX_EPOCH + Duration::from_millis(951_825_600_007);
    let line = json(Level::WARN, &fields("it is \"x\ny\"", Some(7)), now);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        line,
        format!(
            "{{\"time\":\"2000-02-29T12:00:00.007Z\",\"level\":\"warn\",\"logger\":\"reprieve\",\
             \"version\":\"{version}\",\"event\":\"forwarded\",\"at_ms\":7,\
             \"message\":\"it is \\\"x\\ny\\\"\"}}\n"
        )
    );
    let line = json(Level::WARN, &fields("gpj.\u{202e}txt\u{2028}", None), now);
    assert!(line.contains(r#""message":"gpj.\u202etxt\u2028""#), "{line}");
}

#[test]
fn a_report_is_the_object_that_it_comes_as() {
    let report =
        Fields { json: Some("{\"event\":\"report\"}".into()), ..fields("report", Some(7)) };
    assert_eq!(json(Level::INFO, &report, NOW), "{\"event\":\"report\"}\n");
    assert_eq!(text(Level::INFO, &report, false), "reprieve: report\n");
    // An object of which a part is missing would be none.
    let long = "1".repeat(2 * MAX_LINE);
    assert_eq!(json(Level::INFO, &Fields { json: Some(long.clone()), ..report }, NOW), long + "\n");
}

/// Whatever its characters take, a long message fills the line, and a mark is for the rest.
#[test]
fn a_long_message_is_shortened_to_what_a_pipe_takes_at_once() {
    for c in [
        "a",
        "\u{1}",
        "\u{7f}",
        "\"",
        "\\",
        "\n",
        "\u{e9}",
        "\u{85}",
        "\u{20ac}",
        "\u{202e}",
        "\u{1f600}",
    ] {
        let long = fields(&c.repeat(2 * MAX_LINE), Some(u64::MAX));
        let longest = 6;
        let lines = [text(Level::ERROR, &long, true), json(Level::ERROR, &long, NOW)];
        for line in &lines {
            assert!((MAX_LINE - longest..=MAX_LINE).contains(&line.len()), "{c:?}: {}", line.len());
        }
        assert!(lines[0].ends_with("...\n"), "{c:?}: {}", lines[0]);
        let message = message_of(&lines[1]);
        let rest = message.strip_suffix("...").unwrap();
        assert_eq!(rest.replace(c, ""), "", "{c:?}");
    }
}

#[test]
fn a_message_that_just_fits_is_not_shortened() {
    let around = text(Level::INFO, &fields("", None), false).len();
    let fits = "x".repeat(MAX_LINE - around);
    let line = text(Level::INFO, &fields(&fits, None), false);
    assert_eq!((line.len(), line.contains("...")), (MAX_LINE, false));
    let line = text(Level::INFO, &fields(&format!("{fits}x"), None), false);
    assert_eq!((line.len(), line.ends_with("x...\n")), (MAX_LINE, true));
    let around = json(Level::INFO, &fields("", None), NOW).len();
    let fits = "x".repeat(MAX_LINE - around);
    let line = json(Level::INFO, &fields(&fits, None), NOW);
    assert_eq!((line.len(), message_of(&line)), (MAX_LINE, fits));
}

#[test]
fn a_report_has_the_keys_of_each_line_first() {
    let own = |max: usize| format!("{{\"exit_code\":0,\"max\":{max}}}");
    let line = super::report(Level::WARN, Some(7), "report: \"bad\"", NOW, own);
    let (before, after) = line.split_once(",\"exit_code\"").unwrap();
    let alone = Fields { event: Some("report".into()), ..fields("report: \"bad\"", Some(7)) };
    assert_eq!(format!("{before}}}\n"), json(Level::WARN, &alone, NOW));
    let room = MAX_LINE - before.len() - 1;
    assert_eq!(after, format!(":0,\"max\":{room}}}"));
    // With all the room that it is given it fits, its newline included.
    let fill = |max: usize| format!("{{{}}}", " ".repeat(max - 2));
    assert!(super::report(Level::WARN, Some(7), "", NOW, fill).len() < MAX_LINE);
}
