use clap::Arg;

use super::*;

#[test]
fn clap_finds_no_fault() {
    Cli::command().debug_assert();
}

#[test]
fn no_option_is_called_like_a_variable_of_kubernetes() {
    let command = Cli::command();
    let variables: Vec<_> =
        command.get_arguments().filter_map(Arg::get_long).map(variable).collect();
    assert!(variables.contains(&"REPRIEVE_GRACE_PERIOD".to_owned()));
    for name in variables {
        assert!(!name.starts_with("REPRIEVE_PORT") && !name.starts_with("REPRIEVE_SERVICE"));
    }
}
