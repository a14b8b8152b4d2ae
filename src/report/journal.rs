//! The journal of one run: each step is logged and taken into the timeline, and the report comes
//! last. Until a stop signal arrives, or something has to be killed, the log has only warnings.

use std::time::{Duration, Instant, SystemTime};

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
use crate::report::{json, short, text};
use crate::shutdown::ending::Ending;
use crate::shutdown::plan::Plan;
use crate::signal::{Signal, SignalSet};
use crate::traffic::seen::{HoldTraffic, OpenConnections};

/// An app that ends this soon after a signal from outside may have taken it for a stop signal.
const MAYBE_BECAUSE: Duration = Duration::from_mins(1);

/// Of so many of those that were signalled in a step the command line is read: a report names fewer.
const COMMAND_LINES: usize = 16;

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
    /// When SIGKILL is due.
    kill_at: Option<Instant>,
    /// The worst that was logged of this run.
    worst: Level,
    /// The exit code and the verdict of a rehearsal, once the app and its leftovers are gone.
    judged: Option<(u8, Option<Verdict>)>,
}

impl Journal {
    /// The app was started at this time.
    pub fn new(
        app: Name,
        plan: Plan,
        options: ReportOptions,
        on_terminal: bool,
        started_at: Instant,
    ) -> Journal {
        Journal {
            timeline: Timeline::new(app, plan, started_at),
            options,
            on_terminal,
            forwarded: SignalSet::default(),
            maybe_stop: None,
            undeclared_said: false,
            kill_at: None,
            worst: Level::INFO,
            judged: None,
        }
    }

    /// The main child has this name now: it may execute something else, as entrypoint scripts do.
    pub fn rename_app(&mut self, app: Name) {
        self.timeline.app = app;
    }

    /// Whether a step is logged, so that the names in it should be those of now.
    pub fn logs(&self, step: &Step) -> bool {
        !step.is_detail() || self.logs_details()
    }

    /// Whether the steps are logged that only `--verbose` logs.
    pub fn logs_details(&self) -> bool {
        enabled!(Level::DEBUG)
    }

    /// A signal was forwarded that is no stop signal. Where it came from outside the container, and may
    /// have been meant as a stop, that is given too.
    pub fn note_passed(&mut self, signal: Signal, maybe_stop: Option<Signal>, now: Instant) {
        self.forwarded.insert(signal);
        if let Some(maybe_stop) = maybe_stop.filter(|signal| self.suspects(*signal)) {
            self.maybe_stop = Some((maybe_stop, now));
        }
    }

    /// Records a step, and logs it.
    pub fn record(&mut self, step: &Step, now: Instant) {
        match step {
            Step::Forwarded { signal, .. } => {
                self.forwarded.insert(*signal);
                if !step.signalled().is_empty() {
                    // What knows no other signal got SIGTERM.
                    self.forwarded.insert(Signal::TERM);
                }
            }
            // The last call.
            Step::PassedOn { .. } => self.forwarded.insert(Signal::TERM),
            Step::Began { kill_at, .. } => self.kill_at = *kill_at,
            Step::MainEnded(ending) => {
                self.explain_death(&self.timeline.app.clone(), *ending);
                self.explain_end(now);
            }
            Step::StandInEnded(name, ending) => self.explain_death(name, *ending),
            _ => {}
        }
        self.timeline.record(step, now);
        if self.logs(step) {
            self.read_command_lines(step);
            self.log(step, now);
        }
    }

    /// Reads the command lines of the app and of those who were signalled, as long as SIGKILL is not due.
    fn read_command_lines(&mut self, step: &Step) {
        let app = match step {
            Step::Began { .. } | Step::Forwarded { .. } => Some(self.timeline.app.clone()),
            _ => None,
        };
        for name in step.signalled().iter().take(COMMAND_LINES).chain(&app) {
            if self.kill_at.is_some_and(|at| at <= Instant::now()) {
                break;
            }
            if let Some(line) = proc::command_line(name.pid) {
                self.timeline.keep_command_line(name, line);
            }
        }
    }

    /// Most signals come where nothing is logged.
    #[cold]
    #[inline(never)]
    fn log(&mut self, step: &Step, now: Instant) {
        let at_ms = self.timeline.since(now).map(|since| since.as_millis() as u64);
        let (event, text) = (step.event(), text::step(step, &self.timeline, now));
        let is_quiet = !self.timeline.is_worth_reporting() && !step.is_logged_without_stop_signal();
        let level = match is_quiet || step.is_detail() {
            _ if step.is_failure() => Level::WARN,
            true => Level::DEBUG,
            false => Level::INFO,
        };
        self.worst = self.worst.min(level);
        say(level, event, at_ms, None, &text);
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

    /// Warns where a signal has ended the app, or what stands for it, that we neither sent nor forwarded.
    fn explain_death(&mut self, name: &Name, ending: Ending) {
        let by_key = [Signal::INT, Signal::QUIT, Signal::HUP];
        match ending {
            Ending::Exited(_) => {}
            Ending::Signaled(signal)
                if self.timeline.killed() || self.forwarded.contains(signal) => {}
            Ending::Signaled(signal) if self.on_terminal && by_key.contains(&signal) => {}
            // The end of a pipeline, as in `app | head`, is nobody's fault.
            Ending::Signaled(Signal::PIPE) if inherited::is_unread() => {}
            Ending::Signaled(signal) => {
                let why = if signal == Signal::KILL { ": out of memory?" } else { "" };
                warn!(event = "died", "{name} {ending}, not sent by reprieve{why}");
                self.timeline.died = true;
                self.worst = Level::WARN;
            }
        }
    }

    /// Warns where the app ended after a signal that may have been meant as a stop signal.
    fn explain_end(&self, now: Instant) {
        let app = &self.timeline.app;
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
        Some((code, self.report(&self.timeline.summary(code, verdict, now)).json))
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
        let Report { level, at_ms, text, json } = self.report(summary);
        say(level, "report", Some(at_ms), Some(&json), &text);
        if level != Level::DEBUG
            && let Some(file) = self.options.report_file
        {
            file.warn_if_unwritten();
        }
    }

    /// The report is as bad as the worst that it tells of.
    fn report(&self, summary: &Summary) -> Report {
        let level = match &summary.verdict {
            _ if !self.timeline.is_worth_reporting() => Level::DEBUG,
            Some(verdict) if !verdict.passed => Level::ERROR,
            _ => self.worst,
        };
        let (at_ms, text) = (summary.total.as_millis() as u64, short::report(summary));
        let own = |max| json::report(summary, max);
        let json = log::report(level, Some(at_ms), &text, SystemTime::now(), own);
        Report { level, at_ms, text, json }
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

/// The report as it is logged.
struct Report {
    level: Level,
    at_ms: u64,
    text: String,
    json: String,
}

/// Logs a step, or the report. The level of an event of `tracing` is a constant of its place.
fn say(level: Level, event: &str, at_ms: Option<u64>, json: Option<&str>, text: &str) {
    match level {
        Level::ERROR => error!(event, at_ms, json, "{text}"),
        Level::WARN => warn!(event, at_ms, json, "{text}"),
        Level::INFO => info!(event, at_ms, json, "{text}"),
        _ => debug!(event, at_ms, json, "{text}"),
    }
}
