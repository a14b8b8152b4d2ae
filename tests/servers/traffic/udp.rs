//! UDP beside TCP, as name servers have it.

use super::*;
use crate::network::Network;

/// What a client of a name server loses in a hold that it asks in for a while, and the report.
fn answered(resolver: &str, delay: &str, asks_for: Duration, ended_by: &str) -> Value {
    let [network, outside] = [Network::new(), Network::new()];
    network.cable_to(&outside);
    network.within(|| {
        let init = pid1().options("--log-format json").options(delay);
        let run = init.app(python("dns.py", &format!("serve {resolver}")));
        let mut client = outside.within(|| client(&python("dns.py", "call 10.9.0.1"), "begun"));
        wait_until(hold(&run) + asks_for);
        assert!(!is_forwarded(&run), "{:#?}", run.lines());
        assert_eq!(lost_by(&mut client), 0);
        report(run, ended_by)
    })
}

#[test]
#[ignore = "needs root: cargo test --test servers -- --ignored"]
fn queries_over_udp_keep_the_hold_of_a_name_server() {
    let report = answered("", UNTIL_QUIET, Duration::from_millis(1800), "quiet");
    assert!(number(&report, "held_ms") >= 2600, "{report}");
    assert_eq!(report["traffic"]["ports"], serde_json::json!([53, 9153]), "{report}");
}

/// Its datagrams would be counted too.
#[test]
#[ignore = "needs root: cargo test --test servers -- --ignored"]
fn a_name_server_that_asks_another_is_held_to_the_end() {
    let report = answered("10.9.0.2", TO_MAX, Duration::from_millis(2700), "delay");
    let because = report["traffic"]["unseen_because"].as_str().unwrap_or_default();
    assert!(because.contains("UDP"), "{report}");
}
