//! The clients: half of them open a connection for each request, half of them keep theirs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Try;
use crate::http::{Connection, Failure};
use crate::place::eventually;

/// How many clients there are of each kind.
pub const CLIENTS: u32 = 10;

/// From one request of a client to its next.
pub const PACE: Duration = Duration::from_millis(100);

/// What happened to the requests of one kind of client.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub served: u32,
    pub failed: BTreeMap<Failure, u32>,
    /// Requests that were sent again, see `ask`; each of them is served or failed too.
    pub repeated: u32,
}

impl Tally {
    pub fn failures(&self) -> u32 {
        self.failed.values().sum()
    }
}

#[derive(Clone, Debug, Default)]
pub struct Tallies {
    /// Of a new connection for each request.
    pub new: Tally,
    /// Of connections that are kept.
    pub kept: Tally,
}

impl Tallies {
    pub fn served(&self) -> u32 {
        self.new.served + self.kept.served
    }

    pub fn failures(&self) -> u32 {
        self.new.failures() + self.kept.failures()
    }
}

#[derive(Clone, Copy)]
enum Kind {
    New,
    Kept,
}

pub struct Load {
    is_over: Arc<AtomicBool>,
    tallies: Arc<Mutex<Tallies>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn start(service: SocketAddr) -> Load {
        let mut load =
            Load { is_over: Arc::default(), tallies: Arc::default(), clients: Vec::new() };
        for number in 0..2 * CLIENTS {
            let kind = if number % 2 == 0 { Kind::New } else { Kind::Kept };
            // In turn, not all at once.
            let begin_at = Instant::now() + PACE * number / (2 * CLIENTS);
            let (is_over, tallies) = (load.is_over.clone(), load.tallies.clone());
            let client = move || client(service, kind, begin_at, &is_over, &tallies);
            load.clients.push(std::thread::spawn(client));
        }
        load
    }

    /// Waits until each client may have had some more requests served.
    pub fn serves_on(&self) -> Try<()> {
        let enough = self.so_far().served() + 10 * CLIENTS;
        eventually("requests that are served", || (self.so_far().served() >= enough).then_some(()))
    }

    pub fn so_far(&self) -> Tallies {
        self.tallies.lock().expect("a lock").clone()
    }

    /// Lets each client finish its request.
    pub fn stop(mut self) -> Tallies {
        self.is_over.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            client.join().expect("a client");
        }
        self.so_far()
    }
}

fn client(
    service: SocketAddr,
    kind: Kind,
    begin_at: Instant,
    is_over: &AtomicBool,
    tallies: &Mutex<Tallies>,
) {
    let mut kept = None;
    let mut next_at = begin_at;
    while !is_over.load(Ordering::Relaxed) {
        // The pace: a failure that comes at once must not buy its client one more request.
        std::thread::sleep(next_at.saturating_duration_since(Instant::now()));
        next_at = Instant::now().max(next_at + PACE);
        let mut repeated = false;
        let answer = ask(service, &mut kept, &mut repeated);
        let mut tallies = tallies.lock().expect("a lock");
        let tally = match kind {
            Kind::New => {
                kept = None;
                &mut tallies.new
            }
            Kind::Kept => &mut tallies.kept,
        };
        tally.repeated += u32::from(repeated);
        match answer {
            Ok(()) => tally.served += 1,
            Err(failure) => *tally.failed.entry(failure).or_default() += 1,
        }
    }
}

/// One request. A server may close an idle connection at any time, and the client may only see it
/// when it has sent the next request: as all clients that keep connections do (RFC 9112, section
/// 9.3.1), it sends that again on a new connection, once, if not a byte of an answer has come.
/// What fails on a new connection, or in the middle of an answer, has failed.
fn ask(
    service: SocketAddr,
    kept: &mut Option<Connection>,
    repeated: &mut bool,
) -> Result<(), Failure> {
    if let Some(mut connection) = kept.take() {
        match connection.get() {
            Err(Failure::Unanswered) => *repeated = true,
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
