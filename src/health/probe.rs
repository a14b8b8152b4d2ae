//! Parses a probe, and says what is answered to it: whether the app is ready, or whether it is alive.
//! PID 1 reports what has changed by signals.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::http::url::path_of_target;
use crate::process::helper;
use crate::signal::Signal;

/// PID 1 reports with it that the stop signal has come.
pub const STOPPING: Signal = Signal::USR1;
/// PID 1 reports with it that the app has ended.
pub const ENDED: Signal = Signal::USR2;

/// A longer request is refused.
const MAX_HEAD: usize = 8 * 1024;
const MAX_HEADERS: usize = 64;

/// What the answers depend on.
#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    /// The stop signal has come.
    pub stopping: bool,
    /// The app has ended.
    pub ended: bool,
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    Ready,
    Live,
}

/// Whether a response has its body: that to a HEAD has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    Included,
    Omitted,
}

/// A request that has been parsed: a probe, or the response to what is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeRequest {
    pub probe: Result<Probe, Response>,
    /// Of the response.
    pub body: Body,
}

impl ProbeRequest {
    /// Parses a request; None until its head is complete.
    pub fn parse(bytes: &[u8]) -> Option<ProbeRequest> {
        let is_full = bytes.len() >= MAX_HEAD;
        let bytes = &bytes[..bytes.len().min(MAX_HEAD)];
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let refusal = match request.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => return Some(ProbeRequest::of(&request)),
            Ok(httparse::Status::Partial) if !is_full => return None,
            Ok(_) | Err(httparse::Error::TooManyHeaders) => Response(431, "too large"),
            Err(_) => Response(400, "bad request"),
        };
        Some(ProbeRequest { probe: Err(refusal), body: Body::Included })
    }

    fn of(request: &httparse::Request) -> ProbeRequest {
        let method = request.method.unwrap_or_default();
        let probe = match request.path.and_then(path_of_target) {
            Some("/readyz") => Ok(Probe::Ready),
            // A bare `option httpchk` of HAProxy.
            Some("/") if method == "OPTIONS" => Ok(Probe::Ready),
            Some("/livez") => Ok(Probe::Live),
            _ => Err(Response(404, "not found")),
        };
        // HAProxy asks with OPTIONS unless it is told another method.
        let is_read = ["GET", "HEAD", "OPTIONS"].contains(&method);
        let probe = probe.and_then(|probe| match is_read {
            true => Ok(probe),
            false => Err(Response(405, "GET, HEAD or OPTIONS only")),
        });
        ProbeRequest { probe, body: if method == "HEAD" { Body::Omitted } else { Body::Included } }
    }
}

/// The state, which the signals of PID 1 change. They wake the responder too, out of poll(2); one that
/// comes right before that is seen at the next wake-up.
pub struct LiveState {
    stopping: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
}

impl LiveState {
    /// Begins to receive the signals of PID 1, also those that were sent since the fork, which are
    /// pending.
    pub fn begin(state: State) -> io::Result<LiveState> {
        let [stopping, ended] = helper::hear([STOPPING, ENDED])?;
        stopping.fetch_or(state.stopping, Ordering::Relaxed);
        ended.fetch_or(state.ended, Ordering::Relaxed);
        Ok(LiveState { stopping, ended })
    }

    /// Whether that is so of the app, as far as PID 1 knows; else the response that says why not.
    pub fn check(&self, probe: Probe) -> Result<(), Response> {
        if probe == Probe::Ready && self.stopping.load(Ordering::Relaxed) {
            return Err(Response(503, "stopping"));
        }
        match self.ended.load(Ordering::Relaxed) {
            true => Err(Response(503, "ended")),
            false => Ok(()),
        }
    }
}

/// A status and its text, which is both the reason phrase and the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response(pub u16, pub &'static str);

impl Response {
    pub fn send(self, body: Body, mut client: &TcpStream) {
        // The socket's send buffer is empty, so all of it fits. It fails if the client has gone.
        let _ = client.write(self.text(body).as_bytes());
        let _ = client.shutdown(Shutdown::Write);
    }

    fn text(self, body: Body) -> String {
        let Response(status, text) = self;
        let length = match status {
            204 => String::new(),
            _ => format!("Content-Length: {}\r\n", text.len()),
        };
        let allow = if status == 405 { "Allow: GET, HEAD, OPTIONS\r\n" } else { "" };
        let content = if body == Body::Included { text } else { "" };
        format!(
            "HTTP/1.1 {status} {text}\r\nContent-Type: text/plain\r\n{length}{allow}\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n{content}"
        )
    }
}

#[cfg(any(fuzzing, test))]
pub mod fuzz;

#[cfg(test)]
mod tests;
