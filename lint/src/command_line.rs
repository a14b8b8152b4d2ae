//! The command line of a container that runs reprieve.

use std::cell::RefCell;

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory};
use reprieve::cli::args::Args;
use reprieve::cli::error::one_line;
use reprieve::tasks::task::{Hook, Hooks};

use crate::model::Value;
use crate::tree::Place;

/// Stands for a word of the app that is not known, and for the app where its words are not known.
const APP: &str = "app";

/// What reprieve would not start with, and what it would say.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    pub place: Place,
    pub why: String,
}

/// A command line of reprieve.
#[derive(Debug)]
pub struct CommandLine {
    /// What is known of it, in a form that reprieve can read. The first is reprieve.
    words: Vec<(String, Place)>,
    /// The options whose values are not known, by their long names.
    unknown: Vec<(String, Value)>,
    /// There may be more options, after a word that is not known.
    pub is_cut: bool,
}

impl CommandLine {
    /// The command line of a container, if it begins with reprieve: or with options that can be
    /// reprieve's alone, where reprieve is the entrypoint of the image.
    pub fn of(command: &[Value]) -> Option<CommandLine> {
        let in_script = script(command).map(of_script);
        let command = in_script.as_deref().unwrap_or(command);
        let first = command.first()?;
        if is_named(first.text.as_deref()?, &["reprieve"]) {
            return Some(CommandLine::read(command));
        }
        let entrypoint = Value { place: first.place, text: Some("reprieve".to_owned()) };
        let is_option =
            |value: &Value| value.text.as_deref().is_some_and(|it| it.starts_with("--"));
        let ends = command.iter().any(|value| value.text.as_deref() == Some("--"));
        if !is_option(first) || !ends {
            return None;
        }
        let line = CommandLine::read(&[&[entrypoint], command].concat());
        let has_options = !line.options().is_empty();
        Some(line).filter(|line| has_options && line.refusal().is_none())
    }

    /// A command line that begins with reprieve.
    fn read(command: &[Value]) -> CommandLine {
        let mut line = CommandLine { words: Vec::new(), unknown: Vec::new(), is_cut: false };
        for value in command {
            if !line.take(value) {
                line.is_cut = true;
                line.words.push((APP.to_owned(), value.place));
                break;
            }
        }
        line
    }

    /// Adds a word. False where it cannot be known what it is.
    fn take(&mut self, value: &Value) -> bool {
        let is_of_app = self.words.iter().any(|(word, _)| word == "--");
        let text = value.text.clone().or_else(|| is_of_app.then(|| APP.to_owned()));
        if let Some(text) = text {
            self.words.push((text, value.place));
            return true;
        }
        let option = self.words.last().and_then(|(word, _)| option_with_value(word));
        let is_value = option.is_some();
        if let Some(long) = option {
            self.words.pop();
            self.unknown.push((long, value.clone()));
        }
        is_value
    }

    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|(word, _)| word.as_str())
    }

    /// The options that are on it, by their long names. The place is that of the option, and the text
    /// is empty, as reprieve itself reads it.
    pub fn options(&self) -> Vec<(String, Value)> {
        let Ok(matches) = self.matches() else { return self.unknown.clone() };
        let app = matches.get_raw("command").map_or(0, Iterator::count);
        let words = &self.words[1..self.words.len() - app];
        let is_here = |option: &&Arg| {
            matches.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine)
        };
        let given = |option: &Arg| {
            let long = option.get_long()?;
            // Of several the last counts.
            let word = words.iter().rfind(|(word, _)| gives(word, option, long));
            let place = word.map_or(self.words[0].1, |(_, place)| *place);
            Some((long.to_owned(), Value { place, text: Some(String::new()) }))
        };
        let mut all: Vec<(String, Value)> =
            declared(|options| options.get_arguments().filter(is_here).filter_map(given).collect());
        all.extend(self.unknown.clone());
        all
    }

    /// Why reprieve would refuse it, whatever its variables are.
    pub fn refusal(&self) -> Option<Refused> {
        // The help and the version are no errors.
        let error = self.matches().err().filter(clap::Error::use_stderr)?;
        let culprits = [ContextKind::InvalidValue, ContextKind::InvalidArg];
        let culprits = culprits.into_iter().filter_map(|kind| error.get(kind));
        let mut texts = culprits.filter_map(|culprit| match culprit {
            // clap names an option with its value: `--delay <D>`.
            ContextValue::String(text) => text.split(' ').next(),
            _ => None,
        });
        let culprit = texts.find(|text| !text.is_empty());
        let is_it = |word: &str| culprit.is_some_and(|culprit| word.contains(culprit));
        let word = self.words.iter().skip(1).find(|(word, _)| is_it(word));
        let place = word.map_or(self.words[0].1, |(_, place)| *place);
        Some(Refused { place, why: one_line(&error, &[], &[]) })
    }

    fn matches(&self) -> Result<ArgMatches, clap::Error> {
        declared(|options| options.try_get_matches_from_mut(self.words()))
    }
}

/// What clap makes of reprieve's options. It takes longer to make than a file takes to read.
pub fn declared<T>(look: impl FnOnce(&mut Command) -> T) -> T {
    thread_local! {
        static OPTIONS: RefCell<Command> = RefCell::new(Args::command());
    }
    OPTIONS.with_borrow_mut(look)
}

/// Whether this word gives this option.
fn gives(word: &str, option: &Arg, long: &str) -> bool {
    if let Some(name) = word.strip_prefix("--") {
        return name.split('=').next() == Some(long);
    }
    let letters = word.strip_prefix('-').unwrap_or_default();
    option.get_short().is_some_and(|short| letters.contains(short))
}

/// The option that this word is, by its long name, if its value is the next word.
fn option_with_value(word: &str) -> Option<String> {
    declared(|options| {
        let mut options = options.get_arguments().filter(|it| it.get_action().takes_values());
        let option = options.find(|option| {
            let short = option.get_short().map(|short| format!("-{short}"));
            option.get_long() == word.strip_prefix("--") || short.as_deref() == Some(word)
        });
        option.and_then(Arg::get_long).map(str::to_owned)
    })
}

/// The script of a shell's `-c`.
fn script(command: &[Value]) -> Option<&Value> {
    let [shell, option, script, ..] = command else { return None };
    let is_shell = is_named(shell.text.as_deref()?, &["sh", "bash", "ash", "dash"]);
    (is_shell && option.text.as_deref() == Some("-c")).then_some(script)
}

/// The words of a script's first command. What the shell puts in is not known.
fn of_script(script: &Value) -> Vec<Value> {
    let text = script.text.as_deref().unwrap_or_default();
    let hooks = Hooks::parse(text).map_or_else(|_| Vec::new(), |Hooks(hooks)| hooks);
    let words = hooks.into_iter().next().map_or_else(Vec::new, |Hook(words)| words);
    let words = words.into_iter().skip_while(|word| word == "exec");
    let is_known = |word: &String| !word.contains(['$', '`', ';', '&', '|', '<', '>', '*']);
    let value = |word| Value { place: script.place, text: Some(word).filter(is_known) };
    words.map(value).collect()
}

/// Whether a path ends with one of these names.
fn is_named(path: &str, names: &[&str]) -> bool {
    path.rsplit('/').next().is_some_and(|name| names.contains(&name))
}
