//! A document as it is written, whatever its format: values with their places.
//!
//! - `yaml.rs`: reads YAML, and JSON, which is YAML
//! - `hcl.rs`: reads HCL

pub mod hcl;
pub mod yaml;

use std::fmt;
use std::rc::Rc;

use serde::Serialize;

/// What editors of Windows put before a text. It has no column.
pub const BYTE_ORDER_MARK: char = '\u{feff}';

/// A place in a file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Why a text is no document.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed {
    pub place: Place,
    pub why: String,
}

/// A value and where it is written. What an anchor names is one value, wherever an alias puts it.
#[derive(Debug, PartialEq, Eq)]
pub struct Node {
    pub place: Place,
    pub kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    Null,
    /// A text, a number or a truth value, as it is written, but without its quotes.
    Scalar(String),
    List(Vec<Rc<Node>>),
    /// Entries in their order. In HCL a key may come several times, as each block is an entry.
    Map(Vec<(Rc<Node>, Rc<Node>)>),
    /// What only running something would tell: an expression of HCL, a YAML tag of a tool.
    Unknown,
}

impl Node {
    /// The value of this key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The entry of this key, as the key and the value. Of several the last counts, as it does for those
    /// who read YAML and JSON and do not refuse it.
    pub fn entry(&self, key: &str) -> Option<(&Node, &Node)> {
        self.entries().rfind(|(name, _)| name.text() == Some(key))
    }

    /// The value below these keys.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The entries of a map; of anything else none.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = (&Node, &Node)> {
        let entries = match &self.kind {
            Kind::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().map(|(key, value)| (&**key, &**value))
    }

    /// The items of a list; of anything else none.
    pub fn items(&self) -> impl Iterator<Item = &Node> {
        let items = match &self.kind {
            Kind::List(items) => items.as_slice(),
            _ => &[],
        };
        items.iter().map(|item| &**item)
    }

    /// What a scalar says.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number that is not negative.
    pub fn number(&self) -> Option<u64> {
        self.text()?.parse().ok()
    }

    pub fn is_null(&self) -> bool {
        self.kind == Kind::Null
    }

    pub fn is_list(&self) -> bool {
        matches!(self.kind, Kind::List(_))
    }

    pub fn is_map(&self) -> bool {
        matches!(self.kind, Kind::Map(_))
    }
}

#[cfg(test)]
mod tests;
