//! Readiness that turns with the stop signal: the ready file, what the responder to probes says,
//! and what is wrong before the app is spawned (docs/behaviour.md, section 11).

mod ready_file;
mod upstream;

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use nix::libc;

use crate::harness::*;
use crate::prober::*;

const STOP_SIGNAL: &str = r#""event":"stop_signal""#;

fn ready_file(path: &Path) -> String {
    format!("--log-format json --ready-file {}", path.display())
}

fn appears(path: &Path) {
    eventually("the ready file", || path.exists().then_some(()));
}

// What is said to probes.

#[test]
fn it_is_ready_until_the_stop_signal_and_alive_until_its_end() {
    for init in [pid1(), laptop()] {
        let at = address();
        let init = init.options(&format!(
            "--log-format json --delay 1h --grace-period none --health-listen {at}"
        ));
        let run = init.fixture("leave orphan --until SIGUSR2");
        run.hears("left ready");
        run.hears_times("ready", 2);
        assert_eq!(says(at), RUNS);
        let held = run.signal(libc::SIGTERM);
        run.hears(STOP_SIGNAL);
        assert_eq!(says(at), STOPS);
        // A second signal ends the hold. Within a second it would be the same request.
        wait_until(held + Duration::from_millis(1100));
        run.signal(libc::SIGTERM);
        run.hears("left got SIGTERM");
        // The app has ended; its leftover has not.
        run.hears(r#""event":"swept""#);
        assert_eq!(says(at), HAS_ENDED);
        run.signal(libc::SIGUSR2);
        let ended = run.ends();
        assert_eq!(ended.code, 0, "{}", ended.all());
        assert_eq!(ended.times(r#""level":"warn""#), 0, "{}", ended.all());
        let report = ended.report();
        assert_eq!(
            (&report["left_over"]["count"], &report["killed"]["count"]),
            (&1.into(), &0.into())
        );
    }
}

#[test]
fn it_is_alive_while_it_drains() {
    let at = address();
    let run =
        pid1().options(&format!("--health-listen {at}")).fixture("listen --until SIGUSR1 --code 4");
    run.hears("ready");
    assert_eq!(says(at), RUNS);
    run.signal(libc::SIGTERM);
    run.hears("got SIGTERM");
    assert_eq!(says(at), STOPS);
    run.signal(libc::SIGUSR1);
    assert_eq!(run.ends().code, 4);
}

#[test]
fn an_app_that_ends_by_itself_is_neither_ready_nor_alive() {
    let at = address();
    let run = pid1()
        .options(&format!("--log-format json --leftovers wait --health-listen {at}"))
        .fixture("leave orphan");
    run.hears("left ready");
    run.hears_times("ready", 2);
    send(run.main_pid(), libc::SIGKILL);
    run.hears(r#""event":"died""#);
    assert_eq!(says(at), ["503 ended"; 2]);
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 137);
}

#[test]
fn probes_may_ask_in_several_ways_and_nothing_else_is_answered() {
    let at = address();
    let run = pid1().variable("REPRIEVE_HEALTH_LISTEN", &at.to_string()).fixture("listen");
    run.hears("ready");
    for (asked, status) in [
        ("GET /readyz", "200 ok"),
        ("GET /livez?verbose&x=/readyz", "200 ok"),
        ("HEAD /readyz?", "200 ok"),
        ("OPTIONS /readyz", "200 ok"),
        ("OPTIONS /livez", "200 ok"),
        ("GET http://10.0.0.1:8086/readyz?a", "200 ok"),
        ("HEAD HTTP://[::1]/livez", "200 ok"),
        ("OPTIONS http://host/readyz", "200 ok"),
        ("GET /", "404 not found"),
        ("GET http://host/", "404 not found"),
        ("GET http://host", "404 not found"),
        ("OPTIONS /", "200 ok"),
        ("OPTIONS *", "404 not found"),
        ("GET /readyz/", "404 not found"),
        ("GET /healthz", "404 not found"),
        ("HEAD /", "404 not found"),
        ("POST /readyz", "405 GET, HEAD or OPTIONS only"),
        ("DELETE /livez", "405 GET, HEAD or OPTIONS only"),
        ("POST /", "404 not found"),
    ] {
        let request = format!("{asked} HTTP/1.1\r\nHost: probe\r\nX-Y: z\r\n\r\n");
        let answer = ask(at, request.as_bytes()).unwrap_or_else(|error| panic!("{asked}: {error}"));
        assert_eq!(answer.status, status, "{asked}");
        let text = status.split_once(' ').expect("a text").1;
        let body = if asked.starts_with("HEAD") { "" } else { text };
        assert_eq!(answer.body, body, "{asked}");
        assert!(
            answer.head.contains(&format!("\r\nContent-Length: {}\r\n", text.len())),
            "{asked}"
        );
        assert_eq!(answer.head.contains("\r\nAllow: "), status.starts_with("405"), "{asked}");
    }
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 0);
}

/// As each of them sends it by default, with /readyz as the path.
#[test]
fn each_load_balancer_is_understood() {
    let at = address();
    let options = format!("--delay 1h --health-listen {at}");
    let run = pid1().options(&options).fixture("listen --until SIGUSR1");
    run.hears("ready");
    let checks = [
        ("HAProxy, told nothing", "OPTIONS / HTTP/1.0\r\n\r\n"),
        ("HAProxy", "OPTIONS /readyz HTTP/1.0\r\n\r\n"),
        ("HAProxy, told a version", "OPTIONS /readyz HTTP/1.1\r\n\r\n"),
        (
            "AWS",
            "GET /readyz HTTP/1.1\r\nHost: 10.0.0.1:8086\r\nConnection: close\r\n\
             User-Agent: ELB-HealthChecker/2.0\r\nAccept-Encoding: gzip, compressed\r\n\r\n",
        ),
        (
            "Google",
            "GET /readyz HTTP/1.1\r\nUser-Agent: GoogleHC/1.0\r\nConnection: Keep-alive\r\n\
             Host: 10.0.0.1\r\n\r\n",
        ),
        (
            "a kubelet",
            "GET /readyz HTTP/1.1\r\nHost: 10.0.0.1:8086\r\nUser-Agent: kube-probe/1.36\r\n\
             Accept: */*\r\nConnection: close\r\n\r\n",
        ),
        (
            "Consul",
            "GET /readyz HTTP/1.1\r\nHost: 10.0.0.1:8086\r\nUser-Agent: Consul Health Check\r\n\
             Accept: text/plain, text/*, */*\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n",
        ),
        ("Envoy", "GET /readyz HTTP/1.1\r\nhost: app\r\nuser-agent: Envoy/HC\r\n\r\n"),
        ("nginx", "GET /readyz HTTP/1.0\r\nHost: app\r\nConnection: close\r\n\r\n"),
        ("F5, told a version", "GET /readyz HTTP/1.1\r\nHost:\r\nConnection: Close\r\n\r\n"),
        ("a proxy", "GET http://10.0.0.1:8086/readyz HTTP/1.1\r\nHost: 10.0.0.1:8086\r\n\r\n"),
    ];
    let all_are_told = |status: &str| {
        for (balancer, check) in checks {
            let answer =
                ask(at, check.as_bytes()).unwrap_or_else(|why| panic!("{balancer}: {why}"));
            assert_eq!(answer.status, status, "{balancer}");
        }
    };
    all_are_told("200 ok");
    run.signal(libc::SIGTERM);
    run.hears("forwarding it at");
    all_are_told("503 stopping");
    run.signal(libc::SIGUSR1);
    assert_eq!(run.ends().code, 0);
}

#[test]
fn probes_may_come_by_either_protocol() {
    let init = pid1().options("--health-listen [::]:8086").in_network("");
    let run = init.fixture("listen");
    run.hears("ready");
    for at in ["127.0.0.1:8086", "[::1]:8086"] {
        run.beside(&format!("call {at}")).does("request");
    }
}

/// A load balancer with checks every second is no traffic that keeps a hold, not even where it is
/// hidden which ports are the app's, so that all count.
#[test]
fn probes_of_readiness_are_no_traffic() {
    for hidden in ["", "--unreadable "] {
        let options = "--log-format json --delay 300ms..1h --quiet-window 1s \
                       --health-listen 127.0.0.1:8086";
        let app = format!("{} serve {hidden}tcp:127.0.0.1:8080", network().display());
        let run = pid1().options(options).in_network("").app(app.split(' '));
        run.hears("serving");
        let mut probe = run.beside("call 127.0.0.1:8086");
        let began_at = run.signal(libc::SIGTERM);
        let forwarded = || run.lines().iter().any(|line| line.text.contains("forwarded"));
        while !forwarded() && began_at.elapsed() < TIMEOUT && probe.tries("request") {
            // The pace of the probes.
            std::thread::sleep(Duration::from_millis(20));
        }
        let ended = run.ends();
        let report = ended.report();
        assert_eq!(report["hold_ended_by"], "quiet", "{}", ended.all());
        assert_eq!(report["traffic"]["ports"], serde_json::json!([8080]), "{report}");
        assert_eq!(report["traffic"]["connections"], 0, "{report}");
    }
}

// What is wrong before the app is spawned (docs/behaviour.md, section 11).

/// One line that says what, and no app.
#[track_caller]
fn is_refused(words: &[&str], parts: &[&str]) {
    let folder = Folder::new();
    let marker = folder.path("spawned");
    let mut command = reprieve();
    command.args(words).args(["--", "touch"]).arg(&marker);
    let call = call(&mut command);
    assert_eq!((call.code, marker.exists()), (125, false), "{words:?}: {}", call.stderr);
    assert_eq!(call.stderr.lines().count(), 1, "{words:?}: {}", call.stderr);
    for part in parts {
        assert!(call.stderr.contains(part), "{words:?}: {}", call.stderr);
    }
}

#[test]
fn a_ready_file_that_cannot_be_made_is_refused() {
    let folder = Folder::new();
    let path = |name: &str| folder.path(name).display().to_string();
    let (here, missing, slash) = (path(""), path("no/ready"), path("ready/"));
    folder.file("file", "", 0o644);
    let below = path("file/ready");
    let fifo = folder.fifo("fifo").display().to_string();
    is_refused(&["--ready-file", &missing], &[&missing, "its directory does not exist"]);
    is_refused(&["--ready-file", &here], &[&here, "it is a directory"]);
    is_refused(&["--ready-file", &slash], &[&slash, "it is a directory"]);
    is_refused(&["--ready-file", "/"], &["it is a directory"]);
    is_refused(&["--ready-file", &below], &[&below]);
    is_refused(&["--ready-file", &fifo], &[&fifo, "no regular file"]);
    is_refused(&["--ready-file", ""], &["--ready-file"]);
    is_refused(&["--ready-file", &path(&"x".repeat(300))], &["too long"]);
    assert!(Path::new(&fifo).exists(), "it was removed");
}

#[test]
fn a_ready_file_on_a_read_only_filesystem_is_refused() {
    for stale in ["", "touch /mnt/ready;"] {
        let script = format!(
            "mount -t tmpfs tmpfs /mnt; {stale} mount -o remount,bind,ro /mnt; exec \"$@\""
        );
        let init = pid1().through(&script).options("--ready-file /mnt/ready");
        let ended = init.fixture("listen").ends();
        assert_eq!((ended.code, ended.lines.len()), (125, 1), "{}", ended.all());
        assert!(
            ended.said("/mnt/ready: its directory is read-only; mount a tmpfs"),
            "{}",
            ended.all()
        );
    }
}

#[test]
fn a_place_where_nobody_can_listen_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("its address").to_string();
    for (address, why) in [
        (taken.as_str(), "Address already in use"),
        ("192.0.2.1:8086", "Cannot assign requested address"),
        ("127.0.0.1:0", "write an address and a port"),
        ("127.0.0.1", "write an address and a port"),
        (":8086", "write an address and a port"),
        ("8086", "write an address and a port"),
        ("localhost:8086", "write an address and a port"),
        ("127.0.0.1:65536", "write an address and a port"),
        ("http://127.0.0.1:8086", "write an address and a port"),
    ] {
        is_refused(&["--health-listen", address], &[address, why]);
    }
}

#[test]
fn an_upstream_that_nobody_can_ask_is_refused() {
    let free = address().to_string();
    is_refused(&["--health-upstream", "http://a:1/"], &["--health-upstream", "--health-listen"]);
    let listens = ["--health-listen", &free];
    for (url, part) in [
        ("https://localhost:8080/", "TLS"),
        ("localhost:8080/", "http://"),
        ("http://user@localhost:8080/", "leave the user before the @ out"),
        ("http:///ready", "write a host"),
        ("", "write http://HOST:PORT/PATH"),
        ("grpc://localhost:50051", "or tcp://HOST:PORT"),
        ("tcp://localhost", "with a port of 1 to 65535"),
        ("tcp://localhost:0", "with a port of 1 to 65535"),
        ("tcp://localhost:50051/ready", "without a path"),
        (&format!("tcp://{free}"), "write the app's port"),
        (&format!("http://{free}/readyz"), "write the app's port"),
    ] {
        let words = [listens.as_slice(), &["--health-upstream", url]].concat();
        is_refused(&words, &["--health-upstream", part]);
    }
}
