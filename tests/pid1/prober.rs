//! One who probes, as a load balancer does, and the app's own check that stands behind a probe.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;

use crate::harness::*;

/// What is said of an app that runs, that is to stop, and that has ended.
pub const RUNS: [&str; 2] = ["200 ok", "200 ok"];
pub const STOPS: [&str; 2] = ["503 stopping", "200 ok"];
pub const HAS_ENDED: [&str; 2] = ["503 stopping", "503 ended"];

/// An answer, to its end.
#[derive(Debug)]
pub struct Answer {
    /// With its reason, such as `200 ok`.
    pub status: String,
    pub head: String,
    pub body: String,
}

/// A connection on which nothing is waited for without end.
pub fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

/// Sends this, and reads all that comes.
pub fn ask(to: SocketAddr, request: &[u8]) -> io::Result<Answer> {
    let mut stream = connect(to)?;
    stream.write_all(request)?;
    answer(stream)
}

pub fn answer(mut stream: TcpStream) -> io::Result<Answer> {
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.lines().next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
    let status = status.ok_or(io::ErrorKind::InvalidData)?.trim_end().to_owned();
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

pub fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: probe\r\n\r\n")
}

/// The status of a GET.
#[track_caller]
pub fn get(to: SocketAddr, path: &str) -> String {
    let answer = ask(to, request(path).as_bytes());
    answer.unwrap_or_else(|error| panic!("{path}: {error}")).status
}

/// What /readyz and /livez say.
#[track_caller]
pub fn says(at: SocketAddr) -> [String; 2] {
    ["/readyz", "/livez"].map(|path| get(at, path))
}

/// The pid of the process that answers, as we see it.
pub fn responder(run: &Run) -> i32 {
    eventually("the responder", || responder_if_any(run))
}

pub fn responder_if_any(run: &Run) -> Option<i32> {
    let children = children(run.pid_if_any()?);
    children.into_iter().find(|pid| {
        status(*pid, "Name").as_deref() == Some("reprieve-health") && process_state(*pid) != 'Z'
    })
}

/// An app's own check, which answers with whatever status is set.
pub struct Upstream {
    pub url: String,
    status: Arc<AtomicU16>,
}

impl Upstream {
    pub fn begin(status: u16) -> Upstream {
        let address = address();
        let listener = TcpListener::bind(address).expect("a port");
        let status = Arc::new(AtomicU16::new(status));
        let set = status.clone();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let status = set.load(Ordering::Relaxed);
                // It asks once; what it asks is the client's own test.
                let _ = stream.read(&mut [0; 4096]);
                let _ = write!(stream, "HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
            }
        });
        Upstream { url: format!("http://{address}/health"), status }
    }

    pub fn set(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }
}
