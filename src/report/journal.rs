//! The journal of one run: each step is logged and taken into the timeline, and the report comes
//! last. Until a stop signal arrives, or something has to be killed, the log has only warnings.

use std::time::{Duration, Instant};

use tracing::{Level, debug, enabled, error, info, warn};

use crate::exit;
use crate::log::{self, ReportFile};
use crate::process::inherited;
use crate::process::proc;
use crate::process::target::Name;
use crate::process::wait::{Origin, Received};
use crate::rehearsal::tally::Rehearsed;
use crate::report::step::{Sender, Step};
use crate::report::summary::Summary;
use crate::report::timeline::Timeline;
use crate::report::verdict::Verdict;
use crate::report::{json, text};
use crate::shutdown::ending::Ending;
use crate::shutdown::plan::Plan;
use crate::signal::{Signal, SignalSet};
use crate::traffic::seen::{HoldTraffic, OpenConnections};

/// An app that ends this soon after a signal from outside may have taken it for a stop signal.
const MAYBE_BECAUSE: Duration = Duration::from_mins(1);

/// Which exit codes of the app count as success, and the file for the report.
pub struct ReportOptions {
    /// Exit codes of the app that count as success.
    pub expected: Vec<u8>,
    pub report_file: Option<&'static ReportFile>,
}

/// Records one run: logs its steps, and keeps what the report needs.
pub struct Journal {
    timeline: Timeline,
    options: ReportOptions,
    /// There is a terminal, whose keys and window send signals too.
    on_terminal: bool,
    /// The signals that we have forwarded, which may have killed the app.
    forwarded: SignalSet,
    /// The last signal from outside the container that was no stop signal.
    maybe_stop: Option<(Signal, Instant)>,
    /// It was warned of a signal that may have been meant as a stop signal.
    undeclared_said: bool,
    /// The exit code and the verdict of a rehearsal, once the app and its leftovers are gone.
    judged: Option<(u8, Option<Verdict>)>,
}

impl Journal {
    /// The app has just been started.
    pub fn new(app: Name, plan: Plan, options: ReportOptions, on_terminal: bool) -> Journal {
        Journal {
            timeline: Timeline::new(app, plan),
            options,
            on_terminal,
            forwarded: SignalSet::default(),
            maybe_stop: None,
            undeclared_said: false,
            judged: None,
        }
    }

    /// The main child has this name now: it may execute something else, as entrypoint scripts do.
    pub fn rename_app(&mut self, app: Name) {
        self.timeline.app = app;
    }

    /// Whether a step is logged, so that the names in it should be those of now.
    pub fn logs(&self, step: &Step) -> bool {
        !step.is_detail() || enabled!(Level::DEBUG)
    }

    /// Records a step, and logs it.
    pub fn record(&mut self, step: &Step, now: Instant) {
        match step {
            Step::Forwarded { signal, maybe_stop, .. } => {
                self.forwarded.insert(*signal);
                self.maybe_stop = self.suspect(*maybe_stop, now).or(self.maybe_stop);
            }
            // The last call.
            Step::PassedOn { .. } => self.forwarded.insert(Signal::TERM),
            Step::MainEnded(ending) => self.explain(*ending, now),
            _ => {}
        }
        self.timeline.record(step, now);
        if self.logs(step) {
            self.log(step, now);
        }
    }

    /// Most signals come where nothing is logged.
    #[cold]
    #[inline(never)]
    fn log(&self, step: &Step, now: Instant) {
        let at_ms = self.timeline.since(now).map(|since| since.as_millis() as u64);
        let (event, text) = (step.event(), text::step(step, &self.timeline, now));
        let is_quiet = !self.timeline.is_worth_reporting() && !step.is_logged_without_stop_signal();
        if step.is_failure() {
            warn!(event, at_ms, "{text}");
        } else if step.is_detail() || is_quiet {
            debug!(event, at_ms, "{text}");
        } else {
            info!(event, at_ms, "{text}");
        }
    }

    /// Whom SIGKILL has ended, as their statuses say.
    pub fn correct_killed(&mut self, names: Vec<Name>) {
        self.timeline.correct_killed(names);
    }

    /// What was seen of the traffic while the stop signal was held back.
    pub fn record_traffic(&mut self, seen: HoldTraffic) {
        self.timeline.traffic = Some(seen);
    }

    /// How many connections were open when SIGKILL was sent, if that was seen.
    pub fn record_open_at_kill(&mut self, open: Option<OpenConnections>) {
        if let Some(HoldTraffic::Seen(seen)) = &mut self.timeline.traffic {
            seen.at_kill = seen.at_kill.or(open);
        }
    }

    /// Whether the stop signal has been forwarded.
    pub fn was_forwarded(&self) -> bool {
        self.timeline.forwarded.is_some()
    }

    /// Whether SIGKILL has been sent to anyone.
    pub fn killed(&self) -> bool {
        self.timeline.killed()
    }

    /// Keeps the signal, if it may have been meant as a stop signal.
    fn suspect(&self, signal: Option<Signal>, now: Instant) -> Option<(Signal, Instant)> {
        signal.filter(|signal| self.suspects(*signal)).map(|signal| (signal, now))
    }

    /// Whether a signal from outside may have been meant as the first stop signal, unless that is said
    /// already: not SIGWINCH on a terminal, which Docker's client sends where its window has a new size.
    pub fn suspects(&self, signal: Signal) -> bool {
        let of_window = self.on_terminal && signal == Signal::WINCH;
        !of_window && !self.undeclared_said && !self.timeline.stop_signal_came()
    }

    /// Warns of a signal that was meant as a stop signal, after which the app goes on.
    pub fn warn_of_undeclared(&mut self, signal: Signal, is_ignored: bool) {
        (self.undeclared_said, self.maybe_stop) = (true, None);
        let app = &self.timeline.app;
        let (does, and) = match is_ignored {
            true => ("ignores", format!(" --rewrite {signal}:SIGTERM")),
            false => ("goes on after", String::new()),
        };
        warn!(
            event = "undeclared_stop_signal",
            "{app} {does} {signal} from outside the container; if that is the image's STOPSIGNAL, say \
             --stop-signal {signal}{and}, or the runtime kills all, without a hold and a report"
        );
    }

    /// Warns where the app's end has a cause that somebody should look into.
    fn explain(&self, ending: Ending, now: Instant) {
        let app = &self.timeline.app;
        let by_key = [Signal::INT, Signal::QUIT, Signal::HUP];
        match ending {
            Ending::Signaled(signal)
                if self.timeline.killed() || self.forwarded.contains(signal) => {}
            Ending::Signaled(signal) if self.on_terminal && by_key.contains(&signal) => {}
            // The end of a pipeline, as in `app | head`, is nobody's fault.
            Ending::Signaled(Signal::PIPE) if inherited::is_unread() => {}
            Ending::Signaled(Signal::KILL) => {
                warn!(event = "died", "{app} {ending}, not sent by reprieve: out of memory?");
            }
            Ending::Signaled(_) => {
                warn!(event = "died", "{app} {ending}, not sent by reprieve");
            }
            Ending::Exited(_) => {}
        }
        if let Some((signal, at)) = self.maybe_stop
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

    /// Decides our exit code from the app's ending, and the verdict of a rehearsal. The first call
    /// decides for good: what comes after the app changes neither.
    pub fn judge(&mut self, ending: Option<Ending>, rehearsed: Option<Rehearsed>) -> u8 {
        if let Some((code, _)) = self.judged {
            return code;
        }
        let code = exit::code(ending, &self.options.expected);
        let verdict = rehearsed.map(|rehearsed| Verdict::of(&self.timeline, code, rehearsed));
        let code = match &verdict {
            None => code,
            Some(verdict) if verdict.passed => 0,
            Some(_) => exit::REHEARSAL_FAILED,
        };
        self.judged = Some((code, verdict));
        code
    }

    /// The stop signal, if one came.
    pub fn stop_signal(&self) -> Option<Signal> {
        self.timeline.signal
    }

    /// The exit code, once it is decided, and the report so far as JSON.
    pub fn so_far(&self, now: Instant) -> Option<(u8, String)> {
        let (code, verdict) = self.judged.clone()?;
        Some((code, json::report(&self.timeline.summary(code, verdict, now), MAX_REPORT)))
    }

    /// Publishes the report, if there is something to report, and returns our exit code.
    pub fn close(
        mut self,
        ending: Option<Ending>,
        rehearsed: Option<Rehearsed>,
        now: Instant,
    ) -> u8 {
        let code = self.judge(ending, rehearsed);
        let verdict = self.judged.take().and_then(|(_, verdict)| verdict);
        if self.timeline.has_news() {
            self.publish(&self.timeline.summary(code, verdict.clone(), now));
        }
        if let Some(verdict) = verdict {
            if verdict.passed {
                info!(event = "rehearsal", "{verdict}");
            } else {
                error!(event = "rehearsal", "{verdict}");
            }
        }
        code
    }

    /// Logs the report. If there is a report file, a layer of the log has written it by then.
    fn publish(&self, summary: &Summary) {
        let (text, json) = (text::report(summary, MAX_REPORT), json::report(summary, MAX_REPORT));
        if !self.timeline.is_worth_reporting() {
            debug!(event = "report", json, "{text}");
            return;
        }
        info!(event = "report", json, "{text}");
        if let Some(file) = self.options.report_file {
            file.warn_if_unwritten();
        }
    }
}

/// Who sent what was received, by the name that it goes by now.
pub fn sender(received: Received) -> Sender {
    let (pid, uid, command, queued) = match received.origin {
        Origin::Process { pid, uid } => (pid, uid, proc::command(pid), false),
        Origin::Kernel => (0, 0, Some("kernel".into()), false),
        Origin::Queued => (0, 0, None, true),
    };
    Sender { pid, uid, command, queued }
}

/// How many bytes of a report fit into a line of the log, beside what the log adds to it.
const MAX_REPORT: usize = log::MAX_LINE - 64;
