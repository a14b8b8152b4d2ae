use super::*;
use crate::cli::args::command;

#[test]
fn the_defaults_are_those_of_clap() {
    for option in command().get_arguments().filter(|option| !option.is_positional()) {
        let long = option.get_long().expect("a long name");
        let shown = DEFAULTS.iter().find(|(known, _)| *known == long).map(|(_, value)| *value);
        let by_clap = option.get_default_values().first().and_then(|value| value.to_str());
        let is_switch = !option.get_action().takes_values();
        assert!(
            is_switch || by_clap.is_none() || by_clap == shown,
            "{long}: {by_clap:?}, {shown:?}"
        );
    }
    assert!(DEFAULTS.iter().all(|(long, _)| plain::longs().any(|known| known == *long)));
}

#[test]
fn values_are_shown_as_they_were_written_and_hooks_by_their_programs() {
    let setting = |long, value: &'static str| Setting {
        long,
        value: value.as_bytes().into(),
        source: Source::CommandLine,
    };
    let settings = [
        setting("expect-exit", "3,4"),
        setting("delay", "90"),
        setting("on-stop", "a secret\nb 'more secret'"),
        setting("expect-exit", "5"),
    ];
    let shown: Vec<_> = Given::all(&settings, &[]).into_iter().map(|g| (g.long, g.value)).collect();
    let expected = [("delay", "90"), ("expect-exit", "3,4,5"), ("on-stop", "a,b")];
    assert_eq!(shown, expected.map(|(long, value)| (long, value.to_owned())));
}
