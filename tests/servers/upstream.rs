//! The service behind a server under test. It decides how long a request is in flight.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::shared::TIMEOUT;

/// It answers at once, but for `/slow`, and for `/late`, which takes its time.
pub struct Upstream {
    pub address: SocketAddr,
    slow: Receiver<TcpStream>,
}

impl Upstream {
    pub fn begin() -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let (slow_seen, slow) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let slow_seen = slow_seen.clone();
                thread::spawn(move || hear(stream, &slow_seen));
            }
        });
        Upstream { address, slow }
    }

    /// Waits for a slow request, and keeps it.
    pub fn keep(&self) -> Kept {
        Kept(self.slow.recv_timeout(TIMEOUT).expect("a slow request"))
    }
}

fn hear(stream: TcpStream, slow_seen: &Sender<TcpStream>) {
    let head = BufReader::new(&stream).lines().map_while(Result::ok);
    let head: Vec<String> = head.take_while(|line| !line.is_empty()).collect();
    if head.first().is_some_and(|line| line.starts_with("GET /slow ")) {
        // Nobody waits for it any more where the test has failed.
        let _ = slow_seen.send(stream);
    } else {
        if head.first().is_some_and(|line| line.starts_with("GET /late ")) {
            // How long a request takes, and nothing that is waited for.
            thread::sleep(Duration::from_millis(300));
        }
        answer(stream);
    }
}

fn answer(mut stream: TcpStream) {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nserved";
    // A server that was cut short does not listen any more.
    let _ = stream.write_all(text.as_bytes());
}

/// A request that waits for its answer.
pub struct Kept(TcpStream);

impl Kept {
    pub fn answer(self) {
        answer(self.0);
    }
}
