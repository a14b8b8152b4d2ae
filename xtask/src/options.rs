//! docs/options.md: a table of all options.

use clap::{Arg, ArgAction, Command};

use crate::declaration::{command, default, headings, meaning, options, value, variable, words};
use crate::{Outcome, place};

/// The page without its tables, which stand in place of [`TABLES`].
const PAGE: &str = include_str!("options/page.md");

const TABLES: &str = "{{options}}\n";

/// What is typed as it stands, of several words or without a mark that tells.
const PHRASES: [&str; 7] = [
    "--delay MIN..MAX",
    "MIN..MAX",
    "docker stop -t",
    "stopTimeout",
    "terminationGracePeriodSeconds",
    "GET /readyz",
    "SIG:0",
];

/// Stands for a space within a phrase, so that it is one word until the end.
const GLUE: &str = "\u{a0}";

/// Where the page lies, below the folder of the project.
const PATH: &str = "docs/options.md";

/// Writes the page.
pub fn write() -> Outcome {
    let path = place::root().join(PATH);
    std::fs::write(&path, page(&command())).map_err(|error| format!("{PATH}: {error}").into())
}

/// The page, as it should be.
fn page(command: &Command) -> String {
    let tables: Vec<_> =
        headings(command).into_iter().map(|heading| table(command, heading)).collect();
    PAGE.replace(TABLES, &tables.join("\n"))
}

fn table(command: &Command, heading: &str) -> String {
    let of_heading = options(command).filter(|option| option.get_help_heading() == Some(heading));
    let rows: Vec<_> = of_heading.map(row).collect();
    format!(
        "## {heading}\n\n| option | variable | default | meaning |\n|---|---|---|---|\n{}",
        rows.concat()
    )
}

fn row(option: &Arg) -> String {
    let name = option.get_long().unwrap_or_default();
    let value = value(option).map(|value| format!(" {value}")).unwrap_or_default();
    let long = code(&format!("--{name}{value}"));
    let names = match option.get_short() {
        Some(short) => format!("{}, {long}", code(&format!("-{short}"))),
        None => long,
    };
    let variable = variable(option).map(code).unwrap_or_default();
    let meaning = prose(&meaning(option), &words(option));
    format!("| {names} | {variable} | {} | {meaning} |\n", default_cell(option))
}

/// Options that only print something have no default worth a word.
fn default_cell(option: &Arg) -> String {
    let default = default(option);
    let prints = matches!(option.get_action(), ArgAction::Help | ArgAction::Version);
    if prints || variable(option).is_none() {
        return String::new();
    }
    let is_value = option.get_action().takes_values() && !default.contains(' ');
    match is_value && (!option.get_default_values().is_empty() || default != "none") {
        // `5s if it ended by itself`: a sentence, and no value to copy.
        true => code(&default),
        false => prose(&default, &[]),
    }
}

/// In a table a bar ends the cell, in code too.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

/// The words of a sentence that are to be typed, as code: phrases, options, variables, paths, URLs and, in
/// parentheses, the words that its value may be.
fn prose(text: &str, words: &[String]) -> String {
    let glued = PHRASES
        .iter()
        .fold(text.to_owned(), |text, phrase| text.replace(phrase, &phrase.replace(' ', GLUE)));
    let mark = |word: &str| {
        let is_edge = |c: char| "(),.;:".contains(c);
        let core = word.trim_matches(is_edge);
        let is_option = core.strip_prefix('-').is_some_and(|rest| {
            rest.trim_start_matches('-').starts_with(|c: char| c.is_ascii_alphabetic())
        });
        let is_choice = word.starts_with('(') && words.iter().any(|choice| choice == core);
        let is_phrase = PHRASES.contains(&core.replace(GLUE, " ").as_str());
        let is_code = is_phrase
            || is_option
            || is_choice
            || core.len() > 1 && core.starts_with('/')
            || core.starts_with("REPRIEVE_")
            || core.contains("://");
        let plain = || word.replace('|', "\\|").replace('<', "&lt;").replace('*', "\\*");
        match word.find(core) {
            Some(at) if is_code => {
                format!("{}{}{}", &word[..at], code(core), &word[at + core.len()..])
            }
            _ => plain(),
        }
    };
    glued.split(' ').map(mark).collect::<Vec<_>>().join(" ").replace(GLUE, " ")
}

#[cfg(test)]
mod tests;
