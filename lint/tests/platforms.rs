//! What is written in JSON, where no comment can say what is found.

use reprieve_lint::document::{Language, check};

/// What is found, as the place and the rule.
#[track_caller]
fn finds(json: &str, expected: &[(usize, usize, &str)]) {
    let document = check(json, Language::Yaml).unwrap_or_else(|error| panic!("{error:?}"));
    let found = document.findings.iter();
    let found = found.map(|it| (it.place.line, it.place.column, it.rule.id));
    assert_eq!(found.collect::<Vec<_>>(), expected, "{document:#?}");
}

#[test]
fn ecs_allows_thirty_seconds_by_default() {
    let task = |delay: &str| {
        format!(
            r#"{{
  "family": "web",
  "containerDefinitions": [
    {{
      "name": "app",
      "image": "app",
      "environment": [
        {{ "name": "REPRIEVE_DELAY", "value": "{delay}" }},
        {{ "name": "REPRIEVE_GRACE_PERIOD", "value": "30s" }}
      ]
    }}
  ]
}}"#
        )
    };
    finds(&task("29s"), &[(8, 46, "does-not-fit")]);
    finds(&task("28999ms"), &[]);
}

#[test]
fn fargate_allows_two_minutes_at_most() {
    let task = |stop_timeout: &str, compatibilities: &str| {
        format!(
            r#"{{ "requiresCompatibilities": [{compatibilities}],
  "containerDefinitions": [{{ "name": "app", "image": "app", "stopTimeout": {stop_timeout},
    "entryPoint": ["/reprieve", "--grace-period={stop_timeout}", "--"],
    "command": ["app"] }}] }}"#
        )
    };
    finds(&task("121", "\"FARGATE\""), &[(3, 33, "differs-from-allowance")]);
    finds(&task("120", "\"FARGATE\""), &[]);
    finds(&task("121", "\"EC2\""), &[]);
    let described = format!("{{ \"taskDefinition\": {} }}", task("121", "\"FARGATE\""));
    finds(&described, &[(3, 33, "differs-from-allowance")]);
}

/// 18.3
#[test]
fn ecs_settings_from_elsewhere_cannot_be_known() {
    let task = r#"{ "containerDefinitions": [
  { "name": "file", "image": "app",
    "environmentFiles": [{ "type": "s3", "value": "arn:aws:s3:::settings" }],
    "environment": [{ "name": "REPRIEVE_DELAY", "value": "5s" }] },
  { "name": "secret", "image": "app",
    "secrets": [{ "name": "REPRIEVE_GRACE_PERIOD", "valueFrom": "arn:aws:ssm:::parameter/grace" }],
    "environment": [{ "name": "REPRIEVE_DELAY", "value": "29s" }] },
  { "name": "no-file", "image": "app", "environmentFiles": [],
    "environment": [{ "name": "REPRIEVE_DELAY", "value": "5s" }] } ] }"#;
    finds(task, &[(7, 58, "does-not-fit"), (9, 58, "delay-without-grace-period")]);
}

#[test]
fn jobs_of_nomad_in_hcls_json() {
    let job = r#"{ "job": { "web": {
  "group": { "web": {
    "task": [{ "app": {
      "driver": "docker",
      "kill_timeout": "20s",
      "env": [{ "REPRIEVE_DELAY": "19s", "REPRIEVE_GRACE_PERIOD": "20s" }]
    } }]
  } }
} } }"#;
    finds(job, &[(6, 35, "does-not-fit")]);
}

#[test]
fn jobs_of_nomads_api_have_nanoseconds() {
    let job = |timeout: &str| {
        format!(
            r#"{{ "Job": {{ "ID": "web", "TaskGroups": [{{ "Name": "web", "Tasks": [
  {{ "Name": "app", "Driver": "docker", "KillTimeout": {timeout},
    "ShutdownDelay": 1000000000,
    "Env": {{ "REPRIEVE_DELAY": "18s", "REPRIEVE_GRACE_PERIOD": "20s" }} }} ] }} ] }} }}"#
        )
    };
    let beside = (3, 22, "prestop-beside-delay");
    finds(&job("20000000000"), &[beside]);
    finds(
        &job("19000000000"),
        &[beside, (4, 32, "does-not-fit"), (4, 64, "differs-from-allowance")],
    );
    finds(&job("null"), &[beside, (4, 32, "does-not-fit"), (4, 64, "differs-from-allowance")]);
}

/// JSON may be written with tabs, and has escapes that YAML does not: pairs of surrogates.
#[test]
fn json_is_read_as_it_is_written() {
    let task = "{\n\t\"family\":\t\"a\\/b \\ud83d\\ude00\",\n\t\"containerDefinitions\":\t[]\n}\n";
    finds(task, &[]);
}
