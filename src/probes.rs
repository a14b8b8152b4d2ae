//! What a probe asks and what it is told: whether the app is ready, and whether it lives. From
//! PID 1 we hear by signals.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::libc;
use signal_hook::flag;

use crate::fork;
use crate::inherited::set_mask;
use crate::signal::{Signal, SignalSet};
use crate::url::Request;

/// PID 1 says that the stop signal has come.
pub const STOPPING: Signal = Signal::USR1;
/// PID 1 says that the app has ended.
pub const ENDED: Signal = Signal::USR2;

/// How long the app may take to say whether it is ready.
const UPSTREAM_PATIENCE: Duration = Duration::from_secs(1);
const MOST_ASKERS: usize = 16;

/// A longer request is refused.
const LONGEST_HEAD: usize = 8 * 1024;
const MOST_HEADERS: usize = 64;

/// How things stand.
#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    /// The stop signal has come.
    pub stopping: bool,
    /// The app has ended.
    pub ended: bool,
}

/// What a client wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    Ready,
    Live,
}

/// HEAD asks for the head of an answer alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Whole,
    Head,
}

/// A request, or what is to be said to one that is none for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Question {
    probe: Result<Probe, Answer>,
    form: Form,
}

impl Question {
    /// None until the head of the request is complete.
    fn read(bytes: &[u8]) -> Option<Question> {
        let is_full = bytes.len() >= LONGEST_HEAD;
        let bytes = &bytes[..bytes.len().min(LONGEST_HEAD)];
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let refusal = match request.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => return Some(Question::of(&request)),
            Ok(httparse::Status::Partial) if !is_full => return None,
            Ok(_) | Err(httparse::Error::TooManyHeaders) => Answer(431, "too large"),
            Err(_) => Answer(400, "bad request"),
        };
        Some(Question { probe: Err(refusal), form: Form::Whole })
    }

    fn of(request: &httparse::Request) -> Question {
        let method = request.method.unwrap_or_default();
        let path = request.path.and_then(|target| target.split('?').next());
        let probe = match path {
            Some("/readyz") => Ok(Probe::Ready),
            Some("/livez") => Ok(Probe::Live),
            _ => Err(Answer(404, "not found")),
        };
        let is_read = ["GET", "HEAD"].contains(&method);
        let probe = probe.and_then(|probe| match is_read {
            true => Ok(probe),
            false => Err(Answer(405, "GET or HEAD only")),
        });
        Question { probe, form: if method == "HEAD" { Form::Head } else { Form::Whole } }
    }
}

/// What is known, and how it is told.
pub struct Probes<'a> {
    stopping: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    upstream: Option<&'a Request>,
    /// The processes that ask the app.
    askers: usize,
}

impl<'a> Probes<'a> {
    /// From now on the signals of PID 1 count, those too that were sent since the fork.
    pub fn begin(state: State, upstream: Option<&'a Request>) -> io::Result<Probes<'a>> {
        let stopping = turned_by(STOPPING, state.stopping)?;
        let ended = turned_by(ENDED, state.ended)?;
        let mut mask = SignalSet::ALL;
        mask.remove(STOPPING);
        mask.remove(ENDED);
        set_mask(mask);
        Ok(Probes { stopping, ended, upstream, askers: 0 })
    }

    /// Answers what has come from a client; false if that is not yet a whole request.
    pub fn answer(&mut self, bytes: &[u8], client: &TcpStream) -> bool {
        let Some(Question { probe, form }) = Question::read(bytes) else {
            return false;
        };
        let known = probe.and_then(|probe| match probe {
            Probe::Live => self.lives(),
            Probe::Ready => self.serves(),
        });
        match (known, probe, self.upstream) {
            (Ok(()), Ok(Probe::Ready), Some(upstream)) => self.ask(upstream, form, client),
            _ => known.err().unwrap_or(Answer(200, "ok")).send(form, client),
        }
        true
    }

    fn lives(&self) -> Result<(), Answer> {
        match self.ended.load(Ordering::Relaxed) {
            true => Err(Answer(503, "ended")),
            false => Ok(()),
        }
    }

    fn serves(&self) -> Result<(), Answer> {
        match self.stopping.load(Ordering::Relaxed) {
            true => Err(Answer(503, "stopping")),
            false => self.lives(),
        }
    }

    /// Asks the app in a process that also answers, so that nobody else waits for it. It hears
    /// the signals that we hear, being in our group.
    fn ask(&mut self, upstream: &Request, form: Form, client: &TcpStream) {
        let ask = || {
            let answer = match upstream.ask(UPSTREAM_PATIENCE) {
                Ok(status @ 200..) => Answer(status, ""),
                _ => Answer(503, "no answer"),
            };
            self.serves().err().unwrap_or(answer).send(form, client);
        };
        match self.askers < MOST_ASKERS && fork::start(ask).is_ok() {
            true => self.askers += 1,
            false => Answer(503, "busy").send(form, client),
        }
    }

    /// When to look again for those that have ended: their SIGCHLD stays blocked.
    pub fn reap_within(&self) -> Option<Duration> {
        (self.askers > 0).then_some(UPSTREAM_PATIENCE)
    }

    pub fn reap(&mut self) {
        while self.askers > 0 {
            // SAFETY: it may be told not to write a status. Not nix's, which fails on some.
            match unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG) } {
                0 => break,
                -1 => self.askers = 0,
                _ => self.askers -= 1,
            }
        }
    }
}

/// It is looked at for each answer, so that no signal needs to wake us.
fn turned_by(signal: Signal, now: bool) -> io::Result<Arc<AtomicBool>> {
    let turned = Arc::new(AtomicBool::new(now));
    flag::register(signal.number(), turned.clone())?;
    Ok(turned)
}

/// A status with its text, which is the reason in the status line and the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer(u16, &'static str);

impl Answer {
    fn send(self, form: Form, mut client: &TcpStream) {
        // Nothing was sent before it, so there is room for it. A client that has gone misses it.
        let _ = client.write(self.text(form).as_bytes());
        let _ = client.shutdown(Shutdown::Write);
    }

    fn text(self, form: Form) -> String {
        let Answer(status, text) = self;
        let length = match status {
            204 => String::new(),
            _ => format!("Content-Length: {}\r\n", text.len()),
        };
        let allow = if status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
        let body = if form == Form::Whole { text } else { "" };
        format!(
            "HTTP/1.1 {status} {text}\r\nContent-Type: text/plain\r\n{length}{allow}\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n{body}"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn question(bytes: &str) -> Option<Question> {
        Question::read(bytes.as_bytes())
    }

    #[test]
    fn what_a_request_asks() {
        let asks = |probe, form| Some(Question { probe: Ok(probe), form });
        let wrong = |status, text, form| Some(Question { probe: Err(Answer(status, text)), form });
        let headers = |count| format!("GET /livez HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(count));
        let long = |length| format!("GET /livez HTTP/1.1\r\nX: {}", "y".repeat(length));
        let (whole, head) = (Form::Whole, Form::Head);
        for (bytes, expected) in [
            ("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", asks(Probe::Ready, whole)),
            ("GET /livez HTTP/1.0\r\n\r\n", asks(Probe::Live, whole)),
            ("HEAD /readyz?a=b?c HTTP/1.1\r\n\r\nrest", asks(Probe::Ready, head)),
            ("GET /livez HTTP/1.1\n\n", asks(Probe::Live, whole)),
            (&headers(MOST_HEADERS), asks(Probe::Live, whole)),
            ("", None),
            ("GET /livez HTTP/1.1\r\n", None),
            (&long(100), None),
            ("GET / HTTP/1.1\r\n\r\n", wrong(404, "not found", whole)),
            ("GET /readyz/ HTTP/1.1\r\n\r\n", wrong(404, "not found", whole)),
            ("HEAD /x HTTP/1.1\r\n\r\n", wrong(404, "not found", head)),
            ("POST /livez HTTP/1.1\r\n\r\n", wrong(405, "GET or HEAD only", whole)),
            ("get /livez HTTP/1.1\r\n\r\n", wrong(405, "GET or HEAD only", whole)),
            ("\x16\x03\x01\x02\0\x01\0\x01", wrong(400, "bad request", whole)),
            ("GET /livez\r\n\r\n", wrong(400, "bad request", whole)),
            ("PRI * HTTP/2.0\r\n\r\n", wrong(400, "bad request", whole)),
            (&long(LONGEST_HEAD), wrong(431, "too large", whole)),
            (&(long(LONGEST_HEAD) + "\r\n\r\n"), wrong(431, "too large", whole)),
            (&headers(MOST_HEADERS + 1), wrong(431, "too large", whole)),
        ] {
            assert_eq!(question(bytes), expected, "{bytes:.40}");
        }
    }

    #[test]
    fn an_answer_has_the_length_that_it_tells() {
        let whole = "HTTP/1.1 503 stopping\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\
                     Cache-Control: no-store\r\nConnection: close\r\n\r\n";
        assert_eq!(Answer(503, "stopping").text(Form::Whole), format!("{whole}stopping"));
        assert_eq!(Answer(503, "stopping").text(Form::Head), whole);
        assert!(Answer(405, "").text(Form::Whole).contains("\r\nAllow: GET, HEAD\r\n"));
        assert!(!Answer(204, "").text(Form::Whole).contains("Content-Length"));
    }

    #[test]
    fn nobody_waits_when_too_many_ask_the_app() {
        let upstream = Request::get("http://127.0.0.1:1/".parse().unwrap());
        let (stopping, ended) = Default::default();
        let upstream = Some(&upstream);
        let mut probes = Probes { stopping, ended, upstream, askers: MOST_ASKERS };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(probes.answer(b"GET /readyz HTTP/1.1\r\n\r\n", &listener.accept().unwrap().0));
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 busy\r\n"), "{answer}");
        assert_eq!(probes.askers, MOST_ASKERS);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_question_or_refused(
            start in prop::sample::select(vec!["", "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"]),
            changes in vec((0..36usize, any::<u8>()), 0..4),
            rest in vec(any::<u8>(), 0..200),
        ) {
            let mut bytes = start.as_bytes().to_vec();
            bytes.extend(rest);
            for (at, byte) in changes {
                bytes.get_mut(at).into_iter().for_each(|changed| *changed = byte);
            }
            let found = Question::read(&bytes);
            let first = (0..=bytes.len()).find_map(|end| Question::read(&bytes[..end]));
            prop_assert_eq!(first, found);
        }
    }
}
