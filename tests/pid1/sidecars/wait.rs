//! Before the app: it starts once its sidecars are ready (docs/behaviour.md, 13.1 to 13.4).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::*;

/// Both of two have to be ready, in whatever way they were asked for.
fn awaits_both(init: Init) {
    let run = waiting(init);
    let _one = run.proxy("GET=127.0.0.1:4000/a=503,200");
    run.hears("http://localhost:4000/a is not ready: 503");
    run.hears("http://127.0.0.1:4001/b?c=d is not ready: connection refused");
    assert!(!run.lines().iter().any(|line| line.source == "app"));
    let mut other = run.proxy("GET=127.0.0.1:4001/b?c=200");
    // A path is more than what stands before the question mark.
    assert_eq!(other.line(), "GET 4001/b?c=d");
    run.hears("http://127.0.0.1:4001/b?c=d is not ready: 404");
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 143);
}

#[test]
fn each_of_several_is_awaited_in_turn() {
    awaits_both(pod("--await-url http://localhost:4000/a --await-url http://127.0.0.1:4001/b?c=d"));
    awaits_both(pod("--await-url http://localhost:4000/a,http://127.0.0.1:4001/b?c=d"));
    let both = "http://localhost:4000/a,http://127.0.0.1:4001/b?c=d";
    awaits_both(pod("").variable("REPRIEVE_AWAIT_URL", both));
}

#[test]
fn an_answer_that_is_no_2xx_is_asked_for_again() {
    let answers = [
        ("503", "503"),
        ("404", "404"),
        ("403", "403"),
        ("302", "302: redirects are not followed"),
        ("101", "101"),
        ("shut", "closed without an answer"),
        ("cut", "the answer was cut short"),
        ("garbage", "the answer is not HTTP"),
    ];
    at_once(answers, |(answer, words)| {
        let run = waiting(pod("--await-url http://127.0.0.1:4000/"));
        let proxy = run.proxy(&format!("GET=127.0.0.1:4000/={answer},200"));
        run.hears(&format!("http://127.0.0.1:4000/ is not ready: {words}"));
        started(&run);
        run.signal(libc::SIGTERM);
        assert_eq!(run.ends().code, 3);
        drop(proxy);
    });
}

#[test]
fn any_2xx_means_ready() {
    at_once(["200", "204", "299", "interim", "bytes"], |answer| {
        let run = waiting(pod("--await-url http://127.0.0.1:4000/"));
        let mut proxy = run.proxy(&format!("GET=127.0.0.1:4000/={answer},503"));
        started(&run);
        assert_eq!(proxy.line(), "GET 4000/");
        run.signal(libc::SIGTERM);
        assert_eq!(run.ends().code, 3);
    });
}

#[test]
fn what_answers_only_once_it_is_ready_is_waited_for() {
    let run = waiting(pod("--sidecar consul"));
    let mut proxy = run.proxy("GET=127.0.0.1:20300/graceful_startup=ready");
    assert_eq!(proxy.line(), "GET 20300/graceful_startup");
    assert!(!run.lines().iter().any(|line| line.source == "app"));
    assert!(proxy.tell("ready"));
    started(&run);
}

#[test]
fn a_question_that_gets_no_answer_is_asked_again() {
    let run = waiting(pod("--await-url http://127.0.0.1:4000/"));
    let mut proxy = run.proxy("GET=127.0.0.1:4000/=mute,200");
    assert_eq!(proxy.line(), "GET 4000/");
    let asked_at = Instant::now();
    run.hears("is not ready: no answer in 10s");
    started(&run);
    // The proxy said it a moment after it was asked.
    assert_after(asked_at, Instant::now(), 9 * Duration::from_secs(1));
}

#[test]
fn an_asker_that_somebody_kills_is_no_harm() {
    let run = waiting(pod("--await-url http://127.0.0.1:4000/"));
    let mut proxy = run.proxy("GET=127.0.0.1:4000/=mute,200");
    assert_eq!(proxy.line(), "GET 4000/");
    let asker = eventually("a process that asks", || askers(&run).first().copied());
    send(asker, libc::SIGKILL);
    run.hears("is not ready: no answer");
    started(&run);
}

#[test]
fn a_long_wait_is_logged_with_what_it_waits_for() {
    let run = pod("--await-url http://127.0.0.1:4000/").fixture("listen");
    run.hears("waiting for http://127.0.0.1:4000/: connection refused");
    let _proxy = run.proxy("GET=127.0.0.1:4000/=503,503,200");
    started(&run);
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.times("waiting for"), 1, "{}", ended.all());
}

// The time is over.

/// What is never ready; and the last answer.
const NEVER_READY: [(&str, &str); 5] = [
    ("", "connection refused"),
    ("GET=127.0.0.1:4000/=503", "503"),
    ("GET=127.0.0.1:4000/=302", "302: redirects are not followed"),
    ("GET=127.0.0.1:4000/=mute", "no answer"),
    ("GET=127.0.0.1:4000/=trickle", "no answer"),
];

/// Lets nothing, or a proxy, answer.
fn never_ready(init: Init, proxy: &str) -> (Run, Option<Visitor>) {
    let run = waiting(init.options("--await-timeout 1500ms"));
    let proxy = (!proxy.is_empty()).then(|| run.proxy(proxy));
    (run, proxy)
}

#[test]
fn after_the_timeout_it_fails_with_the_last_answer() {
    at_once(NEVER_READY, |(proxy, answer)| {
        let (run, _proxy) = never_ready(pod("--await-url http://127.0.0.1:4000/"), proxy);
        let began_at = run.started_at;
        let ended = run.ends();
        assert_after(began_at, ended.at, 1500 * MS);
        assert_eq!(ended.code, 125, "{}", ended.all());
        never_started(&ended);
        let why = "http://127.0.0.1:4000/ was not ready after 1.5s (--await-timeout): ";
        let last = *ended.log().last().expect("a line");
        assert_eq!(last, format!("reprieve: error: {why}{answer}"), "{}", ended.all());
    });
}

#[test]
fn after_the_timeout_it_starts_with_a_warning_if_asked_to() {
    at_once(NEVER_READY, |(proxy, answer)| {
        let urls = "--await-url http://127.0.0.1:4000/ --await-url http://127.0.0.1:4001/";
        let (run, _proxy) = never_ready(pod(&format!("{urls} --await-or-start")), proxy);
        assert_after(run.started_at, started(&run).at, 1500 * MS);
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!(ended.code, 3, "{}", ended.all());
        let warning = format!("(--await-timeout): {answer}; the app is started all the same");
        assert_eq!((ended.times("warn: "), ended.times(&warning)), (1, 1), "{}", ended.all());
    });
}

#[test]
fn variables_set_the_timeout_and_what_comes_after_it() {
    let init = pod("").variable("REPRIEVE_AWAIT_URL", "http://127.0.0.1:4000/");
    let init = init.variable("REPRIEVE_AWAIT_TIMEOUT", "1s");
    let run = init.variable("REPRIEVE_AWAIT_OR_START", "true").fixture("listen --code 3");
    let warning = run.hears("was not ready after 1s (--await-timeout): connection refused");
    assert_after(run.started_at, warning.at, 1000 * MS);
    started(&run);
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 3);
}

// Signals before the app.

#[test]
fn a_stop_signal_ends_the_wait_at_once_whatever_the_sidecar_does() {
    let signals = [
        ("", libc::SIGTERM, 143, "SIGTERM"),
        ("", libc::SIGINT, 130, "SIGINT"),
        ("--stop-signal SIGQUIT", libc::SIGQUIT, 131, "SIGQUIT"),
        ("--stop-signal SIGTERM,SIGRTMIN+3 --delay 1h", RTMIN + 3, 165, "SIGRTMIN+3"),
        // A stop is a stop, whether the app had been started or not.
        ("-e 143", libc::SIGTERM, 0, "SIGTERM"),
        ("-e 143", libc::SIGINT, 130, "SIGINT"),
    ];
    let proxies = [
        ("", "connection refused"),
        ("GET=127.0.0.1:4000/=503", "503"),
        ("GET=127.0.0.1:4000/=mute", "connection refused"),
        ("GET=127.0.0.1:4000/=trickle", "connection refused"),
    ];
    at_once(proxies, |(proxy, answer)| {
        for (options, signal, code, name) in signals {
            let urls = "--await-url http://127.0.0.1:4000/ --quit-url http://127.0.0.1:4000/quit";
            let run = waiting(pod(&format!("{urls} {options}")));
            let mut proxy = (!proxy.is_empty()).then(|| run.proxy(proxy));
            if let Some(proxy) = &mut proxy {
                assert_eq!(proxy.line(), "GET 4000/");
            }
            run.hears(&format!("is not ready: {answer}"));
            let began_at = run.signal(signal);
            let ended = run.ends();
            assert_after(began_at, ended.at, NOW);
            assert_eq!(ended.code, code, "{}", ended.all());
            never_started(&ended);
            let why = format!("{name} before http://127.0.0.1:4000/ was ready: {answer}");
            assert_eq!(ended.times(&why), 1, "{}", ended.all());
            assert!(!ended.said("report:") && !ended.said("POST"), "{}", ended.all());
        }
    });
}

/// Blocked by whoever started us, they stay where they can be counted.
#[test]
fn other_signals_reach_the_app_once_it_is_there() {
    let script = format!(
        "exec {} new -- {} with --block all -- \"$@\"",
        network().display(),
        fixture().display()
    );
    let init = pid1().options("-v --await-url http://127.0.0.1:4000/").through(&script);
    let run = init.app(["sleep", "1000"]);
    run.hears("is not ready");
    let signals =
        [libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2, 33, 34, RTMIN + 7, 64];
    // The signal that reports a helper's end is forwarded to nobody; from a person it ends nothing.
    run.signal(libc::SIGSTKFLT);
    for signal in signals {
        run.signal(signal);
    }
    // None of them has ended the wait, or has been taken by it.
    let refused = |line: &Line| line.text.contains("is not ready");
    let asked = run.lines().iter().filter(|line| refused(line)).count();
    run.hears_times("is not ready", asked + 2);
    let _proxy = run.proxy("GET=127.0.0.1:4000/=200");
    let app = eventually("the app", || {
        let pid = children(run.pid()).first().copied()?;
        is_program(pid, "sleep").then_some(pid)
    });
    let expected = BTreeSet::from(signals);
    let pending = || {
        let pending = crate::harness::signals(app, "ShdPnd");
        (1..=64).filter(|signal| pending & 1 << (signal - 1) != 0).collect::<BTreeSet<i32>>()
    };
    eventually_or(
        || format!("{expected:?} to reach the app; {:?} did", pending()),
        || (pending() == expected).then_some(()),
    );
}

#[test]
fn orphans_that_end_meanwhile_are_reaped() {
    let run = waiting(pod("--await-url http://127.0.0.1:4000/"));
    let visitor = run.enter(&["sh", "-c", "(sleep 1000 > /dev/null &)"]);
    let orphan = eventually("an orphan", || {
        children(run.pid()).into_iter().find(|pid| is_program(*pid, "sleep"))
    });
    send(orphan, libc::SIGKILL);
    eventually("its end", || (!children(run.pid()).contains(&orphan)).then_some(()));
    visitor.rest();
    // Nor does it end the wait.
    run.hears_times("is not ready: connection refused", 3);
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 143);
}

// What is left of us.

#[test]
fn the_asking_process_ends_with_the_wait() {
    let (_listener, url) = mute();
    for (signal, code) in [(libc::SIGTERM, 143), (libc::SIGKILL, 137)] {
        let run = laptop().options(&format!("--await-url {url}")).fixture("listen");
        let asker = eventually("a process that asks", || askers(&run).first().copied());
        run.signal(signal);
        assert_eq!(run.ends().code, code);
        eventually("its end", || (process_state(asker) == '0').then_some(()));
    }
}

#[test]
fn the_process_that_sends_a_quit_request_ends_with_us() {
    let (_listener, url) = mute();
    let run = laptop().options(&format!("--quit-url {url}")).fixture("listen --code 3");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    let asker = eventually("a process that tells", || askers(&run).first().copied());
    run.signal(libc::SIGKILL);
    assert_eq!(run.ends().code, 137);
    eventually("its end", || (process_state(asker) == '0').then_some(()));
}

#[test]
fn the_app_inherits_the_same_after_a_wait_as_without_one() {
    let state = |options: &str| {
        let run = pod(options).fixture("state");
        let _proxy = options.contains("--await").then(|| {
            run.hears("is not ready");
            run.proxy("GET=127.0.0.1:4000/=200")
        });
        let ended = run.ends();
        assert_eq!(ended.code, 0, "{}", ended.all());
        // Each question has had a pid.
        let its_own = |line: &&str| !["pid:", "group:"].iter().any(|key| line.starts_with(key));
        ended.app().into_iter().filter(its_own).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(state("-v --await-url http://127.0.0.1:4000/"), state(""));
}
