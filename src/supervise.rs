//! The loop: what arrives is turned into events for the core, and the core's actions are performed.
//! The time of an event is read here, once a wake-up, and once more after a look at the traffic.
//!
//! SIGKILL comes before anything else that is due, and what the core has due before any look at the
//! traffic: a look may take long where the CPU is scarce.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tracing::warn;

use crate::health::readiness::Readiness;
use crate::process::family::{Family, Reaped};
use crate::process::helper;
use crate::process::helpers::Helper;
use crate::process::tty::Tty;
use crate::process::wait::{Received, Wait};
use crate::rehearsal::{Rehearsal, RehearsalConfig};
use crate::report::journal::{Journal, ReportOptions};
use crate::report::step::Step;
use crate::shutdown::ending::Ending;
use crate::shutdown::event::{Action, Event, Why};
use crate::shutdown::plan::Plan;
use crate::shutdown::{Shutdown, earlier, is_due};
use crate::signal::Signal;
use crate::size::reserve;
use crate::tasks::Tasks;
use crate::tasks::hook::HookContext;
use crate::traffic::last_look::LastLook;
use crate::traffic::watch::{HoldEnds, Watch, WatchConfig};
use crate::undeclared::Undeclared;

/// So many are reaped before signals and deadlines have their turn: a fork loop and a slow reader of
/// the log could keep us busy for ever.
const MAX_REAPED: usize = 1000;

/// The pause after which we reap again, where the kernel or a sandbox refused it.
const REAP_AGAIN: Duration = Duration::from_millis(100);

/// The loop goes on, or ends with the main child's ending, where that is known.
type Flow = ControlFlow<Option<Ending>>;

/// All that is needed to bring one app to its end.
pub struct Supervisor {
    shutdown: Shutdown,
    family: Family,
    tty: Option<Tty>,
    journal: Journal,
    /// When to reap, where there may be something.
    reap_at: Option<Instant>,
    /// More was done than to pass signals on, so that something may be due at once.
    has_acted: bool,
    /// It was said that we cannot reap.
    reap_refused: bool,
    /// It was said that memory is refused.
    memory_refused: bool,
    watched: WatchConfig,
    /// While a stop signal is held back. It is large, and most of a run needs none.
    watch: Option<Box<Watch>>,
    /// When SIGKILL comes, unless something makes it earlier.
    kill_at: Option<Instant>,
    /// After the hold.
    last_look: Option<LastLook>,
    readiness: Readiness,
    rehearsal: Rehearsal,
    tasks: Tasks,
    undeclared: Undeclared,
}

/// What a supervisor is made of, prepared before the spawn.
pub struct Parts {
    pub plan: Plan,
    pub watched: WatchConfig,
    pub family: Family,
    pub tty: Option<Tty>,
    pub readiness: Readiness,
    pub rehearsal: Option<RehearsalConfig>,
    pub tasks: Tasks,
    pub report: ReportOptions,
}

impl Supervisor {
    /// The app has just been started.
    pub fn new(parts: Parts) -> Supervisor {
        let Parts { plan, watched, mut family, tty, mut readiness, rehearsal, tasks, report } =
            parts;
        let started_at = Instant::now();
        readiness.begin(&mut family, started_at);
        Supervisor {
            journal: Journal::new(
                family.main_name(),
                plan.clone(),
                report,
                tty.is_some(),
                started_at,
            ),
            family,
            tty,
            reap_at: None,
            has_acted: false,
            reap_refused: false,
            memory_refused: false,
            shutdown: Shutdown::new(plan, started_at),
            rehearsal: Rehearsal::begin(rehearsal, &watched, started_at),
            watched,
            watch: None,
            kill_at: None,
            last_look: None,
            readiness,
            tasks,
            undeclared: Undeclared::default(),
        }
    }

    /// Supervises the app to its end, and returns our exit code.
    pub fn run(mut self, mut wait: Wait) -> u8 {
        loop {
            if let ControlFlow::Break(ending) = self.wake(&mut wait) {
                return self.finish(ending, &mut wait);
            }
        }
    }

    /// One wake-up: all signals, then reaping, then the deadlines, all with one time, and then a look
    /// at the traffic. Where SIGKILL is due it comes first, and nobody is looked at before it.
    fn wake(&mut self, wait: &mut Wait) -> Flow {
        let deadline = self.deadline();
        let received = wait.next(deadline);
        let now = Instant::now();
        if is_due(self.shutdown.kill_due(), now) {
            // What has ended is not to count as killed.
            self.reap_at = Some(now);
            self.reap(now)?;
            self.tick(now)?;
        }
        for received in received {
            match received.signal {
                // Whoever sent it: a real one may have been merged with it.
                Signal::CHLD => self.reap_at = Some(now),
                signal => {
                    if signal == helper::END {
                        self.reap_at = Some(now);
                    }
                    self.handle(Event::Signal(signal), Some(*received), now)?;
                }
            }
        }
        // Mostly nothing is due, and to ask each of them takes longer than a forward.
        if std::mem::take(&mut self.has_acted) || is_due(earlier(deadline, self.reap_at), now) {
            if is_due(self.shutdown.deadline(), now) {
                // What has ended is not late, though its SIGCHLD may be pending behind another signal.
                self.reap_at = Some(now);
            }
            self.reap(now)?;
            self.on_deadlines(now)?;
        }
        self.check_tasks(now)?;
        if self.watch.is_some() && !self.shutdown.holds() {
            self.end_watch(now);
        }
        self.check_memory();
        ControlFlow::Continue(())
    }

    /// Says once that memory is refused.
    fn check_memory(&mut self) {
        if !self.memory_refused && reserve::was_used() {
            self.memory_refused = true;
            let event = "no_memory";
            warn!(event, "no more memory is to be had: going on with what is reserved");
        }
    }

    /// Reaps what has ended, if anything may have.
    fn reap(&mut self, now: Instant) -> Flow {
        let kills = is_due(self.shutdown.kill_due(), now);
        if !kills && is_due(self.reap_at, now) && self.family.main_has_ended() {
            // Once it is reaped, nothing shows any more what it executed last.
            self.journal.rename_app(self.family.main_name());
        }
        for _ in 0..MAX_REAPED {
            if !is_due(self.reap_at, now) {
                break;
            }
            let reaped = self.family.reap();
            self.reap_at = match reaped {
                Reaped::SomeLeft | Reaped::NothingLeft => None,
                Reaped::Failed(_) => Some(now + REAP_AGAIN),
                _ => Some(now),
            };
            match reaped {
                Reaped::Main(ending) => {
                    self.readiness.end(&self.family);
                    self.record(Step::MainEnded(ending), now);
                    self.handle(Event::MainEnded(ending), None, now)?;
                }
                Reaped::MainStopped(signal) => {
                    self.handle(Event::MainStopped(signal), None, now)?;
                }
                Reaped::Helper(Helper::Task, ending) => self.on_task_ended(ending, now),
                Reaped::Helper(Helper::Responder, ending) => {
                    self.readiness.responder_ended(ending, now);
                }
                Reaped::Helper(Helper::Rehearsal, ending) => {
                    if self.rehearsal.helper_ended(ending, &mut self.family, now) {
                        self.handle(Event::RehearsalDue, None, now)?;
                    }
                }
                Reaped::StandIn(name, ending) => {
                    self.record(Step::StandInEnded(name, ending), now);
                    self.handle(Event::ChildEnded, None, now)?;
                }
                Reaped::Orphan => self.handle(Event::ChildEnded, None, now)?,
                Reaped::OtherStopped => {}
                Reaped::Failed(errno) => {
                    if !std::mem::replace(&mut self.reap_refused, true) {
                        let (event, why) = ("cannot_reap", errno.desc());
                        warn!(event, "cannot see which processes have ended: {why}");
                    }
                }
                Reaped::SomeLeft => self.handle(Event::SomeLeft, None, now)?,
                // What its requests came to is part of the report.
                Reaped::NothingLeft if self.rehearsal.still_asks(&self.family, now) => {
                    self.reap_at = self.rehearsal.deadline();
                }
                Reaped::NothingLeft => self.handle(Event::NothingLeft, None, now)?,
            }
            self.check_tasks(now)?;
        }
        ControlFlow::Continue(())
    }

    /// Does what the core has due.
    fn tick(&mut self, now: Instant) -> Flow {
        while is_due(self.shutdown.deadline(), now) {
            self.handle(Event::Tick, None, now)?;
        }
        ControlFlow::Continue(())
    }

    /// Does what is due: for the core, then for the tasks and the responder, and looks at the traffic.
    fn on_deadlines(&mut self, now: Instant) -> Flow {
        self.tick(now)?;
        if let Some(signal) = self.tasks.queue.on_deadline(now) {
            self.family.signal(Helper::Task, signal);
            self.reap_at = Some(now);
        }
        if let Some(given_up) = self.tasks.queue.given_up(now) {
            self.family.disown(Helper::Task);
            self.record(Step::TaskEnded(given_up), now);
            self.start_tasks(now);
        }
        self.readiness.on_deadline(&mut self.family, now);
        if self.rehearsal.on_deadline(&mut self.family, now) {
            self.handle(Event::RehearsalDue, None, now)?;
        }
        self.undeclared.on_deadline(&mut self.family, &mut self.journal, now);
        if let Some(look) = self.last_look.as_mut().filter(|look| is_due(look.next_at(), now)) {
            look.look(now);
        }
        match is_due(self.watch.as_deref().and_then(Watch::next_at), now) {
            true => self.look_at_traffic(),
            false => ControlFlow::Continue(()),
        }
    }

    /// When to wake without a signal.
    fn deadline(&self) -> Option<Instant> {
        let last_look_at = self.last_look.as_ref().and_then(LastLook::next_at);
        let look_at = earlier(self.watch.as_deref().and_then(Watch::next_at), last_look_at);
        let beside = earlier(self.tasks.queue.deadline(), self.readiness.deadline());
        let due = earlier(self.shutdown.deadline(), self.reap_at);
        let due = earlier(due, self.undeclared.due_at());
        earlier(earlier(due, look_at), earlier(beside, self.rehearsal.deadline()))
    }

    /// Lets the core know when all tasks have ended, be it that they could not even be started.
    fn check_tasks(&mut self, now: Instant) -> Flow {
        if self.tasks.queue.have_ended() {
            self.handle(Event::TasksEnded, None, now)?;
            // The hold may have lasted for them alone, and no look be due any more.
            self.look_at_traffic()?;
        }
        ControlFlow::Continue(())
    }

    /// Looks at the traffic, if it is watched, and the hold is not over.
    fn look_at_traffic(&mut self) -> Flow {
        let Some(watch) = self.watch.as_mut().filter(|_| self.shutdown.holds()) else {
            return ControlFlow::Continue(());
        };
        watch.look(&self.family.helper_pids(), Instant::now);
        let now = Instant::now();
        if watch.traffic_has_stopped(now) {
            self.handle(Event::TrafficStopped, None, now)?;
        }
        ControlFlow::Continue(())
    }

    fn end_watch(&mut self, now: Instant) {
        let Some(watch) = self.watch.take() else { return };
        let ends = match (self.journal.was_forwarded(), self.journal.killed()) {
            (true, _) => HoldEnds::WithForward,
            (_, true) => HoldEnds::WithKill,
            _ => HoldEnds::WithApp,
        };
        let look_took = watch.look_took();
        let seen = watch.end(now, ends);
        if let (Some(kill_at), HoldEnds::WithForward) = (self.kill_at, ends) {
            self.last_look = LastLook::plan(&self.watched.rules, &seen, look_took, kill_at);
        }
        self.journal.record_traffic(seen);
    }

    fn handle(&mut self, event: Event, received: Option<Received>, now: Instant) -> Flow {
        if self.family.group_has_ended() {
            self.record(Step::GroupEnded, now);
        }
        let actions = self.shutdown.handle(event, now);
        self.family.look_until(self.shutdown.kill_due());
        for action in actions.in_order() {
            if let Action::Forward { signal, why: Why::Passing } = action {
                self.pass(signal, received, now)?;
                continue;
            }
            self.has_acted = true;
            self.perform(action, received, now)?;
        }
        ControlFlow::Continue(())
    }

    /// Does something with the terminal, if there is one, and the main child's group.
    fn on_tty(&self, act: impl FnOnce(&Tty, i32)) {
        if let Some(tty) = &self.tty {
            act(tty, self.family.main_group());
        }
    }

    /// Starts the tasks that are next, if none runs.
    fn start_tasks(&mut self, now: Instant) {
        while let Some(task) = self.tasks.queue.take_next() {
            let journal = &self.journal;
            let context =
                || HookContext { signal: journal.stop_signal(), end: journal.so_far(now) };
            if let Some(failed) = self.tasks.start(task, context, &mut self.family, now) {
                self.record(Step::TaskEnded(failed), now);
            }
        }
    }

    fn on_task_ended(&mut self, ending: Ending, now: Instant) {
        if let Some(done) = self.tasks.ended(ending, now) {
            self.record(Step::TaskEnded(done), now);
        }
        self.start_tasks(now);
    }

    #[expect(clippy::needless_pass_by_value, reason = "each step is recorded once")]
    fn record(&mut self, step: Step, now: Instant) {
        if self.journal.logs(&step) {
            self.journal.rename_app(self.family.main_name());
        }
        self.journal.record(&step, now);
    }

    /// Gives everything back and publishes the report; only then it is waited for what is ours. What
    /// the report needs of the stack is not kept while the app runs.
    #[cold]
    #[inline(never)]
    fn finish(mut self, ending: Option<Ending>, wait: &mut Wait) -> u8 {
        let now = Instant::now();
        self.end_watch(now);
        self.on_tty(Tty::give_back);
        self.readiness.end(&self.family);
        self.family.kill_helpers();
        self.journal.correct_killed(self.family.killed());
        let code = self.journal.close(ending, self.rehearsal.rehearsed(), now);
        self.family.await_helpers(wait);
        code
    }
}

mod perform;
