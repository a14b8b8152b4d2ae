//! Input of the real world, and what is none: large files, Helm's output, broken bytes.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reprieve_lint::document::{Document, Language, check};
use reprieve_lint::fuzz::manifest;

/// What `helm template` and `kubectl get -o yaml` print: comments between documents, empty ones, lists,
/// anchors, a custom resource's schema, a ConfigMap with YAML in it.
const RELEASE: &str = r#"---
# Source: web/templates/configmap.yaml
apiVersion: v1
kind: ConfigMap
metadata: { name: web }
data:
  pod.yaml: |
    apiVersion: v1
    kind: Pod
    spec:
      containers: [{ name: app, env: [{ name: REPRIEVE_DELAY, value: 100s }] }]
---
# Source: web/templates/empty.yaml
---
# Source: web/crds/web.yaml
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: webs.example.org }
spec:
  group: example.org
  versions:
    - name: v1
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              properties:
                template:
                  properties:
                    spec:
                      properties:
                        containers:
                          type: array
                          items: { type: object }
---
apiVersion: v1
kind: List
items:
  - apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: web
      labels: &labels
        app.kubernetes.io/name: web
    spec:
      replicas: 3
      selector: { matchLabels: *labels }
      template:
        metadata: { labels: { <<: *labels } }
        spec:
          terminationGracePeriodSeconds: 60
          containers:
            - &app
              name: app
              image: "registry.example.org:5000/web:1.2.3@sha256:0123"
              env:
                - &delay { name: REPRIEVE_DELAY, value: 15s }
                - { name: REPRIEVE_GRACE_PERIOD, value: 60s }
            - <<: *app
              name: worker
              env: [*delay, { name: REPRIEVE_GRACE_PERIOD, value: 30s }]
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: { name: canary }
spec:
  template:
    spec:
      containers:
        - name: app
          image: web
          env: [{ name: REPRIEVE_GRACE_PERIOD, value: 45s }]
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: { name: knative }
spec:
  template:
    spec:
      timeoutSeconds: 300
      containers:
        - image: web
          env: [{ name: REPRIEVE_GRACE_PERIOD, value: 300s }]
---
# A patch of kustomize.
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  template:
    spec:
      containers:
        - name: app
          env: [{ name: REPRIEVE_DELAY, value: 45s }, { name: REPRIEVE_GRACE_PERIOD, value: 60s }]
"#;

fn yaml(text: &str) -> Document {
    check(text, Language::Yaml).unwrap_or_else(|error| panic!("{error:?}"))
}

#[test]
fn a_release_of_helm_is_read_as_a_cluster_would() {
    let document = yaml(RELEASE);
    let found = document.findings.iter().map(|it| (it.place.line, it.rule.id, &*it.workload));
    assert_eq!(
        found.collect::<Vec<_>>(),
        [
            (62, "differs-from-allowance", "Deployment web"),
            (73, "differs-from-allowance", "Rollout canary"),
        ]
    );
    assert_eq!(document.workloads, 3);
}

#[test]
fn the_examples_of_this_project_pass() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut workloads = 0;
    for input in reprieve_lint::input::read(&[examples]) {
        let text = input.text.expect("an example");
        let document = check(&text, input.language)
            .unwrap_or_else(|error| panic!("{}: {error:?}", input.name));
        assert!(document.findings.is_empty(), "{}: {:?}", input.name, document.findings);
        workloads += document.workloads;
    }
    assert!(workloads > 1);
}

/// 18.5: the cases with bytes changed, cut and repeated may have any outcome but a panic.
#[test]
fn broken_bytes_are_an_error_and_no_panic() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let files = std::fs::read_dir(folder).expect("a folder");
    let files: Vec<PathBuf> = files.map(|entry| entry.expect("an entry").path()).collect();
    let mut random = fastrand::Rng::with_seed(16);
    let pieces: [&[u8]; 16] = [
        b"\n", b"\t", b" ", b"- ", b": ", b"{", b"}", b"[", b"]", b"\"", b"&a ", b"*a", b"<<: *a",
        b"---\n", b"\\u", b"|\n",
    ];
    for file in files {
        let whole = std::fs::read(file).expect("a file");
        for _ in 0..100 {
            let mut bytes = whole.clone();
            for _ in 0..random.usize(1..8) {
                let at = random.usize(0..bytes.len());
                let end = (at + random.usize(0..40)).min(bytes.len());
                let new = match random.u8(0..3) {
                    0 => random.choice(pieces).expect("a piece").to_vec(),
                    1 => Vec::new(),
                    _ => bytes[at..end].repeat(2),
                };
                bytes.splice(at..end, new);
            }
            manifest(&bytes);
        }
    }
}

/// YAML ends a line at a carriage return too, and the place of an error counts that.
#[test]
fn a_carriage_return_ends_a_line() {
    manifest(b"\n\r%/");
    let error = check("a: 1\rb: @", Language::Yaml).expect_err("a reserved character");
    assert_eq!(error.place.line, 2, "{}", error.why);
}

/// 18.7
#[test]
#[ignore = "it measures the program as it is shipped: cargo test --release -p reprieve-lint -- --ignored"]
fn five_megabytes_take_less_than_two_seconds() {
    let mut text = String::new();
    for copy in 0.. {
        if text.len() > 5_000_000 {
            break;
        }
        write!(text, "{}", RELEASE.replace("name: web", &format!("name: web-{copy}")))
            .expect("a String");
    }
    in_time(&text, |document| {
        assert!(document.workloads > 3_000 && document.findings.len() > 2_000);
    });
    in_time(&in_a_line(), |document| assert!(document.findings.len() > 50_000));
}

/// A task definition in one line, each of whose containers says something else.
fn in_a_line() -> String {
    let mut text = String::from(r#"{ "containerDefinitions": ["#);
    while text.len() < 5_000_000 {
        let number = text.len();
        write!(
            text,
            r#"{{ "name": "{number}", "image": "nginx", "stopTimeout": 60, "environment": [
               {{ "name": "REPRIEVE_DELAY", "value": "{number}ms" }} ] }},"#
        )
        .expect("a String");
    }
    text.replace('\n', "") + "]}"
}

/// The best of three: what else a machine does takes its part of one.
fn in_time(text: &str, look: impl Fn(&Document)) {
    let took = (0..3).map(|_| {
        let begin = Instant::now();
        let document = yaml(text);
        look(&document);
        begin.elapsed()
    });
    let took = took.min().expect("three");
    println!("{} bytes in {took:?}", text.len());
    assert!(took < Duration::from_secs(2), "{took:?}");
}
