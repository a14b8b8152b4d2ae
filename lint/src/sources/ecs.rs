//! Task definitions of Amazon ECS.

use std::time::Duration;

use crate::model::{Allowance, Container, Role, Workload};
use crate::sources::{list_of_values, listed_variables, seconds, silences, value};
use crate::tree::Node;

/// What ECS allows where a container says nothing (`stopTimeout` of ContainerDefinition). On EC2 the
/// agent may have another default (ECS_CONTAINER_STOP_TIMEOUT).
const DEFAULT_ALLOWANCE: Duration = Duration::from_secs(30);

/// The most that Fargate allows.
const FARGATE_CAP: (Duration, &str) = (Duration::from_mins(2), "Fargate allows no more");

const ALLOWANCE: &str = "stopTimeout";

/// A task definition: as it is registered, or as `aws ecs describe-task-definition` prints it.
pub fn definition(document: &Node) -> Option<&Node> {
    let task = document.get("taskDefinition").unwrap_or(document);
    task.get("containerDefinitions").filter(|list| list.is_list()).map(|_| task)
}

pub fn workload(task: &Node) -> Workload {
    let all = |key: &str| task.get(key).into_iter().flat_map(Node::items).collect::<Vec<_>>();
    let is_fargate = all("requiresCompatibilities").iter().any(|it| it.text() == Some("FARGATE"));
    let cap = is_fargate.then_some(FARGATE_CAP);
    let containers = all("containerDefinitions");
    let family = task.get("family").and_then(Node::text).unwrap_or("without a name");
    Workload {
        name: format!("task definition {family}"),
        replicas: None,
        silences: containers.iter().flat_map(|node| silences(node.get("dockerLabels"))).collect(),
        containers: containers.into_iter().map(|node| container(node, cap)).collect(),
    }
}

fn container(node: &Node, cap: Option<(Duration, &'static str)>) -> Container {
    let written = node.get(ALLOWANCE).filter(|written| !written.is_null());
    let written = written.map(|written| seconds(written).map(|it| it.time));
    // Without an entry point the command follows the image's.
    let words = [node.get("entryPoint"), node.get("command")];
    let command = words.into_iter().flat_map(|words| list_of_values(words, &[])).collect();
    Container {
        name: node.get("name").and_then(Node::text).unwrap_or("without a name").to_owned(),
        role: Role::Main,
        image: node.get("image").map(|image| value(image, &[])),
        command,
        variables: listed_variables([node.get("environment"), node.get("secrets")], &[]),
        more_variables: node
            .get("environmentFiles")
            .is_some_and(|files| files.items().next().is_some()),
        allowance: Allowance::new(ALLOWANCE, written, DEFAULT_ALLOWANCE, cap),
        stop_signal: None,
        before_stop: Vec::new(),
        probes: Vec::new(),
    }
}
