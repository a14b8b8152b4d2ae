//! The main job: real servers go on answering while the stop signal is held back.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::harness::{assert_after, debian, number, seconds};

/// A client that asks again and again, each time over a new connection.
pub struct Visits {
    enough: Arc<AtomicBool>,
    client: JoinHandle<Vec<Visit>>,
}

/// One request, and what was wrong with it.
pub struct Visit {
    pub began_at: Instant,
    pub over_at: Instant,
    pub failure: Option<String>,
}

impl Visits {
    pub fn begin(server: SocketAddr) -> Visits {
        let enough = Arc::new(AtomicBool::new(false));
        let stop = enough.clone();
        let client = std::thread::spawn(move || {
            let mut visits = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let began_at = Instant::now();
                let failure = get(server).err();
                visits.push(Visit { began_at, over_at: Instant::now(), failure });
                // The pace of the load.
                std::thread::sleep(Duration::from_millis(5));
            }
            visits
        });
        Visits { enough, client }
    }

    /// Stops asking, and returns what became of each request.
    pub fn stop(self) -> Vec<Visit> {
        self.enough.store(true, Ordering::Relaxed);
        self.client.join().expect("the client")
    }

    /// Stops asking, and checks that each request that was over before the delay was, succeeded.
    pub fn end(self, called_at: Instant, delay: Duration) {
        let visits = self.stop();
        let held = visits.iter().filter(|visit| visit.over_at < called_at + delay);
        let failures: Vec<_> = held.clone().filter_map(|visit| visit.failure.as_ref()).collect();
        assert_eq!(failures, Vec::<&String>::new());
        let in_hold = held.filter(|visit| visit.over_at > called_at).count();
        println!("{in_hold} requests in the hold of {delay:?}, all answered");
        assert!(in_hold > 50, "only {in_hold} requests in the hold");
        let last = visits.last().expect("a visit");
        assert!(last.failure.is_some(), "the server still answers");
    }
}

fn get(server: SocketAddr) -> Result<(), String> {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&server, seconds(5))?;
        stream.set_read_timeout(Some(seconds(5)))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    match ask() {
        Ok(answer) if answer.lines().next().is_some_and(|line| line.ends_with(" 200 OK")) => Ok(()),
        Ok(answer) => Err(format!("answered {answer:?}")),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn nginx_answers_for_the_whole_delay_and_then_ends() {
    let nginx = debian().delay("2s").grace_period("10s").runs(&["nginx", "-g", "daemon off;"]);
    let visits = Visits::begin(nginx.port(80));
    let stop = nginx.stop(10);
    let called_at = stop.called_at;
    let forwarded = nginx.hears("forwarded SIGTERM to nginx");
    assert_after(called_at, forwarded.at, seconds(2));
    let took = stop.returns();
    assert!(took < seconds(9), "docker stop took {took:?}");
    visits.end(called_at, seconds(2));
    let ended = nginx.ends();
    assert_eq!(ended.code, 0, "{ended}");
    let ours = ended.ours();
    let plan = "+0.000s SIGTERM from outside the container: forwarding it at +2s, SIGKILL at +9s";
    assert!(ours[0].ends_with(plan), "{ended}");
    let report = ours.last().expect("a report");
    for part in ["report: drained in ", ", exit code 0; held "] {
        assert!(report.contains(part), "{part}: {ended}");
    }
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn pythons_server_answers_for_the_whole_delay_and_then_ends() {
    let server = ["python3", "-m", "http.server", "8000"];
    let python = debian().delay("2s").grace_period("10s").runs(&server);
    let visits = Visits::begin(python.port(8000));
    let stop = python.stop(10);
    let called_at = stop.called_at;
    stop.returns();
    visits.end(called_at, seconds(2));
    let ended = python.ends();
    // It has no handler, so the signal ends it.
    assert_eq!(ended.code, 143, "{ended}");
    assert!(ended.said("report: ended by SIGTERM"), "{ended}");
}

/// Docker's own SIGKILL would come 2 s later, and leave no report.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_server_that_ignores_sigterm_is_killed_a_margin_before_the_grace_period_ends() {
    let deaf = "import signal, http.server; signal.signal(signal.SIGTERM, signal.SIG_IGN); \
                http.server.test(http.server.SimpleHTTPRequestHandler, port=8000)";
    let python = debian()
        .delay("1s")
        .grace_period("5s")
        .variable("REPRIEVE_MARGIN", "2s")
        .variable("REPRIEVE_LOG_FORMAT", "json")
        .runs(&["python3", "-c", deaf]);
    let visits = Visits::begin(python.port(8000));
    let stop = python.stop(5);
    let called_at = stop.called_at;
    let killed = python.hears("sent SIGKILL to python3");
    assert_after(called_at, killed.at, seconds(3));
    stop.returns();
    // It answers until it is killed.
    visits.end(called_at, seconds(3));
    let ended = python.ends();
    assert_eq!(ended.code, 137, "{ended}");
    let report = ended.report();
    assert!(number(&report, "killed_at_ms") >= 3000, "{ended}");
    assert_eq!(report["app_signal"], "SIGKILL", "{ended}");
    assert_eq!(report["killed"]["count"], 1, "{ended}");
}
