use super::{GOES_ON, HINTS, MORE, command, default, meaning, options, value, variable};

fn long<'a>(command: &'a clap::Command, long: &str) -> &'a clap::Arg {
    options(command).find(|option| option.get_long() == Some(long)).expect("an option")
}

#[test]
fn what_is_added_is_of_options_that_there_are() {
    let command = command();
    for (long, text) in MORE {
        assert!(options(&command).any(|option| option.get_long() == Some(long)), "{long}");
        assert!(text.ends_with('.'), "{text}");
    }
    for (long, _) in GOES_ON {
        let option = options(&command).find(|option| option.get_long() == Some(long));
        assert!(option.is_some_and(|option| option.get_long_help().is_some()), "{long}");
    }
    for (id, _) in HINTS {
        assert!(command.get_arguments().any(|option| option.get_id() == id), "{id}");
    }
}

#[test]
fn values_and_defaults_are_told_as_people_write_them() {
    let command = command();
    let told = |name| {
        let option = long(&command, name);
        (value(option).unwrap_or_default(), default(option))
    };
    let pair = |value: &str, default: &str| (value.to_owned(), default.to_owned());
    assert_eq!(told("delay"), pair("D|MIN..MAX", "0s"));
    assert_eq!(told("on-repeat"), pair("hurry|ignore", "hurry"));
    assert_eq!(told("quiet-window"), pair("D", "3s"));
    assert_eq!(told("sidecar"), pair("NAME", "none"));
    assert_eq!(told("ready-file"), pair("PATH", "none"));
    assert_eq!(told("quiet"), pair("", "off"));
    assert_eq!(told("verbose"), pair("", "off"));
    assert_eq!(variable(long(&command, "ready-file")), Some("REPRIEVE_READY_FILE"));
    assert_eq!(variable(long(&command, "help")), None);
}

#[test]
fn a_meaning_is_whole_sentences_without_the_default() {
    let command = command();
    for option in options(&command) {
        let meaning = meaning(option);
        let is_whole = meaning.len() > 10 && meaning.ends_with('.') && !meaning.contains("..  ");
        assert!(is_whole && !meaning.contains("[default"), "{meaning}");
        assert!(!meaning.contains('\n') && !meaning.contains(" ."), "{meaning}");
    }
    let report_file = meaning(long(&command, "report-file"));
    assert!(report_file.starts_with(
        "Also append the report to this file, for example /dev/termination-log. It takes"
    ));
}
