//! From a document to workloads, by platform.
//!
//! - `mod.rs`: which platform a document is for, and what several platforms have in common
//! - `kubernetes.rs`, `compose.rs`, `ecs.rs`, `nomad.rs`: the platforms

mod compose;
mod ecs;
mod kubernetes;
mod nomad;

use std::time::Duration;

use reprieve::cli::values::duration;

use crate::model::{Silence, Time, Value, Variable, Workload};
use crate::tree::Node;

/// The annotation, label or key of `meta` that silences a rule is this and the rule's id; its value is the
/// reason.
const SILENCE: &str = "ignore.reprieve-lint/";

/// The workloads in the documents of a file, and the names of those whose number an autoscaler decides.
pub fn workloads<'a>(
    documents: impl IntoIterator<Item = &'a Node>,
) -> (Vec<Workload>, Vec<String>) {
    let mut all = Vec::new();
    let mut scaled = Vec::new();
    for document in documents {
        if document.get("apiVersion").is_some() && document.get("kind").is_some() {
            kubernetes::read(document, &mut all, &mut scaled);
        } else if let Some(services) = document.get("services") {
            all.extend(compose::workloads(services));
        } else if let Some(task) = ecs::definition(document) {
            all.push(ecs::workload(task));
        } else {
            all.extend(nomad::workloads(document));
        }
    }
    all.iter_mut().for_each(|workload| keep_one_a_rule(&mut workload.silences));
    (all, scaled)
}

/// Of a task definition each container may have its own.
fn keep_one_a_rule(silences: &mut Vec<Silence>) {
    silences.retain(|silence| !silence.reason.is_empty());
    silences.sort_by(|a, b| a.rule.cmp(&b.rule));
    silences.dedup_by(|a, b| a.rule == b.rule);
}

/// The rules that the entries of this map silence.
fn silences(map: Option<&Node>) -> Vec<Silence> {
    let entries = map.into_iter().flat_map(Node::entries);
    let silences = entries.filter_map(|(key, value)| silence(key.text()?, value.text()?));
    silences.collect()
}

fn silence(key: &str, reason: &str) -> Option<Silence> {
    let rule = key.strip_prefix(SILENCE)?;
    Some(Silence { rule: rule.to_owned(), reason: reason.trim().to_owned() })
}

/// A value as it is written, where that is what the container gets: not where it is a reference or a
/// part of a template, which these texts give away.
fn value(node: &Node, references: &[&str]) -> Value {
    let is_literal = |text: &&str| !references.iter().any(|reference| text.contains(reference));
    Value { place: node.place, text: node.text().filter(is_literal).map(str::to_owned) }
}

/// The variables of a list of names and values, as Kubernetes and ECS write it.
fn listed_variables<'a>(
    lists: impl IntoIterator<Item = Option<&'a Node>>,
    references: &[&str],
) -> Vec<Variable> {
    let items = lists.into_iter().flatten().flat_map(Node::items);
    let variables = items.filter_map(|item| {
        let name = item.get("name")?;
        let value = match (item.get("value"), item.get("valueFrom")) {
            (Some(written), _) if !written.is_null() => value(written, references),
            (_, Some(from)) => Value { place: from.place, text: None },
            _ => Value { place: name.place, text: Some(String::new()) },
        };
        Some(Variable { name: name.text()?.to_owned(), place: name.place, value })
    });
    variables.collect()
}

/// The items of a list of texts, or the one text.
fn list_of_values(node: Option<&Node>, references: &[&str]) -> Vec<Value> {
    let Some(node) = node else { return Vec::new() };
    match node.is_list() {
        true => node.items().map(|item| value(item, references)).collect(),
        false => Vec::from_iter((!node.is_null()).then(|| value(node, references))),
    }
}

/// A duration as a platform writes it: `90s`, `1m30s`, or a number of seconds.
fn time(node: &Node) -> Option<Time> {
    Some(Time { place: node.place, time: duration(node.text()?).ok()? })
}

fn seconds(node: &Node) -> Option<Time> {
    Some(Time { place: node.place, time: Duration::from_secs(node.number()?) })
}

/// How long the commands in these words sleep at least; None where none of them does.
fn sleep_in(words: &[Value]) -> Option<Duration> {
    let texts = words.iter().filter_map(|word| word.text.as_deref());
    let is_break = |c: char| c.is_whitespace() || ";&|()".contains(c);
    let mut parts = texts.flat_map(|text| text.split(is_break)).filter(|part| !part.is_empty());
    let mut total = None;
    while let Some(part) = parts.next() {
        if part.rsplit('/').next() == Some("sleep") {
            let time = parts.next().and_then(|time| duration(time).ok());
            total = Some(total.unwrap_or_default() + time.unwrap_or_default());
        }
    }
    total
}
