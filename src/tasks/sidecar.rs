//! A proxy beside the app: the app starts once the proxy is ready, and when the app has ended the
//! proxy is asked to quit, or a job would never end.

use std::io::Write;
use std::time::{Duration, Instant};

use nix::libc::{WNOHANG, waitpid};
use tracing::{debug, info, warn};

use crate::exit::StartError;
use crate::http::url::{Request, Url};
use crate::process::helper::{self, Output};
use crate::process::wait::Wait;
use crate::signal::{Signal, SignalSet};
use crate::span::Span;
use crate::tasks::answer;
use crate::tasks::task::{QUIT_TIMEOUT, TIME_TO_RESOLVE};

/// How long one request may take that asks whether a sidecar is ready: some answer only once they are.
const READY_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause between two requests: it begins with the shorter and doubles up to the longer.
const MIN_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// A sidecar whose URLs we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    None,
    Linkerd,
    Istio,
    CloudSqlProxy,
    Consul,
    Dapr,
    Kuma,
}

impl Preset {
    /// The URL that answers 2xx once the sidecar is ready, and the one that makes it quit (by POST), as
    /// the projects document them.
    fn urls(self) -> Option<[&'static str; 2]> {
        Some(match self {
            Preset::None => return None,
            Preset::Linkerd => ["http://127.0.0.1:4191/ready", "http://127.0.0.1:4191/shutdown"],
            Preset::Istio => {
                ["http://127.0.0.1:15021/healthz/ready", "http://127.0.0.1:15020/quitquitquit"]
            }
            Preset::CloudSqlProxy => {
                ["http://127.0.0.1:9090/readiness", "http://127.0.0.1:9091/quitquitquit"]
            }
            Preset::Consul => [
                "http://127.0.0.1:20300/graceful_startup",
                "http://127.0.0.1:20300/graceful_shutdown",
            ],
            Preset::Dapr => [
                "http://127.0.0.1:3500/v1.0/healthz/outbound",
                "http://127.0.0.1:3500/v1.0/shutdown",
            ],
            Preset::Kuma => ["http://127.0.0.1:9901/ready", "http://127.0.0.1:9901/quitquitquit"],
        })
    }

    /// The URL that has to answer 2xx before the app is started.
    pub fn ready(self) -> Option<Url> {
        self.urls().and_then(|[ready, _]| ready.parse().ok())
    }

    /// The request that makes the sidecar quit, which is sent after the app's end.
    pub fn quit(self) -> Option<Request> {
        self.urls().and_then(|[_, quit]| quit.parse().ok())
    }
}

/// The URLs that have to answer 2xx before the app is started, and for how long we wait.
#[derive(Debug)]
pub struct Await {
    pub urls: Vec<Url>,
    pub timeout: Duration,
    /// Start the app all the same when the timeout is over.
    pub or_start: bool,
}

/// How the wait for sidecars ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    Ready,
    /// This signal came: nothing is started.
    Stopped(Signal),
}

impl Await {
    /// Asks each of them until it answers 2xx. Only these signals end the wait; all others stay
    /// pending, and the app will get them.
    pub fn wait(&self, wait: &mut Wait, stop_signals: &[Signal]) -> Result<Awaited, StartError> {
        let mut asker = Asker::new(wait, stop_signals);
        let until = Instant::now() + self.timeout;
        for url in &self.urls {
            match asker.until_ready(url, until) {
                Ok(()) => {}
                Err(NotReady { stopped: Some(signal), answer }) => {
                    let why = format!("{signal} before {url} was ready: {answer}");
                    warn!(event = "stopped", "{why}; the app is not started");
                    return Ok(Awaited::Stopped(signal));
                }
                Err(NotReady { stopped: None, answer }) => {
                    let timeout = Span(self.timeout);
                    let why =
                        format!("{url} was not ready after {timeout} (--await-timeout): {answer}");
                    if !self.or_start {
                        return Err(StartError::Failed(why));
                    }
                    warn!(event = "not_ready", "{why}; the app is started all the same");
                    return Ok(Awaited::Ready);
                }
            }
        }
        Ok(Awaited::Ready)
    }
}

/// Why we do not wait any more, and the last answer.
struct NotReady {
    /// The signal that ended the wait; none where the time is over.
    stopped: Option<Signal>,
    answer: String,
}

/// Sends requests and waits for their answers, until one of these signals comes.
struct Asker<'a> {
    wait: &'a mut Wait,
    ends: SignalSet,
}

impl<'a> Asker<'a> {
    /// SIGINT ends the wait too: there is no app yet that could handle it.
    fn new(wait: &'a mut Wait, stop_signals: &[Signal]) -> Asker<'a> {
        let mut ends = SignalSet::default();
        stop_signals.iter().chain(&[Signal::INT]).for_each(|signal| ends.insert(*signal));
        Asker { wait, ends }
    }

    /// Asks one of them until it answers 2xx.
    fn until_ready(&mut self, url: &Url, until: Instant) -> Result<(), NotReady> {
        let mut pause = MIN_PAUSE;
        let request = Request::get(url.clone());
        let mut last = None;
        loop {
            let (answer, mut stopped) = self.ask(&request, READY_TIMEOUT, until);
            let answer = match answer.and_then(|output| answer::status(&output)) {
                Ok(200..=299) => return Ok(()),
                Ok(status) => answer::failure(status),
                Err(why) => why,
            };
            // Where a signal ended the request, the answer to the one before says more.
            let answer = last.filter(|_| stopped.is_some()).unwrap_or(answer);
            debug!(event = "awaiting", "{url} is not ready: {answer}");
            if stopped.is_none() {
                let next_at = (Instant::now() + pause).min(until);
                stopped = self.until(next_at, || false);
            }
            if stopped.is_some() || Instant::now() >= until {
                return Err(NotReady { stopped, answer });
            }
            if pause < MAX_PAUSE {
                pause = (pause * 2).min(MAX_PAUSE);
                if pause == MAX_PAUSE {
                    // This is logged once, for whoever wonders why the app does not start.
                    info!(event = "awaiting", "waiting for {url}: {answer}");
                }
            }
            last = Some(answer);
        }
    }

    /// Sends a request once, from a helper process. Returns its output, and the signal that ended the
    /// wait for it.
    fn ask(
        &mut self,
        request: &Request,
        timeout: Duration,
        until: Instant,
    ) -> (Result<String, String>, Option<Signal>) {
        let (pid, mut output) = match start(request, timeout) {
            Ok(started) => started,
            Err(error) => return (Err(format!("cannot ask: {error}")), None),
        };
        let mut is_over = false;
        let mut stopped = self.until(until, || {
            is_over = helper::reap(pid);
            is_over
        });
        if !is_over {
            helper::kill(pid);
            let until = Instant::now() + helper::TIME_TO_END;
            stopped = stopped.or(self.until(until, || helper::reap(pid)));
        }
        (Ok(output.read()), stopped)
    }

    /// Waits until that time, until a child has ended and `is_over` is true, or until one of the
    /// signals comes, which it returns.
    fn until(&mut self, until: Instant, mut is_over: impl FnMut() -> bool) -> Option<Signal> {
        let mut awaited = self.ends;
        [Signal::CHLD, helper::END].into_iter().for_each(|signal| awaited.insert(signal));
        loop {
            let received = self.wait.next_of(awaited, Some(until));
            let of_child = received.iter().any(|received| received.signal == Signal::CHLD);
            let stop = received.iter().find(|received| self.ends.contains(received.signal));
            let stop = stop.map(|received| received.signal);
            if of_child {
                reap_orphans();
            }
            if is_over() || stop.is_some() || Instant::now() >= until {
                return stop;
            }
        }
    }
}

/// Asks each sidecar to quit where the app could not be started: nobody would see it end, and a job
/// that failed would go on with its sidecars. A signal that would end the wait ends this too.
pub fn ask_to_quit(
    requests: impl IntoIterator<Item = Request>,
    wait: &mut Wait,
    stop_signals: &[Signal],
) {
    let mut asker = Asker::new(wait, stop_signals);
    for request in requests {
        let until = Instant::now() + QUIT_TIMEOUT + TIME_TO_RESOLVE;
        let (output, stopped) = asker.ask(&request, QUIT_TIMEOUT, until);
        match output.and_then(|output| answer::to_quit(&request, &output)) {
            Ok(answer) => info!(event = "sidecar_told", "{request}: {answer}"),
            Err(why) => warn!(event = "sidecar_told", "{request}: {why}"),
        }
        if stopped.is_some() {
            return;
        }
    }
}

/// Reaps orphans of visitors (`docker exec`): it may take long until the app is started.
fn reap_orphans() {
    // SAFETY: a null pointer means that no status is written.
    while unsafe { waitpid(-1, std::ptr::null_mut(), WNOHANG) } > 0 {}
}

/// Starts a helper process that sends the request. Its output is the status, or why there is none.
pub fn start(request: &Request, timeout: Duration) -> std::io::Result<(i32, Output)> {
    helper::start(c"reprieve-ask", helper::END, |output| {
        let (text, code) = match request.send(timeout) {
            Ok(status) => (status.to_string(), 0),
            Err(why) => (why.to_string(), helper::FAILED),
        };
        let _ = output.write_all(text.as_bytes());
        code
    })
}
