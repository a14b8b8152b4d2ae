//! A process that sends one request after the other to the app in a rehearsal, until the app lets nobody
//! in any more. PID 1 says by signals how far the shutdown is, and is told what became of the requests.

use std::io::{ErrorKind, PipeWriter, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::http::client::{Deadline, RequestError, addresses, connect};
use crate::http::url::{Request, Url};
use crate::process::helper;
use crate::rehearsal::answer::{Body, Head, MAX_HEAD, NotHttp, chunk};
use crate::rehearsal::tally::Record;
use crate::signal::Signal;

/// PID 1 says with it that the stop signal has come.
pub const STOPPED: Signal = Signal::USR1;
/// It is forwarded now.
pub const FORWARDING: Signal = Signal::USR2;
/// It was forwarded.
pub const FORWARDED: Signal = Signal::HUP;
/// The app has let another process in no more.
pub const CLOSED: Signal = Signal::INT;
/// The app has ended.
pub const ENDED: Signal = Signal::TERM;

/// From one request to the next, where the answer comes sooner: without it the ports would run out.
const PACE: Duration = Duration::from_millis(10);

/// From a request that failed to the next.
const PAUSE: Duration = Duration::from_millis(100);

/// A kept connection that ends so soon after a request, and without a byte of an answer, was closed by
/// a server that had not seen the request (RFC 9112, 9.3.1).
const RACE: Duration = Duration::from_millis(20);

/// How long a connection may take. An app that only stops to accept lets a client wait for ever.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How late a signal may be seen that comes right before a wait.
const STEP: u16 = 10;

/// Why there is no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    /// There was no connection, or none any more when the request was to be sent.
    Refused,
    /// The connection ended before a byte of the answer.
    Unanswered,
    /// It ended within the answer, or that is not HTTP.
    Cut,
}

impl From<NotHttp> for Lost {
    fn from(_: NotHttp) -> Lost {
        Lost::Cut
    }
}

/// A process that asks.
struct Asker<'a> {
    request: Request,
    /// It keeps its connection from one request to the next.
    keeps: bool,
    kept: Option<TcpStream>,
    /// Where the URL leads to, once that is known.
    addresses: Vec<SocketAddr>,
    /// What PID 1 has said.
    stopped: Arc<AtomicBool>,
    forwarding: Arc<AtomicBool>,
    forwarded: Arc<AtomicBool>,
    closed: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    /// The request was sent before the forward.
    sent_before: bool,
    /// It was not answered yet when the stop signal had been forwarded.
    in_flight: bool,
    record: Record,
    output: &'a mut PipeWriter,
}

/// Asks until the app lets us in no more, or has ended. Returns the exit code of the process.
pub fn run(url: &Url, keeps: bool, output: &mut PipeWriter) -> u8 {
    let Ok(flags) = helper::hear([STOPPED, FORWARDING, FORWARDED, CLOSED, ENDED]) else {
        return helper::FAILED;
    };
    let [stopped, forwarding, forwarded, closed, ended] = flags;
    let mut asker = Asker {
        request: Request::get(url.clone()),
        keeps,
        kept: None,
        addresses: Vec::new(),
        stopped,
        forwarding,
        forwarded,
        closed,
        ended,
        sent_before: true,
        in_flight: false,
        record: Record::default(),
        output,
    };
    while !asker.record.is_over {
        asker.go_on();
    }
    asker.tell();
    0
}

fn is_set(flag: &AtomicBool) -> bool {
    flag.load(Ordering::Relaxed)
}

impl Asker<'_> {
    /// Sends one request, counts what becomes of it, and pauses before the next.
    fn go_on(&mut self) {
        let next_at = Instant::now() + PACE;
        let had_failed = self.record.tally.has_failures();
        self.in_flight = false;
        let answer = self.ask();
        self.count(answer);
        let is_let_in = answer != Err(Lost::Refused) || !is_set(&self.forwarding);
        if is_set(&self.closed) {
            self.outwait();
        }
        self.record.is_over = !is_let_in || is_set(&self.closed) || is_set(&self.ended);
        if self.record.is_over {
            return;
        }
        if self.record.tally.has_failures() && !had_failed {
            self.tell();
        }
        // The pace of the load.
        match answer {
            Ok(_) => thread::sleep(next_at.saturating_duration_since(Instant::now())),
            Err(_) => thread::sleep(PAUSE),
        }
    }

    /// Tells PID 1 what is so by now.
    fn tell(&mut self) {
        let _ = self.output.write_all(&self.record.to_bytes());
    }

    fn count(&mut self, answer: Result<u16, Lost>) {
        if answer.is_ok() && !self.record.is_ready {
            self.record.is_ready = true;
            self.tell();
        }
        if !is_set(&self.stopped) {
            return;
        }
        let tally = &mut self.record.tally;
        tally.in_flight += u32::from(self.in_flight);
        match answer {
            Ok(status) => {
                tally.answered += 1;
                tally.client_errors += u32::from((400..=499).contains(&status));
                tally.server_errors += u32::from((500..=599).contains(&status));
                tally.in_flight_answered += u32::from(self.in_flight);
            }
            Err(Lost::Refused) => tally.refused += u32::from(!is_set(&self.forwarding)),
            Err(Lost::Unanswered | Lost::Cut) => {
                tally.cut += 1;
                tally.late_cut += u32::from(!self.sent_before);
            }
        }
    }

    /// Sends a request, and returns the status of its answer once all of that has come. Where a kept
    /// connection has been closed between two requests, a new one is tried.
    fn ask(&mut self) -> Result<u16, Lost> {
        if let Some(kept) = self.kept.take()
            && !is_readable(&kept, 0)
        {
            let sent_at = Instant::now();
            match self.ask_on(kept) {
                Err(Lost::Refused) => {}
                Err(Lost::Unanswered) if sent_at.elapsed() < RACE => {}
                answer => return answer,
            }
            self.in_flight = false;
            self.record.tally.retried += u32::from(is_set(&self.stopped));
        }
        let stream = self.connect().map_err(|_| Lost::Refused)?;
        self.ask_on(stream)
    }

    fn connect(&mut self) -> Result<TcpStream, RequestError> {
        let deadline = Deadline::after(CONNECT_TIMEOUT);
        if self.addresses.is_empty() {
            self.addresses = addresses(self.request.url().authority(), deadline)?;
        }
        let stream = connect(&self.addresses, deadline)?;
        if let (Ok(ours), Ok(theirs)) = (stream.local_addr(), stream.peer_addr()) {
            self.addresses = vec![theirs];
            self.record.address = match ours.ip() {
                IpAddr::V4(address) => address.to_ipv6_mapped(),
                IpAddr::V6(address) => address,
            };
        }
        Ok(stream)
    }

    fn ask_on(&mut self, mut stream: TcpStream) -> Result<u16, Lost> {
        let head = if self.keeps { self.request.kept_head() } else { self.request.head() };
        self.sent_before = !is_set(&self.forwarding);
        // The send buffer is empty, and larger than a URL may be.
        stream.write_all(head.as_bytes()).map_err(|_| Lost::Refused)?;
        let (status, keeps) = self.answer(&mut stream)?;
        self.kept = (self.keeps && keeps).then_some(stream);
        Ok(status)
    }

    /// Reads an answer to its end. Returns its status, and whether the connection can be kept.
    fn answer(&mut self, stream: &mut TcpStream) -> Result<(u16, bool), Lost> {
        let mut bytes = Vec::new();
        let head = loop {
            match Head::parse(&bytes)? {
                Some(head) => break head,
                None if bytes.len() > MAX_HEAD => return Err(Lost::Cut),
                None => self.more(stream, &mut bytes)?,
            }
        };
        bytes.drain(..head.length);
        match head.body {
            Body::Length(length) => self.skip(stream, &mut bytes, length)?,
            Body::Chunked => self.skip_chunks(stream, &mut bytes)?,
            Body::UntilEnd => {
                while self.receive(stream, &mut bytes)? > 0 {
                    bytes.clear();
                }
            }
        }
        Ok((head.status, head.keeps && bytes.is_empty()))
    }

    fn skip_chunks(&mut self, stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<(), Lost> {
        loop {
            match chunk(bytes)? {
                None => self.more(stream, bytes)?,
                Some((length, false)) => self.skip(stream, bytes, length)?,
                Some((length, true)) => break self.skip(stream, bytes, length)?,
            }
        }
        // The trailers: lines up to an empty one.
        loop {
            match bytes.windows(2).position(|pair| pair == b"\r\n") {
                Some(end) => {
                    bytes.drain(..end + 2);
                    if end == 0 {
                        return Ok(());
                    }
                }
                None if bytes.len() > MAX_HEAD => return Err(Lost::Cut),
                None => self.more(stream, bytes)?,
            }
        }
    }

    /// Discards so many bytes.
    fn skip(
        &mut self,
        stream: &mut TcpStream,
        bytes: &mut Vec<u8>,
        mut length: u64,
    ) -> Result<(), Lost> {
        while length > 0 {
            if bytes.is_empty() {
                self.more(stream, bytes)?;
            }
            let skipped = (bytes.len() as u64).min(length);
            bytes.drain(..skipped as usize);
            length -= skipped;
        }
        Ok(())
    }

    /// Appends what comes next, of which there has to be something.
    fn more(&mut self, stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<(), Lost> {
        match self.receive(stream, bytes)? {
            0 => Err(if bytes.is_empty() { Lost::Unanswered } else { Lost::Cut }),
            _ => Ok(()),
        }
    }

    /// Appends what comes next. Returns how many bytes; 0 at the end.
    fn receive(&mut self, stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<usize, Lost> {
        let mut buffer = [0; 4096];
        loop {
            while !is_readable(stream, STEP) {
                // At that moment there is no answer, and the app has the signal.
                if self.sent_before && is_set(&self.forwarded) && !is_readable(stream, 0) {
                    self.in_flight = true;
                }
            }
            match stream.read(&mut buffer) {
                Ok(length) => {
                    bytes.extend_from_slice(&buffer[..length]);
                    return Ok(length);
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(_) if bytes.is_empty() => return Err(Lost::Unanswered),
                Err(_) => return Err(Lost::Cut),
            }
        }
    }

    /// Keeps the connection until the app closes it, as a load balancer would, and asks no more.
    fn outwait(&mut self) {
        if let Some(kept) = &self.kept {
            while !is_set(&self.ended) && !is_readable(kept, STEP) {}
        }
    }
}

/// Whether something can be read from it, or its end, within so many milliseconds. A signal ends the
/// wait.
fn is_readable(stream: &TcpStream, timeout: u16) -> bool {
    let mut polled = [PollFd::new(stream.as_fd(), PollFlags::POLLIN)];
    matches!(poll(&mut polled, PollTimeout::from(timeout)), Ok(1..))
}
