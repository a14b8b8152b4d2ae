use super::*;
use crate::cli::args::{VARIABLE_PREFIX, WITHOUT_VARIABLE};

#[test]
fn clap_finds_no_fault() {
    command().debug_assert();
}

#[test]
fn every_option_but_four_has_a_variable_of_its_name() {
    for option in command().get_arguments().filter(|option| !option.is_positional()) {
        let long = option.get_long().expect("a long name");
        let variable = option.get_env().map(|name| name.to_str().expect("ASCII").to_owned());
        let expected = format!("REPRIEVE_{}", long.replace('-', "_").to_uppercase());
        let has_one = !WITHOUT_VARIABLE.contains(&long);
        assert_eq!(variable, has_one.then_some(expected));
    }
}

/// Kubernetes sets such variables for a Service that is called reprieve.
#[test]
fn no_option_is_called_like_a_variable_of_kubernetes() {
    for name in command().get_arguments().filter_map(Arg::get_env) {
        let name = name.to_str().expect("ASCII");
        assert!(!name.starts_with("REPRIEVE_PORT") && !name.starts_with("REPRIEVE_SERVICE"));
    }
}

/// The variables that the text names in quotes.
fn quoted(text: &str) -> Vec<&str> {
    let mut names: Vec<&str> =
        text.split('\'').filter(|word| word.starts_with(VARIABLE_PREFIX)).collect();
    names.retain(|name| *name != VARIABLE_PREFIX);
    names.sort_unstable();
    names.dedup();
    names
}

/// The variables of the options that this chooses.
fn variables(chosen: impl Fn(&Arg) -> bool) -> Vec<String> {
    let command = command();
    let options = command.get_arguments().filter(|option| chosen(option));
    let mut names: Vec<String> =
        options.filter_map(|option| option.get_env()?.to_str().map(String::from)).collect();
    names.sort_unstable();
    names
}

/// The text of a policy's variable.
fn of_policy<'a>(policy: &'a str, name: &str) -> &'a str {
    let (_, text) = policy.split_once(&format!("    - name: {name}\n")).expect("such a variable");
    text.split("\n    - name:").next().expect("its text")
}

/// They run on clusters where nobody looks into this program.
#[test]
fn the_policies_of_kubernetes_know_all_variables() {
    let hints = include_str!("../../examples/kubernetes/policies/hints.yaml");
    let fits = include_str!("../../examples/kubernetes/policies/fits.yaml");
    assert_eq!(quoted(of_policy(hints, "known")), variables(|_| true));

    let takes_a_duration =
        |option: &Arg| option.get_value_names().is_some_and(|names| names[0].starts_with('D'));
    let durations = variables(takes_a_duration);
    for policy in [fits, hints] {
        assert_eq!(quoted(of_policy(policy, "settings")), durations);
    }
}
