//! Clients of a web server that go on while something happens to it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::client::{Connection, Failure};
use crate::shared::eventually;

/// What became of the requests.
#[derive(Debug, Default)]
pub struct Tally {
    pub served: usize,
    pub failed: BTreeMap<Failure, usize>,
}

impl Tally {
    pub fn lost(&self) -> usize {
        self.failed.values().sum()
    }
}

/// Whether a client is served that asks now, on a connection of its own.
pub fn serves(service: SocketAddr) -> bool {
    Connection::open(service).and_then(|mut connection| connection.get()).is_ok()
}

/// Waits for so many more requests that are served.
#[track_caller]
pub fn until_served(tally: &Mutex<Tally>, more: usize) {
    let served = || tally.lock().expect("a lock").served;
    let wanted = served() + more;
    eventually("requests that are served", || (served() >= wanted).then_some(()));
}

/// Clients ask again and again while something is done: for each its pause, and whether it keeps
/// its connection.
pub fn under_load<T>(
    service: SocketAddr,
    clients: &[(Duration, bool)],
    deed: impl FnOnce(&Mutex<Tally>) -> T,
) -> (T, Tally) {
    let (is_over, tally) = (AtomicBool::new(false), Mutex::new(Tally::default()));
    let done = thread::scope(|scope| {
        for (pause, keeps) in clients {
            scope.spawn(|| ask_on(service, *pause, *keeps, &is_over, &tally));
        }
        let done = catch_unwind(AssertUnwindSafe(|| deed(&tally)));
        is_over.store(true, Ordering::Relaxed);
        done
    });
    (done.unwrap_or_else(|panic| resume_unwind(panic)), tally.into_inner().expect("a lock"))
}

fn ask_on(
    service: SocketAddr,
    pause: Duration,
    keeps: bool,
    is_over: &AtomicBool,
    tally: &Mutex<Tally>,
) {
    let mut kept: Option<Connection> = None;
    while !is_over.load(Ordering::Relaxed) {
        let mut connection = kept.take().map_or_else(|| Connection::open(service), Ok);
        let answer = connection.as_mut().map_err(|failure| *failure).and_then(Connection::get);
        let mut tally = tally.lock().expect("a lock");
        match answer {
            Ok(stays) => {
                tally.served += 1;
                kept = connection.ok().filter(|_| keeps && stays);
            }
            Err(failure) => *tally.failed.entry(failure).or_default() += 1,
        }
        drop(tally);
        // The pace of the load.
        thread::sleep(pause);
    }
}
