//! Sidecars: the app starts once they are ready, and when it has ended they are told to quit. The
//! test's proxy plays them, in a network of their own, on the ports of the real ones.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::libc;

use crate::harness::*;

/// The presets, as the projects document their proxies: what a proxy is to answer to, and the lines
/// that it says then.
const PRESETS: [(&str, [&str; 2], [&str; 2]); 6] = [
    (
        "linkerd",
        ["GET=127.0.0.1:4191/ready=503,200", "POST=127.0.0.1:4191/shutdown=200!"],
        ["GET 4191/ready", "POST 4191/shutdown"],
    ),
    (
        "istio",
        ["GET=127.0.0.1:15021/healthz/ready=503,200", "POST=127.0.0.1:15020/quitquitquit=200!"],
        ["GET 15021/healthz/ready", "POST 15020/quitquitquit"],
    ),
    (
        "cloud-sql-proxy",
        ["GET=127.0.0.1:9090/readiness=503,200", "POST=127.0.0.1:9091/quitquitquit=200!"],
        ["GET 9090/readiness", "POST 9091/quitquitquit"],
    ),
    (
        "consul",
        [
            "GET=127.0.0.1:20300/graceful_startup=503,200",
            "POST=127.0.0.1:20300/graceful_shutdown=200!",
        ],
        ["GET 20300/graceful_startup", "POST 20300/graceful_shutdown"],
    ),
    (
        "dapr",
        [
            "GET=127.0.0.1:3500/v1.0/healthz/outbound=500,204",
            "POST=127.0.0.1:3500/v1.0/shutdown=204!",
        ],
        ["GET 3500/v1.0/healthz/outbound", "POST 3500/v1.0/shutdown"],
    ),
    (
        "kuma",
        ["GET=127.0.0.1:9901/ready=503,200", "POST=127.0.0.1:9901/quitquitquit=200!"],
        ["GET 9901/ready", "POST 9901/quitquitquit"],
    ),
];

const LINKERD_IS_OFF: &str = "Linkerd's endpoint is off unless the pod has the annotation \
     config.linkerd.io/proxy-admin-shutdown: enabled";

/// In a network of its own, and it says what it waits for.
fn pod(options: &str) -> Init {
    pid1().options(options).in_network("")
}

/// Waits for what nobody listens on yet.
fn waiting(init: Init) -> Run {
    let run = init.options("-v").fixture("listen --code 3");
    run.hears("is not ready: connection refused");
    run
}

/// An app that runs, and ends with 3 when it is told so.
fn running(options: &str) -> Run {
    let run = pod(options).fixture("listen --code 3 --until SIGTERM --until SIGUSR1");
    run.hears("ready");
    run
}

/// Waits until the app says that it runs.
fn started(run: &Run) -> Line {
    run.until_said("the app's ready", |line| line.starts_with("ready "))
}

/// What a proxy has been asked, without repetitions.
fn asked(proxy: Visitor) -> Vec<String> {
    let mut asked: Vec<String> = proxy.rest().lines().map(str::to_owned).collect();
    asked.dedup();
    asked
}

/// Our children that ask somebody.
fn askers(run: &Run) -> Vec<i32> {
    let children = run.pid_if_any().map(children).unwrap_or_default();
    children.into_iter().filter(|pid| is_program(*pid, "reprieve-ask")).collect()
}

#[track_caller]
fn never_started(ended: &Ended) {
    assert_eq!(ended.app(), [""; 0], "{}", ended.all());
}

// The presets.

#[test]
fn each_preset_awaits_its_proxy_and_tells_it_to_quit() {
    at_once(PRESETS, |(name, routes, lines)| {
        let run = waiting(pod(&format!("--sidecar {name}")));
        let proxy = run.proxy(&routes.join(" "));
        started(&run);
        run.signal(libc::SIGTERM);
        // It ends by itself, as it was told to.
        assert_eq!(asked(proxy), lines, "{name}");
        let ended = run.ends();
        assert_eq!(ended.code, 3, "{}", ended.all());
        let (_, place) = routes[1].split_once('=').expect("METHOD=");
        let (place, answer) = place.split_once('=').expect("=ANSWER");
        let told = format!("POST http://{place}: {} (", answer.trim_end_matches('!'));
        assert_eq!(ended.times(&told), 1, "{}", ended.all());
        assert_eq!(ended.times("warning"), 0, "{}", ended.all());
    });
}

#[test]
fn a_variable_names_the_preset_or_switches_it_off() {
    let run = waiting(pod("").variable("REPRIEVE_SIDECAR", "linkerd"));
    run.hears("http://127.0.0.1:4191/ready is not ready");
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 143);

    let init = pod("-v --sidecar linkerd").variable("REPRIEVE_SIDECAR", "none");
    let ended = init.fixture("state").ends();
    assert_eq!(ended.code, 0, "{}", ended.all());
    assert!(ended.said("pid: 2") && !ended.said("4191"), "{}", ended.all());
    assert!(!ended.said("REPRIEVE_SIDECAR"), "{}", ended.all());
}

#[test]
fn a_preset_adds_to_the_urls() {
    let options = "--sidecar linkerd --await-url http://localhost:4000/up \
                   --quit-url http://localhost:4000/down";
    let run = waiting(pod(options));
    let [ready, quit] = PRESETS[0].1;
    let proxy = run
        .proxy(&format!("GET=127.0.0.1:4000/up=200 POST=127.0.0.1:4000/down=200 {ready} {quit}"));
    started(&run);
    run.signal(libc::SIGTERM);
    let lines = ["GET 4000/up", "GET 4191/ready", "POST 4000/down", "POST 4191/shutdown"];
    assert_eq!(asked(proxy), lines);
    assert_eq!(run.ends().code, 3);
}

// Before the app.

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
fn what_is_no_2xx_is_asked_again() {
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
fn any_2xx_however_it_comes_is_ready() {
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
fn who_waits_long_is_told_for_what() {
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
fn after_the_timeout_it_fails_and_tells_the_last_answer() {
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
        assert_eq!((ended.times("warning"), ended.times(&warning)), (1, 1), "{}", ended.all());
    });
}

#[test]
fn variables_set_the_timeout_and_what_comes_then() {
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
    // What tells of the end of who asks is nobody's signal; from a person it ends nothing.
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

/// A URL that nobody answers, as long as the listener is there.
fn mute() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    (listener, url)
}

#[test]
fn who_asks_ends_with_the_wait() {
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
fn who_tells_to_quit_ends_with_us() {
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
fn after_the_wait_the_app_has_what_it_has_without_one() {
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

// After the app.

#[test]
fn each_is_told_in_turn_by_its_method() {
    let options = "--quit-url http://127.0.0.1:4000/a --quit-url PUT=http://127.0.0.1:4001/b \
                   --quit-url GET=http://localhost:4000/c,http://127.0.0.1:4001/d?e";
    let routes = "POST=127.0.0.1:4000/a=200 PUT=127.0.0.1:4001/b=202 GET=127.0.0.1:4000/c=204 \
                  POST=127.0.0.1:4001/d?e=299!";
    let lines = ["POST 4000/a", "PUT 4001/b", "GET 4000/c", "POST 4001/d?e"];
    let variable = "http://127.0.0.1:4000/a,PUT=http://127.0.0.1:4001/b,\
                    GET=http://localhost:4000/c,http://127.0.0.1:4001/d?e";
    for init in [pod(options), pod("").variable("REPRIEVE_QUIT_URL", variable)] {
        let run = init.fixture("listen --code 3");
        run.hears("ready");
        let proxy = run.proxy(routes);
        run.signal(libc::SIGTERM);
        assert_eq!(asked(proxy), lines);
        let ended = run.ends();
        assert_eq!(ended.code, 3, "{}", ended.all());
        for told in [
            "POST http://127.0.0.1:4000/a: 200 (",
            "PUT http://127.0.0.1:4001/b: 202 (",
            "GET http://localhost:4000/c: 204 (",
            "POST http://127.0.0.1:4001/d?e: 299 (",
        ] {
            assert_eq!(ended.times(told), 1, "{told}: {}", ended.all());
        }
        assert!(ended.log().last().is_some_and(|last| last.contains("report")), "{}", ended.all());
    }
}

/// Tells it to quit after an app that ended in this way, with this exit code.
fn told_after(options: &str, app: &str, end: impl FnOnce(&Run), code: i32) -> Ended {
    let run = pod(&format!("--quit-url http://127.0.0.1:4000/quit {options}")).fixture(app);
    run.hears("ready");
    let proxy = run.proxy("POST=127.0.0.1:4000/quit=200!");
    end(&run);
    assert_eq!(asked(proxy), ["POST 4000/quit"], "{app}");
    let ended = run.ends();
    assert_eq!(ended.code, code, "{}", ended.all());
    assert_eq!(ended.times("POST http://127.0.0.1:4000/quit: 200 ("), 1, "{}", ended.all());
    ended
}

#[test]
fn it_is_told_however_the_app_ended() {
    let to_app = |signal| move |run: &Run| send(run.main_pid(), signal);
    let to_init = |signal| {
        move |run: &Run| {
            run.signal(signal);
        }
    };
    told_after("", "listen --until SIGUSR1 --code 0", to_app(libc::SIGUSR1), 0);
    told_after("", "listen --until SIGUSR1 --code 7", to_app(libc::SIGUSR1), 7);
    told_after("", "listen", to_app(libc::SIGKILL), 137);
    told_after("", "listen --default SIGABRT", to_app(libc::SIGABRT), 134);
    told_after("-e 7", "listen --code 7", to_init(libc::SIGTERM), 0);
    told_after("--delay 200ms", "listen --code 7", to_init(libc::SIGTERM), 7);
    let options = "--grace-period 4s --margin 3500ms";
    told_after(options, "listen --ignore SIGTERM", to_init(libc::SIGTERM), 137);
}

#[test]
fn it_is_told_after_the_leftovers() {
    let run = pod("--quit-url http://127.0.0.1:4000/quit").fixture("leave orphan --drain 500");
    run.ready("left ");
    run.hears_times("ready", 2);
    let mut proxy = run.proxy("POST=127.0.0.1:4000/quit=200!");
    send(run.main_pid(), libc::SIGUSR1);
    let heard = run.hears("left got SIGTERM");
    assert_eq!(proxy.line(), "POST 4000/quit");
    assert_after(heard.at, Instant::now(), 500 * MS);
    assert_eq!(run.ends().code, 0);
}

#[test]
fn a_subreaper_tells_it_too() {
    let (listener, url) = mute();
    let run = laptop().options(&format!("--quit-url {url}quit")).fixture("listen --code 3");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    let (mut stream, _) = listener.accept().expect("a connection");
    // What is closed unread is reset.
    assert!(stream.read(&mut [0; 4096]).expect("a request") > 0);
    drop(stream);
    let ended = run.ends();
    assert_eq!(ended.code, 3, "{}", ended.all());
    assert_eq!(ended.times("quit: closed without an answer ("), 1, "{}", ended.all());
}

#[test]
fn each_that_hangs_has_two_seconds() {
    let urls = "--quit-url http://127.0.0.1:4000/mute,http://127.0.0.1:4000/trickle,\
                http://127.0.0.1:4000/quit";
    let run = running(urls);
    let proxy = run.proxy(
        "POST=127.0.0.1:4000/mute=mute POST=127.0.0.1:4000/trickle=trickle \
         POST=127.0.0.1:4000/quit=200!",
    );
    let began_at = Instant::now();
    send(run.main_pid(), libc::SIGUSR1);
    assert_eq!(asked(proxy), ["POST 4000/mute", "POST 4000/trickle", "POST 4000/quit"]);
    let ended = run.ends();
    assert_after(began_at, ended.at, 4000 * MS);
    println!("two that hang: {:?}", ended.at - began_at);
    assert_eq!(ended.code, 3, "{}", ended.all());
    for path in ["mute", "trickle"] {
        let told = format!("POST http://127.0.0.1:4000/{path}: no answer in 2s (2");
        assert_eq!(ended.times(&told), 1, "{told}: {}", ended.all());
    }
}

/// Five that hang would take ten seconds.
const HANGING: &str = "--quit-url http://127.0.0.1:4000/,http://127.0.0.1:4000/,\
    http://127.0.0.1:4000/,http://127.0.0.1:4000/,http://127.0.0.1:4000/";

#[test]
fn what_hangs_does_not_move_the_kill_deadline() {
    // The app ends at once: until the kill at +3s there is time for them.
    let run = running(&format!("{HANGING} --grace-period 4s"));
    let _proxy = run.proxy("POST=127.0.0.1:4000/=mute");
    let began_at = run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_after(began_at, ended.at, 3000 * MS);
    println!("a grace period of 4s: {:?}", ended.at - began_at);
    assert!(ended.at < began_at + 7000 * MS, "{}", ended.all());
    assert_eq!(ended.code, 3, "{}", ended.all());
    assert_eq!(ended.times("was not run: the time was over"), 3, "{}", ended.all());
}

#[test]
fn after_a_kill_they_have_half_the_margin() {
    let run = pod(&format!("{HANGING} --grace-period 4s --margin 2s"))
        .fixture("listen --ignore SIGTERM --code 3");
    run.hears("ready");
    let _proxy = run.proxy("POST=127.0.0.1:4000/=mute");
    let began_at = run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_after(began_at, ended.at, 3000 * MS);
    println!("a kill at 2s and a margin of 2s: {:?}", ended.at - began_at);
    assert!(ended.at < began_at + 7000 * MS, "{}", ended.all());
    assert_eq!(ended.code, 137, "{}", ended.all());
}

#[test]
fn a_stop_signal_while_it_is_told_begins_the_deadline() {
    let run = running(&format!("{HANGING} --grace-period 2s"));
    let mut proxy = run.proxy("POST=127.0.0.1:4000/=mute");
    send(run.main_pid(), libc::SIGUSR1);
    assert_eq!(proxy.line(), "POST 4000/");
    let began_at = run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_after(began_at, ended.at, 1000 * MS);
    assert_eq!(ended.code, 3, "{}", ended.all());
}

#[test]
fn an_answer_that_is_no_2xx_is_a_warning_with_its_usual_cause() {
    let istio = "Istio answers on loopback only";
    let answers = [
        ("4191", "404", LINKERD_IS_OFF),
        ("4191", "403", LINKERD_IS_OFF),
        ("15020", "404", istio),
        ("15020", "403", istio),
        ("4000", "404", "proxy-admin-shutdown: enabled, Istio answers on loopback only"),
        ("4000", "403", "proxy-admin-shutdown: enabled, Istio answers on loopback only"),
        ("4000", "500", ""),
        ("4000", "302", "redirects are not followed"),
        ("4000", "shut", "closed without an answer"),
        ("4000", "cut", "the answer was cut short"),
        ("4000", "garbage", "the answer is not HTTP"),
    ];
    at_once(answers, |(port, answer, why)| {
        let run = running(&format!("--quit-url http://127.0.0.1:{port}/quit --log-format json"));
        let mut proxy = run.proxy(&format!("POST=127.0.0.1:{port}/quit={answer}"));
        send(run.main_pid(), libc::SIGUSR1);
        assert_eq!(proxy.line(), format!("POST {port}/quit"));
        let ended = run.ends();
        assert_eq!(ended.code, 3, "{}", ended.all());
        let log = ended.log();
        let told = log.iter().find(|line| line.contains(r#""event":"sidecar_told""#));
        let told = told.unwrap_or_else(|| panic!("{}", ended.all()));
        let begins = format!("POST http://127.0.0.1:{port}/quit: ");
        assert!(told.contains(&begins) && told.contains(why), "{told}");
        assert!(told.contains(answer) || answer.parse::<u16>().is_err(), "{told}");
        assert!(told.contains(r#""level":"warn""#), "{told}");
    });
}

#[test]
fn nobody_there_to_be_told_is_a_warning() {
    let ended = pod("--quit-url http://127.0.0.1:4000/quit").fixture("state").ends();
    assert_eq!(ended.code, 0, "{}", ended.all());
    let told = "POST http://127.0.0.1:4000/quit: connection refused (";
    assert_eq!((ended.times(told), ended.times("warning")), (1, 1), "{}", ended.all());
}

#[test]
fn an_answer_in_bits_or_after_others_counts() {
    at_once(["interim", "bytes"], |answer| {
        let run = running("--quit-url http://127.0.0.1:4000/quit");
        let _proxy = run.proxy(&format!("POST=127.0.0.1:4000/quit={answer}"));
        send(run.main_pid(), libc::SIGUSR1);
        let ended = run.ends();
        assert_eq!(ended.times("POST http://127.0.0.1:4000/quit: 200 ("), 1, "{}", ended.all());
        assert_eq!((ended.code, ended.times("warning")), (3, 0), "{}", ended.all());
    });
}

/// It could not be started: a job that failed is over only once its sidecar is.
#[test]
fn it_is_told_where_the_app_never_was() {
    let folder = Folder::new();
    let no_program = folder.file("data", "", 0o644);
    let wait = "-v --await-url http://127.0.0.1:4000/up";
    for (options, app, code) in [
        ("", "/nowhere/app", 127),
        ("", no_program.to_str().expect("a path in UTF-8"), 126),
        ("--await-timeout 1s", "true", 125),
    ] {
        let quit = "--quit-url http://127.0.0.1:4000/mute,http://127.0.0.1:4000/quit";
        let run = pod(&format!("{wait} {quit} {options}")).app([app]);
        run.hears("connection refused");
        let up = if code == 125 { "503" } else { "200" };
        let proxy = run.proxy(&format!(
            "GET=127.0.0.1:4000/up={up} POST=127.0.0.1:4000/mute=mute \
             POST=127.0.0.1:4000/quit=200!"
        ));
        assert_eq!(asked(proxy), ["GET 4000/up", "POST 4000/mute", "POST 4000/quit"], "{app}");
        let ended = run.ends();
        assert_eq!(ended.code, code, "{}", ended.all());
        let told = ["/mute: no answer in 2s", "/quit: 200"];
        assert_eq!(told.map(|told| ended.times(told)), [1, 1], "{}", ended.all());
        // Last of all comes why.
        let last = ended.log().last().copied().unwrap_or_default();
        assert!(last.starts_with("reprieve: error: "), "{}", ended.all());
    }
}

#[test]
fn a_stop_signal_ends_that() {
    let run = pod(&format!("-v --await-url http://127.0.0.1:4000/up {HANGING}")).app(["/nowhere"]);
    run.hears("connection refused");
    let mut proxy = run.proxy("GET=127.0.0.1:4000/up=200 POST=127.0.0.1:4000/=mute");
    assert_eq!([proxy.line(), proxy.line()], ["GET 4000/up", "POST 4000/"]);
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!((ended.code, ended.times("POST ")), (127, 1), "{}", ended.all());
}

// Names.

/// Where these names are known, and a name server on loopback is asked for all others.
fn with_names(folder: &Folder, hosts: &str, options: &str) -> Init {
    let hosts = folder.file("hosts", hosts, 0o644);
    let resolver = folder.file("resolv.conf", "nameserver 127.0.0.1\n", 0o644);
    let script = format!(
        "mount --bind {} /etc/hosts && mount --bind {} /etc/resolv.conf && exec {} new -- \"$@\"",
        hosts.display(),
        resolver.display(),
        network().display(),
    );
    pid1().options(options).through(&script)
}

/// A name server that never answers, and has been asked.
fn dead_name_server(run: &Run) -> Visitor {
    // Then the init is in its network.
    run.until_said("a first line", |line| line.contains("ready"));
    let mut server = run.beside("serve udp:127.0.0.1:53");
    assert!(server.line().starts_with("serving"));
    server
}

/// A packet waits on port 53 (0035), for ever.
fn has_been_asked(run: &Run) {
    eventually("a question to the name server", || {
        let sockets = std::fs::read_to_string(format!("/proc/{}/net/udp", run.pid())).ok()?;
        let mut sockets = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let server = sockets.find(|fields| fields[1].ends_with(":0035"))?;
        let (_, received) = server[4].split_once(':')?;
        (received != "00000000").then_some(())
    });
}

#[test]
fn names_are_the_systems() {
    let folder = Folder::new();
    let urls = "--await-url http://proxy.test:4000/up --quit-url http://proxy.test:4000/down";
    let run = waiting(with_names(&folder, "127.0.0.7 proxy.test\n", urls));
    let proxy = run.proxy("GET=127.0.0.7:4000/up=200 POST=127.0.0.7:4000/down=200!");
    started(&run);
    run.signal(libc::SIGTERM);
    assert_eq!(asked(proxy), ["GET 4000/up", "POST 4000/down"]);
    assert_eq!(run.ends().code, 3);
}

#[test]
fn a_name_that_nobody_knows_is_said_to_be_unknown() {
    let folder = Folder::new();
    // Nobody serves names there. musl waits until its own timeout, glibc knows at once.
    let run = with_names(&folder, "", "-v --await-url http://proxy.test:4000/").fixture("listen");
    run.hears("http://proxy.test:4000/ is not ready: no such host");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.code, 143, "{}", ended.all());
    never_started(&ended);
}

#[test]
fn localhost_is_loopback_of_either_family_and_never_looked_up() {
    let folder = Folder::new();
    for address in ["127.0.0.1", "[::1]"] {
        let urls = "--await-url http://localhost:4000/up --quit-url http://LOCALHOST:4000/down";
        let run = waiting(with_names(&folder, "127.0.0.7 localhost\n", urls));
        let _server = dead_name_server(&run);
        let proxy = run.proxy(&format!("GET={address}:4000/up=200 POST={address}:4000/down=200!"));
        started(&run);
        run.signal(libc::SIGTERM);
        assert_eq!(asked(proxy), ["GET 4000/up", "POST 4000/down"]);
        assert_eq!(run.ends().code, 3);
    }
}

#[test]
fn a_dead_name_server_holds_up_no_stop_signal() {
    let folder = Folder::new();
    let run = with_names(&folder, "", "-v --await-url http://proxy.test:4000/").fixture("listen");
    let _server = dead_name_server(&run);
    has_been_asked(&run);
    let began_at = run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_after(began_at, ended.at, NOW);
    assert_eq!(ended.code, 143, "{}", ended.all());
}

#[test]
fn a_dead_name_server_does_not_make_the_wait_longer() {
    let folder = Folder::new();
    let options = "-v --await-url http://proxy.test:4000/ --await-timeout 8s --await-or-start";
    let run = with_names(&folder, "", options).fixture("listen --code 3");
    let _server = dead_name_server(&run);
    has_been_asked(&run);
    assert_after(run.started_at, started(&run).at, 8000 * MS);
    // Nothing of ours is left to be the app's; what asked for the name ends with who asked.
    eventually("the end of who asked", || askers(&run).is_empty().then_some(()));
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!((ended.code, ended.times("swept")), (3, 0), "{}", ended.all());
}

#[test]
fn a_dead_name_server_takes_two_seconds_and_no_deadline() {
    let folder = Folder::new();
    let urls = "--quit-url http://proxy.test:4000/,http://127.0.0.1:4000/";
    let run = with_names(&folder, "", urls).fixture("listen --code 3");
    run.hears("ready");
    let _server = dead_name_server(&run);
    let proxy = run.proxy("POST=127.0.0.1:4000/=200!");
    let began_at = run.signal(libc::SIGTERM);
    assert_eq!(asked(proxy), ["POST 4000/"]);
    let ended = run.ends();
    assert_after(began_at, ended.at, 2000 * MS);
    println!("a dead name server: {:?}", ended.at - began_at);
    assert_eq!(ended.code, 3, "{}", ended.all());
    assert_eq!(
        ended.times("POST http://proxy.test:4000/: no answer in 2s ("),
        1,
        "{}",
        ended.all()
    );

    let options = "--quit-url http://proxy.test:4000/ --grace-period 2s";
    let run = with_names(&folder, "", options).fixture("listen --code 3");
    run.hears("ready");
    let _server = dead_name_server(&run);
    let began_at = run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_after(began_at, ended.at, 1000 * MS);
    assert!(ended.at < began_at + 2000 * MS + 4000 * MS, "{}", ended.all());
    assert_eq!(ended.code, 3, "{}", ended.all());
}

// Bad input.

#[test]
fn a_bad_url_is_one_clear_line_and_nothing_is_spawned() {
    let folder = Folder::new();
    for (url, why) in [
        ("https://localhost/", "there is no TLS here"),
        ("ftp://localhost/", "write http://HOST:PORT/PATH"),
        ("localhost:8080/ready", "write http://HOST:PORT/PATH"),
        ("/ready", "write http://HOST:PORT/PATH"),
        ("http://me@localhost/", "leave the user before the @ out"),
        ("http://me:secret@localhost/", "leave the user before the @ out"),
        ("http://", "write a host"),
        ("http:///ready", "write a host"),
        ("http://:8080/", "write a host"),
        ("http://[::1/", "write a host"),
        ("http://localhost:0/", "write a port, 1 to 65535"),
        ("http://localhost:65536/", "write a port, 1 to 65535"),
        ("http://localhost:/", "write a port, 1 to 65535"),
        ("http://localhost:http/", "write a port, 1 to 65535"),
        ("http://localhost/a b", "only printable ASCII"),
        ("http://localhost/a\r\nHost: b", "only printable ASCII"),
        ("http://localhost/#a", "leave the # and what follows out"),
        ("http://localhost/,", "write http://HOST:PORT/PATH"),
    ] {
        for option in ["await-url", "quit-url"] {
            refused(&folder, option, url, why);
        }
    }
    for (request, why) in [
        ("post=http://localhost/", "a method is upper-case letters"),
        ("=http://localhost/", "a method is upper-case letters"),
        ("GET =http://localhost/", "a method is upper-case letters"),
        ("POST=", "write http://HOST:PORT/PATH"),
    ] {
        refused(&folder, "quit-url", request, why);
    }
    refused(&folder, "sidecar", "envoy", "envoy");
    refused(&folder, "await-timeout", "soon", "write 500ms, 15s");
    refused(&folder, "await-or-start", "maybe", "maybe");
}

/// On the command line, where it takes a value, and as a variable.
fn refused(folder: &Folder, option: &str, value: &str, why: &str) {
    let made = folder.path("made");
    let by_variable = format!("REPRIEVE_{}", option.to_uppercase().replace('-', "_"));
    for variable in [false, true] {
        let mut command: Command = reprieve();
        match variable {
            true => command.env(&by_variable, value),
            false if option == "await-or-start" => continue,
            false => command.arg(format!("--{option}={value}")),
        };
        let call = call(command.args(["--", "touch"]).arg(&made));
        let name = if variable { by_variable.clone() } else { format!("--{option}") };
        assert_eq!((call.code, call.stdout.as_str()), (125, ""), "{value:?}: {}", call.stderr);
        assert!(call.stderr.contains(why) && call.stderr.contains(&name), "{}", call.stderr);
        assert_eq!(call.stderr.lines().count(), 1, "{}", call.stderr);
        assert!(!made.exists(), "{value:?}");
    }
}

/// A mistake is found before anybody is asked.
#[test]
fn bad_options_are_found_before_the_wait() {
    let (listener, url) = mute();
    listener.set_nonblocking(true).expect("a socket");
    let options = ["--delay=5s", "--grace-period=2s", "--await-url", &url, "--", "true"];
    let call = call(reprieve().args(options));
    assert_eq!(call.code, 125, "{}", call.stderr);
    assert!(listener.accept().is_err(), "it was asked");
}
