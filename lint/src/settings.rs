//! What a container tells reprieve, read by reprieve's own code: its declaration of the options, its
//! parsers and its checks.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString, OsString};
use std::sync::{LazyLock, Mutex, PoisonError};

use clap::{Arg, ArgAction, CommandFactory};
use reprieve::cli::args::{Args, VARIABLE_PREFIX, WITHOUT_VARIABLE, variable};
use reprieve::cli::error::one_line;
use reprieve::cli::{Config, Invocation, parse, values};

use crate::command_line::{CommandLine, Refused, declared};
use crate::model::{Container, Value, Variable};
use crate::tree::Place;

/// What a container tells reprieve.
#[derive(Debug)]
pub struct Settings {
    /// As reprieve reads it. None where it would not start, or where that cannot be known.
    pub config: Option<Config>,
    /// What it would refuse to start with.
    pub refused: Vec<Refused>,
    /// The container runs reprieve: its command line says so, or it sets one of reprieve's variables.
    pub is_used: bool,
    /// More may be set elsewhere: in a ConfigMap, in a file.
    pub is_partial: bool,
    given: Given,
}

/// The options that are given, by their long names.
type Given = BTreeMap<String, Value>;

impl Settings {
    pub fn of(container: &Container) -> Settings {
        let variables = variables(container);
        let line = CommandLine::of(&container.command);
        let mut settings = Settings {
            config: None,
            refused: Vec::new(),
            is_used: line.is_some() || !variables.is_empty(),
            is_partial: container.more_variables || line.as_ref().is_some_and(|line| line.is_cut),
            given: variables.clone(),
        };
        if let Some(line) = &line {
            settings.given.extend(line.options());
        }
        if settings.is_used {
            settings.judge(&variables, line.as_ref());
        }
        settings
    }

    /// Whether this option is given, by its long name.
    pub fn has(&self, long: &str) -> bool {
        self.given.contains_key(long)
    }

    /// Whether this option is given and its value cannot be known, or whether it may be given elsewhere.
    pub fn is_unknown(&self, long: &str) -> bool {
        self.given.get(long).map_or(self.is_partial, |value| value.text.is_none())
    }

    /// Where the value of the first of these options stands that is given, by their long names.
    pub fn place(&self, longs: &[&str]) -> Option<Place> {
        longs.iter().find_map(|long| self.given.get(*long)).map(|value| value.place)
    }

    fn judge(&mut self, variables: &Given, line: Option<&CommandLine>) {
        let words =
            line.map_or_else(|| words(["reprieve", "--", "app"]), |line| words(line.words()));
        let error = match parse(words, environment(variables)) {
            Ok(Invocation::Run(config)) => {
                self.config = Some(*config);
                return;
            }
            Ok(_) => return,
            Err(error) => error,
        };
        for (long, value) in variables {
            // What is also on the command line is not read.
            let text = value.text.as_deref().filter(|_| self.given.get(long) == Some(value));
            if let Some(why) = text.and_then(|text| refusal(long, text)) {
                let why = format!("{}={}: {why}", variable(long), text.unwrap_or_default());
                self.refused.push(Refused { place: value.place, why });
            }
        }
        self.refused.extend(line.and_then(CommandLine::refusal));
        // What is missing may be what cannot be known.
        let is_unknown =
            || self.is_partial || self.given.values().any(|value| value.text.is_none());
        if self.refused.is_empty() && !is_unknown() {
            self.refused.extend(self.refused_together(error.to_string()));
        }
    }

    /// A message about options that do not go together, with the place of the one that it names first.
    fn refused_together(&self, why: String) -> Option<Refused> {
        let named = self.given.iter().filter_map(|(long, value)| {
            let names = [format!("--{long}"), variable(long)];
            let at = names.iter().filter_map(|name| why.find(name.as_str())).min()?;
            Some((at, value.place))
        });
        let first = named.min_by_key(|(at, _)| *at).map(|(_, place)| place);
        let place = first.or_else(|| self.given.values().map(|value| value.place).next())?;
        Some(Refused { place, why })
    }
}

/// The options that variables set, by their long names. Of two variables of one name the last counts,
/// as in all platforms; an empty one counts as unset.
fn variables(container: &Container) -> Given {
    let ours = container.variables.iter().filter(|it| it.name.starts_with(VARIABLE_PREFIX));
    let mut given = Given::new();
    for Variable { name, value, .. } in ours {
        let Some((long, _)) = OPTIONS.iter().find(|(_, variable)| variable == name) else {
            continue;
        };
        match value.text.as_deref() {
            Some("") => given.remove(long),
            _ => given.insert(long.clone(), value.clone()),
        };
    }
    given
}

/// The options that have a variable: their long names, and the names of the variables.
static OPTIONS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let command = Args::command();
    let longs = command.get_arguments().filter_map(Arg::get_long);
    let set = longs.filter(|long| !WITHOUT_VARIABLE.contains(long));
    set.map(|long| (long.to_owned(), variable(long))).collect()
});

/// Why reprieve would refuse this value of an option's variable, whatever the other options are.
fn refusal(long: &str, text: &str) -> Option<String> {
    let action = declared(|options| {
        let option = options.get_arguments().find(|option| option.get_long() == Some(long));
        option.map(|option| option.get_action().clone())
    });
    match action? {
        ArgAction::SetTrue => values::switch(text).err(),
        ArgAction::Count => values::count(text).err(),
        _ => {
            let line = ["reprieve", &format!("--{long}={text}"), "--", "app"];
            let matches = declared(|options| options.try_get_matches_from_mut(line));
            matches.err().map(|error| one_line(&error, &[], &[]))
        }
    }
}

/// These variables as a process gets them.
fn environment(variables: &Given) -> Vec<&'static CStr> {
    let known = variables.iter().filter_map(|(long, value)| Some((long, value.text.as_ref()?)));
    let entries = known.map(|(long, text)| CString::new(format!("{}={text}", variable(long))));
    entries.filter_map(Result::ok).map(for_good).collect()
}

/// An environment stays as long as its process. So do these, each once.
fn for_good(entry: CString) -> &'static CStr {
    static KEPT: Mutex<BTreeSet<&'static CStr>> = Mutex::new(BTreeSet::new());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = kept.get(entry.as_c_str()) {
        return known;
    }
    let new: &CStr = Box::leak(entry.into_boxed_c_str());
    kept.insert(new);
    new
}

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<OsString> {
    words.into_iter().map(OsString::from).collect()
}
