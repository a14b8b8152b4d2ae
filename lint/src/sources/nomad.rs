//! Nomad's jobs: in HCL, in HCL's JSON syntax (`job`), and as the API has them (`Job`).

use std::time::Duration;

use crate::model::{
    Allowance, BeforeStop, Container, Role, Silence, StopSignal, Time, Value, Variable, Workload,
};
use crate::sources::{list_of_values, silences, time, value};
use crate::tree::Node;

/// What Nomad allows where a task says nothing (`kill_timeout` of the task block).
const DEFAULT_ALLOWANCE: Duration = Duration::from_secs(5);

/// What a client allows at most, unless it is configured otherwise.
const CAP: (Duration, &str) =
    (Duration::from_secs(30), "unless the clients' max_kill_timeout is raised");

const ALLOWANCE: &str = "kill_timeout";

/// How long Nomad waits before it sends its signal, of a group or of a task.
const SHUTDOWN_DELAY: &str = "shutdown_delay";

/// Drivers that stop a container as its image says. The others send SIGINT (`kill_signal`).
const WITH_IMAGES: [&str; 2] = ["docker", "podman"];

/// What Nomad or HCL puts in.
const REFERENCES: [&str; 2] = ["${", "%{"];

pub fn workloads(document: &Node) -> Vec<Workload> {
    let written = blocks(document, "job").into_iter().map(|(name, job)| {
        let groups = blocks(job, "group").into_iter().map(|(_, group)| group);
        workload(name, Part::written(job), groups.map(Part::written).collect())
    });
    let api = document.get("Job").map(|job| {
        let groups = job.get("TaskGroups").into_iter().flat_map(Node::items);
        let name = job.get("ID").and_then(Node::text).unwrap_or("without a name");
        workload(name, Part::of_api(job), groups.map(Part::of_api).collect())
    });
    written.chain(api).collect()
}

/// A part of a job, in whichever way it is written.
#[derive(Clone, Copy)]
struct Part<'a> {
    node: &'a Node,
    /// As the API has it: keys such as `KillTimeout`, durations in nanoseconds.
    is_api: bool,
}

impl<'a> Part<'a> {
    fn written(node: &'a Node) -> Part<'a> {
        Part { node, is_api: false }
    }

    fn of_api(node: &'a Node) -> Part<'a> {
        Part { node, is_api: true }
    }

    /// By the key of the HCL.
    fn get(self, key: &str) -> Option<&'a Node> {
        match self.is_api {
            true => self.node.get(&in_camel_case(key)),
            false => self.node.get(key),
        }
        .filter(|value| !value.is_null())
    }

    /// A map: an attribute, a block, or in JSON a list of one block.
    fn map(self, key: &str) -> Option<&'a Node> {
        let node = self.get(key)?;
        if node.is_list() { node.items().next() } else { Some(node) }
    }

    fn time(self, key: &str) -> Option<Time> {
        let node = self.get(key)?;
        match (self.is_api, node.number()) {
            (true, Some(number)) => {
                Some(Time { place: node.place, time: Duration::from_nanos(number) })
            }
            _ => time(node),
        }
    }

    fn tasks(self) -> Vec<(&'a str, Part<'a>)> {
        if !self.is_api {
            let tasks = blocks(self.node, "task").into_iter();
            return tasks.map(|(name, task)| (name, Part::written(task))).collect();
        }
        let tasks = self.get("tasks").into_iter().flat_map(Node::items);
        let name = |task: &'a Node| task.get("Name").and_then(Node::text).unwrap_or_default();
        tasks.map(|task| (name(task), Part::of_api(task))).collect()
    }

    fn silences(self) -> Vec<Silence> {
        silences(self.map("meta"))
    }
}

/// `kill_timeout` as the API has it: `KillTimeout`.
fn in_camel_case(key: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(1.min(word.len()));
        first.to_ascii_uppercase() + rest
    };
    key.split('_').map(word).collect()
}

/// The blocks of this kind, by their labels.
fn blocks<'a>(node: &'a Node, kind: &str) -> Vec<(&'a str, &'a Node)> {
    let of_kind = node.entries().filter(|(key, _)| key.text() == Some(kind));
    let values = of_kind.map(|(_, value)| value);
    let maps = values.flat_map(|value| match value.is_list() {
        true => value.items().collect(),
        false => vec![value],
    });
    let labelled = maps.flat_map(Node::entries);
    labelled.filter_map(|(label, body)| Some((label.text()?, body))).collect()
}

fn workload(name: &str, job: Part, groups: Vec<Part>) -> Workload {
    let mut silences = job.silences();
    let mut containers = Vec::new();
    for group in groups {
        silences.extend(group.silences());
        let of_group = group.time(SHUTDOWN_DELAY);
        for (name, task) in group.tasks() {
            silences.extend(task.silences());
            containers.push(container(name, task, of_group));
        }
    }
    Workload { name: format!("job {name}"), replicas: None, containers, silences }
}

fn container(name: &str, task: Part, delay_of_group: Option<Time>) -> Container {
    let config = task.map("config");
    let of_config = |key: &str| config.and_then(|config| config.get(key));
    let written = task.get(ALLOWANCE).map(|_| task.time(ALLOWANCE).map(|it| it.time));
    let words = ["entrypoint", "command", "args"].map(of_config);
    let variables = task.map("env").into_iter().flat_map(Node::entries);
    let shutdown_delays = [task.time(SHUTDOWN_DELAY), delay_of_group].into_iter().flatten();
    Container {
        name: name.to_owned(),
        role: Role::Main,
        image: of_config("image").map(|image| value(image, &REFERENCES)),
        command: words.into_iter().flat_map(|words| list_of_values(words, &REFERENCES)).collect(),
        variables: variables.filter_map(variable).collect(),
        more_variables: has_template_of_variables(task),
        allowance: Allowance::new(ALLOWANCE, written, DEFAULT_ALLOWANCE, Some(CAP)),
        stop_signal: stop_signal(task),
        before_stop: shutdown_delays
            .map(|Time { place, time }| BeforeStop {
                place,
                what: SHUTDOWN_DELAY,
                time,
                uses_allowance: false,
            })
            .collect(),
        probes: Vec::new(),
    }
}

fn variable((name, written): (&Node, &Node)) -> Option<Variable> {
    let value = value(written, &REFERENCES);
    Some(Variable { name: name.text()?.to_owned(), place: name.place, value })
}

/// Whether a template of the task makes variables: `env = true`.
fn has_template_of_variables(task: Part) -> bool {
    let (kind, switch) = if task.is_api { ("Templates", "Envvars") } else { ("template", "env") };
    let of_kind = task.node.entries().filter(|(key, _)| key.text() == Some(kind));
    let mut templates = of_kind.flat_map(|(_, value)| match value.is_list() {
        true => value.items().collect(),
        false => vec![value],
    });
    templates.any(|template| template.get(switch).and_then(Node::text) == Some("true"))
}

fn stop_signal(task: Part) -> Option<StopSignal> {
    let driver = task.get("driver")?;
    let value = match task.get("kill_signal").filter(|signal| signal.text() != Some("")) {
        Some(signal) => value(signal, &REFERENCES),
        None if WITH_IMAGES.contains(&driver.text()?) => return None,
        None => Value { place: driver.place, text: Some("SIGINT".into()) },
    };
    Some(StopSignal { value, refused: None })
}
