//! Who hears a signal: what is topmost, once, and what it leaves when it ends.
//!
//! The apps here drain at the first stop signal and die of a second (`listen --once`), so that an
//! app that finished has heard exactly one.

use std::ffi::OsString;
use std::time::Duration;

use crate::harness::*;

mod filters;
mod leftovers;
mod looks;
mod masters;
mod others;
mod relays;
mod table;

/// An app that drains for 300 ms and dies of a second stop signal, within a shell script.
const APP: &str = "$FIXTURE listen --name app --once 300";

fn json() -> Init {
    without_grace().options("--grace-period 20s")
}

/// Without a grace period, and so without a deadline.
fn without_grace() -> Init {
    pid1().options("-v --log-format json")
}

/// Waits until the app is ready and what runs it waits for it, sends a signal, and waits for the end.
#[track_caller]
fn stop(run: Run, signal: i32) -> Ended {
    run.ready("app ");
    eventually("a main child that waits", || (process_state(run.main_pid()) != 'R').then_some(()));
    run.signal(signal);
    run.ends()
}

/// It heard one signal, this one, and finished.
#[track_caller]
fn assert_heard_once(ended: &Ended, what: &str, signal: &str) {
    let got = format!("app got {signal}");
    assert_eq!((ended.times(&got), ended.times("app got")), (1, 1), "{what}: {ended}");
    assert_finished(ended, what);
}

/// Its work is done, and nobody was killed.
#[track_caller]
fn assert_finished(ended: &Ended, what: &str) {
    assert!(ended.said("app finished"), "{what}: its work is lost; {ended}");
    // There is no report without a stop signal.
    assert!(!ended.said("\"event\":\"killed\""), "{what}: {ended}");
}

/// A program of Debian, or a failure that names its package.
fn debian(program: &'static str, package: &str) -> &'static str {
    let folders = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    let there = folders.iter().any(|folder| std::path::Path::new(folder).join(program).exists());
    assert!(there, "{program} is missing: apt-get install {package}");
    program
}

/// The fixture with these words, after those.
fn with_fixture(before: &[&str], words: &str) -> Vec<OsString> {
    let before = before.iter().map(OsString::from);
    let words = words.split_whitespace().map(OsString::from);
    before.chain([fixture().into_os_string()]).chain(words).collect()
}
