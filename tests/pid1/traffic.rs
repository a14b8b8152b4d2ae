//! The hold that ends when traffic has stopped (docs/behaviour.md, section 10). Real servers and
//! clients in a network of their own; the init has no capability there.

use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::libc;
use serde_json::{Value, json};

use crate::harness::*;

const WINDOW: Duration = Duration::from_secs(1);
/// A client comes so often, or data on a connection: many times in a window.
const PACE: Duration = Duration::from_millis(50);

/// A hold that ends when traffic has stopped: its MAX is longer than any test.
const UNTIL_QUIET: &str = "--delay 300ms..1h --quiet-window 1s";

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
    assert_eq!(number(&report, "traffic/sufficient_delay_ms"), (last / 1000 + 1) * 1000);
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
    assert_eq!(number(&report, "traffic/connections"), 0, "{report}");
    assert_eq!(number(&report, "traffic/old_with_data"), 1, "{report}");
    assert_eq!(report["traffic"]["last_arrival_ms"], Value::Null, "{report}");
    let last = number(&report, "traffic/last_data_ms");
    assert_eq!(number(&report, "traffic/sufficient_delay_ms"), (last / 1000 + 1) * 1000);
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
    let node = json!({"peer": "127.0.0.2", "local_port": 8080});
    assert_eq!(report["traffic"]["kept_by"], node, "{report}");
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

#[test]
fn ten_thousand_idle_connections_cost_little() {
    let run = serving("--delay 3s..1h --quiet-window 1s", SERVER);
    let mut client = run.beside(CLIENT);
    client.does("open 10000");
    let pid = run.pid();
    // sched-stats.rst in the kernel's documentation: time on a CPU, in nanoseconds.
    let cpu_time = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("/proc");
        Duration::from_nanos(stat.split(' ').next().expect("a field").parse().expect("a number"))
    };
    let (cpu_before, memory_before) = (cpu_time(), status(pid, "RssAnon"));
    let began_at = hold(&run);
    let memory = status(pid, "RssAnon");
    // One among them is found.
    client.does("request");
    run.hears(FORWARDED);
    let (cpu, held) = (cpu_time().checked_sub(cpu_before).unwrap(), began_at.elapsed());
    println!("{cpu:?} of CPU in {held:?}; RssAnon {memory_before:?}, {memory:?} in the hold");
    // 2 % for looking, and what does not wait for its turn: the first look, the one when the
    // shortest delay is over, and the last.
    assert!(cpu < held / 50 + 400 * MS, "{cpu:?} of CPU in {held:?}");
    let report = report(run, "quiet");
    assert_eq!(number(&report, "traffic/with_data"), 1, "{report}");
    // Rare looks make no long hold.
    assert!(number(&report, "held_ms") < 5500, "{report}");
}

// What nobody listens on.

#[test]
fn a_worker_that_listens_on_nothing_is_held_for_the_shortest_delay() {
    at_once([("0s..1h", 0), ("1s..1h", 1000)], |(delay, least)| {
        let run = serving(&format!("--delay {delay}"), "serve");
        let began_at = run.signal(libc::SIGTERM);
        assert_after(began_at, run.hears(FORWARDED).at, least * MS);
        let ended = run.ends();
        let report = ended.report();
        assert_eq!(report["hold_ended_by"], "quiet", "{report}");
        assert_eq!(report["traffic"]["ports"], json!([]), "{report}");
        assert_eq!(ended.times(r#""level":"warn""#), 0, "{}", ended.all());
        println!("{delay}: held for {} ms", report["held_ms"]);
    });
    let run = serving("--delay 0s..1h --log-format text", "serve");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert!(ended.said("s of 0s..3600s: nothing listens"), "{}", ended.all());
}

/// Holds for the whole delay with one warning, which and the report say why.
fn holds_blindly(refused: &str, app: &str, why: &str) {
    let run = start("--delay 300ms..1s --quiet-window 500ms", refused, app);
    run.hears("serving");
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

#[test]
fn udp_alone_is_held_to_the_end() {
    at_once(["serve udp:127.0.0.1:5353", "serve udp:[::1]:5353"], |app| {
        holds_blindly("", app, "UDP on port 5353");
    });
}

#[test]
fn a_unix_listener_alone_is_held_to_the_end() {
    holds_blindly("", "serve unix:app", "@app");
}

#[test]
fn beside_a_tcp_listener_the_others_do_not_matter() {
    let run = serving(UNTIL_QUIET, "serve tcp:127.0.0.1:8080 udp:127.0.0.1:5353 unix:app");
    hold(&run);
    let report = report(run, "quiet");
    assert_eq!(report["traffic"]["ports"], json!([8080]), "{report}");
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
fn a_fixed_delay_learns_what_would_have_been_enough() {
    let run = serving("--delay 2s", SERVER);
    let mut client = run.beside(CLIENT);
    let began_at = hold(&run);
    let mut count = 0;
    keep_up(500 * MS, || {
        client.does("request");
        count += 1;
    });
    assert_after(began_at, run.hears(FORWARDED).at, 2000 * MS);
    let report = report(run, "delay");
    assert_eq!(number(&report, "traffic/connections"), count, "{report}");
    assert_eq!(number(&report, "traffic/with_data"), count, "{report}");
    let last = number(&report, "traffic/last_arrival_ms");
    assert!((500..2000).contains(&last), "{report}");
    assert_eq!(number(&report, "traffic/sufficient_delay_ms"), (last / 1000 + 1) * 1000);
    assert_eq!(report["traffic"]["kept_by"], Value::Null, "{report}");
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

// Which ports.

/// A server that is none of the app's, in the same network.
fn sidecar(run: &Run) -> Visitor {
    let mut sidecar = run.beside("serve tcp:127.0.0.1:15001");
    assert!(sidecar.line().starts_with("serving"));
    sidecar
}

/// What a hold saw of a client of that server.
fn traffic_of_a_sidecar(options: &str, app: &str) -> Value {
    let run = serving(&format!("{UNTIL_QUIET} {options}"), app);
    let _sidecar = sidecar(&run);
    let mut client = run.beside("call 127.0.0.1:15001");
    hold(&run);
    keep_up(600 * MS, || client.does("request"));
    report(run, "quiet")["traffic"].take()
}

#[test]
fn a_port_of_somebody_else_does_not_count() {
    let traffic = traffic_of_a_sidecar("", SERVER);
    assert_eq!((&traffic["ports"], &traffic["connections"]), (&json!([8080]), &json!(0)));
}

#[test]
fn a_port_that_is_named_counts_whoever_listens() {
    let traffic = traffic_of_a_sidecar("--traffic-port 15001", SERVER);
    assert_eq!(traffic["ports"], json!([15001]), "{traffic}");
    assert_ne!(traffic["with_data"], 0, "{traffic}");
}

#[test]
fn where_the_owners_of_ports_are_hidden_all_ports_count() {
    let traffic = traffic_of_a_sidecar("", "serve --unreadable tcp:127.0.0.1:8080");
    assert_eq!(traffic["ports"], json!([8080, 15001]), "{traffic}");
    assert_ne!(traffic["with_data"], 0, "{traffic}");
}

#[test]
fn a_descendant_of_the_app_may_be_the_one_that_listens() {
    let network = network();
    let script = format!("{0} serve tcp:127.0.0.1:8080 & {0} serve", network.display());
    let init = pid1().options("--log-format json").options(UNTIL_QUIET).in_network("");
    let run = init.app(["sh", "-c", &script]);
    run.hears_times("serving", 2);
    hold(&run);
    assert_eq!(report(run, "quiet")["traffic"]["ports"], json!([8080]));
}

// Where some of it is refused.

#[test]
fn each_refused_source_of_traffic_has_a_substitute() {
    let chain = [
        ("", "events"),
        ("--refuse files", "events"),
        ("--refuse events", "dumps"),
        ("--refuse netlink", "files"),
    ];
    at_once(chain, |(refused, seen_by)| {
        let run = start(UNTIL_QUIET, refused, SERVER);
        run.hears("serving");
        let mut client = run.beside(CLIENT);
        hold(&run);
        let last_at = keep_up(WINDOW, || client.does("request"));
        assert_after(last_at, run.hears(FORWARDED).at, WINDOW);
        let ended = run.ends();
        let report = ended.report();
        assert_eq!(report["traffic"]["seen_by"], seen_by, "{refused}: {report}");
        assert_eq!(report["hold_ended_by"], "quiet", "{refused}: {report}");
        assert!(number(&report, "held_ms") >= 2000, "{refused}: {report}");
        assert_eq!(ended.times(r#""level":"warn""#), 0, "{refused}: {}", ended.all());
    });
}

#[test]
fn where_all_sources_are_refused_it_is_held_to_the_end() {
    at_once(["netlink", "events"], |refused| {
        let refused = format!("--refuse {refused} --refuse files");
        holds_blindly(&refused, SERVER, "neither netlink nor /proc/net");
    });
}

// What it costs.

#[test]
fn before_the_stop_signal_and_after_the_hold_nothing_is_open() {
    let program = network();
    let script = format!("trap '' TERM; exec {} {SERVER}", program.display());
    let init = pid1().options("--log-format json").options(UNTIL_QUIET).in_network("");
    let run = init.app(["sh", "-c", &script]);
    run.hears("serving");
    let pid = run.pid();
    assert_eq!(status(pid, "CapEff").as_deref(), Some("0000000000000000"));
    // The app may serve before its init has gone to sleep.
    sleeps(pid);
    let wake_ups = || status(pid, "voluntary_ctxt_switches");
    let before = wake_ups();
    let mut client = run.beside(CLIENT);
    keep_up(500 * MS, || client.does("request"));
    assert_eq!((wake_ups(), sockets(pid)), (before, 0));
    hold(&run);
    eventually("a socket", || (sockets(pid) > 0).then_some(()));
    run.hears(FORWARDED);
    eventually("the end of the sockets", || (sockets(pid) == 0).then_some(()));
}
