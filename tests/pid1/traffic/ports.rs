//! What listens, and whose it is.

use super::*;

#[test]
fn a_worker_that_listens_on_nothing_is_held_for_the_shortest_delay() {
    at_once([("0s..1h", 0), ("1s..1h", 1000)], |(delay, least)| {
        let run = serving(&format!("--delay {delay} --grace-period none"), "serve");
        let began_at = run.signal(libc::SIGTERM);
        assert_after(began_at, run.hears(FORWARDED).at, least * MS);
        let ended = run.ends();
        let report = ended.report();
        assert_eq!(report["hold_ended_by"], "quiet", "{report}");
        assert_eq!(report["traffic"]["ports"], json!([]), "{report}");
        assert_eq!(ended.times(r#""level":"warn""#), 0, "{}", ended.all());
        println!("{delay}: held for {} ms", report["held_ms"]);
    });
    let run = serving("--delay 0s..1h --grace-period none --log-format text", "serve");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert!(ended.said("s of 0s..3600s: nothing listens"), "{}", ended.all());
}

/// What its init has not told apart from the app's own may be a client's.
#[test]
fn udp_is_quiet_where_nobody_else_has_it() {
    let alone = ["serve udp:127.0.0.1:5353", "serve udp:[::1]:5353"];
    at_once(alone.into_iter().chain(["serve tcp:127.0.0.1:8080 udp:127.0.0.1:5353"]), |app| {
        let run = serving(UNTIL_QUIET, app);
        hold(&run);
        report(run, "quiet");
    });
    let apps = ["serve udp:127.0.0.1:5353", "serve tcp:127.0.0.1:8080 udp:127.0.0.1:5353"];
    at_once(apps, |app| {
        // A resolver's.
        holds_blindly("", "", &format!("{app} udp:127.0.0.1:0"), "UDP");
    });
}

/// They are clients', or for processes of the app's own.
#[test]
fn sockets_that_nobody_else_reaches_are_no_servers() {
    let apps = ["serve udp:127.0.0.1:0 udp:0.0.0.0:0", "serve unix:app"];
    at_once(apps, |app| {
        let run = serving("--delay 0s..5s", app);
        let began_at = run.signal(libc::SIGTERM);
        run.hears(FORWARDED);
        assert!(began_at.elapsed() < 3000 * MS, "{app}: {:?}", began_at.elapsed());
        assert_eq!(report(run, "quiet")["traffic"]["ports"], json!([]), "{app}");
    });
}

#[test]
fn a_unix_listener_on_a_volume_is_held_to_the_end() {
    at_once(["", "tcp:127.0.0.1:8080 "], |beside| {
        let app = format!("serve {beside}unix:/mnt/app.sock");
        holds_blindly("", "--volume /mnt", &app, "/mnt/app.sock");
    });
}

#[test]
fn a_unix_listener_that_others_have_reached_is_held_to_the_end() {
    let run = serving(TO_MAX, "serve unix:app");
    let mut client = run.beside("call unix:app");
    client.does("open 1");
    client.does("say");
    is_held_blindly(run, "@app");
}

#[test]
fn a_named_port_on_which_nobody_listens_is_held_to_the_end() {
    at_once([("80", SERVER), ("5353", "serve udp:127.0.0.1:5353")], |(port, app)| {
        holds_blindly(&format!("--traffic-port {port}"), "", app, port);
    });
}

#[test]
fn a_listener_that_comes_after_the_stop_signal_is_seen() {
    let folder = Folder::new();
    let fifo = folder.fifo("go").display().to_string();
    let script = format!("echo ready; cat {fifo}; exec {} {SERVER}", network().display());
    let options = "--log-format json --delay 2s..1h --quiet-window 1s";
    let run = pid1().options(options).in_network("").app(["sh", "-c", &script]);
    run.hears("ready");
    let began_at = hold(&run);
    std::fs::write(&fifo, "").expect("a reader");
    run.hears("serving");
    let mut client = run.beside(CLIENT);
    let last_at = keep_up((began_at + 2500 * MS).duration_since(Instant::now()), || {
        client.does("request");
    });
    assert_after(last_at, run.hears(FORWARDED).at, WINDOW);
    let report = report(run, "quiet");
    assert_eq!(report["traffic"]["ports"], json!([8080]), "{report}");
}

/// A server that is none of the app's, in the same network.
pub(super) fn sidecar(run: &Run) -> Visitor {
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
