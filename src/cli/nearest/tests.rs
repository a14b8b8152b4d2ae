use super::*;
use crate::cli::plain;

fn guess(name: &str) -> Option<&'static str> {
    nearest(name, plain::longs())
}

#[test]
fn a_slip_or_a_part_of_a_name_is_understood() {
    for (written, meant) in [
        ("dely", "delay"),
        ("delays", "delay"),
        ("DELAY", "delay"),
        ("delay-seconds", "delay"),
        ("grace", "grace-period"),
        ("graceperiod", "grace-period"),
        ("GRACE_PERIODE", "grace-period"),
        ("termination-grace-period", "grace-period"),
        ("signal", "stop-signal"),
        ("trafic-port", "traffic-port"),
        ("port", "traffic-port"),
        ("hold", "hold-until"),
        ("window", "quiet-window"),
        ("quite", "quiet"),
        ("listen", "health-listen"),
        ("report", "report-file"),
        ("rehearsal", "rehearse"),
        ("pre-stop", "on-stop"),
        ("verbos", "verbose"),
        ("terminationGracePeriodSeconds", "grace-period"),
        ("stop_grace_period", "grace-period"),
        ("stop-timeout", "grace-period"),
        ("stopTimeout", "grace-period"),
        ("KILL_TIMEOUT", "grace-period"),
        ("preStop", "on-stop"),
        ("log-level", "verbose"),
        ("dry-run", "check"),
        ("PORTS", "traffic-port"),
    ] {
        assert_eq!(guess(written), Some(meant), "{written}");
    }
}

#[test]
fn of_a_stranger_nothing_is_guessed() {
    for stranger in ["", "x", "foo", "config", "user", "env", "bogus", "nginx-version"] {
        assert_eq!(guess(stranger), None, "{stranger}");
    }
}
