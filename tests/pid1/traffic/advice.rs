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
    assert!(ended.said("one connection "), "{}", ended.all());
}
