//! A proxy beside the app: the app starts once it is ready, and when the app has ended it is told to
//! quit, or a job would never end.

use std::io::Write;
use std::time::{Duration, Instant};

use nix::libc::WNOHANG;
use tracing::{debug, warn};

use crate::exit::StartError;
use crate::helper::{self, Words};
use crate::plan::Span;
use crate::signal::{Signal, SignalSet};
use crate::url::{Request, Url};
use crate::wait::Wait;

/// How long the request to quit may take.
pub const QUIT_PATIENCE: Duration = Duration::from_secs(2);

/// How long one question may take whether it is ready: some answer only once they are.
const QUESTION_PATIENCE: Duration = Duration::from_secs(10);

/// Between two questions; it doubles up to the second.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// What runs beside the app in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
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
    /// What answers 2xx once it is ready, and what tells it to quit (by POST), as the projects
    /// document them for their proxies.
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

    /// What has to answer before the app is started.
    pub fn ready(self) -> Option<Url> {
        self.urls().and_then(|[ready, _]| ready.parse().ok())
    }

    /// What is asked after it.
    pub fn quit(self) -> Option<Request> {
        self.urls().and_then(|[_, quit]| quit.parse().ok())
    }
}

/// What has to answer before the app is started.
#[derive(Debug)]
pub struct Await {
    pub urls: Vec<Url>,
    pub timeout: Duration,
    /// When that is over, start the app all the same.
    pub or_start: bool,
}

/// How the wait for them ended.
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
        let mut awaited = SignalSet::default();
        stop_signals.iter().chain(&[Signal::INT, helper::END]).for_each(|s| awaited.insert(*s));
        let began_at = Instant::now();
        let until = began_at + self.timeout;
        for url in &self.urls {
            let [mut pause, longest] = PAUSES;
            loop {
                let answer = match ask(url, wait, awaited, until) {
                    Question::Answered(Ok(200..=299)) => break,
                    Question::Answered(Ok(status)) => status.to_string(),
                    Question::Answered(Err(why)) => why,
                    Question::Stopped(signal) => return Ok(Awaited::Stopped(signal)),
                };
                debug!(event = "awaiting", "{url} is not ready: {answer}");
                let next_at = (Instant::now() + pause).min(until);
                pause = (pause * 2).min(longest);
                if let Some(signal) = sleep(wait, awaited, next_at) {
                    return Ok(Awaited::Stopped(signal));
                }
                if Instant::now() < until {
                    continue;
                }
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
        Ok(Awaited::Ready)
    }
}

/// What came of one question.
enum Question {
    Answered(Result<u16, String>),
    Stopped(Signal),
}

/// Asks one of them once, in a process of ours.
fn ask(url: &Url, wait: &mut Wait, awaited: SignalSet, until: Instant) -> Question {
    let patience = QUESTION_PATIENCE.min(until.saturating_duration_since(Instant::now()));
    let request = Request::get(url.clone());
    let (pid, mut words) = match start(&request, patience) {
        Ok(started) => started,
        Err(error) => return Question::Answered(Err(error.to_string())),
    };
    let stop = loop {
        let received = wait.next_of(awaited, Some(until));
        let stop = received.iter().find(|received| received.signal != Signal::CHLD);
        // Another one of ours may have ended just now, which we killed.
        if stop.is_some() || Instant::now() >= until || helper::reap(pid, WNOHANG) {
            break stop.map(|received| received.signal);
        }
    };
    // It may hang in the resolver, which no deadline ends. Where it is reaped nobody is there.
    helper::kill(pid);
    helper::reap(pid, 0);
    match stop {
        Some(signal) => Question::Stopped(signal),
        None => Question::Answered(status(&words.read())),
    }
}

/// Sleeps until then, unless one of the signals comes first.
fn sleep(wait: &mut Wait, awaited: SignalSet, until: Instant) -> Option<Signal> {
    loop {
        let received = wait.next_of(awaited, Some(until));
        let stop = received.iter().find(|received| received.signal != Signal::CHLD);
        if stop.is_some() || Instant::now() >= until {
            return stop.map(|received| received.signal);
        }
    }
}

/// Starts a process of ours that sends the request and says the status, or why there is none.
pub fn start(request: &Request, patience: Duration) -> std::io::Result<(i32, Words)> {
    helper::start(c"reprieve-ask", helper::END, |words| {
        let (text, code) = match request.ask(patience) {
            Ok(status) => (status.to_string(), 0),
            Err(why) => (why.to_string(), helper::FAILED),
        };
        let _ = words.write_all(text.as_bytes());
        code
    })
}

/// What such a process has said.
fn status(words: &str) -> Result<u16, String> {
    match words {
        "" => Err("no answer".into()),
        _ => words.parse().map_err(|_| words.into()),
    }
}

/// What a sidecar answered that was told to quit, in words: an error if it will not.
pub fn answer(request: &Request, words: &str) -> Result<String, String> {
    match status(words)? {
        status @ 200..=299 => Ok(status.to_string()),
        status @ (403 | 404) => Err(match request.url().port() {
            4191 => format!(
                "{status}: Linkerd's endpoint is off unless the pod has the annotation \
                     config.linkerd.io/proxy-admin-shutdown: enabled"
            ),
            15020 | 15000 => {
                format!("{status}: Istio answers on loopback only, and to POST only")
            }
            _ => format!(
                "{status}: is it the right path? Linkerd needs \
                     config.linkerd.io/proxy-admin-shutdown: enabled, Istio answers on loopback only"
            ),
        }),
        status => Err(status.to_string()),
    }
}
