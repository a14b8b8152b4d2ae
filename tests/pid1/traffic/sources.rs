//! What is looked at where some of it is refused.

use super::*;

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
        holds_blindly("", &refused, SERVER, "neither netlink nor /proc/net");
    });
}
