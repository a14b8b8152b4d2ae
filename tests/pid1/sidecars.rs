//! Sidecars: the app starts once they are ready, and when it has ended they are asked to quit. The
//! test's proxy plays them, in a network of their own, on the ports of the real ones
//! (docs/behaviour.md, section 13).

mod bad_input;
mod names;
mod quit;
mod wait;

use std::net::TcpListener;

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

/// A URL that nobody answers, as long as the listener is there.
fn mute() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    (listener, url)
}

#[track_caller]
fn never_started(ended: &Ended) {
    assert_eq!(ended.app(), [""; 0], "{}", ended.all());
}

// The presets.

#[test]
fn each_preset_awaits_its_proxy_and_asks_it_to_quit() {
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
        assert_eq!(ended.times("warn: "), 0, "{}", ended.all());
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
    assert_eq!(ended.times("warn: "), 0, "{}", ended.all());
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
