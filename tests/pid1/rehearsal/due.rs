//! When the stop signal of a rehearsal is due (docs/behaviour.md, 14.6 and 14.7).

use super::{failed, passed};
use crate::harness::*;

/// The server of a rehearsal, in a network of its own.
pub fn rehearses(options: &str, server_options: &str) -> Run {
    let words = format!("8080 {server_options}");
    let words: Vec<&str> = words.split_whitespace().collect();
    let program = server().into_os_string();
    let words = std::iter::once(program).chain(words.into_iter().map(Into::into));
    pid1().options("--log-format json").options(options).in_network("").app(words)
}

#[test]
fn it_is_due_once_the_app_listens() {
    let run = rehearses("--rehearse listening", "--wait 300");
    // It says so only after it does.
    run.hears("listens");
    assert_after(run.started_at, run.hears("\"stop_signal\"").at, 300 * MS);
    let ended = run.ends();
    passed(&ended);
    assert_eq!(ended.report()["trigger"], "rehearsal");
}

/// As in a container where /proc/net is all that there is.
#[test]
fn that_is_seen_without_netlink_too() {
    let program = server().into_os_string();
    let init = pid1().options("--log-format json --rehearse listening");
    let words = [program, "8080".into(), "--wait".into(), "300".into()];
    passed(&init.in_network("--refuse netlink").app(words).ends());
}

#[test]
fn an_app_that_does_not_listen_in_time_fails() {
    let options = "--rehearse listening --await-timeout 700ms";
    let ended = rehearses(options, "--wait 100000 --stops cut").ends();
    assert_after(ended.started_at, ended.at, 700 * MS);
    failed(&ended, "the app did not listen on a port within 0.7s (--await-timeout)");
    let ended =
        rehearses("--rehearse listening --ignore-port 8080 --await-timeout 700ms", "").ends();
    failed(&ended, "the app did not listen on a port within 0.7s (--await-timeout)");
}

/// In a network that others use too, as that of the machine. Nobody may look into the app, so whose a socket
/// is has to be guessed, and one of a stranger looks the same.
#[test]
fn who_listened_before_the_app_was_started_is_not_the_app() {
    // The stranger is no descendant of the init.
    let script = r#"exec unshare --map-root-user --net sh -c '
        "$NETWORK" serve tcp:0.0.0.0:9000 | {
            read -r _ pid
            setpriv --bounding-set=-sys_ptrace,-dac_override,-dac_read_search "$@" </dev/null
            code=$?
            kill -INT "$pid"
            exit $code
        }' sh "$@""#;
    let rehearse = |address: &str| {
        let network = network().into_os_string().into_string().expect("a path in UTF-8");
        let init = laptop().through(script).variable("NETWORK", &network);
        let options = "--rehearse listening --await-timeout 1s --expect-exit 143";
        // The first look, right after the spawn, has to come before the app listens. Nothing that can be waited for
        // tells that it is over.
        let app = format!("sleep 0.2; exec \"$NETWORK\" serve --unreadable {address}");
        init.options("--log-format json").options(options).app(["sh", "-c", &app]).ends()
    };
    failed(&rehearse(""), "the app did not listen on a port within 1s (--await-timeout)");
    passed(&rehearse("tcp:0.0.0.0:9001"));
}

#[test]
fn an_app_that_dies_young_fails() {
    for when in ["listening", "http://localhost:8080/"] {
        let options = format!("--log-format json --rehearse {when}");
        // What the machine listens on is none of this test.
        let run = pid1().options(&options).in_network("").fixture("state");
        failed(&run.ends(), "ended before the stop signal");
    }
}

#[test]
fn it_is_due_once_a_url_answers() {
    let ended = rehearses("--rehearse http://localhost:8080/ready", "--wait 300 --time 50").ends();
    passed(&ended);
    assert_eq!(ended.times("listens"), 1, "{}", ended.all());
}

#[test]
fn a_url_that_does_not_answer_2xx_in_time_fails() {
    at_once(
        [("--status 503", "503"), ("--wait 100000 --stops cut", "connection refused")],
        |(how, last)| {
            let options = "--rehearse http://localhost:8080/ready --await-timeout 1500ms";
            let ended = rehearses(options, how).ends();
            let why =
                "http://localhost:8080/ready did not answer 2xx within 1.5s (--await-timeout): ";
            failed(&ended, &format!("{why}{last}"));
            assert_after(ended.started_at, ended.at, 1500 * MS);
        },
    );
}

#[test]
fn requests_that_are_not_answered_in_time_fail() {
    let options = "--rehearse 100ms --rehearse-url http://localhost:8080/ --await-timeout 1s";
    let ended = rehearses(options, "--time 100000 --stops cut").ends();
    failed(&ended, "http://localhost:8080/ gave no whole answer within 1s (--await-timeout)");
}

#[test]
fn a_stop_signal_that_comes_before_it_is_due_fails_it() {
    let run = rehearses("--rehearse http://localhost:8080/", "--status 503");
    run.hears("listens");
    run.signal(nix::libc::SIGTERM);
    let ended = run.ends();
    failed(&ended, "http://localhost:8080/ did not answer 2xx before the stop signal came: ");
    assert_eq!(ended.report()["trigger"], "signal");
}

#[test]
fn a_fixed_time_is_kept_where_requests_are_sent_too() {
    let run = rehearses("--rehearse 1s --rehearse-url http://localhost:8080/", "");
    let stop = run.hears("\"stop_signal\"");
    assert_after(run.started_at, stop.at, SECOND);
    passed(&run.ends());
}
