//! The clients: 200 requests a second, each on a connection of its own, or half of them on kept ones.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Try;
use crate::http::{Connection, Failure};
use crate::place::eventually;

/// Clients that keep their connections; as many requests come from others, or all of them do.
const REGULARS: u32 = 10;

/// From one request of a client that keeps its connection to its next.
const PACE: Duration = Duration::from_millis(100);

/// On which connections the requests come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// Each on one of its own.
    New,
    /// Half of them on one of their own, half on kept ones.
    NewAndKept,
}

impl fmt::Display for Clients {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Clients::New => "new connections only",
            Clients::NewAndKept => "half of them kept connections",
        })
    }
}

/// What happened to the requests.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub served: u32,
    pub failed: BTreeMap<Failure, u32>,
}

impl Tally {
    fn count(&mut self, answer: Result<(), Failure>) {
        match answer {
            Ok(()) => self.served += 1,
            Err(failure) => *self.failed.entry(failure).or_default() += 1,
        }
    }

    pub fn failures(&self) -> u32 {
        self.failed.values().sum()
    }
}

/// The same, told apart by the connection.
#[derive(Clone, Debug, Default)]
pub struct Tallies {
    /// Each on a connection of its own.
    pub new: Tally,
    /// On kept connections.
    pub kept: Tally,
}

impl Tallies {
    fn both(&self) -> [&Tally; 2] {
        [&self.new, &self.kept]
    }

    pub fn served(&self) -> u32 {
        self.both().map(|tally| tally.served).iter().sum()
    }

    pub fn failures(&self) -> u32 {
        self.both().map(Tally::failures).iter().sum()
    }
}

/// Clients that go on until they are stopped.
pub struct Load {
    clients: Clients,
    is_over: Arc<AtomicBool>,
    tallies: Arc<Mutex<Tallies>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn start(service: SocketAddr, clients: Clients) -> Load {
        let (is_over, tallies) = Default::default();
        let mut load = Load { clients, is_over, tallies, threads: Vec::new() };
        let (newcomers_per_pace, regulars) = match clients {
            Clients::New => (2 * REGULARS, 0),
            Clients::NewAndKept => (REGULARS, REGULARS),
        };
        let (is_over, tallies) = (load.is_over.clone(), load.tallies.clone());
        // After the regulars have got their connections: HAProxy takes the replicas in turn, and so
        // each of them has as many.
        let begun_at = Instant::now();
        let newcomers = move || {
            let begin_at = begun_at + PACE;
            newcomers(service, begin_at, PACE / newcomers_per_pace, &is_over, &tallies);
        };
        load.threads.push(std::thread::spawn(newcomers));
        for number in 0..regulars {
            // In turn, not all at once.
            let begin_at = begun_at + PACE * number / REGULARS;
            let (is_over, tallies) = (load.is_over.clone(), load.tallies.clone());
            let client = move || regular(service, begin_at, &is_over, &tallies);
            load.threads.push(std::thread::spawn(client));
        }
        load
    }

    /// Waits for half a second's worth of served requests, of all kinds.
    pub fn serves_on(&self) -> Try<()> {
        let [new, kept] = self.so_far().both().map(|tally| tally.served + 5 * REGULARS);
        eventually("requests that are served", || {
            let now = self.so_far();
            let keeps_on = self.clients == Clients::New || now.kept.served >= kept;
            (now.new.served >= new && keeps_on).then_some(())
        })
    }

    pub fn so_far(&self) -> Tallies {
        self.tallies.lock().expect("a lock").clone()
    }

    /// Waits for the requests that are under way.
    pub fn stop(mut self) -> Tallies {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a client");
        }
        self.so_far()
    }
}

/// Clients that come once. None of them waits for another: where each failure takes seconds, a
/// client that waits for it before the next request would hide how many there are.
fn newcomers(
    service: SocketAddr,
    begin_at: Instant,
    pace: Duration,
    is_over: &AtomicBool,
    tallies: &Mutex<Tallies>,
) {
    std::thread::scope(|scope| {
        let mut next_at = begin_at;
        while !is_over.load(Ordering::Relaxed) {
            // The pace, the same whether requests fail or not.
            std::thread::sleep(next_at.saturating_duration_since(Instant::now()));
            next_at += pace;
            scope.spawn(|| {
                let answer = ask(service, &mut None);
                tallies.lock().expect("a lock").new.count(answer);
            });
        }
    });
}

/// A client that keeps its connection.
fn regular(service: SocketAddr, begin_at: Instant, is_over: &AtomicBool, tallies: &Mutex<Tallies>) {
    let mut kept = None;
    let mut next_at = begin_at;
    while !is_over.load(Ordering::Relaxed) {
        // The pace: a failure that comes at once must not buy its client one more request.
        std::thread::sleep(next_at.saturating_duration_since(Instant::now()));
        next_at = Instant::now().max(next_at + PACE);
        let answer = ask(service, &mut kept);
        tallies.lock().expect("a lock").kept.count(answer);
    }
}

/// One request. A server may close an idle connection at any time, and the client may only see it
/// when it has sent the next request: as all clients that keep connections do (RFC 9112, section
/// 9.3.1), it sends that again on a new connection, once, if not a byte of an answer has come.
/// What fails on a new connection, or in the middle of an answer, has failed.
fn ask(service: SocketAddr, kept: &mut Option<Connection>) -> Result<(), Failure> {
    if let Some(mut connection) = kept.take() {
        match connection.get() {
            Err(Failure::Unanswered) => {}
            Err(failure) => return Err(failure),
            Ok(stays) => {
                *kept = stays.then_some(connection);
                return Ok(());
            }
        }
    }
    let mut connection = Connection::open(service)?;
    *kept = connection.get()?.then_some(connection);
    Ok(())
}
