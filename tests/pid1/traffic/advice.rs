//! What the report advises, and what it says of connections.

use super::*;

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
    assert!((500..2000).contains(&number(&report, "traffic/last_arrival_ms")), "{report}");
    assert_advised(&report, 500);
    assert_eq!(report["traffic"]["kept_by"], Value::Null, "{report}");
}

/// 10.19: a probe asks at a steady pace, the same each time; and its data counts all the same.
#[test]
fn a_peer_that_asks_as_a_probe_does_is_called_one() {
    let run = serving("--delay 4500ms", SERVER);
    let (mut node, mut client) = (run.beside(NODE), run.beside(CLIENT));
    let began_at = hold(&run);
    let probed = (1..=4).map(|second| {
        node.does("request");
        client.does(if second == 2 { "requests 3" } else { "probe" });
        // The pace of a probe.
        sleep((began_at + second * SECOND).saturating_duration_since(Instant::now()));
    });
    assert_eq!(probed.count(), 4);
    let report = report(run, "delay");
    let peers = report["traffic"]["peers"].as_array().expect("peers");
    let of = |peer: &str| peers.iter().find(|one| one["peer"] == peer).expect("a peer");
    let expected = json!({
        "peer": "127.0.0.2", "local_port": 8080, "connections": 4, "looks_like_probe": true
    });
    assert_eq!(*of("127.0.0.2"), expected, "{report}");
    assert_eq!(of("127.0.0.1")["looks_like_probe"], false, "{report}");
    assert!(number(&report, "traffic/at_least_ms") >= 3000, "its data counts: {report}");
}

/// 10.20
#[test]
fn without_a_gateway_nobody_is_ignored() {
    for (refused, why) in
        [("", "there is no default gateway"), ("--refuse files", "No such file or directory")]
    {
        let run = start("--ignore-peer gateway --delay 300ms", refused, SERVER);
        run.hears(&format!("--ignore-peer gateway ignores nobody: {why}"));
        run.hears("serving");
        hold(&run);
        assert_eq!(run.ends().times(r#""event":"no_gateway""#), 1);
    }
}

#[test]
fn where_the_hold_cuts_traffic_off_no_delay_is_advised() {
    at_once(["request", "say"], |deed| {
        let run = serving("--delay 1500ms", SERVER);
        let mut client = run.beside(CLIENT);
        client.does("open 1");
        hold(&run);
        while_held(&run, &mut client, deed);
        assert_cut_off(&report(run, "delay"), 1300);
    });
    let run = serving("--delay 1500ms --log-format text", SERVER);
    let mut client = run.beside(CLIENT);
    run.signal(libc::SIGTERM);
    run.hears("from outside");
    while client.tries("request") {
        // The pace of the traffic.
        sleep(PACE);
    }
    let ended = run.ends();
    assert!(ended.said("still came"), "{}", ended.all());
    assert!(!ended.said("would have covered"), "{}", ended.all());
}

/// It counts what was open too, and what was at work.
#[test]
fn the_report_tells_whether_requests_were_cut() {
    let script = format!("trap '' TERM; exec {} {SERVER}", network().display());
    let init = pid1().options("--log-format json --delay 1s --grace-period 4s --margin 1s");
    let run = init.in_network("").app(["sh", "-c", &script]);
    run.hears("serving");
    let mut client = run.beside(CLIENT);
    client.does("open 4");
    hold(&run);
    client.does("say");
    run.hears(FORWARDED);
    // The last look comes right after the forward.
    sleeps(run.pid());
    client.does("close");
    client.does("say");
    client.does("close");
    client.does("say");
    let report = report(run, "delay");
    let traffic = &report["traffic"];
    assert_eq!(
        (&traffic["open_at_forward"], &traffic["active_at_forward"]),
        (&json!(4), &json!(1))
    );
    assert_eq!((&traffic["open_at_kill"], &traffic["active_at_kill"]), (&json!(2), &json!(1)));
}

#[test]
fn what_nobody_killed_was_open_at_no_kill() {
    let run = serving("--delay 300ms", SERVER);
    hold(&run);
    let report = report(run, "delay");
    let traffic = &report["traffic"];
    assert_eq!(
        (&traffic["open_at_forward"], &traffic["active_at_forward"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(
        (&traffic["open_at_kill"], &traffic["active_at_kill"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn an_ignored_peer_is_left_out_of_all() {
    let run = serving("--delay 2s --ignore-peer 127.0.0.2", SERVER);
    let mut node = run.beside(NODE);
    node.does("open 3");
    hold(&run);
    while_held(&run, &mut node, "say");
    let report = report(run, "delay");
    let traffic = &report["traffic"];
    let counts = ["connections", "with_data", "old_with_data", "open_at_forward"];
    assert_eq!(counts.map(|key| &traffic[key]), [&json!(0); 4], "{report}");
    // It was held for less than the window.
    assert_eq!(number(&report, "traffic/at_least_ms"), 0, "{report}");
    assert_eq!(traffic["sufficient_delay_ms"], Value::Null, "{report}");
}

#[test]
fn where_something_may_have_been_missed_counts_are_told_as_such() {
    at_once([("", false), ("--refuse netlink", true)], |(refused, missed)| {
        let run = start("--delay 1s --log-format json", refused, SERVER);
        run.hears("serving");
        let mut client = run.beside(CLIENT);
        hold(&run);
        client.does("request");
        let report = report(run, "delay");
        let traffic = &report["traffic"];
        assert_eq!(traffic["missed"], json!(missed), "{refused}: {report}");
        assert_eq!(traffic["missed_because"].is_string(), missed, "{refused}: {report}");
        assert!(!missed || traffic["sufficient_delay_ms"].is_null(), "{refused}: {report}");
    });
}

#[test]
fn one_connection_is_told_in_the_singular() {
    let run = serving("--delay 1s --log-format text", SERVER);
    let mut client = run.beside(CLIENT);
    run.signal(libc::SIGTERM);
    run.hears("from outside");
    sleeps(run.pid());
    client.does("request");
    let ended = run.ends();
    assert!(ended.said("; 1 connection came"), "{}", ended.all());
}
