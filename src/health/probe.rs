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

use crate::http::url::Request;
use crate::process::fork;
use crate::process::inherited::set_mask;
use crate::signal::{Signal, SignalSet};

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
mod tests;
