use std::ffi::CString;

use clap::{ArgAction, CommandFactory, Parser};

use super::*;
use crate::cli::args::{WITHOUT_VARIABLE, command};
use crate::cli::switches::Switches;

fn words(line: &str) -> Vec<OsString> {
    line.split(' ').map(OsString::from).collect()
}

fn environment(entries: &[&str]) -> Vec<CString> {
    entries.iter().map(|entry| CString::new(*entry).expect("no NUL")).collect()
}

/// What is read as the command of a line, in an environment without variables of ours.
fn command_of(line: &str) -> Option<Vec<OsString>> {
    read(&words(line), &[]).map(|(args, _)| args.command)
}

fn with_variables(line: &str, entries: &[&str]) -> Option<(Args, Switches)> {
    let (entries, words) = (environment(entries), words(line));
    let environment: Vec<_> = entries.iter().map(CString::as_c_str).collect();
    let (args, settings) = read(&words, &environment)?;
    let switches = Switches::new(&args, &settings);
    Some((args, switches))
}

#[test]
fn all_options_of_clap_are_known_in_their_order() {
    let command = command();
    let options = command.get_arguments().filter(|option| !option.is_positional());
    let declared: Vec<_> = options
        .map(|option| (option.get_long().expect("a long name"), option.get_short()))
        .filter(|(long, _)| !WITHOUT_VARIABLE.contains(long))
        .collect();
    let known = OPTIONS.iter().map(|option| (option.long, option.short.map(char::from)));
    assert_eq!(known.collect::<Vec<_>>(), declared);
}

#[test]
fn no_option_has_another_name_in_clap_alone() {
    for option in command().get_arguments() {
        assert_eq!(option.get_all_aliases(), None);
        assert_eq!(option.get_all_short_aliases(), None);
    }
}

/// What follows an option without a value is not taken for one.
#[test]
fn the_same_options_take_a_value() {
    for option in Args::command().get_arguments().filter(|option| !option.is_positional()) {
        let long = option.get_long().expect("a long name");
        if WITHOUT_VARIABLE.contains(&long) {
            continue;
        }
        let is_switch = matches!(option.get_action(), ArgAction::SetTrue | ArgAction::Count);
        let without_value = command_of(&format!("reprieve --{long} -- app"));
        assert_eq!(without_value.is_some(), is_switch, "{long}");
        let with_value = command_of(&format!("reprieve --{long}=1 app"));
        assert!(!is_switch || with_value.is_none(), "{long}");
    }
}

#[test]
fn the_defaults_are_those_of_clap() {
    let by_clap = Args::parse_from(["reprieve", "app"]);
    let default = Args { command: vec!["app".into()], ..Args::default() };
    assert_eq!(format!("{default:?}"), format!("{by_clap:?}"));
}

#[test]
fn a_plain_line_is_read() {
    let plain = [
        "reprieve app",
        "reprieve -- app",
        "reprieve --delay 5s..20s --grace-period 60s app",
        "reprieve --delay=5s -gv -e3 -e=4 -r 15:3 -- app",
        "reprieve -vge 3 app",
    ];
    for line in plain {
        assert_eq!(command_of(line), Some(vec!["app".into()]), "{line}");
    }
    assert_eq!(command_of("reprieve app -- --delay"), Some(words("app -- --delay")));
    assert_eq!(command_of("reprieve -- -v"), Some(words("-v")));
    assert_eq!(command_of("reprieve -"), Some(words("-")));
}

#[test]
fn what_is_not_plainly_right_is_left_to_clap() {
    let unusual = [
        "reprieve",
        "reprieve --",
        "reprieve -v",
        "reprieve --help",
        "reprieve -hg app",
        "reprieve -V app",
        "reprieve --license",
        "reprieve --bogus app",
        "reprieve -x app",
        "reprieve --delay",
        "reprieve --delay soon app",
        "reprieve --delay= app",
        "reprieve --delay -5 app",
        "reprieve --quiet=true app",
        "reprieve -g=true app",
        "catatonit -P",
        "catatonit -L",
    ];
    for line in unusual {
        assert_eq!(command_of(line), None, "{line}");
    }
    assert!(read(&[], &[]).is_none());
}

#[test]
fn a_variable_sets_an_option() {
    let (args, switches) = with_variables(
        "reprieve app",
        &["REPRIEVE_MARGIN=3s", "REPRIEVE_TRAFFIC_PORT=80,81", "REPRIEVE_VERBOSE=2", "MARGIN=5s"],
    )
    .expect("plain variables");
    assert_eq!(args.shutdown.margin.as_secs(), 3);
    assert_eq!(args.traffic.traffic_port, [80, 81]);
    assert_eq!(args.logging.verbose, 2);
    assert_eq!(switches.verbose, Some(Source::Variable));
}

#[test]
fn a_variable_that_does_not_count_is_not_read() {
    let margin = |line, entries: &[&str]| {
        with_variables(line, entries).map(|(args, _)| args.shutdown.margin.as_secs())
    };
    assert_eq!(margin("reprieve --margin 2s app", &["REPRIEVE_MARGIN=soon"]), Some(2));
    assert_eq!(margin("reprieve app", &["REPRIEVE_MARGIN=3s", "REPRIEVE_MARGIN=soon"]), Some(3));
    // The first counts, and is as if it were not set.
    assert_eq!(margin("reprieve app", &["REPRIEVE_MARGIN=", "REPRIEVE_MARGIN=3s"]), Some(1));
    assert_eq!(margin("reprieve app", &["REPRIEVE_MARGIN"]), Some(1));
    assert_eq!(margin("reprieve app", &["REPRIEVE_MARGIN=soon"]), None);
}
