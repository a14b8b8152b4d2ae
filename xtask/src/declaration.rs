//! The options, as the page, the manual and the completions tell them: all from one declaration, that of
//! `--help`.

use clap::builder::ValueHint;
use clap::{Arg, ArgAction, Command};

/// What `--help` has no room for: the long name of an option, and what is said after its help. Each is one
/// sentence or more.
const MORE: &[(&str, &str)] = &[
    ("on-repeat", "A second one within 1s of the first counts as the same."),
    ("leftovers-timeout", "The deadline of the grace period counts where it is earlier."),
    ("verbose", "The plan is the one that --check prints."),
    (
        "report-file",
        "It takes 4,096 bytes at most. Where the app was not started, the file says why.",
    ),
    ("await-or-start", "A warning says so."),
];

/// Where the second paragraph goes on with the sentence of the first, and what then stands between them.
const GOES_ON: &[(&str, &str)] = &[
    ("grace-period", ": "),
    ("stop-signal", ", "),
    ("rewrite", "; "),
    ("report-file", ", "),
    ("health-listen", ": "),
];

/// What may follow an option: where a shell looks for it.
const HINTS: &[(&str, ValueHint)] = &[
    ("copy_to", ValueHint::DirPath),
    ("report_file", ValueHint::FilePath),
    ("ready_file", ValueHint::FilePath),
    ("on_stop", ValueHint::CommandString),
    ("on_exit", ValueHint::CommandString),
    ("command", ValueHint::CommandWithArguments),
];

/// The declaration of the init, built, with what a shell has to know.
pub fn command() -> Command {
    let hint = |arg: Arg| {
        let found = HINTS.iter().find(|(id, _)| arg.get_id() == id).map(|(_, hint)| *hint);
        match found {
            Some(hint) => arg.value_hint(hint),
            None if !arg.get_action().takes_values() => arg,
            // No file: a duration, a port, a URL.
            None => arg.value_hint(ValueHint::Other),
        }
    };
    let mut command = reprieve::cli::command().mut_args(hint);
    command.build();
    command
}

/// The options, in the order of `--help`.
pub fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|option| option.get_long().is_some())
}

/// The headings that options stand under, in the order of `--help`.
pub fn headings(command: &Command) -> Vec<&str> {
    let mut headings: Vec<_> = options(command).filter_map(Arg::get_help_heading).collect();
    headings.dedup();
    headings
}

/// Its variable, if it has one.
pub fn variable(option: &Arg) -> Option<&str> {
    option.get_env().and_then(|name| name.to_str())
}

/// How its value is written: a few words to choose from, or what `--help` calls it.
pub fn value(option: &Arg) -> Option<String> {
    const FEW: usize = 3;
    if !option.get_action().takes_values() {
        return None;
    }
    let words: Vec<_> = words(option);
    match (1..=FEW).contains(&words.len()) {
        true => Some(words.join("|")),
        false => Some(option.get_value_names()?.join(" ")),
    }
}

/// The words that its value may be, where there is a list.
pub fn words(option: &Arg) -> Vec<String> {
    let takes_values = option.get_action().takes_values();
    let all = option.get_possible_values();
    let shown = all.iter().filter(|value| takes_values && !value.is_hide_set());
    shown.map(|value| value.get_name().to_owned()).collect()
}

/// What holds without it. The declaration says it of a value, or the help in brackets.
pub fn default(option: &Arg) -> String {
    let declared = option.get_default_values().first().and_then(|value| value.to_str());
    let help = help(option);
    let told = help.split_once("[default: ").and_then(|(_, rest)| rest.split_once(']'));
    match (told, declared) {
        (Some((told, _)), _) => one_line(told),
        (None, Some(declared)) if option.get_action().takes_values() => declared.to_owned(),
        _ if matches!(option.get_action(), ArgAction::SetTrue | ArgAction::Count) => "off".into(),
        _ => "none".into(),
    }
}

/// What it does, in sentences and without its default.
pub fn meaning(option: &Arg) -> String {
    let help = help(option);
    let help = match help.split_once("[default: ") {
        Some((before, rest)) => {
            format!("{before}{}", rest.split_once(']').map_or("", |(_, after)| after))
        }
        None => help,
    };
    let is_it = |(long, _): &&(&str, &str)| option.get_long() == Some(long);
    let goes_on = GOES_ON.iter().find(is_it).map(|(_, between)| *between);
    let mut meaning = String::new();
    for paragraph in help.split("\n\n").map(one_line) {
        match goes_on {
            _ if meaning.is_empty() => meaning = paragraph,
            Some(between) => meaning = format!("{meaning}{between}{}", in_a_sentence(&paragraph)),
            None => meaning = format!("{} {paragraph}", sentence(meaning)),
        }
    }
    let more = MORE.iter().filter(is_it).map(|(_, text)| *text);
    more.fold(sentence(meaning), |meaning, text| format!("{meaning} {text}"))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn help(option: &Arg) -> String {
    let help = option.get_long_help().or_else(|| option.get_help());
    help.map(ToString::to_string).unwrap_or_default()
}

fn sentence(text: String) -> String {
    let ends = text.ends_with(['.', ':', '?']);
    if ends { text } else { format!("{text}.") }
}

/// Without its capital, if it is a word that has one only where a sentence begins.
fn in_a_sentence(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
