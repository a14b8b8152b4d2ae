//! Compose files.

use std::time::Duration;

use reprieve::tasks::task::{Hook, Hooks};

use crate::model::{
    Allowance, BeforeStop, Container, Role, Silence, StopSignal, Value, Variable, Workload,
};
use crate::sources::{list_of_values, silence, silences, sleep_in, time};
use crate::tree::Node;

/// What `docker stop` allows where a service says nothing (`stop_grace_period` of the Compose file
/// reference).
const DEFAULT_ALLOWANCE: Duration = Duration::from_secs(10);

const ALLOWANCE: &str = "stop_grace_period";

/// A value that Compose puts in; `$$` stands for itself.
const REFERENCES: [&str; 2] = ["$", "{{"];

pub fn workloads(services: &Node) -> Vec<Workload> {
    let services = services.entries().filter(|(_, service)| service.is_map());
    let workload = |(name, service): (&Node, &Node)| Workload {
        name: format!("service {}", name.text().unwrap_or_default()),
        replicas: None,
        containers: vec![container(name.text().unwrap_or_default(), service)],
        silences: labels(service),
    };
    services.map(workload).collect()
}

fn container(name: &str, service: &Node) -> Container {
    let is_extended = service.get("extends").is_some();
    let allowance = match service.get(ALLOWANCE) {
        None if is_extended => Allowance::unknown(ALLOWANCE),
        written => {
            let written = written.map(|written| time(written).map(|it| it.time));
            Allowance::new(ALLOWANCE, written, DEFAULT_ALLOWANCE, None)
        }
    };
    // Without an entrypoint the command follows the image's.
    let command = [service.get("entrypoint"), service.get("command")];
    let command = command.into_iter().flat_map(words).collect();
    let stop_signal = service.get("stop_signal");
    Container {
        name: name.to_owned(),
        role: Role::Main,
        image: service.get("image").map(value),
        command,
        variables: variables(service.get("environment")),
        more_variables: is_extended || service.get("env_file").is_some(),
        allowance,
        stop_signal: stop_signal.map(|signal| StopSignal { value: value(signal), refused: None }),
        before_stop: service
            .get("pre_stop")
            .into_iter()
            .flat_map(Node::items)
            .filter_map(pre_stop)
            .collect(),
        probes: Vec::new(),
    }
}

/// It runs before the stop signal, and `docker stop` counts from there.
fn pre_stop(hook: &Node) -> Option<BeforeStop> {
    let command = hook.get("command")?;
    let time = sleep_in(&list_of_values(Some(command), &REFERENCES))?;
    Some(BeforeStop { place: command.place, what: "pre_stop sleep", time, uses_allowance: false })
}

fn value(node: &Node) -> Value {
    Value { place: node.place, text: node.text().and_then(literal) }
}

/// The text as a container gets it.
fn literal(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split("$$").collect();
    let is_reference = |part: &&str| REFERENCES.iter().any(|reference| part.contains(reference));
    (!parts.iter().any(is_reference)).then(|| parts.join("$"))
}

/// The words of a command: a list, or a text that is split as a shell would.
fn words(node: Option<&Node>) -> Vec<Value> {
    let Some(node) = node else { return Vec::new() };
    if node.is_list() {
        return node.items().map(value).collect();
    }
    let place = node.place;
    let Some(text) = node.text() else { return Vec::new() };
    let split = literal(text).and_then(|text| Hooks::parse(&text).ok());
    match split {
        Some(Hooks(hooks)) => {
            let words = hooks.into_iter().flat_map(|Hook(words)| words);
            words.map(|word| Value { place, text: Some(word) }).collect()
        }
        None => vec![Value { place, text: None }],
    }
}

/// A map of names and values, or a list of `NAME=VALUE`. A name alone has the value of whoever runs
/// Compose.
fn variables(node: Option<&Node>) -> Vec<Variable> {
    let Some(node) = node else { return Vec::new() };
    let mapped = node.entries().filter_map(|(name, written)| {
        let (place, name) = (name.place, name.text()?.to_owned());
        Some(Variable { name, place, value: value(written) })
    });
    let listed = node.items().filter_map(|item| {
        let (place, text) = (item.place, item.text()?);
        let (name, text) = match text.split_once('=') {
            Some((name, text)) => (name, literal(text)),
            None => (text, None),
        };
        Some(Variable { name: name.to_owned(), place, value: Value { place, text } })
    });
    mapped.chain(listed).collect()
}

fn labels(service: &Node) -> Vec<Silence> {
    let labels = service.get("labels");
    let listed = labels.into_iter().flat_map(Node::items).filter_map(|item| {
        let (key, reason) = item.text()?.split_once('=')?;
        silence(key, reason)
    });
    silences(labels).into_iter().chain(listed).collect()
}
