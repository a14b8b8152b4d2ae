//! Parses a probe and answers it: whether the app is ready, or whether it is alive. PID 1 reports
//! what has changed by signals.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::libc;
use signal_hook::flag;

use crate::http::url::Request;
use crate::process::helper;
use crate::process::inherited::set_mask;
use crate::signal::{Signal, SignalSet};

/// PID 1 reports with it that the stop signal has come.
pub const STOPPING: Signal = Signal::USR1;
/// PID 1 reports with it that the app has ended.
pub const ENDED: Signal = Signal::USR2;

/// How long the app may take to answer whether it is ready.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_UPSTREAM_CHECKS: usize = 16;

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
enum Probe {
    Ready,
    Live,
}

/// Whether a response has its body: that to a HEAD has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Included,
    Omitted,
}

/// A request that has been parsed: a probe, or the response to what is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ProbeRequest {
    probe: Result<Probe, Response>,
    body: Body,
}

impl ProbeRequest {
    /// Parses a request; None until its head is complete.
    fn parse(bytes: &[u8]) -> Option<ProbeRequest> {
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
        let path = request.path.and_then(|target| target.split('?').next());
        let probe = match path {
            Some("/readyz") => Ok(Probe::Ready),
            Some("/livez") => Ok(Probe::Live),
            _ => Err(Response(404, "not found")),
        };
        let is_read = ["GET", "HEAD"].contains(&method);
        let probe = probe.and_then(|probe| match is_read {
            true => Ok(probe),
            false => Err(Response(405, "GET or HEAD only")),
        });
        ProbeRequest { probe, body: if method == "HEAD" { Body::Omitted } else { Body::Included } }
    }
}

/// Answers probes.
pub struct Probes<'a> {
    stopping: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    upstream: Option<&'a Request>,
    /// How many processes run that send the app a request.
    upstream_checks: usize,
}

impl<'a> Probes<'a> {
    /// Begins to receive the signals of PID 1, also those that were sent since the fork, which are
    /// pending.
    pub fn begin(state: State, upstream: Option<&'a Request>) -> io::Result<Probes<'a>> {
        let stopping = flag_set_by(STOPPING, state.stopping)?;
        let ended = flag_set_by(ENDED, state.ended)?;
        let mut mask = SignalSet::ALL;
        mask.remove(STOPPING);
        mask.remove(ENDED);
        set_mask(mask);
        Ok(Probes { stopping, ended, upstream, upstream_checks: 0 })
    }

    /// Answers what has come from a client so far; false if that is not yet a whole request.
    pub fn answer(&mut self, bytes: &[u8], client: &TcpStream) -> bool {
        let Some(ProbeRequest { probe, body }) = ProbeRequest::parse(bytes) else {
            return false;
        };
        let result = probe.and_then(|probe| match probe {
            Probe::Live => self.check_alive(),
            Probe::Ready => self.check_ready(),
        });
        match (result, probe, self.upstream) {
            (Ok(()), Ok(Probe::Ready), Some(upstream)) => self.ask_app(upstream, body, client),
            _ => result.err().unwrap_or(Response(200, "ok")).send(body, client),
        }
        true
    }

    fn check_alive(&self) -> Result<(), Response> {
        match self.ended.load(Ordering::Relaxed) {
            true => Err(Response(503, "ended")),
            false => Ok(()),
        }
    }

    fn check_ready(&self) -> Result<(), Response> {
        match self.stopping.load(Ordering::Relaxed) {
            true => Err(Response(503, "stopping")),
            false => self.check_alive(),
        }
    }

    /// Asks the app in a process that also answers the client, so that no other client waits for
    /// it. The process is in our group, and so the signals of PID 1 reach it too.
    fn ask_app(&mut self, upstream: &Request, body: Body, client: &TcpStream) {
        let ask = || {
            let response = match upstream.send(UPSTREAM_TIMEOUT) {
                Ok(status @ 200..) => Response(status, ""),
                _ => Response(503, "no answer"),
            };
            self.check_ready().err().unwrap_or(response).send(body, client);
        };
        match self.upstream_checks < MAX_UPSTREAM_CHECKS && helper::fork_task(ask).is_ok() {
            true => self.upstream_checks += 1,
            false => Response(503, "busy").send(body, client),
        }
    }

    /// How long to wait at most until the next [`Probes::reap`]: SIGCHLD stays blocked, so no signal
    /// reports that a process has ended.
    pub fn reap_within(&self) -> Option<Duration> {
        (self.upstream_checks > 0).then_some(UPSTREAM_TIMEOUT)
    }

    /// Reaps the processes that have asked the app.
    pub fn reap(&mut self) {
        while self.upstream_checks > 0 {
            // SAFETY: a null pointer means that no status is written. nix's waitpid fails on some
            // statuses, and then it would not be known that a process was reaped.
            match unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG) } {
                0 => break,
                -1 => self.upstream_checks = 0,
                _ => self.upstream_checks -= 1,
            }
        }
    }
}

/// A flag that the signal sets. Each answer reads it, so the signal need not wake the responder.
fn flag_set_by(signal: Signal, is_set: bool) -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(is_set));
    flag::register(signal.number(), flag.clone())?;
    Ok(flag)
}

/// A status and its text, which is both the reason phrase and the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Response(u16, &'static str);

impl Response {
    fn send(self, body: Body, mut client: &TcpStream) {
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
        let allow = if status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
        let content = if body == Body::Included { text } else { "" };
        format!(
            "HTTP/1.1 {status} {text}\r\nContent-Type: text/plain\r\n{length}{allow}\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n{content}"
        )
    }
}

#[cfg(test)]
mod tests;
