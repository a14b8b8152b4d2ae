//! Reads a command line that is right without clap, which builds all of its options anew at each start:
//! that took more time than the rest of the start together. Any other one is left to clap, so that
//! errors and the help are clap's alone. tests/options holds that both take the same for right, and
//! read the same in it.

use std::borrow::Cow;
use std::ffi::{CStr, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::cli::args::{Args, VARIABLE_PREFIX};
use crate::cli::settings::{Setting, Source};
use crate::cli::values::{self, named};
use crate::tasks::task::Hooks;

/// An option as clap declares it, by its names.
struct Known {
    long: &'static str,
    short: Option<u8>,
    /// Takes it in, once for each time that it is given. None where that is wrong.
    take: Take,
}

type Take = fn(&mut Args, &mut Given) -> Option<()>;

/// All options but those that print something and run no app, in the order of the help.
static OPTIONS: [Known; 37] = [
    long("delay", |args, given| given.set(&mut args.shutdown.delay, values::delay)),
    long("grace-period", |args, given| {
        given.set(&mut args.shutdown.grace_period, values::grace_period)
    }),
    long("margin", |args, given| given.set(&mut args.shutdown.margin, values::duration)),
    long("on-repeat", |args, given| given.set(&mut args.shutdown.on_repeat, named)),
    long("rehearse", |args, given| given.set_some(&mut args.shutdown.rehearse, values::when)),
    long("rehearse-url", |args, given| given.add(&mut args.shutdown.rehearse_url, str::parse)),
    long("hold-until", |args, given| given.set_some(&mut args.traffic.hold_until, named)),
    long("quiet-window", |args, given| {
        given.set_some(&mut args.traffic.quiet_window, values::duration)
    }),
    long("traffic-port", |args, given| given.add(&mut args.traffic.traffic_port, values::port)),
    long("ignore-port", |args, given| given.add(&mut args.traffic.ignore_port, values::port)),
    long("ignore-peer", |args, given| {
        given.add(&mut args.traffic.ignore_peer, values::ignored_peer)
    }),
    long("stop-signal", |args, given| {
        given.add(&mut args.signals.stop_signal, values::forwardable_signal)
    }),
    short(b'r', "rewrite", |args, given| given.add(&mut args.signals.rewrite, values::rewrite)),
    short(b'g', "process-group", |args, given| given.switch(&mut args.signals.process_group)),
    short(b'c', "single-child", |args, given| given.switch(&mut args.signals.single_child)),
    short(b'p', "parent-death-signal", |args, given| {
        given.set_some(&mut args.signals.parent_death_signal, values::signal)
    }),
    long("leftovers", |args, given| given.set(&mut args.processes.leftovers, named)),
    long("leftovers-timeout", |args, given| {
        given.set_some(&mut args.processes.leftovers_timeout, values::leftovers_timeout)
    }),
    short(b'e', "expect-exit", |args, given| {
        given.add(&mut args.processes.expect_exit, values::exit_code)
    }),
    short(b's', "subreaper", |args, given| given.switch(&mut args.processes.subreaper)),
    short(b'w', "warn-on-reap", |args, given| given.switch(&mut args.processes.warn_on_reap)),
    short(b'v', "verbose", |args, given| given.count(&mut args.logging.verbose)),
    short(b'q', "quiet", |args, given| given.switch(&mut args.logging.quiet)),
    long("log-format", |args, given| given.set(&mut args.logging.log_format, named)),
    long("report-file", |args, given| given.path(&mut args.logging.report_file)),
    long("ready-file", |args, given| given.path(&mut args.readiness.ready_file)),
    long("health-listen", |args, given| {
        given.set_some(&mut args.readiness.health_listen, values::listen_address)
    }),
    long("health-upstream", |args, given| {
        given.set_some(&mut args.readiness.health_upstream, str::parse)
    }),
    long("on-stop", |args, given| given.command(&mut args.hooks.on_stop)),
    long("on-exit", |args, given| given.command(&mut args.hooks.on_exit)),
    long("hook-timeout", |args, given| given.set(&mut args.hooks.hook_timeout, values::duration)),
    long("await-url", |args, given| given.add(&mut args.sidecars.await_url, str::parse)),
    long("await-timeout", |args, given| {
        given.set(&mut args.sidecars.await_timeout, values::duration)
    }),
    long("await-or-start", |args, given| given.switch(&mut args.sidecars.await_or_start)),
    long("quit-url", |args, given| given.add(&mut args.sidecars.quit_url, str::parse)),
    long("sidecar", |args, given| given.set(&mut args.sidecars.sidecar, named)),
    long("check", |args, given| given.switch(&mut args.other.check)),
];

const fn long(long: &'static str, take: Take) -> Known {
    Known { long, short: None, take }
}

const fn short(letter: u8, long: &'static str, take: Take) -> Known {
    Known { long, short: Some(letter), take }
}

/// The long names of these options.
pub fn longs() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|option| option.long)
}

/// Whether a variable of this name, without our prefix, sets an option.
pub fn has_variable(name: &[u8]) -> bool {
    OPTIONS.iter().any(|option| option.has_variable(name))
}

/// What the environment sets this option to, by its long name. Of two variables of one name the first
/// counts, as for getenv(3).
pub fn variable_of<'a>(long: &str, environment: &[&'a CStr]) -> Option<&'a [u8]> {
    let mut own = environment.iter().filter_map(|entry| own(entry));
    own.find(|(at, _)| OPTIONS[*at].long == long).map(|(_, value)| value)
}

/// The place in the table of the option that this entry of the environment sets, and its value.
fn own(entry: &CStr) -> Option<(usize, &[u8])> {
    let (entry, prefix) = (entry.to_bytes(), VARIABLE_PREFIX.as_bytes());
    // A comparison is a call, and most differ in the first letter.
    if entry.first() != prefix.first() {
        return None;
    }
    let entry = entry.strip_prefix(prefix)?;
    let end = entry.iter().position(|byte| *byte == b'=')?;
    let at = OPTIONS.iter().position(|option| option.has_variable(&entry[..end]))?;
    Some((at, &entry[end + 1..]))
}

/// Reads the command line, which begins with the name of the program, and the variables in the
/// environment; and returns what was given too. None where anything is wrong, or no app is to run.
pub fn read<'a>(
    arguments: &'a [OsString],
    environment: &[&'a CStr],
) -> Option<(Args, Vec<Setting<'a>>)> {
    let mut reader = Reader::default();
    let command = reader.options(arguments.get(1..)?)?;
    for (at, value) in environment.iter().filter_map(|entry| own(entry)) {
        // The command line counts, and of two variables of one name the first.
        if !reader.settings.iter().any(|setting| setting.long == OPTIONS[at].long) {
            let given = Given::new(Place::Variable, Some(value), &[]);
            reader.variable(at, given)?;
        }
    }
    let Reader { mut args, mut settings, .. } = reader;
    args.command = command.to_vec();
    settings.retain(Setting::counts);
    (!command.is_empty()).then_some((args, settings))
}

/// The file for the report, as far as a command line can be read that is wrong somewhere: up to an
/// option that is none. None where nothing is to be opened (`--check`).
pub fn report_file(arguments: &[OsString], environment: &[&CStr]) -> Option<PathBuf> {
    let arguments = arguments.get(1..)?;
    if asks_for_check(arguments, environment) {
        return None;
    }
    let mut reader = Reader { passes_over: true, ..Reader::default() };
    let _ = reader.options(arguments);
    let of_variable = || variable_of("report-file", environment).filter(|path| !path.is_empty());
    let of_variable = || of_variable().map(|path| OsStr::from_bytes(path).into());
    reader.args.logging.report_file.or_else(of_variable)
}

/// Whether `--check` is among the options, which an option that is none may come before; or its variable
/// is on, or wrong.
fn asks_for_check(arguments: &[OsString], environment: &[&CStr]) -> bool {
    let mut may_be_value = false;
    let mut options = arguments.iter().map(|word| word.as_bytes()).take_while(|word| {
        let is_option = word.starts_with(b"-") && *word != b"--";
        let goes_on = is_option || may_be_value && *word != b"--";
        may_be_value = is_option;
        goes_on
    });
    let in_variable = || variable_of("check", environment).filter(|value| !value.is_empty());
    let is_off = |value| str::from_utf8(value).is_ok_and(|text| values::switch(text) == Ok(false));
    options.any(|word| word == b"--check") || in_variable().is_some_and(|value| !is_off(value))
}

#[derive(Default)]
struct Reader<'a> {
    args: Args,
    /// What was given so far, in its order; of an option that takes one value the last.
    settings: Vec<Setting<'a>>,
    /// Passes over a value that is wrong.
    passes_over: bool,
}

impl<'a> Reader<'a> {
    /// Reads the options, and returns the words that follow them.
    fn options(&mut self, mut words: &'a [OsString]) -> Option<&'a [OsString]> {
        loop {
            let (word, rest) = words.split_first()?;
            words = match word.as_bytes() {
                b"--" => return Some(rest),
                [b'-', b'-', option @ ..] => self.long(option, rest)?,
                [b'-', letters @ ..] if !letters.is_empty() => self.short(letters, rest)?,
                _ => return Some(words),
            };
        }
    }

    /// `name` or `name=value`, without the dashes. Returns the words that follow.
    fn long(&mut self, word: &'a [u8], rest: &'a [OsString]) -> Option<&'a [OsString]> {
        let mut parts = word.splitn(2, |byte| *byte == b'=');
        let name = parts.next()?;
        let at = OPTIONS.iter().position(|option| option.long.as_bytes() == name)?;
        let mut given = Given::new(Place::Long, parts.next(), rest);
        self.take(at, &mut given)?;
        // A switch takes no value.
        given.attached.is_none().then_some(given.rest)
    }

    /// Letters without the dash: `gv`, `e3`, `e=3` or `e`. Returns the words that follow.
    fn short(&mut self, mut letters: &'a [u8], mut rest: &'a [OsString]) -> Option<&'a [OsString]> {
        while let [letter, more @ ..] = letters {
            let at = OPTIONS.iter().position(|option| option.short == Some(*letter))?;
            let mut given = Given::new(Place::Short, (!more.is_empty()).then_some(more), rest);
            self.take(at, &mut given)?;
            rest = given.rest;
            letters = given.attached.unwrap_or_default();
        }
        Some(rest)
    }

    fn variable(&mut self, at: usize, mut given: Given<'a>) -> Option<()> {
        if given.attached == Some(b"") {
            // It hides a second one of its name, and sets nothing.
            let (long, source) = (OPTIONS.get(at)?.long, Source::Variable);
            self.settings.push(Setting { long, value: Cow::Borrowed(b""), source });
            return Some(());
        }
        self.take(at, &mut given)
    }

    fn take(&mut self, at: usize, given: &mut Given<'a>) -> Option<()> {
        let Known { long, take, .. } = OPTIONS.get(at)?;
        let taken = take(&mut self.args, given);
        if !given.is_one_of_several {
            self.settings.retain(|setting| setting.long != *long);
        }
        let source = match given.place {
            Place::Variable => Source::Variable,
            Place::Long | Place::Short => Source::CommandLine,
        };
        self.settings.push(Setting { long, value: given.value.into(), source });
        taken.or(self.passes_over.then_some(()))
    }
}

impl Known {
    /// Whether this is what follows our prefix in the name of its variable: the long name in capitals,
    /// with underscores.
    fn has_variable(&self, name: &[u8]) -> bool {
        let letter = |byte: u8| if byte == b'-' { b'_' } else { byte.to_ascii_uppercase() };
        // Of most the length differs, and each start asks all of them for each variable of ours.
        let long = self.long.as_bytes();
        name.len() == long.len() && name.iter().zip(long).all(|(name, long)| *name == letter(*long))
    }
}

/// Where an option is given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Long,
    Short,
    Variable,
}

/// An option as it is given. Each method takes it in for one kind of option; None where it is wrong.
struct Given<'a> {
    place: Place,
    /// What stands beside it in the same word, or is in the variable. A method that takes it leaves
    /// None.
    attached: Option<&'a [u8]>,
    /// The words that follow.
    rest: &'a [OsString],
    /// The value that a method took, if the option has one.
    value: &'a [u8],
    /// It counts beside others of the same option.
    is_one_of_several: bool,
}

impl<'a> Given<'a> {
    fn new(place: Place, attached: Option<&'a [u8]>, rest: &'a [OsString]) -> Given<'a> {
        Given { place, attached, rest, value: b"", is_one_of_several: false }
    }

    /// A value; of several the last one counts.
    fn set<T, E>(&mut self, field: &mut T, parse: fn(&str) -> Result<T, E>) -> Option<()> {
        *field = parse(self.text()?).ok()?;
        Some(())
    }

    fn set_some<T, E>(
        &mut self,
        field: &mut Option<T>,
        parse: fn(&str) -> Result<T, E>,
    ) -> Option<()> {
        *field = Some(parse(self.text()?).ok()?);
        Some(())
    }

    /// Several values, separated by commas, or by repeating the option.
    fn add<T, E>(&mut self, list: &mut Vec<T>, parse: fn(&str) -> Result<T, E>) -> Option<()> {
        self.is_one_of_several = true;
        for text in self.text()?.split(',') {
            list.push(parse(text).ok()?);
        }
        Some(())
    }

    /// Commands, one a line, or by repeating the option.
    fn command(&mut self, list: &mut Vec<Hooks>) -> Option<()> {
        self.is_one_of_several = true;
        list.push(Hooks::parse(self.text()?).ok()?);
        Some(())
    }

    /// A path, which need not be UTF-8.
    fn path(&mut self, field: &mut Option<PathBuf>) -> Option<()> {
        *field = Some(OsStr::from_bytes(self.value()?).into());
        Some(())
    }

    /// No value; in a variable whether it is on.
    fn switch(&mut self, field: &mut bool) -> Option<()> {
        *field = self.place != Place::Variable || values::switch(self.text()?).ok()?;
        Some(())
    }

    /// No value, and it may be repeated; in a variable how often it is.
    fn count(&mut self, field: &mut u8) -> Option<()> {
        *field = match self.place {
            Place::Variable => values::count(self.text()?).ok()?,
            _ => field.saturating_add(1),
        };
        Some(())
    }

    fn text(&mut self) -> Option<&'a str> {
        self.value().and_then(|value| str::from_utf8(value).ok())
    }

    /// The value, which is not empty: what is attached, or else the next word.
    fn value(&mut self) -> Option<&'a [u8]> {
        let value = match self.attached.take() {
            Some(attached) if self.place == Place::Short => {
                attached.strip_prefix(b"=").unwrap_or(attached)
            }
            Some(attached) => attached,
            None => {
                let (next, rest) = self.rest.split_first()?;
                self.rest = rest;
                // With a dash it is the next option, and clap says that the value is missing.
                Some(next.as_bytes()).filter(|next| *next == b"-" || !next.starts_with(b"-"))?
            }
        };
        self.value = value;
        (!value.is_empty()).then_some(value)
    }
}

#[cfg(test)]
mod tests;
