//! clap's errors, each in one line that names the variable if the wrong value came from one.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::cli::variable;

/// The message for an error of clap's. `variables` are the names of our environment variables that
/// are set.
pub fn one_line(error: &clap::Error, variables: &[String]) -> String {
    let text = message(error, variables);
    match culprit(error, variables) {
        Some(variable) => format!("{variable}: {text} (see reprieve --help)"),
        None => format!("{text} (see reprieve --help)"),
    }
}

fn message(error: &clap::Error, variables: &[String]) -> String {
    let option = context(error, ContextKind::InvalidArg);
    match error.kind() {
        ErrorKind::MissingRequiredArgument => {
            "no command is given; write reprieve [OPTIONS] -- COMMAND [ARG]...".into()
        }
        ErrorKind::InvalidUtf8 => match variables.iter().find(|name| is_not_utf8(name)) {
            Some(variable) => format!("{variable}: its value is not UTF-8"),
            None => "the value of an option is not UTF-8".into(),
        },
        ErrorKind::UnknownArgument => {
            format!("there is no option '{option}'; write the app's options after its name")
        }
        ErrorKind::TooManyValues => format!("the option '{option}' takes no value"),
        _ => first_paragraph(error),
    }
}

/// The variable that the wrong value came from, if it is not from the command line.
fn culprit(error: &clap::Error, variables: &[String]) -> Option<String> {
    // clap names an option as `--delay <D>` or `--verbose...`.
    let option = context(error, ContextKind::InvalidArg);
    let variable = variable(option.split([' ', '.']).next()?.strip_prefix("--")?);
    if !variables.contains(&variable) {
        return None;
    }
    // An option on the command line hides the variable, which may have another value.
    let invalid = context(error, ContextKind::InvalidValue);
    let value = std::env::var_os(&variable)?;
    let value = value.to_string_lossy();
    let is_from_here = value == invalid || value.split(',').any(|part| part == invalid);
    is_from_here.then_some(variable)
}

/// Whether this variable is one that has to be UTF-8 and is not: clap does not say which one.
fn is_not_utf8(variable: &str) -> bool {
    let is_path = ["REPRIEVE_REPORT_FILE", "REPRIEVE_READY_FILE"].contains(&variable);
    !is_path && std::env::var_os(variable).is_some_and(|value| value.to_str().is_none())
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
