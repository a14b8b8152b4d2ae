//! What is run beside the app, as plain values: a hook, or a request that asks a sidecar to quit.

use std::fmt;
use std::mem::take;
use std::time::Duration;

use crate::http::url::Request;

/// How long the request to quit may take.
pub const QUIT_TIMEOUT: Duration = Duration::from_secs(2);

/// How much longer than its own timeout a request may take before its process is killed: the system's
/// resolver has a timeout of its own.
pub const TIME_TO_RESOLVE: Duration = Duration::from_millis(500);

/// From SIGTERM to SIGKILL, for a hook that has used up its time; and from there until we wait for it
/// no longer.
pub const TIME_TO_END: Duration = Duration::from_secs(1);

/// One thing to be run.
#[derive(Clone, Debug)]
pub enum Task {
    Hook(Occasion, Hook),
    /// Asks a sidecar to quit.
    Quit(Request),
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Task::Hook(occasion, hook) => write!(f, "{occasion} hook {hook}"),
            Task::Quit(request) => write!(f, "{request}"),
        }
    }
}

/// How a task went: a text for people, as a success or as a failure.
#[derive(Debug)]
pub struct Done {
    pub task: Task,
    pub how: Result<String, String>,
    pub took: Duration,
}

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// When the stop signal arrives.
    OnStop,
    /// After the app and its leftovers are gone.
    OnExit,
}

impl fmt::Display for Occasion {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Occasion::OnStop => "on-stop",
            Occasion::OnExit => "on-exit",
        })
    }
}

/// A command, split into words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook(pub Vec<String>);

impl Hook {
    /// What of it only a shell understands, where none is asked to read it. Of a word that may be a secret
    /// no more than that.
    pub fn for_shell(&self) -> Option<&str> {
        const OPERATORS: [&str; 8] = ["|", "||", "&", "&&", ">", ">>", "<", "2>&1"];
        const IN_WORDS: [&str; 2] = ["$(", "${"];
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        };
        let in_word = |word: &'_ String| IN_WORDS.into_iter().find(|start| word.contains(start));
        let found = self.0.iter().find_map(|word| match word.strip_prefix('$') {
            Some(name) if is_name(name) => Some(word.as_str()),
            _ if OPERATORS.contains(&word.as_str()) => Some(word),
            _ => in_word(word),
        });
        found.filter(|_| self.0.iter().all(|word| word != "-c"))
    }
}

impl fmt::Display for Hook {
    /// The program alone: arguments are long, and may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.0.first().map_or("", String::as_str))
    }
}

/// The commands of one value, a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hooks(pub Vec<Hook>);

impl Hooks {
    /// Splits text into words as a shell would, in one pass; a command ends with its line, unless a
    /// quote is open or a backslash comes last. The error says what would be right.
    pub fn parse(text: &str) -> Result<Hooks, String> {
        let text = text.replace("\r\n", "\n");
        let mut chars = text.chars().peekable();
        let (mut hooks, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
        while let Some(c) = chars.next() {
            match c {
                ' ' | '\t' => words.extend(word.take()),
                '\n' => {
                    words.extend(word.take());
                    hooks.push(Hook(take(&mut words)));
                }
                '#' if word.is_none() => while chars.next_if(|c| *c != '\n').is_some() {},
                '\'' | '"' => unquote(c, &mut chars, word.get_or_insert_default())?,
                '\\' => match chars.next() {
                    Some('\n') => {}
                    c => word.get_or_insert_default().push(c.unwrap_or('\\')),
                },
                _ => word.get_or_insert_default().push(c),
            }
        }
        words.extend(word);
        hooks.push(Hook(words));
        hooks.retain(|Hook(words)| !words.is_empty());
        match hooks.is_empty() {
            true => Err("write a command, as \"/bin/deregister --now\"".into()),
            false => Ok(Hooks(hooks)),
        }
    }
}

/// Adds what stands between two quotes to a word; the first one has been read.
fn unquote(
    quote: char,
    chars: &mut impl Iterator<Item = char>,
    word: &mut String,
) -> Result<(), String> {
    while let Some(c) = chars.next() {
        match c {
            _ if c == quote => return Ok(()),
            // In double quotes it stands for itself before all but these.
            '\\' if quote == '"' => match chars.next() {
                Some('\n') => {}
                Some(c @ ('$' | '`' | '"' | '\\')) => word.push(c),
                c => word.extend(['\\'].into_iter().chain(c)),
            },
            _ => word.push(c),
        }
    }
    Err("a quote is not closed".into())
}

#[cfg(any(fuzzing, test))]
pub mod fuzz;

#[cfg(test)]
mod tests;
