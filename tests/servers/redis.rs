//! Redis does not drain: it ends at once, and whoever waits for an answer loses the connection.
//! What counts is that it saves what was written.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::shared::*;
use crate::shutdown::*;

/// Clients that write, and one that waits for an element of a list.
struct Writers {
    server: SocketAddr,
    written: Cell<u32>,
    waiting: Option<BufReader<TcpStream>>,
}

impl Writers {
    /// What was written last.
    fn last(&self) -> String {
        format!("the {}th", self.written.get())
    }

    fn say(&self, command: &str) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.server)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        write!(stream, "{command}\r\n")?;
        Ok(stream)
    }

    /// What it answers to a command.
    fn reply(&self, command: &str) -> io::Result<String> {
        let mut reply = String::new();
        self.say(&format!("{command}\r\nQUIT"))?.read_to_string(&mut reply)?;
        Ok(reply)
    }
}

impl Clients for Writers {
    fn are_served(&self) -> bool {
        self.written.set(self.written.get() + 1);
        let reply = self.reply(&format!("SET word \"{}\"", self.last()));
        reply.is_ok_and(|reply| reply.starts_with("+OK"))
    }

    fn ask(&mut self) {
        self.waiting = Some(BufReader::new(self.say("BLPOP list 0").expect("Redis")));
        eventually("a client that waits", || {
            self.reply("INFO clients").expect("Redis").contains("blocked_clients:1\r").then_some(())
        });
    }

    /// Nobody is left to push an element.
    fn release(&mut self) {}

    fn are_answered(&mut self) -> bool {
        let waiting = self.waiting.as_mut().expect("a request");
        waiting.read_line(&mut String::new()).is_ok_and(|length| length > 0)
    }
}

#[test]
#[ignore = "needs root and Debian's redis-server: cargo test --test servers -- --ignored"]
fn redis_saves_what_was_written_until_it_heard_the_signal() {
    let version = version("redis-server --version", "redis-server");
    let saves = |start: Start, code| {
        let server = address();
        let app = start(&format!("redis-server --bind {} --port {}", server.ip(), server.port()));
        let mut writers = Writers { server, written: Cell::new(0), waiting: None };
        let outcome = stop(init("true"), app, &mut writers, InFlight::IsCut, code);
        let dump = outcome.file("dump.rdb");
        let last = writers.last();
        assert!(dump.windows(last.len()).any(|part| part == last.as_bytes()), "not saved: {last}");
        outcome
    };
    print_row("Redis", &version, "", &saves(bare, 0), &saves(in_shell, 143));
}
