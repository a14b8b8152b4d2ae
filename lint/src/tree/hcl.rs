//! Reads HCL, the language of Nomad's jobs.

use std::rc::Rc;

use hcl_edit::expr::{Expression, ObjectKey};
use hcl_edit::structure::{Block, Body, Structure};
use hcl_edit::{Ident, Span, parser};

use crate::tree::{BYTE_ORDER_MARK, Kind, Malformed, Node, Place};

/// The body of a file, as a map. A block is an entry: its labels are keys of maps in maps, as in HCL's
/// JSON syntax (`{"job": {"web": {...}}}`).
///
/// # Errors
///
/// Where the text is no HCL.
pub fn read(text: &str) -> Result<Node, Malformed> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let body = parser::parse_body(text).map_err(|error| {
        let (line, column) = (error.location().line(), error.location().column());
        Malformed { place: Place { line, column }, why: error.message().to_owned() }
    })?;
    let lines = Lines::of(text);
    Ok(Node { place: lines.place(0), kind: lines.body(&body) })
}

/// Where the lines of a text begin, in bytes.
struct Lines<'a> {
    text: &'a str,
    begins: Vec<usize>,
}

impl Lines<'_> {
    fn of(text: &str) -> Lines<'_> {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Lines { text, begins: [0].into_iter().chain(after_breaks).collect() }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.begins.partition_point(|begin| *begin <= offset);
        let begin = self.begins[line - 1];
        let before = self.text.get(begin..offset).unwrap_or_default();
        Place { line, column: before.chars().count() + 1 }
    }

    fn node(&self, what: &impl Span, kind: Kind) -> Rc<Node> {
        let offset = what.span().map_or(0, |span| span.start);
        Rc::new(Node { place: self.place(offset), kind })
    }

    fn body(&self, body: &Body) -> Kind {
        let entries = body.iter().map(|structure| match structure {
            Structure::Attribute(attribute) => {
                (self.name(&attribute.key), self.expression(&attribute.value))
            }
            Structure::Block(block) => (self.name(&block.ident), self.block(block)),
        });
        Kind::Map(entries.collect())
    }

    fn block(&self, block: &Block) -> Rc<Node> {
        let inner = self.node(block, self.body(&block.body));
        block.labels.iter().rev().fold(inner, |inner, label| {
            let key = self.node(label, Kind::Scalar(label.as_str().to_owned()));
            self.node(block, Kind::Map(vec![(key, inner)]))
        })
    }

    fn name(&self, name: &(impl Span + std::ops::Deref<Target = Ident>)) -> Rc<Node> {
        self.node(name, Kind::Scalar(name.as_str().to_owned()))
    }

    fn expression(&self, expression: &Expression) -> Rc<Node> {
        let kind = match expression {
            Expression::Null(_) => Kind::Null,
            Expression::Bool(value) => Kind::Scalar(value.to_string()),
            Expression::Number(value) => Kind::Scalar(value.to_string()),
            Expression::String(value) => Kind::Scalar(value.as_str().to_owned()),
            Expression::Array(array) => {
                Kind::List(array.iter().map(|item| self.expression(item)).collect())
            }
            Expression::Object(object) => Kind::Map(
                object
                    .iter()
                    .map(|(key, value)| (self.key(key), self.expression(value.expr())))
                    .collect(),
            ),
            Expression::Parenthesis(inner) => return self.expression(inner.inner()),
            _ => Kind::Unknown,
        };
        self.node(expression, kind)
    }

    fn key(&self, key: &ObjectKey) -> Rc<Node> {
        match key {
            ObjectKey::Ident(name) => self.name(name),
            ObjectKey::Expression(expression) => self.expression(expression),
        }
    }
}
