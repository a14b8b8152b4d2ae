//! Kubernetes: pods, and all that makes pods of a template.

use std::time::Duration;

use crate::model::{
    Allowance, BeforeStop, Container, How, Port, Probe, ProbeKind, Role, StopSignal, Time, Workload,
};
use crate::sources::{list_of_values, listed_variables, seconds, silences, sleep_in, value};
use crate::tree::Node;

/// The grace period of a pod that says nothing (`v1.PodSpec` of the API reference).
const DEFAULT_ALLOWANCE: Duration = Duration::from_secs(30);

const ALLOWANCE: &str = "terminationGracePeriodSeconds";

/// How often a probe asks where it says nothing (`v1.Probe`).
const DEFAULT_PERIOD: Duration = Duration::from_secs(10);

/// What a text has that is not known before it is deployed: a reference to a variable, a template.
const REFERENCES: [&str; 2] = ["$(", "{{"];

/// Kinds that make one pod where they do not say how many.
const ONE_BY_DEFAULT: [&str; 4] = ["Deployment", "StatefulSet", "ReplicaSet", "Rollout"];

/// Adds the workloads of a document, and the names of those whose number an autoscaler decides.
pub fn read(document: &Node, workloads: &mut Vec<Workload>, scaled: &mut Vec<String>) {
    let kind = document.get("kind").and_then(Node::text).unwrap_or_default();
    if let Some(items) = document.get("items").filter(|_| kind.ends_with("List")) {
        items.items().for_each(|item| read(item, workloads, scaled));
        return;
    }
    if let Some(target) = document.at(&["spec", "scaleTargetRef"]) {
        let text = |key: &str| target.get(key).and_then(Node::text);
        scaled.push(name(text("kind").unwrap_or("Deployment"), text("name")));
    }
    workloads.extend(workload(document, kind));
}

fn name(kind: &str, name: Option<&str>) -> String {
    format!("{kind} {}", name.unwrap_or("without a name"))
}

fn workload(document: &Node, kind: &str) -> Option<Workload> {
    let spec = document.get("spec");
    let template = match kind {
        "Pod" => Some(document),
        "CronJob" => spec.and_then(|spec| spec.at(&["jobTemplate", "spec", "template"])),
        "PodTemplate" => document.get("template"),
        _ => spec.and_then(|spec| spec.get("template")),
    }?;
    let pod =
        template.get("spec").filter(|pod| pod.get("containers").is_some_and(Node::is_list))?;
    // Knative sets the grace period of its pods by itself.
    let group = document.get("apiVersion").and_then(Node::text).unwrap_or_default();
    if group.starts_with("serving.knative.dev/") {
        return None;
    }
    let metadata = |node: &Node| silences(node.at(&["metadata", "annotations"]));
    let mut silences = metadata(document);
    if kind != "Pod" {
        silences.extend(metadata(template));
    }
    let replicas = match spec.and_then(|spec| spec.get("replicas")) {
        Some(number) => number.number(),
        None => ONE_BY_DEFAULT.contains(&kind).then_some(1),
    };
    let name = name(kind, document.at(&["metadata", "name"]).and_then(Node::text));
    Some(Workload { name, replicas, containers: containers(pod), silences })
}

fn containers(pod: &Node) -> Vec<Container> {
    let of = |key: &str| pod.get(key).into_iter().flat_map(Node::items).collect::<Vec<_>>();
    let main = of("containers");
    let written = pod.get(ALLOWANCE).filter(|written| !written.is_null());
    // A patch, as kustomize has them, leaves out what stands in the manifest that it is for.
    let is_patch = main.iter().any(|container| container.get("image").is_none());
    let allowance = if written.is_none() && is_patch {
        Allowance::unknown(ALLOWANCE)
    } else {
        let written = written.map(|written| seconds(written).map(|it| it.time));
        Allowance::new(ALLOWANCE, written, DEFAULT_ALLOWANCE, None)
    };
    let has_os = pod.at(&["os", "name"]).is_some();
    let init = of("initContainers").into_iter().map(|container| {
        let goes_on = container.get("restartPolicy").and_then(Node::text) == Some("Always");
        (container, if goes_on { Role::Sidecar } else { Role::Init })
    });
    let all = init.chain(main.into_iter().map(|container| (container, Role::Main)));
    all.map(|(node, role)| container(node, role, &allowance, has_os)).collect()
}

fn container(node: &Node, role: Role, allowance: &Allowance, has_os: bool) -> Container {
    let text = |key: &str| node.get(key).and_then(Node::text);
    // Without a command the args follow the image's entrypoint.
    let words = [node.get("command"), node.get("args")];
    let command = words.into_iter().flat_map(|words| list_of_values(words, &REFERENCES)).collect();
    let stop_signal = node.at(&["lifecycle", "stopSignal"]).map(|signal| StopSignal {
        value: value(signal, &REFERENCES),
        refused: (!has_os).then_some(
            "Kubernetes takes a lifecycle.stopSignal only in a pod that says spec.os.name",
        ),
    });
    Container {
        name: text("name").unwrap_or("without a name").to_owned(),
        role,
        image: node.get("image").map(|image| value(image, &REFERENCES)),
        command,
        variables: listed_variables([node.get("env")], &REFERENCES),
        more_variables: node.get("envFrom").is_some(),
        allowance: allowance.clone(),
        stop_signal,
        before_stop: node.at(&["lifecycle", "preStop"]).and_then(pre_stop).into_iter().collect(),
        probes: probes(node),
    }
}

fn pre_stop(hook: &Node) -> Option<BeforeStop> {
    let (what, place, time) = if let Some(sleep) = hook.at(&["sleep", "seconds"]) {
        ("preStop sleep", sleep.place, seconds(sleep)?.time)
    } else if let Some(command) = hook.at(&["exec", "command"]) {
        let words = list_of_values(Some(command), &REFERENCES);
        match sleep_in(&words) {
            Some(time) => ("preStop sleep", command.place, time),
            None => ("preStop hook", command.place, Duration::ZERO),
        }
    } else {
        ("preStop hook", hook.place, Duration::ZERO)
    };
    Some(BeforeStop { place, what, time, uses_allowance: true })
}

fn probes(container: &Node) -> Vec<Probe> {
    let kinds = [
        ("readinessProbe", ProbeKind::Readiness),
        ("livenessProbe", ProbeKind::Liveness),
        ("startupProbe", ProbeKind::Startup),
    ];
    let probe = |(key, kind): (&str, ProbeKind)| {
        let (name, probe) = container.entry(key)?;
        let period = probe.get("periodSeconds").and_then(seconds);
        Some(Probe {
            kind,
            how: how(probe, container),
            period: period.unwrap_or(Time { place: name.place, time: DEFAULT_PERIOD }),
            grace_period: probe.get(ALLOWANCE).and_then(seconds),
        })
    };
    kinds.into_iter().filter_map(probe).collect()
}

fn how(probe: &Node, container: &Node) -> How {
    let port = |way: &str| port(probe.at(&[way, "port"])?, container);
    if let Some(command) = probe.at(&["exec", "command"]) {
        How::Command(list_of_values(Some(command), &REFERENCES))
    } else if probe.get("tcpSocket").is_some() {
        How::Connection(port("tcpSocket"))
    } else if probe.get("grpc").is_some() {
        How::Request(port("grpc"))
    } else {
        How::Request(port("httpGet"))
    }
}

/// A port by its number, or by the name that the container gives it.
fn port(node: &Node, container: &Node) -> Option<Port> {
    let text = node.text()?;
    let ports = container.get("ports").into_iter().flat_map(Node::items);
    let mut named = ports.filter(|port| port.get("name").and_then(Node::text) == Some(text));
    let number = match text.parse() {
        Ok(number) => number,
        Err(_) => named.next()?.get("containerPort")?.text()?.parse().ok()?,
    };
    Some(Port { place: node.place, number })
}
