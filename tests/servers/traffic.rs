//! The watch over traffic with real servers, balancers and clients. Each test has a network of its own.

mod advice;
mod pooler;
mod udp;
mod unix;
mod whose;

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::libc;
use serde_json::Value;

use crate::http::path;
use crate::load::serves;
use crate::network::port;
use crate::shared::*;
use crate::shutdown::init;

/// How often a client asks.
const PACE: Duration = Duration::from_millis(20);

/// A hold that ends when traffic has stopped.
const UNTIL_QUIET: &str = "--delay 300ms..20s --quiet-window 1s";

/// The same, and no test waits long for its MAX.
const TO_MAX: &str = "--delay 300ms..3s --quiet-window 1s";

const FORWARDED: &str = r#""event":"forwarded""#;
const UNSEEN: &str = r#""event":"unseen""#;

/// A Python program that is beside this file, with Debian's Python, whose packages it needs.
fn python(file: &str, words: &str) -> Vec<String> {
    let file = path("traffic").join(file).display().to_string();
    let words = words.split_whitespace().map(str::to_owned);
    ["/usr/bin/python3".to_owned(), file].into_iter().chain(words).collect()
}

/// A client that says that it has begun, and then hears lines.
fn client(words: &[String], begun: &str) -> Visitor {
    let mut command = Command::new(&words[0]);
    let mut client = Visitor::start(command.args(&words[1..]).stdin(Stdio::piped()));
    assert_eq!(client.line(), begun);
    client
}

/// How many requests a client has lost, which ends now.
fn lost_by(client: &mut Visitor) -> usize {
    client.tell("end");
    client.line().parse().expect("a number")
}

/// A web server under the init in `/mnt` of its own, which serves by now.
fn serving(init: Init, options: &str, app: Vec<String>) -> Run {
    let run = init.options("--log-format json --grace-period 60s").options(options).app(app);
    until_serves(&run, 8080);
    run
}

/// Waits until a web server is there.
#[track_caller]
fn until_serves(run: &Run, at: u16) {
    let vainly = || format!("a server on port {at}; was said:\n{:#?}", run.lines());
    eventually_or(vainly, || serves(port(at)).then_some(()));
}

/// Begins the hold, and returns when.
fn hold(run: &Run) -> Instant {
    run.signal(libc::SIGTERM);
    run.hears(r#""event":"stop_signal""#).at
}

/// Whether the hold is over.
fn is_forwarded(run: &Run) -> bool {
    run.lines().iter().any(|line| line.text.contains(FORWARDED))
}

/// The report of a hold that has to have ended for this reason.
#[track_caller]
fn report(run: Run, ended_by: &str) -> Value {
    let ended = run.ends();
    let report = ended.report();
    assert_eq!(report["hold_ended_by"], ended_by, "{ended}");
    let warnings = ended.times(UNSEEN);
    assert_eq!(warnings > 0, !report["traffic"]["unseen_because"].is_null(), "{ended}");
    report
}
