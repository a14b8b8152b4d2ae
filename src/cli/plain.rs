//! Reads a plain command line without clap, which builds all of its options anew at each start: that
//! took more time than the rest of the start together. Whatever is not plainly right is left to clap,
//! with all of the command line, so that errors and the help are clap's alone. A test holds that both
//! read the same.

use std::ffi::{OsStr, OsString};
use std::mem::take;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::cli::args::{Args, SignalArgs};
use crate::cli::switches::{Source, Switches};
use crate::cli::values;
use crate::cli::{VARIABLE_PREFIX, variable};
use crate::process::inherited;
use crate::tasks::task::Hooks;

/// Takes in a value that is right.
type Take = fn(&mut Args, &str) -> Option<()>;

/// What an option takes.
enum Takes {
    /// A value; of several the last one counts.
    Value(Take),
    /// Several values, separated by commas, or by repeating the option.
    List(Take),
    /// Commands, one a line, or by repeating the option.
    Commands(fn(&mut Args) -> &mut Vec<Hooks>),
    Path(fn(&mut Args) -> &mut Option<PathBuf>),
    /// Nothing; in a variable whether it is on.
    Switch(fn(&mut Args) -> &mut bool),
    /// Nothing, and it may be repeated; in a variable how often it is.
    Count(fn(&mut Args) -> &mut u8),
}

struct Known {
    long: &'static str,
    short: Option<u8>,
    takes: Takes,
}

/// An option that sets this field of [`Args`] to what a value is parsed to.
macro_rules! value {
    ($($field:ident).+, $parse:expr) => {
        Value(|args, text| put(&mut args.$($field).+, $parse(text)))
    };
}

/// The same, where the field is an `Option`.
macro_rules! some {
    ($($field:ident).+, $parse:expr) => {
        Value(|args, text| put(&mut args.$($field).+, $parse(text).map(Some)))
    };
}

/// An option that adds what a value is parsed to.
macro_rules! list {
    ($($field:ident).+, $parse:expr) => {
        List(|args, text| push(&mut args.$($field).+, $parse(text)))
    };
}

/// All options but those that print something and run no app, in the order of the help.
#[rustfmt::skip]
const OPTIONS: [Known; 34] = {
    use Takes::{Commands, Count, List, Path, Switch, Value};
    [
        long("delay", value!(shutdown.delay, values::delay)),
        long("grace-period", value!(shutdown.grace_period, values::grace_period)),
        long("margin", value!(shutdown.margin, values::duration)),
        long("on-repeat", value!(shutdown.on_repeat, named)),
        long("rehearse", some!(shutdown.rehearse, values::duration)),
        long("quiet-window", some!(traffic.quiet_window, values::duration)),
        long("traffic-port", list!(traffic.traffic_port, values::port)),
        long("ignore-port", list!(traffic.ignore_port, values::port)),
        long("ignore-peer", list!(traffic.ignore_peer, values::network)),
        long("stop-signal", list!(signals.stop_signal, values::forwardable_signal)),
        short(b'r', "rewrite", list!(signals.rewrite, values::rewrite)),
        short(b'g', "process-group", Switch(|args| &mut args.signals.process_group)),
        short(b'c', "single-child", Switch(|args| &mut args.signals.single_child)),
        short(b'p', "parent-death-signal", some!(signals.parent_death_signal, values::signal)),
        long("leftovers", value!(processes.leftovers, named)),
        long("leftovers-timeout", some!(processes.leftovers_timeout, values::leftovers_timeout)),
        short(b'e', "expect-exit", list!(processes.expect_exit, values::exit_code)),
        short(b's', "subreaper", Switch(|args| &mut args.processes.subreaper)),
        short(b'w', "warn-on-reap", Switch(|args| &mut args.processes.warn_on_reap)),
        short(b'v', "verbose", Count(|args| &mut args.logging.verbose)),
        short(b'q', "quiet", Switch(|args| &mut args.logging.quiet)),
        long("log-format", value!(logging.log_format, named)),
        long("report-file", Path(|args| &mut args.logging.report_file)),
        long("ready-file", Path(|args| &mut args.readiness.ready_file)),
        long("health-listen", some!(readiness.health_listen, values::listen_address)),
        long("health-upstream", some!(readiness.health_upstream, str::parse)),
        long("on-stop", Commands(|args| &mut args.hooks.on_stop)),
        long("on-exit", Commands(|args| &mut args.hooks.on_exit)),
        long("hook-timeout", value!(hooks.hook_timeout, values::duration)),
        long("await-url", list!(sidecars.await_url, str::parse)),
        long("await-timeout", value!(sidecars.await_timeout, values::duration)),
        long("await-or-start", Switch(|args| &mut args.sidecars.await_or_start)),
        long("quit-url", list!(sidecars.quit_url, str::parse)),
        long("sidecar", value!(sidecars.sidecar, named)),
    ]
};

const fn long(long: &'static str, takes: Takes) -> Known {
    Known { long, short: None, takes }
}

const fn short(letter: u8, long: &'static str, takes: Takes) -> Known {
    Known { long, short: Some(letter), takes }
}

fn put<T, E>(field: &mut T, value: Result<T, E>) -> Option<()> {
    *field = value.ok()?;
    Some(())
}

fn push<T, E>(list: &mut Vec<T>, value: Result<T, E>) -> Option<()> {
    list.push(value.ok()?);
    Some(())
}

fn named<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, false)
}

/// The names of our variables that are set, empty ones too.
pub fn own_variables() -> Vec<String> {
    let set = inherited::variables(VARIABLE_PREFIX);
    let known = set.filter_map(|(name, _)| OPTIONS.iter().find(|option| option.has_variable(name)));
    known.map(|option| variable(option.long)).collect()
}

/// Reads the command line, which begins with the name of the program, and the variables of this process.
/// None where anything is not plainly right.
pub fn read(arguments: &[OsString]) -> Option<(Args, Switches)> {
    let default = take(&mut Args::default().signals.stop_signal);
    let signals = SignalArgs { stop_signal: Vec::new(), ..SignalArgs::default() };
    let args = Args { signals, ..Args::default() };
    let mut reader = Reader { args, given: 0 };
    let mut words = arguments.get(1..)?;
    while let [word, rest @ ..] = words {
        words = match word.as_bytes() {
            [b'-', b'-'] => {
                words = rest;
                break;
            }
            [b'-', b'-', option @ ..] => reader.long(option, rest)?,
            [b'-', letters @ ..] if !letters.is_empty() => reader.short(letters, rest)?,
            _ => break,
        };
    }
    let on_command_line = reader.given;
    for (name, value) in inherited::variables(VARIABLE_PREFIX).filter(|(_, v)| !v.is_empty()) {
        // The command line counts, and of two variables of one name the first.
        if let Some(at) = OPTIONS.iter().position(|option| option.has_variable(name))
            && reader.given & 1 << at == 0
        {
            reader.take(at, Some(value))?;
        }
    }
    let mut args = reader.args;
    if args.signals.stop_signal.is_empty() {
        args.signals.stop_signal = default;
    }
    args.command = words.to_vec();
    let source = |long, is_on: bool| {
        let at = OPTIONS.iter().position(|option| option.long == long)?;
        let source = match on_command_line & 1 << at {
            0 => Source::Variable,
            _ => Source::CommandLine,
        };
        is_on.then_some(source)
    };
    let switches = Switches {
        process_group: source("process-group", args.signals.process_group),
        single_child: source("single-child", args.signals.single_child),
        verbose: source("verbose", args.logging.verbose > 0),
        quiet: source("quiet", args.logging.quiet),
    };
    (!args.command.is_empty()).then_some((args, switches))
}

struct Reader {
    args: Args,
    /// The options that were given, each as the bit of its place in the table.
    given: u64,
}

impl Reader {
    /// `name` or `name=value`. Returns the words that follow.
    fn long<'a>(&mut self, word: &[u8], rest: &'a [OsString]) -> Option<&'a [OsString]> {
        let name = word.split(|byte| *byte == b'=').next()?;
        let at = OPTIONS.iter().position(|option| option.long.as_bytes() == name)?;
        let value = word.get(name.len() + 1..);
        match (OPTIONS[at].takes.is_nothing(), value) {
            (true, None) => self.take(at, None).map(|()| rest),
            (true, Some(_)) => None,
            (false, Some(value)) => self.take(at, Some(value)).map(|()| rest),
            (false, None) => self.take_next(at, rest),
        }
    }

    /// `gv`, `e3`, `e=3` or `e`. Returns the words that follow.
    fn short<'a>(&mut self, letters: &[u8], rest: &'a [OsString]) -> Option<&'a [OsString]> {
        let [letter, more @ ..] = letters else { return Some(rest) };
        let at = OPTIONS.iter().position(|option| option.short == Some(*letter))?;
        if OPTIONS[at].takes.is_nothing() {
            self.take(at, None)?;
            return self.short(more, rest);
        }
        match more {
            [] => self.take_next(at, rest),
            [b'=', value @ ..] | value => self.take(at, Some(value)).map(|()| rest),
        }
    }

    fn take_next<'a>(&mut self, at: usize, rest: &'a [OsString]) -> Option<&'a [OsString]> {
        let (value, rest) = rest.split_first()?;
        let value = value.as_bytes();
        // It may be the next option, or a value: clap knows.
        let is_plain = !value.starts_with(b"-");
        is_plain.then(|| self.take(at, Some(value)))?.map(|()| rest)
    }

    /// Takes in an option that was given once; where it has no value, as a word of the command line.
    fn take(&mut self, at: usize, value: Option<&[u8]>) -> Option<()> {
        let args = &mut self.args;
        let text =
            || value.filter(|text| !text.is_empty()).and_then(|text| str::from_utf8(text).ok());
        match OPTIONS.get(at)?.takes {
            Takes::Value(take) => take(args, text()?)?,
            Takes::List(take) => text()?.split(',').try_for_each(|text| take(args, text))?,
            Takes::Commands(field) => field(args).push(Hooks::parse(text()?).ok()?),
            Takes::Path(field) => {
                let path = value.filter(|path| !path.is_empty())?;
                *field(args) = Some(OsStr::from_bytes(path).into());
            }
            Takes::Switch(field) => {
                *field(args) = value.is_none() || values::switch(text()?).ok()?
            }
            Takes::Count(field) => {
                *field(args) = match value {
                    None => field(args).saturating_add(1),
                    Some(_) => values::count(text()?).ok()?,
                }
            }
        }
        self.given |= 1 << at;
        Some(())
    }
}

impl Takes {
    fn is_nothing(&self) -> bool {
        matches!(self, Takes::Switch(_) | Takes::Count(_))
    }
}

impl Known {
    /// Whether this is what follows our prefix in the name of its variable: the long name in capitals,
    /// with underscores.
    fn has_variable(&self, name: &[u8]) -> bool {
        let letter = |byte: u8| if byte == b'-' { b'_' } else { byte.to_ascii_uppercase() };
        name.iter().copied().eq(self.long.bytes().map(letter))
    }
}

#[cfg(test)]
mod tests;
