//! What was given on the command line and in variables, as it was written.

use std::borrow::Cow;

/// Where an option was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    CommandLine,
    Variable,
}

/// An option that was given, once for each time that counts.
#[derive(Clone, Debug)]
pub struct Setting<'a> {
    pub long: &'static str,
    /// The value as it was written; empty for a switch on the command line.
    pub value: Cow<'a, [u8]>,
    pub source: Source,
}

impl Setting<'_> {
    /// An empty variable counts as unset.
    pub fn counts(&self) -> bool {
        self.source == Source::CommandLine || !self.value.is_empty()
    }
}
