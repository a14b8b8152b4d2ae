//! Readiness as it is seen of a container: by exec probes and health checks, over its network, and
//! through a published port.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::harness::{Container, Setup, busybox, docker, eventually, output, scratch, seconds};
use crate::traffic::Network;

/// An ordinary uid, no capability, nothing to write to.
fn locked_down(setup: Setup) -> Setup {
    setup
        .variable("REPRIEVE_LOG_FORMAT", "json")
        .option(&["--user", "65534", "--read-only", "--cap-drop", "ALL"])
        .option(&["--security-opt", "no-new-privileges"])
}

/// Status line and body.
pub fn ask(server: SocketAddr, path: &str) -> io::Result<[String; 2]> {
    let mut stream = TcpStream::connect_timeout(&server, seconds(5))?;
    stream.set_read_timeout(Some(seconds(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: probe\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    Ok([head.lines().next().unwrap_or_default(), body].map(str::to_owned))
}

#[track_caller]
fn says(server: SocketAddr, ready: &str, live: &str) {
    for (path, text) in [("/readyz", ready), ("/livez", live)] {
        let [status, body] = ask(server, path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(status, format!("HTTP/1.1 {text}"), "{path}");
        assert!(text.ends_with(&body), "{path}: {body}");
    }
}

/// Ends an app in the hold, which is longer than any test.
fn ends(app: Container) {
    app.kill("USR1");
    let ended = app.ends();
    assert_eq!(ended.code, 0, "{ended}");
    assert!(!ended.said("\"level\":\"warn"), "{ended}");
    let report = ended.report();
    assert_eq!(report["left_over"]["count"], 0, "{ended}");
}

/// What an exec probe says.
fn probe(app: &Container) -> i32 {
    app.enter(&["test", "-e", "/run/ready"]).ends().0
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn an_exec_probe_and_a_health_check_see_the_ready_file() {
    let app = locked_down(busybox())
        .delay("1h")
        .grace_period("none")
        .variable("REPRIEVE_READY_FILE", "/run/ready")
        .option(&["--tmpfs", "/run"])
        .option(&["--health-cmd", "test -e /run/ready", "--health-interval", "1s"])
        .option(&["--health-timeout", "60s", "--health-retries", "1"])
        .runs(&["/fixture", "listen", "--until", "SIGUSR1"]);
    app.hears("ready");
    assert_eq!(probe(&app), 0);
    eventually("health", || (app.inspect("{{.State.Health.Status}}") == "healthy").then_some(()));
    app.kill("TERM");
    app.hears("stop_signal");
    assert_eq!(probe(&app), 1);
    eventually("ill health", || {
        (app.inspect("{{.State.Health.Status}}") == "unhealthy").then_some(())
    });
    ends(app);
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn without_a_place_for_the_ready_file_nothing_is_started() {
    for (options, why) in [
        ([].as_slice(), "its directory does not exist"),
        (&["--tmpfs", "/run:ro"], "its directory is read-only; mount a tmpfs"),
        (&["--tmpfs", "/run:mode=0700"], "Permission denied"),
    ] {
        let app = locked_down(scratch()).variable("REPRIEVE_READY_FILE", "/run/ready");
        let ended = app.option(options).runs_to_its_end(&[]);
        assert_eq!((ended.code, ended.app().len(), ended.log().len()), (125, 0, 1), "{ended}");
        assert!(ended.said("/run/ready: ") && ended.said(why), "{why}: {ended}");
    }
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn probes_are_answered_in_an_image_from_scratch() {
    let network = Network::create();
    let app = locked_down(scratch())
        .delay("1h")
        .grace_period("none")
        .variable("REPRIEVE_HEALTH_LISTEN", "0.0.0.0:8086")
        .variable("REPRIEVE_READY_FILE", "/run/ready")
        .option(&["--tmpfs", "/run"])
        .option(&["--network", &network.0, "--publish", "127.0.0.1::8086"])
        .runs(&["/fixture", "listen", "--until", "SIGUSR1"]);
    app.hears("ready");
    let server = app.port(8086);
    let published = output(&mut docker(["port", app.name(), "8086/tcp"]));
    let published = published.parse().expect("an address");
    let neighbour = |path: &str| {
        let url = format!("http://{}:8086{path}", app.name());
        let wget = ["/bin/busybox", "wget", "-q", "-O", "-", &url];
        let ended = busybox().option(&["--network", &network.0]).runs_to_its_end(&wget);
        format!("{ended}")
    };
    for server in [server, published] {
        says(server, "200 ok", "200 ok");
    }
    let ready = neighbour("/readyz");
    assert!(ready.contains("exit code 0 ") && ready.contains("app: ok"), "{ready}");
    app.kill("TERM");
    app.hears("stop_signal");
    for server in [server, published] {
        says(server, "503 stopping", "200 ok");
    }
    let said = neighbour("/readyz");
    assert!(said.contains("exit code 1 ") && said.contains("503 stopping"), "{said}");
    let lives = neighbour("/livez");
    assert!(lives.contains("exit code 0 ") && lives.contains("app: ok"), "{lives}");
    ends(app);
}

/// As a HEALTHCHECK that asks over loopback, of a server that says itself whether it is ready.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn the_app_s_own_check_is_passed_on() {
    let app = locked_down(busybox())
        .delay("1h")
        .grace_period("none")
        .variable("REPRIEVE_HEALTH_LISTEN", "127.0.0.1:8086")
        .variable("REPRIEVE_HEALTH_UPSTREAM", "http://localhost:8080/health")
        .option(&["--tmpfs", "/run", "--health-interval", "1s", "--health-retries", "1"])
        .option(&["--health-cmd", "wget -q -O - http://127.0.0.1:8086/readyz"])
        .runs(&["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/run"]);
    let asks = |path: &str| {
        let url = format!("http://127.0.0.1:8086{path}");
        app.enter(&["wget", "-q", "-O", "-", &url]).ends()
    };
    eventually("the app's own answer", || asks("/readyz").1.contains("404").then_some(()));
    assert_eq!(asks("/livez").0, 0);
    eventually("ill health", || {
        (app.inspect("{{.State.Health.Status}}") == "unhealthy").then_some(())
    });
    assert_eq!(app.enter(&["touch", "/run/health"]).ends().0, 0);
    assert_eq!(asks("/readyz").0, 0);
    eventually("health", || (app.inspect("{{.State.Health.Status}}") == "healthy").then_some(()));
    app.kill("TERM");
    app.hears("stop_signal");
    let (code, said) = asks("/readyz");
    assert!(code == 1 && said.contains("503 stopping"), "{said}");
    // httpd has no handler, and as the app it is no PID 1 that would ignore it.
    app.kill("USR1");
    let ended = app.ends();
    assert_eq!(ended.code, 138, "{ended}");
    assert_eq!(ended.report()["left_over"]["count"], 0, "{ended}");
}
