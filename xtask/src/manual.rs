//! The man page, reprieve(1).

use clap::Arg;
use clap_mangen::Man;
use roff::{Roff, roman};

use crate::Outcome;
use crate::declaration::{command, default, meaning, value};

/// The page, with its line for whatis(1) and the day of the release (`2026-11-29`).
pub fn page(summary: &str, date: &str) -> Outcome<String> {
    let command = command();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let after = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let version = command.get_version().unwrap_or_default().to_owned();
    // The whole sentence begins with a capital, a line of whatis does not.
    let summary = summary.replacen("A tiny", "a tiny", 1);
    let told = command.about(summary).long_about(about).mut_args(tell);
    let man = Man::new(told).date(date).source(format!("reprieve {version}"));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    for render in [
        Man::render_name_section,
        Man::render_synopsis_section,
        Man::render_description_section,
        Man::render_options_section,
    ] {
        render(&man, &mut page)?;
    }
    page.extend(notes(&after).into_bytes());
    Ok(without_preambles(&String::from_utf8(page)?))
}

/// An option with all that we have to say of it.
fn tell(option: Arg) -> Arg {
    if option.get_long().is_none() {
        return option;
    }
    let is_declared = !option.get_default_values().is_empty();
    let in_brackets = option.get_long_help().or_else(|| option.get_help());
    let in_brackets = in_brackets.is_some_and(|help| help.to_string().contains("[default: "));
    let help = match in_brackets && !is_declared {
        true => format!("{} The default is: {}.", meaning(&option), default(&option)),
        false => meaning(&option),
    };
    match value(&option) {
        Some(value) => option.value_name(value).long_help(help),
        None => option.long_help(help),
    }
}

/// What `--help` has below the options, each kind below its heading.
fn notes(after: &str) -> String {
    let mut roff = Roff::new();
    let mut heading = "";
    for paragraph in after.split("\n\n") {
        let under = match paragraph.split_once(':') {
            Some(("Exit codes", _)) => "EXIT STATUS",
            Some(("Example", _)) => "EXAMPLE",
            _ => "VALUES AND VARIABLES",
        };
        match under == heading {
            true => roff.control("PP", []),
            false => roff.control("SH", [under]),
        };
        heading = under;
        let text = ["Exit codes: ", "Example: "]
            .iter()
            .find_map(|begin| paragraph.strip_prefix(begin))
            .unwrap_or(paragraph);
        let text = capitalized(text);
        for line in text.lines() {
            match line.strip_prefix("  ") {
                Some(typed) => {
                    roff.control("PP", []);
                    roff.control("EX", []);
                    roff.text([roman(typed)]);
                    roff.control("EE", []);
                }
                None if line.starts_with("SIG is") => {
                    roff.control("br", []);
                    roff.text([roman(line)]);
                }
                None => {
                    roff.text([roman(line)]);
                }
            }
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman("tini(1), dumb-init(1), signal(7), pid_namespaces(7)")]);
    roff.render()
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Each section is rendered with lines of its own that say what an apostrophe is; the first do.
fn without_preambles(page: &str) -> String {
    let is_preamble = |line: &&str| line.starts_with(".ie \\n(.g") || line.starts_with(".el .ds");
    let preamble = page.lines().filter(is_preamble).take(2);
    let rest = page.lines().filter(|line| !is_preamble(line));
    preamble.chain(rest).flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests;
