//! clap's errors, each in one line that names the variable if the wrong value came from one, and says
//! what was probably meant.

use std::ffi::{CStr, OsString};

use clap::Arg;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::cli::args::{VARIABLE_PREFIX, WITHOUT_VARIABLE, command, variable};
use crate::cli::nearest::nearest;
use crate::cli::plain;

/// Around a value they are part of it, where no shell takes them away.
const QUOTES: [char; 6] = ['"', '\'', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}'];

/// The message for an error of clap's, which has read these words and the variables in this
/// environment.
pub fn one_line(error: &clap::Error, words: &[OsString], environment: &[&CStr]) -> String {
    let text = message(error, words, environment);
    match culprit(error, environment) {
        Some(variable) => format!("{variable}: {text} (see reprieve --help)"),
        None => format!("{text} (see reprieve --help)"),
    }
}

fn message(error: &clap::Error, words: &[OsString], environment: &[&CStr]) -> String {
    let option = context(error, ContextKind::InvalidArg);
    let value = context(error, ContextKind::InvalidValue);
    if let Some(word) = with_one_dash(option, value, words) {
        return format!("there is no option '{word}'; did you mean -{word}?");
    }
    match error.kind() {
        ErrorKind::MissingRequiredArgument => {
            "no command is given; write reprieve [OPTIONS] -- COMMAND [ARG]... (words after the image \
             in docker run take the place of its CMD)"
                .into()
        }
        ErrorKind::InvalidUtf8 => match not_utf8(environment) {
            Some(variable) => format!("{variable}: its value is not UTF-8"),
            None => "the value of an option is not UTF-8".into(),
        },
        ErrorKind::UnknownArgument if option.chars().nth(1).is_some_and(|c| c.is_ascii_digit()) => {
            format!("there is no option '{option}'; a time or a number has no sign")
        }
        ErrorKind::UnknownArgument => {
            let longs = plain::longs().chain(WITHOUT_VARIABLE);
            let meant = option.strip_prefix("--").and_then(|name| nearest(name, longs));
            let remedy = meant.map_or_else(
                || "write the app's options after its name".into(),
                |long| format!("did you mean --{long}?"),
            );
            format!("there is no option '{option}'; {remedy}")
        }
        ErrorKind::TooManyValues => format!("the option '{option}' takes no value"),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation
            if (value.starts_with(QUOTES) || value.ends_with(QUOTES)) && !is_command(option) =>
        {
            format!(
                "invalid value '{value}' for '{option}': leave the quotes out (in an env file they are \
                 part of the value)"
            )
        }
        // `docker run IMAGE -e REPRIEVE_DELAY=5s`
        _ if value.starts_with(VARIABLE_PREFIX) => {
            format!("{}; a variable is set before the image", first_paragraph(error))
        }
        _ => first_paragraph(error),
    }
}

/// Quotes have a meaning in the value of this option, as clap names it.
fn is_command(option: &str) -> bool {
    option.ends_with("<CMD>")
}

/// The word that is a long name with one dash before it, if that made the error: clap reads each of its
/// letters as an option (`-delay`, or `-grace-period` as `-g -r ace-period`).
fn with_one_dash<'a>(option: &str, value: &str, words: &'a [OsString]) -> Option<&'a str> {
    let letter = option.strip_prefix('-').filter(|name| !name.starts_with('-'));
    let words = words.iter().filter_map(|word| word.to_str()?.split('=').next());
    words.take_while(|word| *word != "--").find(|word| {
        let is_long = |name| plain::longs().any(|long| long == name);
        let is_meant = match letter {
            Some(letter) => word.contains(letter),
            None => !value.is_empty() && word.ends_with(value),
        };
        is_meant && word.strip_prefix('-').is_some_and(is_long)
    })
}

/// The variable that the wrong value came from, if it is not from the command line.
fn culprit(error: &clap::Error, environment: &[&CStr]) -> Option<String> {
    // clap names an option as `--delay <D>` or `--verbose...`.
    let option = context(error, ContextKind::InvalidArg);
    let long = option.split([' ', '.']).next()?.strip_prefix("--")?;
    // An option on the command line hides the variable, which may have another value.
    let invalid = context(error, ContextKind::InvalidValue);
    let value = String::from_utf8_lossy(plain::variable_of(long, environment)?);
    let is_from_here = value == invalid || value.split(',').any(|part| part == invalid);
    is_from_here.then(|| variable(long))
}

/// The first of our variables that has to be UTF-8 and is not: clap does not say which one.
fn not_utf8(environment: &[&CStr]) -> Option<String> {
    let command = command();
    let longs = command.get_arguments().filter_map(Arg::get_long);
    let mut texts = longs.filter(|long| !["report-file", "ready-file"].contains(long));
    let is_not_utf8 = |value| str::from_utf8(value).is_err();
    texts.find(|long| plain::variable_of(long, environment).is_some_and(is_not_utf8)).map(variable)
}

/// clap's own text without the usage that follows it.
fn first_paragraph(error: &clap::Error) -> String {
    // A value may have lines of its own.
    let invalid = context(error, ContextKind::InvalidValue);
    let text = error.to_string().replace(invalid, &invalid.replace('\n', " "));
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let lines: Vec<&str> = paragraph.lines().map(str::trim).collect();
    lines.join(" ").trim_start_matches("error: ").to_owned()
}

/// What clap knows of an error; empty where it knows nothing.
fn context(error: &clap::Error, kind: ContextKind) -> &str {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text,
        _ => "",
    }
}
