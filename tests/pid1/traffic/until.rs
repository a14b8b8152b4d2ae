//! When a hold with a range ends: `--hold-until`.

use super::*;

/// Clients keep them through kube-proxy or a network balancer, and the app closes them as it drains.
#[test]
fn until_no_new_kept_connections_do_not_count() {
    at_once([true, false], |is_old| {
        let run = serving(&format!("{UNTIL_QUIET} --hold-until no-new"), SERVER);
        let mut client = run.beside(CLIENT);
        if is_old {
            client.does("open 1");
        }
        hold(&run);
        if !is_old {
            client.does("open 1");
        }
        while_held(&run, &mut client, "say");
        let report = report(run, "quiet");
        let key = if is_old { "old_with_data" } else { "with_data" };
        assert_eq!(report["traffic"][key], json!(1), "{report}");
        // It has not ended.
        assert_cut_off(&report, 900);
    });
}

#[test]
fn until_no_new_and_until_closed_new_connections_count() {
    at_once(["no-new", "closed"], |until| {
        let run = serving(&format!("{UNTIL_QUIET} --hold-until {until}"), SERVER);
        let mut client = run.beside(CLIENT);
        hold(&run);
        let last_at = keep_up(1500 * MS, || client.does("request"));
        assert_after(last_at, run.hears(FORWARDED).at, WINDOW);
        report(run, "quiet");
    });
}

/// As a WebSocket, on which nobody says anything for long.
#[test]
fn until_closed_an_idle_connection_counts_until_it_is_closed() {
    let run = serving(&format!("{UNTIL_QUIET} --hold-until closed"), SERVER);
    let mut client = run.beside(CLIENT);
    client.does("open 2");
    let began_at = hold(&run);
    client.does("close");
    // Longer than a window.
    wait_until(began_at + 2500 * MS);
    let closed_at = Instant::now();
    client.does("close");
    assert_after(closed_at, run.hears(FORWARDED).at, NOW);
    let report = report(run, "quiet");
    assert_eq!(report["traffic"]["open_at_forward"], json!(0), "{report}");
}

#[test]
fn until_closed_data_counts_too() {
    let run = serving(&format!("{UNTIL_QUIET} --hold-until closed"), SERVER);
    let mut client = run.beside(CLIENT);
    client.does("open 1");
    hold(&run);
    let last_at = keep_up(600 * MS, || client.does("say"));
    client.does("close");
    assert_after(last_at, run.hears(FORWARDED).at, WINDOW);
    report(run, "quiet");
}

#[test]
fn what_is_never_closed_holds_to_the_end() {
    let run = serving("--delay 300ms..2s --quiet-window 500ms --hold-until closed", SERVER);
    let mut client = run.beside(CLIENT);
    client.does("open 3");
    let began_at = hold(&run);
    assert_after(began_at, run.hears(FORWARDED).at, 2000 * MS);
    let report = report(run, "delay");
    assert_eq!(report["traffic"]["open_at_forward"], json!(3), "{report}");
}

#[test]
fn what_is_awaited_is_one_of_three() {
    let call = call(reprieve().args(["--delay", "1s..9s", "--hold-until", "idle", "--", "true"]));
    assert_eq!(call.code, 125, "{}", call.stderr);
    let names = ["quiet", "no-new", "closed"];
    assert!(names.iter().all(|name| call.stderr.contains(name)), "{}", call.stderr);
}
