//! A rehearsal: waits until the app can be stopped, says when the stop signal is due that is played then,
//! and has requests sent to the app meanwhile. What is here runs in PID 1, but for two files.
//!
//! - `mod.rs`: what is waited for, the processes that send requests, and what came of it.
//! - `listening.rs`: looks whether the app listens.
//! - `asker.rs`: the process that sends requests.
//! - `answer.rs`: where an answer to it ends.
//! - `tally.rs`: what it tells PID 1.

mod answer;
mod asker;
mod listening;
pub mod tally;

use std::io::PipeWriter;
use std::time::{Duration, Instant};

use crate::http::url::{Request, Url};
use crate::process::family::Family;
use crate::process::helper::{self, Output};
use crate::process::helpers::Helper;
use crate::rehearsal::listening::AppListens;
use crate::rehearsal::tally::{Record, Rehearsed, Tally};
use crate::shutdown::ending::Ending;
use crate::signal::Signal;
use crate::span::Span;
use crate::tasks::answer as status;
use crate::tasks::sidecar;
use crate::traffic::network::Network;
use crate::traffic::watch::WatchConfig;

/// How long one request may take that asks whether the app is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause between two of them.
const PAUSE: Duration = Duration::from_millis(100);

/// The pause between two looks at what the processes tell that begin to ask.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// How long they may take to end once the app has: what it has sent them is there by then.
const TIME_TO_END: Duration = Duration::from_secs(1);

/// The fewest processes that ask, so that some requests are in flight at any time.
const MIN_ASKERS: usize = 4;

/// When the stop signal of a rehearsal is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// So long after the start of the app.
    After(Duration),
    /// Once the app listens on a port.
    Listening,
    /// Once a GET of this URL has returned 2xx.
    Answers(Url),
}

/// What is rehearsed.
#[derive(Clone, Debug)]
pub struct RehearsalConfig {
    pub when: When,
    /// What is asked for from the stop signal on.
    pub urls: Vec<Url>,
    /// How long is waited for what is to come, beside a fixed time.
    pub timeout: Duration,
}

impl RehearsalConfig {
    /// How long after the start of the app the stop signal comes at the latest.
    pub fn latest(&self) -> Duration {
        match self.when {
            When::After(time) if self.urls.is_empty() => time,
            When::After(time) => time + self.timeout,
            When::Listening | When::Answers(_) => self.timeout,
        }
    }
}

/// What the stop signal of a rehearsal waits for.
#[derive(Default)]
enum Awaited {
    Time,
    Listens(Box<AppListens>),
    /// The output of the process that asks, if one runs, and why the last one had no success.
    Answer {
        url: Url,
        output: Option<Output>,
        last: String,
    },
    /// An answer for each of the processes that send requests.
    Requests,
    #[default]
    Nothing,
}

/// A process that sends requests.
struct AskerProcess {
    /// The place of its URL.
    url: usize,
    output: Output,
    /// What it has told last.
    record: Record,
}

/// A rehearsal: the wait for its stop signal, and its requests. Where none is asked for, it does nothing.
#[derive(Default)]
pub struct Rehearsal {
    /// There is one.
    is_on: bool,
    awaited: Awaited,
    urls: Vec<Url>,
    timeout: Duration,
    /// When something is to be done next.
    next_at: Option<Instant>,
    /// Why the stop signal came before it was due.
    not_due: Option<String>,
    /// Those that were started, and how many of them run.
    askers: Vec<AskerProcess>,
    running: usize,
    /// When they are killed, once the app has ended.
    ends_at: Option<Instant>,
    /// How one ended that had to go on.
    asker_died: Option<String>,
}

impl Rehearsal {
    /// The app has just been started.
    pub fn begin(
        config: Option<RehearsalConfig>,
        watched: &WatchConfig,
        now: Instant,
    ) -> Rehearsal {
        let Some(RehearsalConfig { when, urls, timeout }) = config else {
            return Rehearsal::default();
        };
        let (awaited, next_at) = match when {
            // The deadline of the core.
            When::After(_) if urls.is_empty() => (Awaited::Nothing, None),
            When::After(time) => (Awaited::Time, Some(now + time)),
            When::Listening => (Awaited::Listens(Box::new(AppListens::new(watched))), Some(now)),
            When::Answers(url) => {
                (Awaited::Answer { url, output: None, last: "no answer".into() }, Some(now))
            }
        };
        Rehearsal { is_on: true, awaited, urls, timeout, next_at, ..Rehearsal::default() }
    }

    /// When to come back.
    pub fn deadline(&self) -> Option<Instant> {
        self.next_at
    }

    /// Looks or asks, where its time has come. Whether the stop signal is due now.
    pub fn on_deadline(&mut self, family: &mut Family, now: Instant) -> bool {
        if self.next_at.is_none_or(|at| at > now) {
            return false;
        }
        match &mut self.awaited {
            Awaited::Time => return self.begin_requests(family, now),
            Awaited::Listens(app) => match app.look(&family.helper_pids()) {
                Ok(false) => self.next_at = Some(Instant::now() + app.pause()),
                Ok(true) => return self.begin_requests(family, now),
                Err(error) => {
                    let why = format!("it cannot be seen whether the app listens: {error}");
                    self.not_due = Some(why);
                    return self.is_due();
                }
            },
            Awaited::Answer { url, output, last } => {
                match sidecar::start(&Request::get(url.clone()), READY_TIMEOUT) {
                    Ok((pid, started)) => {
                        family.adopt(Helper::Rehearsal, pid);
                        (*output, self.next_at) = (Some(started), None);
                    }
                    Err(error) => {
                        *last = format!("cannot ask: {error}");
                        self.next_at = Some(now + PAUSE);
                    }
                }
            }
            Awaited::Requests => {
                self.read();
                if self.askers.iter().all(|asker| asker.record.is_ready) {
                    return self.is_due();
                }
                self.next_at = Some(now + LOOK_PAUSE);
            }
            Awaited::Nothing => self.next_at = None,
        }
        false
    }

    /// What the stop signal waited for has come. Starts the processes that send requests, if there are
    /// any: half of them keep their connections. Whether the stop signal is due now.
    fn begin_requests(&mut self, family: &mut Family, now: Instant) -> bool {
        let (urls, askers) = (self.urls.len(), MIN_ASKERS.max(2 * self.urls.len()));
        if urls == 0 {
            return self.is_due();
        }
        for number in 0..askers {
            let (url, keeps) = (number % urls, number / urls % 2 == 1);
            let work = |output: &mut PipeWriter| asker::run(&self.urls[url], keeps, output);
            match helper::start(c"reprieve-ask", helper::END, work) {
                Ok((pid, output)) => {
                    family.adopt(Helper::Rehearsal, pid);
                    self.askers.push(AskerProcess { url, output, record: Record::default() });
                    self.running += 1;
                }
                Err(error) => {
                    self.not_due = Some(format!("cannot send requests: {error}"));
                    return self.is_due();
                }
            }
        }
        (self.awaited, self.next_at) = (Awaited::Requests, Some(now + LOOK_PAUSE));
        false
    }

    /// A process of the rehearsal has ended. Whether the stop signal is due now.
    pub fn helper_ended(&mut self, ending: Ending, family: &mut Family, now: Instant) -> bool {
        if let Awaited::Answer { output, last, .. } = &mut self.awaited {
            let output = output.take().map(|mut output| output.read()).unwrap_or_default();
            *last = match status::status(&output) {
                Ok(200..=299) => return self.begin_requests(family, now),
                Ok(status) => status::failure(status),
                Err(why) => why,
            };
            self.next_at = Some(now + PAUSE);
        } else if self.running > 0 {
            self.running -= 1;
            self.read();
            if ending != Ending::Exited(0) && self.ends_at.is_none() {
                self.asker_died = Some(ending.to_string());
            }
            let is_closed =
                |url| self.askers.iter().any(|asker| asker.url == url && asker.record.is_over);
            if (0..self.urls.len()).all(is_closed) {
                family.signal(Helper::Rehearsal, asker::CLOSED);
            }
        }
        false
    }

    /// Nothing is waited for any more.
    fn is_due(&mut self) -> bool {
        (self.awaited, self.next_at) = (Awaited::Nothing, None);
        true
    }

    /// Takes in what the processes have told.
    fn read(&mut self) {
        for asker in &mut self.askers {
            if let Some(record) = Record::last_of(&asker.output.read_bytes()) {
                asker.record = record;
            }
        }
    }

    /// The stop signal has come: that of the rehearsal, or a real one before it. Returns where our
    /// requests come from.
    pub fn stop(&mut self, is_real: bool, family: &Family) -> impl Iterator<Item = Network> {
        let time = match is_real {
            true => "before the stop signal came".to_owned(),
            false => format!("within {} (--await-timeout)", Span(self.timeout)),
        };
        let not_due = match &self.awaited {
            Awaited::Listens(_) => Some(format!("the app did not listen on a port {time}")),
            Awaited::Answer { url, last, .. } => {
                Some(format!("{url} did not answer 2xx {time}: {last}"))
            }
            Awaited::Requests => {
                let late = self.askers.iter().find(|asker| !asker.record.is_ready);
                late.map(|asker| format!("{} gave no whole answer {time}", self.urls[asker.url]))
            }
            Awaited::Time | Awaited::Nothing => None,
        };
        self.not_due = self.not_due.take().or(not_due);
        self.is_due();
        self.tell(family, asker::STOPPED);
        self.askers.iter().map(|asker| Network::from(asker.record.address.to_canonical()))
    }

    /// The stop signal is forwarded now.
    pub fn forwarding(&self, family: &Family) {
        self.tell(family, asker::FORWARDING);
    }

    /// The stop signal was forwarded.
    pub fn forwarded(&self, family: &Family) {
        self.tell(family, asker::FORWARDED);
    }

    fn tell(&self, family: &Family, what: Signal) {
        if self.running > 0 {
            family.signal(Helper::Rehearsal, what);
        }
    }

    /// All of the app has ended. Whether processes that send requests still take in what it has sent
    /// them. They end then; to be asked again when one has, and at the deadline.
    pub fn still_asks(&mut self, family: &Family, now: Instant) -> bool {
        match self.ends_at {
            None if self.running > 0 => {
                self.tell(family, asker::ENDED);
                self.ends_at = Some(now + TIME_TO_END);
                (self.awaited, self.next_at) = (Awaited::Nothing, self.ends_at);
            }
            Some(at) if at <= now => {
                self.tell(family, Signal::KILL);
                self.running = 0;
            }
            _ => {}
        }
        self.running > 0
    }

    /// What came of it, if there was one.
    pub fn rehearsed(&mut self) -> Option<Rehearsed> {
        if !self.is_on {
            return None;
        }
        self.read();
        let tallies = self.askers.iter().map(|asker| &asker.record.tally);
        let tally = tallies.fold(Tally::default(), |sum, tally| sum.and(tally));
        let failed = self.askers.iter().find(|asker| asker.record.tally.has_failures());
        Some(Rehearsed {
            not_due: self.not_due.clone(),
            requests: (!self.askers.is_empty()).then_some(tally),
            failed_url: failed.map(|asker| self.urls[asker.url].to_string()),
            asker_died: self.asker_died.clone(),
        })
    }
}
