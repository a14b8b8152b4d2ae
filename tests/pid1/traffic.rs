//! The hold that ends when traffic has stopped (docs/behaviour.md, section 10). Real servers and
//! clients in a network of their own; the init has no capability there.

mod advice;
mod cost;
mod ports;
mod sources;
mod until;

use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::libc;
use serde_json::{Value, json};

use crate::harness::*;

const WINDOW: Duration = Duration::from_secs(1);
/// A client comes so often, or data on a connection: many times in a window.
const PACE: Duration = Duration::from_millis(50);

/// A hold that ends when traffic has stopped: its MAX is longer than any test.
const UNTIL_QUIET: &str = "--delay 300ms..1h --grace-period none --quiet-window 1s";

const SERVER: &str = "serve tcp:127.0.0.1:8080";
const CLIENT: &str = "call 127.0.0.1:8080";
/// From another address than the server's.
const NODE: &str = "call 127.0.0.1:8080 127.0.0.2";

const FORWARDED: &str = r#""event":"forwarded""#;
const UNSEEN: &str = r#""event":"unseen""#;

fn start(options: &str, refused: &str, app: &str) -> Run {
    let program = network().into_os_string().into_string().expect("a path in UTF-8");
    let words = std::iter::once(program).chain(app.split(' ').map(str::to_owned));
    pid1().options("--log-format json").options(options).in_network(refused).app(words)
}

fn serving(options: &str, app: &str) -> Run {
    let run = start(options, "", app);
    run.hears("serving");
    run
}

/// Sends the stop signal, and waits until the first look is over: what comes before is not new.
fn hold(run: &Run) -> Instant {
    let began_at = run.signal(libc::SIGTERM);
    run.hears(r#""event":"stop_signal""#);
    eventually("sleep", || (process_state(run.pid()) == 'S').then_some(()));
    began_at
}

/// Does it again and again for so long, and returns when the last time began.
fn keep_up(lasting: Duration, mut deed: impl FnMut()) -> Instant {
    let ends_at = Instant::now() + lasting;
    loop {
        let began_at = Instant::now();
        deed();
        if began_at >= ends_at {
            return began_at;
        }
        // The pace of the traffic.
        sleep(PACE);
    }
}

/// A client does it again and again until the hold is over. It ends when the server does.
fn while_held(run: &Run, client: &mut Visitor, deed: &str) {
    client.does(deed);
    let is_over = || run.lines().iter().any(|line| line.text.contains(FORWARDED));
    while !is_over() && client.tries(deed) {
        // The pace of the traffic.
        sleep(PACE);
    }
    run.hears(FORWARDED);
}

/// The report of a hold that has to have ended for this reason.
#[track_caller]
fn report(run: Run, ended_by: &str) -> Value {
    let ended = run.ends();
    let report = ended.report();
    assert_eq!(report["hold_ended_by"], ended_by, "{}", ended.all());
    report
}

/// Traffic still came when the hold ended, and so late at least: there is no advice.
#[track_caller]
fn assert_cut_off(report: &Value, least: u64) {
    assert_eq!(report["traffic"]["sufficient_delay_ms"], Value::Null, "{report}");
    assert!(number(report, "traffic/at_least_ms") >= least, "{report}");
    assert!(number(report, "traffic/silent_ms") < 1000, "{report}");
}

/// A report's advice covers the last data, which came so late at least.
#[track_caller]
fn assert_advised(report: &Value, least: u64) {
    let last = number(report, "traffic/last_data_ms");
    assert!(last >= least, "{report}");
    assert_eq!(number(report, "traffic/sufficient_delay_ms"), (last / 1000 + 1) * 1000);
    assert!(number(report, "traffic/at_least_ms") >= last, "{report}");
}

/// A hold that ends when traffic has stopped, or soon.
const TO_MAX: &str = "--delay 300ms..1s --grace-period none --quiet-window 500ms";

fn holds_blindly(options: &str, network: &str, app: &str, why: &str) {
    let run = start(&format!("{TO_MAX} {options}"), network, app);
    run.hears("serving");
    is_held_blindly(run, why);
}

/// Holds for the whole delay with one warning, which and the report say why.
fn is_held_blindly(run: Run, why: &str) {
    let began_at = hold(&run);
    assert_after(began_at, run.hears(FORWARDED).at, 1000 * MS);
    let ended = run.ends();
    let report = ended.report();
    assert_eq!(report["hold_ended_by"], "delay", "{report}");
    let because = report["traffic"]["unseen_because"].as_str().unwrap_or_default();
    assert!(because.contains(why), "{report}");
    let warnings = ended.lines.iter().filter(|line| line.text.contains(r#""level":"warn""#));
    let warnings: Vec<&Line> = warnings.collect();
    assert_eq!(warnings.len(), 1, "{}", ended.all());
    assert!(warnings[0].text.contains(UNSEEN) && warnings[0].text.contains(why), "{warnings:?}");
}

// What is traffic.

#[test]
fn the_hold_ends_a_window_after_the_last_new_connection() {
    let run = serving(UNTIL_QUIET, SERVER);
    let mut client = run.beside(CLIENT);
    hold(&run);
    let mut count = 0;
    let last_at = keep_up(WINDOW, || {
        client.does("request");
        count += 1;
    });
    assert_after(last_at, run.hears(FORWARDED).at, WINDOW);
    let report = report(run, "quiet");
    let traffic = &report["traffic"];
    let seen = [&traffic["seen_by"], &traffic["ports"], &traffic["kept_by"]];
    assert_eq!(seen, [&json!("events"), &json!([8080]), &Value::Null], "{report}");
    assert_eq!(number(&report, "traffic/connections"), count, "{report}");
    assert_eq!(number(&report, "traffic/with_data"), count, "{report}");
    let last = number(&report, "traffic/last_arrival_ms");
    assert!(last >= 1000, "{report}");
    assert_advised(&report, last);
    assert!(number(&report, "held_ms") >= last + 1000, "{report}");
    println!("after the last connection: {} ms", number(&report, "held_ms") - last);
}

#[test]
fn requests_on_an_old_connection_are_traffic() {
    let run = serving(UNTIL_QUIET, SERVER);
    let mut client = run.beside(CLIENT);
    client.does("open 1");
    hold(&run);
    let last_at = keep_up(1500 * MS, || client.does("say"));
    assert_after(last_at, run.hears(FORWARDED).at, WINDOW);
    let report = report(run, "quiet");
    assert!(number(&report, "held_ms") >= 2500, "{report}");
    let traffic = &report["traffic"];
    assert_eq!((&traffic["connections"], &traffic["old_with_data"]), (&json!(0), &json!(1)));
    assert_eq!(traffic["last_arrival_ms"], Value::Null, "{report}");
    assert_advised(&report, 1400);
}

#[test]
fn idle_connections_are_no_traffic() {
    let run = serving(UNTIL_QUIET, SERVER);
    let mut client = run.beside(CLIENT);
    client.does("open 20");
    client.does("say");
    hold(&run);
    client.does("open 5");
    let report = report(run, "quiet");
    assert_eq!(number(&report, "traffic/connections"), 5, "{report}");
    assert_eq!(number(&report, "traffic/with_data"), 0, "{report}");
    assert_eq!(report["traffic"]["last_arrival_ms"], Value::Null, "{report}");
}

/// As TLS's close_notify, when a balancer that leaves closes its pool.
#[test]
fn bytes_that_come_with_the_end_of_an_idle_connection_are_no_traffic() {
    let run = serving(UNTIL_QUIET, SERVER);
    let mut client = run.beside(CLIENT);
    client.does("open 100");
    hold(&run);
    while_held(&run, &mut client, "bye");
    let report = report(run, "quiet");
    assert_eq!(number(&report, "traffic/old_with_data"), 0, "{report}");
    assert_eq!(number(&report, "traffic/sufficient_delay_ms"), 0, "{report}");
}

#[test]
fn a_burst_after_a_silence_shorter_than_the_window_is_awaited() {
    let run = serving("--delay 300ms..1h --quiet-window 2s", SERVER);
    let mut client = run.beside(CLIENT);
    hold(&run);
    keep_up(300 * MS, || client.does("request"));
    // The silence itself.
    sleep(WINDOW);
    let last_at = keep_up(300 * MS, || client.does("request"));
    assert_after(last_at, run.hears(FORWARDED).at, 2000 * MS);
    let report = report(run, "quiet");
    assert!(number(&report, "traffic/last_arrival_ms") >= 1600, "{report}");
}

/// What goes on and on holds for the whole delay, and the report names the peer.
fn holds_to_the_end(deed: &str) {
    let run = serving("--delay 300ms..2s --quiet-window 1s", SERVER);
    let mut node = run.beside(NODE);
    node.does("open 1");
    let began_at = hold(&run);
    while_held(&run, &mut node, deed);
    assert_after(began_at, run.hears(FORWARDED).at, 2000 * MS);
    let ended = run.ends();
    let report = ended.report();
    assert_eq!(report["hold_ended_by"], "delay", "{report}");
    assert_eq!(report["traffic"]["kept_by"], json!({"peer": "127.0.0.2", "local_port": 8080}));
    assert_cut_off(&report, 1800);
    assert_eq!(ended.times(UNSEEN), 0, "{}", ended.all());
}

#[test]
fn a_stream_holds_to_the_end_and_its_peer_is_named() {
    holds_to_the_end("say");
}

#[test]
fn probes_over_http_hold_to_the_end_and_their_peer_is_named() {
    holds_to_the_end("request");
}

/// What goes on and on is no traffic. Returns how many connections were counted all the same.
fn is_no_traffic(options: &str, app: &str, client: &str, deed: &str) -> u64 {
    let run = serving(&format!("{UNTIL_QUIET} {options}"), app);
    let mut client = run.beside(client);
    hold(&run);
    while_held(&run, &mut client, deed);
    let report = report(run, "quiet");
    assert_eq!(number(&report, "traffic/with_data"), 0, "{report}");
    number(&report, "traffic/connections")
}

#[test]
fn probes_over_tcp_are_counted_but_no_traffic() {
    assert!(is_no_traffic("", SERVER, NODE, "probe") > 0);
}

#[test]
fn requests_of_an_ignored_peer_are_no_traffic() {
    // An IPv4 peer of a listener for both, too.
    at_once([SERVER, "serve tcp:[::]:8080"], |app| {
        at_once(["127.0.0.2", "10.0.0.0/8,127.0.0.2/31"], |peers| {
            let options = format!("--ignore-peer {peers}");
            assert_eq!(is_no_traffic(&options, app, NODE, "request"), 0);
        });
    });
}

#[test]
fn scrapes_on_an_ignored_port_are_no_traffic() {
    let app = "serve tcp:127.0.0.1:8080 tcp:127.0.0.1:9100";
    assert_eq!(is_no_traffic("--ignore-port 9100", app, "call 127.0.0.1:9100", "request"), 0);
}

#[test]
fn clients_of_either_family_are_traffic() {
    let families = [
        ("serve tcp:0.0.0.0:8080", "call 127.0.0.1:8080"),
        ("serve tcp:[::1]:8080", "call [::1]:8080"),
        ("serve tcp:[::]:8080", "call [::1]:8080"),
        // An IPv4 client of a listener for both.
        ("serve tcp:[::]:8080", "call 127.0.0.1:8080"),
    ];
    at_once(families, |(app, client)| {
        at_once(["request", "say"], |deed| {
            let run = serving(UNTIL_QUIET, app);
            let mut client = run.beside(client);
            client.does("open 1");
            hold(&run);
            let last_at = keep_up(600 * MS, || client.does(deed));
            assert_after(last_at, run.hears(FORWARDED).at, WINDOW);
            let report = report(run, "quiet");
            let is_new = deed == "request";
            let arrived = number(&report, "traffic/with_data") > 0;
            assert_eq!(arrived, is_new, "{app}: {report}");
            assert!(number(&report, "held_ms") >= 1600, "{app}: {report}");
        });
    });
}

// What else ends a hold, or does not.

#[test]
fn the_shortest_delay_is_held_whatever_comes() {
    let run = serving("--delay 1s..1h --quiet-window 100ms", SERVER);
    let began_at = hold(&run);
    assert_after(began_at, run.hears(FORWARDED).at, 1000 * MS);
    assert!(number(&report(run, "quiet"), "held_ms") >= 1000);
}

#[test]
fn a_second_stop_signal_ends_the_hold() {
    let run = serving(UNTIL_QUIET, SERVER);
    let mut client = run.beside(CLIENT);
    client.does("open 1");
    hold(&run);
    // Any sooner it would be the same request.
    keep_up(1100 * MS, || client.does("say"));
    run.signal(libc::SIGTERM);
    report(run, "hurry");
}

#[test]
fn the_end_of_the_app_ends_the_hold() {
    let run = serving(UNTIL_QUIET, SERVER);
    let mut client = run.beside(CLIENT);
    hold(&run);
    client.does("request");
    send(run.main_pid(), libc::SIGUSR1);
    let report = report(run, "exit");
    // The last look is at the end.
    assert!(report["traffic"].is_object(), "{report}");
}

#[test]
fn a_fixed_delay_is_no_shorter_where_nothing_comes_or_listens() {
    at_once([SERVER, "serve"], |app| {
        let run = serving("--delay 1s", app);
        let began_at = hold(&run);
        assert_after(began_at, run.hears(FORWARDED).at, WINDOW);
        report(run, "delay");
    });
}
