use super::*;

/// All that stand in Unicode's lists, and neighbours of theirs that do not.
const HIDDEN: &str = "\0\n\x1b\x7f\u{80}\u{85}\u{9b}\u{9f}\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\
                      \u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
const SEEN: &str =
    " ~\u{a0}\u{61b}\u{61d}\u{200d}\u{2010}\u{2027}\u{202f}\u{2065}\u{206a}\u{5d0}\u{1f600}";

#[test]
fn a_text_has_a_question_mark_for_what_is_hidden() {
    assert_eq!(in_text(HIDDEN), "?".repeat(HIDDEN.chars().count()));
    assert_eq!(in_text(SEEN), SEEN);
}

#[test]
fn json_has_an_escape_for_what_is_hidden() {
    for text in [HIDDEN, SEEN, "plain", "\x7f", "gpj.\u{202e}txt"] {
        let json = in_json(serde_json::to_string(&[text]).unwrap());
        assert!(!json.contains(is_hidden), "{json:?}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&json).unwrap(), [text]);
    }
    assert_eq!(in_json("\"a\u{202e}b\u{85}\"".into()), r#""a\u202eb\u0085""#);
    assert_eq!(in_json(format!("\"{SEEN}\"")), format!("\"{SEEN}\""));
}

#[test]
fn sizes_in_json_are_those_of_what_is_written() {
    for c in ('\0'..='\u{2100}').chain(['\u{ffff}', '\u{1f600}']) {
        let written = in_json(serde_json::to_string(&c).unwrap());
        assert_eq!(size_in_json(c), written.len() - 2, "{c:?}");
    }
}
