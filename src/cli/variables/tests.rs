use std::ffi::CString;

use super::*;

fn of(entry: &str) -> Kind {
    kind(&CString::new(entry).expect("no NUL"))
}

#[test]
fn a_variable_of_an_option_is_ours() {
    for entry in ["REPRIEVE_DELAY=5s", "REPRIEVE_DELAY=", "REPRIEVE_GRACE_PERIOD=10s"] {
        assert_eq!(of(entry), Kind::Ours, "{entry}");
    }
}

#[test]
fn what_looks_like_one_is_a_stray() {
    for entry in [
        "REPRIEVE_GRACE=10s",
        "REPRIEVE_DELAYS=5s",
        "reprieve_delay=5s",
        "Reprieve_Delay=5s",
        "REPRIEVE_delay=5s",
        "REPRIEVE_=1",
        "REPRIEVE_--delay=1",
        "REPRIEVE_TRAFFIC_PORTS=80",
        "REPRIEVE_TRAFIC_PORT=8080",
        "REPRIEVE_IGNORED_PORT=8080",
        "REPRIEVE_VERSION=1",
        "reprieve_phase=on-stop",
    ] {
        assert_eq!(of(entry), Kind::Stray, "{entry}");
    }
}

#[test]
fn our_name_may_have_a_slip_of_the_pen() {
    for entry in [
        "REPREIVE_DELAY=5s",
        "REPREIVE_GRACE_PERIOD=5s",
        "RERPIEVE_MARGIN=1s",
        "REPRIVE_DELAY=5s",
        "REPRIEV_DELAY=5s",
        "REPRIEEVE_DELAY=5s",
        "REPRIEBE_DELAY=5s",
        "reprive_delay=5s",
        "REPRIEVE-DELAY=5s",
        "REPRIEVE.GRACE.PERIOD=5s",
        "REPRIEVEDELAY=5s",
    ] {
        assert_eq!(of(entry), Kind::Misspelt, "{entry}");
    }
    for entry in [
        "RETRIEVE_DELAY=5s",
        "RELIEVE_DELAY=5s",
        "REPREIVE_NAME=x",
        "REPRIEVED_BY=x",
        "REDIS_DELAY=5s",
        "REPLICA_MARGIN=1",
    ] {
        assert_eq!(of(entry), Kind::Other, "{entry}");
    }
}

#[test]
fn variables_of_a_service_or_a_hook_are_the_apps() {
    for entry in [
        "REPRIEVE_SERVICE_HOST=10.0.0.1",
        "REPRIEVE_SERVICE_PORT=80",
        "REPRIEVE_SERVICE_PORT_HTTP=80",
        "REPRIEVE_PORT=tcp://10.0.0.1:80",
        "REPRIEVE_PORT_80_TCP=tcp://10.0.0.1:80",
        "REPRIEVE_PORT_80_TCP_PROTO=tcp",
        "REPRIEVE_PORT_80_TCP_ADDR=10.0.0.1",
        "REPRIEVE_X_SERVICE_HOST=10.0.0.1",
        "REPRIEVE_X_Y_SERVICE_PORT=80",
        "REPRIEVE_X_SERVICE_PORT_HTTP_ALT=80",
        "REPRIEVE_X_PORT=tcp://10.0.0.1:80",
        "REPRIEVE_X_PORT_53_UDP=udp://10.0.0.1:53",
        "REPRIEVE_X_PORT_53_UDP_PORT=53",
        "REPRIEVE_GRACE_SERVICE_HOST=10.0.0.1",
        "REPRIEVE_PHASE=on-stop",
        "REPRIEVE_SIGNAL=SIGTERM",
        "REPRIEVE_EXIT_CODE=0",
        "REPRIEVE_REPORT={}",
    ] {
        assert_eq!(of(entry), Kind::Other, "{entry}");
    }
}

#[test]
fn what_sets_nothing_or_is_no_variable_is_left_alone() {
    for entry in ["REPRIEVE_GRACE=", "REPRIEVE_DELAY", "REPRIEVE", "REPRIEVED=1", "PATH=/bin", ""] {
        assert_eq!(of(entry), Kind::Other, "{entry}");
    }
}

#[test]
fn the_remedy_names_the_nearest() {
    let said = |entry: &str| remedy(&CString::new(entry).expect("no NUL"));
    for (entry, meant) in [
        (
            "REPRIEVE_GRACE=10s",
            "REPRIEVE_GRACE sets no option: did you mean REPRIEVE_GRACE_PERIOD?",
        ),
        ("reprieve_delay=5s", "reprieve_delay sets no option: did you mean REPRIEVE_DELAY?"),
        ("REPREIVE_DELAY=5s", "REPREIVE_DELAY sets no option: did you mean REPRIEVE_DELAY?"),
        (
            "REPRIEVE-GRACE-PERIOD=5s",
            "REPRIEVE-GRACE-PERIOD sets no option: did you mean REPRIEVE_GRACE_PERIOD?",
        ),
        ("REPRIEVEDELAY=5s", "REPRIEVEDELAY sets no option: did you mean REPRIEVE_DELAY?"),
        ("REPRIEVE_HELP=1", "REPRIEVE_HELP sets no option, and the app does not get it"),
        ("REPRIEVE_FOO=1", "REPRIEVE_FOO sets no option, and the app does not get it"),
    ] {
        assert!(said(entry).starts_with(meant), "{}", said(entry));
    }
}
