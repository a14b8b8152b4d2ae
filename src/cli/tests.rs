use super::*;

#[test]
fn clap_finds_no_fault() {
    command().debug_assert();
}

#[test]
fn every_option_but_three_has_a_variable_of_its_name() {
    for option in command().get_arguments().filter(|option| !option.is_positional()) {
        let long = option.get_long().expect("a long name");
        let variable = option.get_env().map(|name| name.to_str().expect("ASCII").to_owned());
        let expected = format!("REPRIEVE_{}", long.replace('-', "_").to_uppercase());
        let has_one = !["help", "version", "license"].contains(&long);
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
