//! The report of whole shutdowns, as text and as JSON.

use std::time::{Duration, Instant};

use serde_json::{Value, json as value};

use crate::process::target::{Name, Reason, Target};
use crate::report::step::{Sender, Step};
use crate::report::summary::Summary;
use crate::report::{json, short};
use crate::shutdown::ending::Ending;
use crate::shutdown::event::Why;
use crate::shutdown::plan::{Delay, Plan};
use crate::signal::Signal;
use crate::tasks::task::{Hook, Occasion, Task};
use crate::test_support::*;
use crate::traffic::counts::{Arrival, Counts, Missed, Origin};
use crate::traffic::peers::PeerCount;
use crate::traffic::seen::{HoldTraffic, OpenConnections, Seen, Source};

const MAX: usize = 4000;

/// After the steps, in the second that is given; with the code that we exit with.
fn report(plan: Plan, steps: Vec<(u64, Step)>, at: u64, code: u8) -> (String, Value) {
    let (timeline, t0) = recorded(plan, steps);
    both(&timeline.summary(code, None, t0 + Duration::from_secs(at)))
}

fn in_text(plan: Plan, steps: Vec<(u64, Step)>, at: u64, code: u8) -> String {
    report(plan, steps, at, code).0
}

fn in_json(plan: Plan, steps: Vec<(u64, Step)>, at: u64, code: u8) -> Value {
    report(plan, steps, at, code).1
}

fn both(summary: &Summary) -> (String, Value) {
    let json = serde_json::from_str(&json::report(summary, MAX)).unwrap();
    (short::report(summary), json)
}

fn stop() -> (u64, Step) {
    (0, began(outside(), Instant::now()))
}

fn over() -> (u64, Step) {
    (15, forwarded(Why::DelayOver))
}

#[test]
fn an_ordinary_stop() {
    let steps = || vec![stop(), over(), (20, exited(0))];
    assert_eq!(
        in_text(plan(), steps(), 20, 0),
        "report: drained in 5s, exit code 0; held 15s; 20s of 60s used, 22s would do; SIGTERM from \
         outside the container"
    );
    let report = in_json(plan(), steps(), 20, 0);
    for (key, value) in [
        ("held_ms", 15_000),
        ("forwarded_at_ms", 15_000),
        ("drain_ms", 5000),
        ("total_ms", 20_000),
        ("unused_ms", 40_000),
        ("sufficient_grace_period_ms", 22_000),
    ] {
        assert_eq!(report[key], value, "{key} in {report}");
    }
    assert_eq!(report["app_exit_code"], 0);
    assert!(report["app_signal"].is_null() && report["killed_at_ms"].is_null(), "{report}");
    assert_eq!((&report["outcome"], &report["uptime_ms"]), (&"drained".into(), &20_000.into()));
    let unlimited = in_text(Plan { grace_period: None, ..plan() }, steps(), 20, 0);
    assert!(unlimited.contains("; 20s used, a grace period of 22s would do; "), "{unlimited}");
}

#[test]
fn how_it_ended_and_whom_the_signal_came_from_in_json() {
    let sender = |queued| Sender { pid: 7, uid: 5, command: None, queued };
    let steps = |queued, ending| {
        vec![(0, began(Some(sender(queued)), Instant::now())), (9, Step::MainEnded(ending))]
    };
    let exited = in_json(plan(), steps(false, Ending::Exited(3)), 9, 3);
    assert_eq!((&exited["app_exit_code"], &exited["app_signal"]), (&3.into(), &Value::Null));
    assert_eq!((&exited["sender"]["pid"], &exited["sender"]["uid"]), (&7.into(), &5.into()));
    let quit = in_json(plan(), steps(true, Ending::Signaled(Signal::QUIT)), 9, 131);
    assert_eq!((&quit["app_exit_code"], &quit["app_signal"]), (&Value::Null, &"SIGQUIT".into()));
    assert_eq!(quit["sender"], Value::Null, "nobody vouches for a sender of sigqueue(3)");
}

/// With the whole hold it would have taken longer.
#[test]
fn a_hold_that_was_cut_counts_as_a_whole_one() {
    let steps = || vec![stop(), (5, forwarded(Why::Hurry)), (8, exited(0))];
    let report = in_json(plan(), steps(), 8, 0);
    assert_eq!(report["sufficient_grace_period_ms"], 20_000, "{report}");
    let report = in_text(plan(), steps(), 8, 0);
    assert!(report.contains("held 5s of 15s, until the signal came again; "), "{report}");
}

#[test]
fn why_the_hold_ended() {
    for (step, part) in [
        (forwarded(Why::Quiet), "; held 9s of 15s, until traffic stopped; "),
        (forwarded(Why::TasksEnded), "; held 9s, until the hooks ended; "),
        (
            exited(0),
            "report: ended early, at +9s of a hold of 15s, before it got the stop signal, ",
        ),
    ] {
        let report = in_text(plan(), vec![stop(), (9, step)], 9, 0);
        assert!(report.contains(part), "{report}");
    }
    // With `--leftovers kill` what the app left is killed when it has ended.
    let exits = vec![stop(), (9, exited(0)), (9, killed(&[3], false))];
    let report = in_text(plan(), exits, 9, 0);
    assert!(report.contains("; held 9s of 15s, until the app ended; "), "{report}");
    let none = Plan { delay: Delay::fixed(Duration::ZERO), ..plan() };
    let report = in_text(none, vec![stop(), (0, forwarded(Why::DelayOver))], 1, 0);
    assert!(!report.contains("held"), "{report}");
}

/// On-stop hooks that hang keep the stop signal back until the deadline.
#[test]
fn a_hold_until_sigkill() {
    let died = Step::MainEnded(Ending::KILLED);
    let steps = vec![stop(), (59, killed_of(&[2], false, true)), (60, died)];
    let hooks = Plan { on_stop: Some(Duration::from_mins(1)), ..plan() };
    let (text, json) = report(hooks, steps, 60, 137);
    let part = "report: KILLED app (pid 2) at +59s, before it got the stop signal, as on-stop hooks \
                still ran, exit code 137; ";
    assert!(text.starts_with(part), "{text}");
    assert_eq!((&json["hold_ended_by"], &json["held_ms"]), (&"exit".into(), &60_000.into()));
}

#[test]
fn a_stop_signal_that_was_not_forwarded() {
    let dropped = Step::Dropped { signal: Signal::TERM, why: Why::DelayOver };
    let report = in_text(plan(), vec![stop(), (15, dropped), (20, exited(0))], 20, 0);
    assert!(
        report.contains("; held 15s; the signal is rewritten to 0, and not forwarded; "),
        "{report}"
    );
    let report = in_text(plan(), vec![stop(), (9, exited(0))], 9, 0);
    assert!(!report.contains("forwarded"), "{report}");
}

#[test]
fn the_group_of_a_shell() {
    let group = Target::Group(Reason::ShellWithoutTrap("sh"));
    let shell_ended = || vec![stop(), (15, to(group.clone())), (15, exited(3))];
    let mut steps = shell_ended();
    steps.push((18, Step::GroupEnded));
    let report = in_text(plan(), steps, 30, 3);
    assert!(report.starts_with("report: drained in 3s, exit code 3 of app, a shell; "), "{report}");
    // It has not ended yet.
    assert_eq!(in_json(plan(), shell_ended(), 30, 3)["drain_ms"], 15_000);
}

#[test]
fn a_kill() {
    let steps = || vec![stop(), over(), (59, killed_of(&[2, 3], true, true))];
    let names = vec![name(3)];
    let mut given_up = steps();
    given_up.push((60, Step::GaveUp { names }));
    let report = in_text(plan(), given_up, 60, 137);
    let part = "report: NOT ENDED, not even by SIGKILL at +59s: app (pid 3), exit code 137; \
                its trap did not run: use exec, or --process-group; ";
    assert!(report.starts_with(part), "{report}");
    let (timeline, t0) = recorded(plan(), steps());
    let (report, json) = both(&timeline.summary(137, None, t0 + Duration::from_mins(1)));
    let part = "report: KILLED app (pid 2) and 1 more at +59s, 44s after SIGTERM, exit code 137; ";
    assert!(report.starts_with(part), "{report}");
    // What is left of the grace period is the margin.
    assert!(!report.contains("used") && json["unused_ms"].is_null(), "{report}");
    assert_eq!(json["outcome"], "killed");
    // Without /proc nobody has a name.
    let report = in_text(plan(), vec![stop(), over(), (59, killed_of(&[], false, true))], 60, 137);
    assert!(report.starts_with("report: KILLED all that was left at +59s, 44s after"), "{report}");
    let refused =
        vec![stop(), over(), (16, exited(0)), (60, Step::GaveUp { names: vec![name(3)] })];
    let report = in_text(plan(), refused, 60, 0);
    let part = "report: LEFT to the kernel, as we may not signal it: app (pid 3), exit code 0; ";
    assert!(report.starts_with(part), "{report}");
}

/// What is killed is told with its command line, and what was open then.
#[test]
fn whom_and_what_a_kill_hit() {
    let (mut timeline, t0) =
        recorded(plan(), vec![stop(), over(), (59, killed_of(&[2], false, true))]);
    timeline.keep_command_line(&name(2), "app".into());
    timeline.keep_command_line(&name(2), "app --port 80".into());
    let open = OpenConnections { open: 3, active: 0 };
    let seen = Seen { at_kill: Some(open), ..seen(0, 0, 0, t0) };
    timeline.traffic = Some(HoldTraffic::Seen(seen));
    let (report, json) = both(&timeline.summary(137, None, t0 + Duration::from_mins(1)));
    let part = "report: KILLED app (pid 2, app --port 80) at +59s, 44s after SIGTERM, exit code 137; \
                3 connections open then; held 15s; ";
    assert!(report.starts_with(part), "{report}");
    let expected = serde_json::json!({"pid": 2, "command": "app", "command_line": "app --port 80"});
    assert_eq!((&json["app"], &json["killed"]["first"][0]), (&expected, &expected));
    // One word more than its name.
    timeline.keep_command_line(&name(2), "app".into());
    let (report, _) = both(&timeline.summary(137, None, t0));
    assert!(report.starts_with("report: KILLED app (pid 2) at"), "{report}");
}

#[test]
fn leftovers_that_were_killed() {
    let steps =
        vec![stop(), over(), (16, exited(0)), (16, swept(&[3, 4])), (59, killed(&[4], false))];
    let (report, json) = report(plan(), steps, 60, 0);
    let part = "report: KILLED what was left over: app (pid 4) at +59s, exit code 0; left over, and \
                ended in time: app (pid 3); held 15s; ";
    assert!(report.starts_with(part), "{report}");
    assert_eq!(
        (&json["outcome"], &json["killed"]["count"]),
        (&"leftovers_killed".into(), &1.into())
    );
}

/// 15.15
#[test]
fn an_app_behind_a_shell() {
    let shell = |reason: fn(&'static str) -> Reason| to(Target::Main(reason("sh")));
    let steps = |reason| {
        let stand_in = Step::StandInEnded(name(3), Ending::Exited(7));
        let ended = Step::MainEnded(Ending::Signaled(Signal::TERM));
        vec![stop(), (15, shell(reason)), (15, ended), (18, stand_in)]
    };
    let (text, json) = report(plan(), steps(Reason::ShellWithoutTrap), 18, 143);
    let begins = "report: drained in 3s, exit code 143 of app (app exited with 7); held 15s; ";
    assert!(text.starts_with(begins), "{text}");
    let own = (&json["app_exit_code"], &json["app_signal"]);
    assert_eq!(own, (&7.into(), &Value::Null));
    assert_eq!((&json["main_exit_code"], &json["main_signal"]), (&Value::Null, &"SIGTERM".into()));
    let text = in_text(plan(), steps(Reason::ShellWithTrap), 18, 143);
    assert!(text.contains("; the trap of app did not wait for app: "), "{text}");
}

/// Killed by somebody else, as where memory ran out.
#[test]
fn an_app_that_died() {
    let (mut timeline, t0) = recorded(plan(), vec![stop(), (9, Step::MainEnded(Ending::KILLED))]);
    timeline.died = true;
    let (text, json) = both(&timeline.summary(137, None, t0 + Duration::from_secs(9)));
    let begins = "report: DIED: app (pid 2) was killed by SIGKILL, not sent by reprieve: out of \
                  memory?, exit code 137; held 9s of 15s, until the app ended; ";
    assert!(text.starts_with(begins), "{text}");
    assert_eq!((&json["outcome"], &json["app_signal"]), (&"died".into(), &"SIGKILL".into()));
}

/// 15.15: whatever it has to tell, it can be read at a glance.
#[test]
fn a_report_is_short() {
    let long = || Name { pid: 4_194_304, command: "x".repeat(15) };
    let hook = |number: u8| {
        let path = format!("/{}{number}", "long/".repeat(200));
        Task::Hook(Occasion::OnStop, Hook(vec![path]))
    };
    let failed = |number| (1, done(hook(number), Err("no such file".repeat(40))));
    let shell = || to(Target::Main(Reason::ShellWithTrap("sh")));
    let kill = Step::Killed { names: vec![long(); 9], trap_pending: true, of_app: true };
    let killed = vec![stop(), failed(1), failed(2), (15, shell()), (59, kill)];
    let left = Step::Killed { names: vec![long(); 9], trap_pending: false, of_app: false };
    let behind = Step::StandInEnded(long(), Ending::Exited(0));
    for (steps, begins) in [
        (
            vec![stop(), failed(1), over(), (20, exited(0))],
            "report: drained in 5s, exit code 0; FAILED",
        ),
        (vec![stop(), failed(1), (9, exited(0))], "report: ended early, at +9s"),
        (killed, "report: KILLED xxx"),
        (vec![stop(), over(), (20, exited(0)), (59, left)], "report: KILLED what was left over: "),
        (vec![stop(), (15, shell()), (15, exited(143)), (20, behind)], "report: drained in 5s"),
        (vec![stop(), (60, Step::GaveUp { names: vec![long(); 9] })], "report: LEFT to"),
    ] {
        let (mut timeline, t0) = recorded(plan(), steps);
        timeline.app = long();
        timeline.keep_command_line(&long(), "y".repeat(128));
        let mut seen = seen(123_456, 65_432, 4321, t0);
        let open = Some(OpenConnections { open: 4321, active: 1234 });
        (seen.at_forward, seen.at_kill) = (open, open);
        seen.counts.missed = Some(Missed::EventsLost);
        timeline.traffic = Some(HoldTraffic::Seen(seen));
        let summary = timeline.summary(0, None, t0 + Duration::from_secs(59));
        let text = short::report(&summary);
        // With what the log writes before it.
        let line = format!("reprieve: warn: {text}");
        assert!(line.chars().count() <= 200 && text.ends_with("; ..."), "{}: {line}", line.len());
        assert!(text.starts_with(begins), "{text}");
    }
}

#[test]
fn an_end_by_itself() {
    let signaled = Step::MainEnded(Ending::Signaled(Signal::QUIT));
    let steps = || vec![(0, signaled), (0, swept(&[3, 4, 5, 6, 7, 8, 9, 10]))];
    let report = in_text(plan(), steps(), 1, 131);
    let expected = "report: app (pid 2) ended by itself, exit code 131; left over, and ended in time: \
                    app (pid 3), app (pid 4) and 6 more";
    assert_eq!(report, expected);
    let report = in_json(plan(), vec![(0, exited(0))], 1, 0);
    assert!(report["unused_ms"].is_null() && report["sufficient_grace_period_ms"].is_null());
}

#[test]
fn failed_hooks() {
    let not_run = Step::NotRun(hook());
    let report = in_text(plan(), vec![stop(), (60, not_run)], 60, 0);
    assert!(report.contains("; FAILED: on-stop hook deregister was not run"), "{report}");
    assert!(!in_text(plan(), vec![stop()], 60, 0).contains("FAILED"));
}

/// What a hold of 15 s saw: one old connection that spoke and these new ones, and data last at +6.5 s.
fn seen(arrived: u64, with_data: u64, old_with_data: u64, t0: Instant) -> Seen {
    let from = Origin { peer: Some(([10, 0, 0, 1], 40_000).into()), port: 80 };
    let at = |milliseconds| Arrival { at: t0 + Duration::from_millis(milliseconds), from };
    let counts = Counts {
        arrived,
        with_data,
        old_with_data,
        last_arrival: (with_data > 0).then_some(at(5200)),
        last_data: (with_data + old_with_data > 0).then_some(at(6500)),
        longest_gap: Duration::from_secs(6),
        ..Counts::default()
    };
    Seen {
        ports: (1..=70).collect(),
        udp_ports: vec![53],
        source: Source::Dumps,
        counts,
        peers: Vec::new(),
        quiet_window: Duration::from_secs(3),
        unseen_because: None,
        at_forward: None,
        at_kill: None,
    }
}

/// 10.19
#[test]
fn the_peers_of_a_hold() {
    let peer = |last: u8, connections, looks_like_probe| PeerCount {
        peer: [10, 0, 0, last].into(),
        port: 80,
        connections,
        looks_like_probe,
    };
    let peers = vec![peer(7, 16, false), peer(1, 3, true), peer(9, 1, false)];
    let (text, json) =
        with_traffic(|t0| Seen { peers: peers.clone(), ..seen(20, 20, 0, t0) }, Why::DelayOver, 15);
    let named =
        "; 20 connections came, the last at +5.2s; 10.0.0.1 looks like a probe: --ignore-peer?";
    assert!(text.contains(named), "{text}");
    let probe = value!({
        "peer": "10.0.0.1", "local_port": 80, "connections": 3, "looks_like_probe": true
    });
    assert_eq!(json["traffic"]["peers"][1], probe);
    assert_eq!(json["traffic"]["peers"].as_array().map(Vec::len), Some(3));
}

/// The report of a hold with a range that ended for this reason after so many seconds.
fn with_traffic(seen: impl Fn(Instant) -> Seen, why: Why, held: u64) -> (String, Value) {
    let delay = Delay { min: Duration::from_secs(3), ..plan().delay };
    let (mut timeline, t0) = recorded(Plan { delay, ..plan() }, vec![]);
    timeline.record(&began(outside(), t0), t0);
    timeline.traffic = Some(HoldTraffic::Seen(seen(t0)));
    let at = t0 + Duration::from_secs(held);
    timeline.record(&forwarded(why), at);
    timeline.record(&exited(0), at);
    both(&timeline.summary(0, None, at))
}

#[test]
fn the_traffic_of_a_hold() {
    for (counts, text) in [
        ([0, 0, 0], "until traffic stopped; 15s of 60s used, 17s would do; no connection came; "),
        ([1, 0, 0], "; 1 connection came without data; "),
        ([2, 0, 0], "; 2 connections came without data; "),
        ([2, 1, 0], "; 2 connections came, 1 with data, the last at +5.2s; "),
        ([1, 1, 0], "; 1 connection came, the last at +5.2s; "),
        ([2, 2, 1], "; 2 connections came, the last at +5.2s; "),
        ([0, 0, 3], "; 3 old connections sent data until +6.5s; "),
    ] {
        let [arrived, with_data, old] = counts;
        let (report, _) = with_traffic(|t0| seen(arrived, with_data, old, t0), Why::Quiet, 15);
        assert!(report.contains(text), "{text} is not in {report}");
    }
    let (_, report) = with_traffic(|t0| seen(5, 4, 3, t0), Why::Quiet, 15);
    let traffic = &report["traffic"];
    assert_eq!(traffic["seen_by"], "dumps");
    assert_eq!(traffic["ports"].as_array().map(Vec::len), Some(64));
    assert_eq!(traffic["udp_ports"], serde_json::json!([53]));
    for (key, value) in [
        ("connections", 5),
        ("with_data", 4),
        ("old_with_data", 3),
        ("last_arrival_ms", 5200),
        ("last_data_ms", 6500),
        ("silent_ms", 8500),
        ("at_least_ms", 7000),
        ("sufficient_delay_ms", 7000),
    ] {
        assert_eq!(traffic[key], value, "{key} in {traffic}");
    }
    for key in ["missed_because", "open_at_forward", "active_at_kill", "kept_by"] {
        assert_eq!(traffic[key], Value::Null, "{key} in {traffic}");
    }
    assert_eq!(traffic["missed"], false);
}

/// The advice is given where the silence after the last data was long.
#[test]
fn which_delay_would_have_been_enough() {
    let advice = |gap: u64, held: u64, data| {
        let seen = |t0| {
            let mut seen = seen(0, 0, 1, t0);
            seen.counts.data = data;
            seen.counts.longest_gap = Duration::from_millis(gap);
            seen
        };
        let (text, json) = with_traffic(seen, Why::DelayOver, held);
        let cut = "s, perhaps too short: requests still came; ";
        let delay = json["traffic"]["sufficient_delay_ms"].clone();
        let still_came = held * 1000 - 6500 <= gap;
        assert_eq!(text.contains(cut), delay.is_null() && still_came, "{text}");
        assert_eq!(json["traffic"]["at_least_ms"], 7000, "{json}");
        delay
    };
    // As long as the window, 3 s.
    assert_eq!(advice(6000, 9, 2), Value::Null);
    assert_eq!(advice(6000, 10, 1), 7000);
    // Longer than four of the gaps, if there was one between two data.
    assert_eq!(advice(375, 8, 2), Value::Null);
    assert_eq!(advice(374, 8, 2), 7000);
    assert_eq!(advice(374, 8, 1), Value::Null);
}

/// Where nothing came, that was for long enough or not.
#[test]
fn whether_no_delay_would_have_been_enough() {
    let advice = |held| with_traffic(|t0| seen(0, 0, 0, t0), Why::DelayOver, held);
    let (_, json) = advice(2);
    assert_eq!(json["traffic"]["sufficient_delay_ms"], Value::Null, "{json}");
    let (_, json) = advice(3);
    assert_eq!(json["traffic"]["sufficient_delay_ms"], 0, "{json}");
}

#[test]
fn what_may_have_been_missed() {
    let missed = |arrived, with_data, old| {
        with_traffic(
            |t0| {
                let mut seen = seen(arrived, with_data, old, t0);
                seen.counts.missed = Some(Missed::EventsLost);
                seen
            },
            Why::DelayOver,
            15,
        )
    };
    let (text, json) = missed(2, 2, 1);
    let why = "the kernel dropped events of connections that ended";
    let part = "; at least 2 connections came, the last at +5.2s; ";
    assert!(text.contains(part), "{text}");
    let traffic = &json["traffic"];
    assert_eq!((&traffic["missed"], &traffic["missed_because"]), (&true.into(), &why.into()));
    assert_eq!(
        (&traffic["sufficient_delay_ms"], &traffic["connections"]),
        (&Value::Null, &2.into())
    );
    let (text, json) = missed(0, 0, 0);
    let part = format!("; no connection was seen; some may be missed: {why}");
    assert!(text.contains(&part), "{text}");
    assert_eq!(json["traffic"]["sufficient_delay_ms"], Value::Null);
    let partly = |t0| Seen { unseen_because: Some("a Unix socket".into()), ..seen(1, 1, 0, t0) };
    let (text, json) = with_traffic(partly, Why::DelayOver, 15);
    assert!(text.contains("; some may be missed: a Unix socket"), "{text}");
    let traffic = &json["traffic"];
    assert_eq!(
        (&traffic["unseen_because"], &traffic["missed"]),
        (&"a Unix socket".into(), &true.into())
    );
}

#[test]
fn who_prolonged_the_hold() {
    let kept_by = |from: Origin| {
        move |t0| {
            let mut seen = seen(0, 0, 1, t0);
            seen.counts.keeper = Some(from);
            seen
        }
    };
    let peer = Origin { peer: Some(([10, 0, 0, 1], 40_000).into()), port: 80 };
    let (text, json) = with_traffic(kept_by(peer), Why::DelayOver, 15);
    assert!(text.contains("; held 15s, prolonged by 10.0.0.1 on port 80; "), "{text}");
    let expected = serde_json::json!({"peer": "10.0.0.1", "local_port": 80});
    assert_eq!(json["traffic"]["kept_by"], expected);
    let (text, json) = with_traffic(kept_by(Origin { peer: None, port: 53 }), Why::DelayOver, 15);
    assert!(text.contains("; held 15s, prolonged by UDP on port 53; "), "{text}");
    let expected = serde_json::json!({"peer": null, "local_port": 53});
    assert_eq!(json["traffic"]["kept_by"], expected);
    let (text, json) = with_traffic(kept_by(peer), Why::Quiet, 15);
    assert!(!text.contains("prolonged") && json["traffic"]["kept_by"].is_null(), "{text}");
    // No traffic prolongs a fixed delay.
    let (mut timeline, t0) = recorded(plan(), vec![stop(), over()]);
    timeline.traffic = Some(HoldTraffic::Seen(kept_by(peer)(t0)));
    let (text, json) = both(&timeline.summary(0, None, t0));
    assert!(!text.contains("prolonged") && json["traffic"]["kept_by"].is_null(), "{text}");
}

#[test]
fn what_was_open_at_the_forward_and_at_the_kill() {
    let with = |at_forward, at_kill| {
        with_traffic(|t0| Seen { at_forward, at_kill, ..seen(0, 0, 0, t0) }, Why::DelayOver, 15)
    };
    let open = |open, active| Some(OpenConnections { open, active });
    let (text, json) = with(open(5, 2), open(1, 1));
    assert!(text.contains("; 5 connections open at the forward, 2 of them busy"), "{text}");
    let traffic = &json["traffic"];
    let numbers = ["open_at_forward", "active_at_forward", "open_at_kill", "active_at_kill"];
    assert_eq!(numbers.map(|key| traffic[key].as_u64()), [5, 2, 1, 1].map(Some));
    let (text, _) = with(open(5, 0), open(0, 0));
    assert!(!text.contains("open"), "{text}");
}

#[test]
fn traffic_that_was_not_seen() {
    let report = |outcome| {
        let (mut timeline, t0) = recorded(plan(), vec![stop(), (9, forwarded(Why::Quiet))]);
        timeline.traffic = Some(outcome);
        both(&timeline.summary(0, None, t0 + Duration::from_secs(9)))
    };
    let (text, json) = report(HoldTraffic::NothingListens);
    assert!(text.contains("; held 9s of 15s: nothing listens; "), "{text}");
    let traffic = &json["traffic"];
    assert_eq!((&traffic["sufficient_delay_ms"], &traffic["connections"]), (&0.into(), &0.into()));
    assert_eq!((&traffic["silent_ms"], &traffic["missed"]), (&9000.into(), &false.into()));
    let (text, json) = report(HoldTraffic::Unseen("no netlink".into()));
    let part = "; what came in was not seen: no netlink; ";
    assert!(text.contains(part), "{text}");
    let traffic = &json["traffic"];
    for key in ["connections", "with_data", "old_with_data", "silent_ms", "sufficient_delay_ms"] {
        assert_eq!(traffic[key], Value::Null, "{key} in {traffic}");
    }
    for key in ["unseen_because", "missed_because"] {
        assert_eq!(traffic[key], "no netlink", "{key} in {traffic}");
    }
    assert_eq!((&traffic["missed"], &traffic["at_least_ms"]), (&true.into(), &0.into()));
}

#[test]
fn a_rehearsal_is_told_from_a_stop_signal() {
    let (timeline, t0) = recorded(plan(), vec![(0, began(None, Instant::now()))]);
    let report = short::report(&timeline.summary(0, None, t0));
    assert!(report.ends_with("; SIGTERM by rehearsal"), "{report}");
}

/// Six hooks with long paths once gave a report that was cut in the middle.
#[test]
fn a_report_is_bounded_by_leaving_out_and_not_by_cutting() {
    let hook = |number: u8| {
        let path = format!("/{}{number}", "long/".repeat(200));
        Task::Hook(Occasion::OnStop, Hook(vec![path]))
    };
    let failed = |number| (1, done(hook(number), Err("\u{1b}[31mno such file".repeat(40))));
    let mut steps = vec![stop()];
    steps.extend((0..6).map(failed));
    steps.push((59, killed(&[3, 4, 5, 6, 7, 8, 9, 10], false)));
    let (timeline, t0) = recorded(plan(), steps);
    let summary = timeline.summary(137, None, t0 + Duration::from_mins(1));
    for max in [4000, 3000, 2000] {
        let json = json::report(&summary, max);
        assert!(json.len() <= max, "{}", json.len());
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&json["failed_hooks"]["count"], &json["exit_code"]), (&6.into(), &137.into()));
        assert_eq!(json["killed"]["count"], 8);
    }
    let json: Value = serde_json::from_str(&json::report(&summary, MAX)).unwrap();
    let first = json["failed_hooks"]["first"].as_array().unwrap();
    assert!(first.len() == 6 && first[0]["hook"].as_str().unwrap().ends_with("..."), "{json}");
}
