//! The account of one run: each step goes into the log and into the timeline, and the report comes
//! last. Until a stop signal arrives, or something has to be killed, it is silent but for warnings.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tracing::{Level, debug, enabled, info, warn};

use crate::exit;
use crate::log::{self, Format};
use crate::process::family::Family;
use crate::report::json::Verdict;
use crate::report::step::Step;
use crate::report::timeline::Timeline;
use crate::shutdown::Ending;
use crate::shutdown::plan::Plan;
use crate::signal::{Signal, SignalSet};

/// An app that ends this soon after a signal from outside may have taken it for a stop.
const MAYBE_BECAUSE: Duration = Duration::from_secs(60);

/// How we end.
pub struct Ends {
    /// Exit codes of the app that count as success.
    pub expected: Vec<u8>,
    pub format: Format,
    pub report_file: Option<PathBuf>,
}

/// All that is to be told of one run.
pub struct Account {
    pub timeline: Timeline,
    ends: Ends,
    /// There is a terminal, whose keys and window send signals too.
    on_terminal: bool,
    /// What the app may have died of because of us.
    forwarded: SignalSet,
    /// The last signal from outside that was no stop signal.
    from_outside: Option<(Signal, Instant)>,
    /// The exit code and the verdict of a rehearsal, once the app and its leftovers are gone.
    judged: Option<(u8, Option<Verdict>)>,
}

impl Account {
    pub fn new(family: &mut Family, plan: Plan, ends: Ends, on_terminal: bool) -> Account {
        Account {
            timeline: Timeline::new(family.main_name(), plan),
            ends,
            on_terminal,
            forwarded: SignalSet::default(),
            from_outside: None,
            judged: None,
        }
    }

    /// Takes a step into the timeline, and logs it.
    pub fn tell(&mut self, step: Step, family: &mut Family, now: Instant) {
        let is_detail = step.is_detail();
        if is_detail && !enabled!(Level::DEBUG) {
            return self.timeline.add(&step, now);
        }
        // It may have executed something else by now, as entrypoint scripts do.
        self.timeline.app = family.main_name();
        self.timeline.add(&step, now);
        let at_ms = self.timeline.since(now).map(|since| since.as_millis() as u64);
        let (name, text) = (step.name(), self.timeline.tell(&step, now));
        if step.is_failure() {
            warn!(event = name, at_ms, "{text}");
        } else if is_detail || !self.timeline.is_worth_reporting() && !step.is_an_answer() {
            debug!(event = name, at_ms, "{text}");
        } else {
            info!(event = name, at_ms, "{text}");
        }
    }

    /// The app has got this signal from us.
    pub fn forwarded(&mut self, signal: Signal) {
        self.forwarded.insert(signal);
    }

    /// A signal that is no stop signal came from outside and was passed on.
    pub fn came_from_outside(&mut self, signal: Signal, now: Instant) {
        // Of a terminal's window Docker's client tells us too, with no stop in mind.
        if !(self.on_terminal && signal == Signal::WINCH) {
            self.from_outside = Some((signal, now));
        }
    }

    /// Warns where the app's end has a cause that somebody should look after.
    pub fn explain(&self, ending: Ending, now: Instant) {
        let app = &self.timeline.app;
        let by_key = [Signal::INT, Signal::QUIT, Signal::HUP];
        match ending {
            Ending::Signaled(signal)
                if self.timeline.killed() || self.forwarded.contains(signal) => {}
            Ending::Signaled(signal) if self.on_terminal && by_key.contains(&signal) => {}
            Ending::Signaled(Signal::KILL) => {
                warn!(event = "died", "{app} {ending}, not sent by reprieve: out of memory?");
            }
            Ending::Signaled(_) => {
                warn!(event = "died", "{app} {ending}, not sent by reprieve");
            }
            Ending::Exited(_) => {}
        }
        if let Some((signal, at)) = self.from_outside
            && !self.timeline.stop_signal_came()
            && now < at + MAYBE_BECAUSE
        {
            warn!(
                event = "undeclared_stop_signal",
                "{app} ended after {signal} from outside the container; if that is the image's \
                 STOPSIGNAL, say --stop-signal {signal}, or there is no hold and no report"
            );
        }
    }

    /// Settles the exit code that the app's ending means, and the verdict of a rehearsal, unless they
    /// are settled: what comes after the app changes neither.
    pub fn judge(&mut self, ending: Option<Ending>) -> u8 {
        if let Some((code, _)) = self.judged {
            return code;
        }
        let code = exit::code(ending, &self.ends.expected);
        let rehearses = self.timeline.plan.rehearse.is_some();
        let verdict = rehearses.then(|| self.timeline.verdict(code));
        let code = match &verdict {
            None => code,
            Some(verdict) if verdict.passed => 0,
            Some(_) => exit::REHEARSAL_FAILED,
        };
        self.judged = Some((code, verdict));
        code
    }

    /// The exit code, once it is settled, and the report by now as JSON.
    pub fn so_far(&self, now: Instant) -> Option<(u8, String)> {
        let (code, verdict) = self.judged.clone()?;
        Some((code, self.timeline.report(code, verdict, now).json()))
    }

    /// Publishes the report, if there is something to report, and returns our exit code.
    pub fn close(mut self, ending: Option<Ending>, now: Instant) -> u8 {
        let code = self.judge(ending);
        if self.timeline.has_news() {
            let verdict = self.judged.take().and_then(|(_, verdict)| verdict);
            let report = self.timeline.report(code, verdict, now);
            self.publish(report.to_string(), report.json());
        }
        code
    }

    fn publish(&self, text: String, json: String) {
        if !self.timeline.is_worth_reporting() {
            debug!(event = "report", json, "{text}");
            return;
        }
        info!(event = "report", json, "{text}");
        let content = if self.ends.format == Format::Json { json } else { text };
        if let Some(path) = &self.ends.report_file
            && let Err(error) = log::append(path, content)
        {
            let path = path.display();
            warn!(event = "no_report_file", "cannot write the report to {path}: {error}");
        }
    }
}
