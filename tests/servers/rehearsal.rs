//! Rehearsals of real servers, with requests in flight (docs/behaviour.md, section 14).

use std::path::Path;

use serde_json::Value;

use crate::http::{Server, go_server};
use crate::shared::*;
use crate::shutdown::{InFlight, bare, version};
use crate::upstream::Upstream;

/// One that does not drain proves that by luck alone, and one that does may fail by a race.
const RUNS: u32 = 10;

/// Rehearses a server, with requests that take 0.3 s.
fn rehearse(server: &Server) -> Ended {
    let (address, upstream) = (address(), Upstream::begin());
    let (init, command) = server.prepare(address, &upstream);
    let url = format!("http://{address}/late");
    let init = init.options("--log-format json --rehearse").options(&url).options(server.option);
    init.app(bare(&command)).ends()
}

fn requests(ended: &Ended) -> Value {
    ended.report()["rehearsal"]["requests"].clone()
}

#[track_caller]
fn passes(server: &Server) {
    for _ in 0..RUNS {
        let ended = rehearse(server);
        let requests = requests(&ended);
        assert_eq!(ended.code, 0, "{ended}");
        assert!(ended.said("rehearsal passed: "), "{ended}");
        assert!(number(&requests, "in_flight") > 0, "{requests}");
        assert_eq!(requests["in_flight"], requests["in_flight_answered"]);
    }
}

#[track_caller]
fn fails(server: &Server, why: &str) {
    for _ in 0..RUNS {
        let ended = rehearse(server);
        assert_eq!(ended.code, 1, "{ended}");
        let verdict = ended.log().last().expect("a verdict").to_string();
        assert!(verdict.contains("rehearsal failed: ") && verdict.contains(why), "{ended}");
        assert!(number(&requests(&ended), "cut") > 0, "{ended}");
    }
}

/// nginx, with this option of the init.
fn nginx(option: &str) -> Server<'_> {
    version("nginx -v", "nginx-light");
    Server {
        option,
        file: "nginx.conf",
        command: "nginx -e stderr -c /mnt/nginx.conf",
        in_flight: InFlight::Completes,
    }
}

#[test]
#[ignore = "needs root and Debian's nginx-light: cargo test --test servers -- --ignored"]
fn nginx_fails_with_sigterm() {
    fails(&nginx(""), "in flight when the stop signal was forwarded, and cut");
}

#[test]
#[ignore = "needs root and Debian's nginx-light: cargo test --test servers -- --ignored"]
fn nginx_passes_with_sigquit() {
    passes(&nginx("--rewrite TERM:QUIT"));
}

#[test]
#[ignore = "needs root and Debian's nodejs: cargo test --test servers -- --ignored"]
fn node_passes() {
    version("node --version", "nodejs");
    let command = "node /mnt/server.js";
    passes(&Server { option: "", file: "server.js", command, in_flight: InFlight::Completes });
}

#[test]
#[ignore = "needs root and Debian's golang-go: cargo test --test servers -- --ignored"]
fn go_passes() {
    let program = go_server();
    let command = Path::new(&program).display().to_string();
    let in_flight = InFlight::Completes;
    passes(&Server { option: "", file: "server.go", command: &command, in_flight });
}

fn gunicorn(workers: &str) -> String {
    version("gunicorn --version", "gunicorn");
    format!("gunicorn --chdir /mnt --bind ${{HOST}}:${{PORT}} {workers} app:wsgi")
}

/// A worker does one request at a time: who waits for its turn is let in by the kernel and lost.
#[test]
#[ignore = "needs root and Debian's gunicorn: cargo test --test servers -- --ignored"]
fn gunicorn_fails() {
    let command = gunicorn("--workers 2");
    let in_flight = InFlight::Completes;
    fails(&Server { option: "", file: "app.py", command: &command, in_flight }, "cut (http");
}

/// What is in flight completes. But the port stays open until the worker has ended, so who comes after
/// the forward may be let in and lost, and then it fails too.
#[test]
#[ignore = "needs root and Debian's gunicorn: cargo test --test servers -- --ignored"]
fn gunicorn_with_threads_finishes_what_is_in_flight() {
    let command = gunicorn("--workers 1 --threads 8");
    let in_flight = InFlight::Completes;
    let server = Server { option: "", file: "app.py", command: &command, in_flight };
    for _ in 0..RUNS {
        let ended = rehearse(&server);
        let requests = requests(&ended);
        assert!(number(&requests, "in_flight") > 0, "{ended}");
        assert_eq!(requests["in_flight"], requests["in_flight_answered"], "{ended}");
        assert_eq!((&requests["cut"], &requests["refused"]), (&requests["late_cut"], &0.into()));
    }
}
