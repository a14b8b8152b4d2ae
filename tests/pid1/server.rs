//! What plays an app with HTTP in a rehearsal: a server that stops well or badly.
//!
//!     server PORT [OPTION VALUE]...
//!         listens on loopback, prints `listens`, answers each request, prints `got SIGTERM`, lets nobody
//!         in any more, finishes what it has begun, and ends with 0
//!         --wait MS      listens after so long
//!         --time MS      so long an answer takes
//!         --status N     of each answer
//!         --late N       the status of answers after SIGTERM
//!         --serves N     lets nobody in any more after so many answers, and prints `closed`
//!         --keeps N      closes a connection after so many answers, without having said so
//!         --stops HOW    at SIGTERM: `cut` ends at once; `half` sends the half of what it has begun, and
//!                        ends; `never` goes on

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

/// How often a server looks whether something has come.
const PACE: Duration = Duration::from_millis(1);

struct Server {
    port: u16,
    time: Duration,
    status: u32,
    late: u32,
    serves: u32,
    keeps: u32,
    stops: String,
    stopping: AtomicBool,
    /// Nobody is let in any more.
    closed: AtomicBool,
    begun: AtomicU32,
    answered: AtomicU32,
}

fn main() {
    // Not to outlive a test that somebody interrupts.
    set_pdeathsig(Signal::SIGKILL).expect("prctl");
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (port, options) = words.split_first().expect("a port");
    let option = |name: &str| {
        let mut pairs = options.chunks(2);
        pairs.find(|pair| pair[0] == name).map(|pair| pair[1].clone())
    };
    let number = |name: &str, default: u32| {
        option(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let status = number("--status", 200);
    let server = Arc::new(Server {
        port: port.parse().expect("a port"),
        time: Duration::from_millis(number("--time", 0).into()),
        status,
        late: number("--late", status),
        serves: number("--serves", u32::MAX),
        keeps: number("--keeps", u32::MAX),
        stops: option("--stops").unwrap_or_default(),
        stopping: AtomicBool::new(false),
        closed: AtomicBool::new(false),
        begun: AtomicU32::new(0),
        answered: AtomicU32::new(0),
    });
    let mut signals = Signals::new([SIGTERM]).expect("handlers");
    let (listens, wait) = (server.clone(), number("--wait", 0));
    spawn(move || {
        // How slow it is to start.
        sleep(Duration::from_millis(wait.into()));
        listens.listen();
    });
    for _ in signals.forever() {
        println!("got SIGTERM");
        server.stop();
    }
}

impl Server {
    fn listen(self: Arc<Server>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).expect("a port");
        listener.set_nonblocking(true).expect("a listener");
        println!("listens");
        loop {
            // Who has come before it closes is served.
            let closes = self.stopping.load(Ordering::SeqCst)
                || self.answered.load(Ordering::SeqCst) >= self.serves;
            while let Ok((stream, _)) = listener.accept() {
                self.begun.fetch_add(1, Ordering::SeqCst);
                let server = self.clone();
                spawn(move || server.serve(stream));
            }
            if closes {
                break;
            }
            // The pace of asking a listener that does not wait.
            sleep(PACE);
        }
        drop(listener);
        self.closed.store(true, Ordering::SeqCst);
        println!("closed");
    }

    /// Answers on one connection. It counts as begun until the first request on it was answered.
    fn serve(&self, mut stream: TcpStream) {
        stream.set_nonblocking(false).expect("a stream");
        for served in 1.. {
            if !self.next_request(&mut stream, served == 1) {
                break;
            }
            let begun_at = Instant::now();
            while begun_at.elapsed() < self.time {
                // A part of the time that a request takes.
                sleep(PACE);
            }
            let is_late = self.stopping.load(Ordering::SeqCst);
            let status = if is_late { self.late } else { self.status };
            let closes = if is_late { "Connection: close\r\n" } else { "" };
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\n{closes}\r\nhello");
            let is_cut = is_late && self.stops == "half";
            let sent = if is_cut { &answer[..answer.len() - 3] } else { &answer };
            let is_sent = stream.write_all(sent.as_bytes()).is_ok();
            self.answered.fetch_add(1, Ordering::SeqCst);
            self.begun.fetch_sub(1, Ordering::SeqCst);
            if !is_sent || is_late || served >= self.keeps {
                return;
            }
        }
    }

    /// Reads a request. False where none comes any more.
    fn next_request(&self, stream: &mut TcpStream, is_first: bool) -> bool {
        let mut head = Vec::new();
        stream.set_read_timeout(Some(PACE)).expect("a timeout");
        let mut bytes = [0; 1024];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut bytes) {
                Ok(0) => break,
                Ok(length) if head.is_empty() && !is_first => {
                    self.begun.fetch_add(1, Ordering::SeqCst);
                    head.extend_from_slice(&bytes[..length]);
                }
                Ok(length) => head.extend_from_slice(&bytes[..length]),
                Err(_) if self.stopping.load(Ordering::SeqCst) && head.is_empty() => break,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
        let is_whole = head.ends_with(b"\r\n\r\n");
        if !is_whole && (is_first || !head.is_empty()) {
            self.begun.fetch_sub(1, Ordering::SeqCst);
        }
        is_whole
    }

    fn stop(&self) {
        match self.stops.as_str() {
            "never" => return,
            "cut" => exit(0),
            _ => self.stopping.store(true, Ordering::SeqCst),
        }
        while !self.closed.load(Ordering::SeqCst) || self.begun.load(Ordering::SeqCst) > 0 {
            // The pace of looking.
            sleep(PACE);
        }
        exit(0);
    }
}
