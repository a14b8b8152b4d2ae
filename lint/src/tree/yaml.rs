//! Reads YAML, and so JSON.
//!
//! saphyr's own tree (`MarkedYaml`) copies what an alias names, and reads lists in lists without end:
//! a short text could use up the memory or the stack. So the tree is made here, of the parser's events.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::mem::take;
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use crate::tree::{Kind, Malformed, Node, Place};

/// How deeply a value may be nested. The schemas of custom resources have around 80 levels, and
/// saphyr itself reads 255.
const MAX_DEPTH: usize = 250;

/// So many values aliases may repeat in a text. Somebody may look at each of them again, and a few aliases
/// of aliases are more than any machine has time for. Go's YAML, which Kubernetes reads, refuses about as
/// many.
const MAX_REPEATED: u64 = 400_000;

/// The key that puts the entries of another map into this one.
const MERGE: &str = "<<";

/// The documents in a text.
///
/// # Errors
///
/// Where the text is no YAML, or nested too deeply.
pub fn read(text: &str) -> Result<Vec<Rc<Node>>, Malformed> {
    let text = without_surrogates(text);
    let mut reader = Reader::default();
    let mut parser = Parser::new_from_str(&text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| Malformed {
            place: place(error.marker()),
            why: error.info().to_owned(),
        })?;
        reader.take(event, place(&span.start))?;
    }
    Ok(reader.documents)
}

/// JSON escapes a character above U+FFFF as two, which YAML does not know. They are replaced by others
/// of the same length, so that all places stay what they are.
fn without_surrogates(text: &str) -> Cow<'_, str> {
    let is_json = text.trim_start().starts_with(['{', '[']);
    if !is_json || !text.contains("\\u") {
        return text.into();
    }
    let mut parts = text.split("\\u");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_surrogate = part.get(..4).is_some_and(|digits| {
            u16::from_str_radix(digits, 16).is_ok_and(|unit| (0xD800..0xE000).contains(&unit))
        });
        whole.push_str(if is_surrogate { "\\ufffd" } else { "\\u" });
        whole.push_str(if is_surrogate { &part[4..] } else { part });
    }
    whole.into()
}

fn place(marker: &Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}

#[derive(Default)]
struct Reader {
    documents: Vec<Rc<Node>>,
    /// Lists and maps that have begun and not ended, the innermost last.
    open: Vec<Open>,
    /// By the parser's number of an anchor, which is never 0. An alias inside of what it names finds none.
    anchors: HashMap<usize, Part>,
    /// How many values aliases have repeated, in all documents.
    repeated: u64,
}

struct Open {
    place: Place,
    anchor: usize,
    of: Collection,
    height: usize,
    size: u64,
}

enum Collection {
    List(Vec<Rc<Node>>),
    /// The entries, and the key whose value comes next.
    Map(Vec<(Rc<Node>, Rc<Node>)>, Option<Rc<Node>>),
}

/// A value, how many levels it has, and how many values it is with all in it.
#[derive(Clone)]
struct Part {
    node: Rc<Node>,
    height: usize,
    size: u64,
}

impl Part {
    fn single(place: Place, kind: Kind) -> Part {
        Part { node: Rc::new(Node { place, kind }), height: 1, size: 1 }
    }
}

impl Reader {
    fn take(&mut self, event: Event, place: Place) -> Result<(), Malformed> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let kind = scalar(&text, style, tag.as_deref());
                self.add(Part::single(place, kind), anchor)
            }
            Event::Alias(anchor) => {
                let named = self.anchors.get(&anchor).cloned();
                let part = named.unwrap_or_else(|| Part::single(place, Kind::Unknown));
                self.repeated += part.size;
                if self.repeated > MAX_REPEATED {
                    let why = format!("aliases repeat more than {MAX_REPEATED} values");
                    return Err(Malformed { place, why });
                }
                self.add(part, 0)
            }
            Event::SequenceStart(anchor, _) => {
                self.begin(Collection::List(Vec::new()), anchor, place)
            }
            Event::MappingStart(anchor, _) => {
                self.begin(Collection::Map(Vec::new(), None), anchor, place)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::DocumentEnd => {
                self.anchors.clear();
                Ok(())
            }
            Event::DocumentStart(_) | Event::StreamStart | Event::StreamEnd | Event::Nothing => {
                Ok(())
            }
        }
    }

    fn begin(&mut self, of: Collection, anchor: usize, place: Place) -> Result<(), Malformed> {
        self.check_depth(1, place)?;
        self.open.push(Open { place, anchor, of, height: 1, size: 1 });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Malformed> {
        let Some(Open { place, anchor, of, height, size }) = self.open.pop() else { return Ok(()) };
        let kind = match of {
            Collection::List(items) => Kind::List(items),
            Collection::Map(entries, _) => Kind::Map(merged(entries)),
        };
        self.add(Part { node: Rc::new(Node { place, kind }), height: height + 1, size }, anchor)
    }

    /// Puts a value where it belongs: into what is open, or else it is a document.
    fn add(&mut self, part: Part, anchor: usize) -> Result<(), Malformed> {
        self.check_depth(part.height, part.node.place)?;
        if anchor != 0 {
            self.anchors.insert(anchor, part.clone());
        }
        let Part { node, height, size } = part;
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        open.height = open.height.max(height);
        open.size += size;
        match &mut open.of {
            Collection::List(items) => items.push(node),
            Collection::Map(entries, key) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => *key = Some(node),
            },
        }
        Ok(())
    }

    /// What is read and freed recursively must not use up the stack, whatever aliases put together.
    fn check_depth(&self, height: usize, place: Place) -> Result<(), Malformed> {
        match self.open.len() + height > MAX_DEPTH {
            true => Err(Malformed { place, why: format!("more than {MAX_DEPTH} levels") }),
            false => Ok(()),
        }
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Kind {
    match tag {
        Some(tag) if is_of_a_tool(tag) => Kind::Unknown,
        None if style == ScalarStyle::Plain && is_null(text) => Kind::Null,
        _ => Kind::Scalar(text.to_owned()),
    }
}

fn is_null(text: &str) -> bool {
    ["", "~", "null", "Null", "NULL"].contains(&text)
}

/// `!reset` and the like. A bare `!`, as `!!str`, only says that the value is a text.
fn is_of_a_tool(tag: &Tag) -> bool {
    !tag.is_yaml_core_schema() && tag.suffix != "!"
}

/// The entries, with those of the maps that `<<` names: what stands in the map itself counts, then the
/// first that was merged.
fn merged(mut entries: Vec<(Rc<Node>, Rc<Node>)>) -> Vec<(Rc<Node>, Rc<Node>)> {
    let is_merge = |(key, _): &(Rc<Node>, Rc<Node>)| key.text() == Some(MERGE);
    if !entries.iter().any(is_merge) {
        return entries;
    }
    let all = take(&mut entries);
    let (merges, own): (Vec<_>, Vec<_>) = all.into_iter().partition(is_merge);
    let mut known: HashSet<String> =
        own.iter().filter_map(|(key, _)| key.text().map(str::to_owned)).collect();
    entries = own;
    for (_, from) in merges {
        let maps = match &from.kind {
            Kind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(&from),
        };
        for map in maps {
            let Kind::Map(more) = &map.kind else { continue };
            let new = more
                .iter()
                .filter(|(key, _)| key.text().is_some_and(|key| known.insert(key.into())));
            entries.extend(new.cloned());
        }
    }
    entries
}
