use super::*;

#[test]
fn a_span_is_short() {
    for (ms, text) in [(15_000, "15s"), (250, "0.25s"), (1, "0.001s"), (0, "0s")] {
        assert_eq!(Span(Duration::from_millis(ms)).to_string(), text);
    }
}
