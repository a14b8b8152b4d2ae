use std::io::Write;
use std::net::Shutdown;
use std::thread;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{self, kill, killpg};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, setpgid};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::health::probe::{ENDED, STOPPING};
use crate::process::fork;
use crate::process::inherited::{let_go, set_mask};
use crate::signal::{Signal, SignalSet};

/// More than any machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A responder as PID 1 has it; it ends with the test.
struct Responding {
    process: Pid,
    address: SocketAddr,
}

impl Drop for Responding {
    fn drop(&mut self) {
        let _ = killpg(self.process, signal::Signal::SIGKILL);
        let _ = waitpid(self.process, None);
    }
}

fn respond(upstream: Option<&str>, state: State) -> Responding {
    respond_after(upstream, state, || {})
}

fn respond_after(upstream: Option<&str>, state: State, prepare: impl FnOnce()) -> Responding {
    let upstream = upstream.map(|url| url.parse().unwrap());
    let health = Health::bind(([127, 0, 0, 1], 0).into(), upstream).unwrap();
    let address = health.listener.local_addr().unwrap();
    let mask = set_mask(SignalSet::ALL);
    let process = fork::start(|| {
        // Other tests' sockets would stay open in it.
        let_go(vec![health.descriptor()]);
        prepare();
        let _ = health.serve(state);
    });
    set_mask(mask);
    let process = process.unwrap();
    let _ = setpgid(process, process);
    Responding { process, address }
}

impl Responding {
    fn tell(&self, signal: Signal) {
        let signal = signal::Signal::try_from(signal.number()).unwrap();
        killpg(self.process, signal).unwrap();
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn send(&self, request: &str) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// The status and the body.
    fn get(&self, path: &str) -> (u16, String) {
        answer(self.send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")))
    }

    fn of_status(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.process);
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(':').trim().parse().unwrap()
    }

    fn has_children(&self) -> bool {
        let pid = self.process;
        let path = format!("/proc/{pid}/task/{pid}/children");
        !std::fs::read_to_string(path).unwrap().is_empty()
    }
}

fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    status.zip(body).unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

fn says(status: u16, body: &str) -> (u16, String) {
    (status, body.to_owned())
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let gives_up_at = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < gives_up_at, "{what}");
        // Nothing tells of what another process does by itself.
        thread::sleep(Duration::from_millis(1));
    }
}

/// An app that is asked, and whose test answers.
fn app() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/health", listener.local_addr().unwrap());
    (listener, url)
}

#[test]
fn from_the_stop_signal_on_it_is_not_ready_but_lives() {
    let responding = respond(None, State::default());
    assert_eq!(responding.get("/readyz"), says(200, "ok"));
    assert_eq!(responding.get("/livez"), says(200, "ok"));
    responding.tell(STOPPING);
    assert_eq!(responding.get("/readyz"), says(503, "stopping"));
    assert_eq!(responding.get("/livez"), says(200, "ok"));
    responding.tell(ENDED);
    assert_eq!(responding.get("/readyz"), says(503, "stopping"));
    assert_eq!(responding.get("/livez"), says(503, "ended"));
}

#[test]
fn one_that_is_started_again_knows_how_things_stand() {
    let stopping = respond(None, State { stopping: true, ended: false });
    assert_eq!(stopping.get("/readyz"), says(503, "stopping"));
    assert_eq!(stopping.get("/livez"), says(200, "ok"));
    let ended = respond(None, State { stopping: false, ended: true });
    assert_eq!(ended.get("/readyz"), says(503, "ended"));
}

#[test]
fn a_signal_that_comes_at_once_is_not_lost() {
    let responding = respond(None, State::default());
    responding.tell(STOPPING);
    assert_eq!(responding.get("/readyz"), says(503, "stopping"));
}

#[test]
fn no_other_signal_ends_it() {
    let responding = respond(None, State::default());
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::PIPE] {
        responding.tell(signal);
    }
    assert_eq!(responding.get("/livez"), says(200, "ok"));
}

#[test]
fn until_the_stop_signal_the_app_says_whether_it_is_ready() {
    let (app, url) = app();
    let responding = respond(Some(&url), State::default());
    for status in [200, 204, 302, 404, 503] {
        // On a machine that is busy it can take longer than an app may.
        until("the status does not pass", || {
            let probe = responding.send("GET /readyz HTTP/1.1\r\n\r\n");
            let (mut asked, _) = app.accept().unwrap();
            let _ = write!(asked, "HTTP/1.1 {status} \r\n\r\n");
            answer(probe) == says(status, "")
        });
    }
    responding.tell(STOPPING);
    // Nobody accepts: it is not asked any more.
    assert_eq!(responding.get("/readyz"), says(503, "stopping"));
    assert_eq!(responding.get("/livez"), says(200, "ok"));
}

#[test]
fn a_stop_signal_while_the_app_is_asked_counts() {
    let (app, url) = app();
    let responding = respond(Some(&url), State::default());
    let probe = responding.send("GET /readyz HTTP/1.1\r\n\r\n");
    let (mut asked, _) = app.accept().unwrap();
    responding.tell(STOPPING);
    // It may have given up.
    let _ = asked.write_all(b"HTTP/1.1 200 \r\n\r\n");
    assert_eq!(answer(probe), says(503, "stopping"));
}

#[test]
fn an_app_that_hangs_makes_no_other_answer_late() {
    let (_app, url) = app();
    let responding = respond(Some(&url), State::default());
    let began = Instant::now();
    let probes: Vec<_> = (0..40).map(|_| responding.send("GET /readyz HTTP/1.1\r\n\r\n")).collect();
    assert_eq!(responding.get("/livez"), says(200, "ok"));
    // One after the other they would take 40 s.
    assert!(began.elapsed() < Duration::from_secs(20));
    for probe in probes {
        let (status, body) = answer(probe);
        assert_eq!(status, 503);
        assert!(["no answer", "busy"].contains(&body.as_str()), "{body}");
    }
    assert!(began.elapsed() >= Duration::from_secs(1));
    until("askers are left", || !responding.has_children());
}

#[test]
fn every_client_has_one_answer_and_then_an_end() {
    let responding = respond(None, State::default());
    let one = "GET /livez HTTP/1.1\r\n\r\n";
    assert_eq!(answer(responding.send(&one.repeat(1000))), says(200, "ok"));
    assert_eq!(answer(responding.send("HEAD /livez HTTP/1.0\r\n\r\n")), says(200, ""));
    assert_eq!(answer(responding.send("\0\r\n\r\n")), says(400, "bad request"));
    let dripping = responding.connect();
    for byte in one.bytes() {
        (&dripping).write_all(&[byte]).unwrap();
    }
    assert_eq!(answer(dripping), says(200, "ok"));
}

#[test]
fn a_huge_request_hears_that_it_is() {
    let responding = respond(None, State::default());
    let huge = format!("GET /livez HTTP/1.1\r\nX: {}", "y".repeat(4_000_000));
    assert_eq!(answer(responding.send(&huge)), says(431, "too large"));
}

#[test]
fn a_slow_client_is_dropped() {
    let responding = respond(None, State::default());
    let began = Instant::now();
    let mut slow = responding.send("GET /livez HTTP/1.1\r\n");
    // One that stays after its answer is, too.
    let mut staying = responding.send("GET /livez HTTP/1.1\r\n\r\n");
    staying.read_to_string(&mut String::new()).unwrap();
    assert_eq!(slow.read(&mut [0]).unwrap(), 0);
    until("it may stay", || staying.write_all(b"x").is_err());
    assert!(began.elapsed() >= CONNECTION_TIME);
}

#[test]
fn many_idle_clients_keep_no_probe_out() {
    let responding = respond(None, State::default());
    let idle: Vec<_> = (0..5 * MOST_CONNECTIONS).map(|_| responding.connect()).collect();
    assert_eq!(responding.get("/livez"), says(200, "ok"));
    assert!(matches!((&idle[0]).read(&mut [0]), Ok(0)));
}

#[test]
fn without_descriptors_the_oldest_client_makes_room() {
    let few = || setrlimit(Resource::RLIMIT_NOFILE, 8, 8).unwrap();
    let responding = respond_after(None, State::default(), few);
    let _idle: Vec<_> = (0..10).map(|_| responding.connect()).collect();
    assert_eq!(responding.get("/livez"), says(200, "ok"));
}

#[test]
fn a_client_that_cannot_be_taken_makes_no_loop() {
    let none = || setrlimit(Resource::RLIMIT_NOFILE, 3, 3).unwrap();
    let responding = respond_after(None, State::default(), none);
    let _waiting = responding.connect();
    let naps = || responding.of_status("voluntary_ctxt_switches");
    let (began, before) = (Instant::now(), naps());
    until("it does not pause", || naps() >= before + 5);
    assert!(began.elapsed() >= 3 * PAUSE);
}

#[test]
fn it_ends_with_pid_1() {
    let (mut its_end, held) = io::pipe().unwrap();
    let (mut told, started) = io::pipe().unwrap();
    let parent = fork::start(|| {
        let health = Health::bind(([127, 0, 0, 1], 0).into(), None).unwrap();
        let kept = [&held, &started].map(AsRawFd::as_raw_fd);
        let_go(kept.into_iter().chain([health.descriptor()]).collect());
        fork::start(|| {
            let _ = health.serve(State::default());
        })
        .unwrap();
        (&started).write_all(b"x").unwrap();
        nix::unistd::pause();
    });
    let parent = parent.unwrap();
    drop((held, started));
    told.read_exact(&mut [0]).unwrap();
    kill(parent, signal::Signal::SIGKILL).unwrap();
    waitpid(parent, None).unwrap();
    assert_eq!(its_end.read(&mut [0]).unwrap(), 0);
}

#[test]
fn an_address_that_is_taken_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = Health::bind(address, None).err().unwrap();
    assert_eq!(error.code(), 125);
    let why = format!("cannot listen on {address} for health probes: Address already in use");
    assert_eq!(error.to_string(), why);
}

#[test]
fn no_client_keeps_it_from_answering() {
    let responding = respond(None, State::default());
    let starts = prop::sample::select(vec!["", "GET /readyz HTTP/1.1\r\nA: b\r\n\r\n", "HEAD "]);
    let requests = (starts, vec(any::<u8>(), 0..200), 1..100usize, any::<bool>());
    proptest!(|((start, rest, piece, leaves) in requests)| {
        let mut stream = responding.connect();
        let bytes = [start.as_bytes(), &rest].concat();
        for piece in bytes.chunks(piece) {
            // It may have been answered and left by now.
            let _ = stream.write_all(piece);
        }
        if !leaves {
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
        prop_assert_eq!(responding.get("/livez"), says(200, "ok"));
    });
}
