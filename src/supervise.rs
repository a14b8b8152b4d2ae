//! The shell around the core: the only loop, and the only reader of the clock. It turns what
//! arrives into events, and actions into deeds and log lines.

use std::ops::ControlFlow;
use std::time::Instant;

use crate::process::family::Family;
use crate::process::helper;
use crate::process::proc;
use crate::process::tty::Tty;
use crate::process::wait::{Received, Wait};
use crate::report::journal::{Account, Ends};
use crate::report::step::{Sender, Step};
use crate::shutdown::plan::Plan;
use crate::shutdown::{Action, Ending, Event, Note, Shutdown, Who, Why, earlier};
use crate::signal::Signal;
use crate::tasks::Around;
use crate::tasks::hook::Told;
use crate::tasks::queue::Task;
use crate::traffic::watch::{Times, Watch, Watched};

/// So many are reaped before signals and deadlines have their turn: a fork loop and a slow reader of
/// the log could keep us busy for ever.
const REAPED_AT_ONCE: usize = 1000;

/// All that is needed to bring one app to its end.
pub struct Supervisor {
    shutdown: Shutdown,
    family: Family,
    tty: Option<Tty>,
    account: Account,
    /// There may be more to reap.
    reaping: bool,
    watched: Watched,
    /// While a stop signal is held back.
    watch: Option<Watch>,
    around: Around,
}

impl Supervisor {
    pub fn new(
        plan: Plan,
        watched: Watched,
        mut family: Family,
        tty: Option<Tty>,
        mut around: Around,
        ends: Ends,
    ) -> Supervisor {
        let started_at = Instant::now();
        around.readiness.begin(&mut family, started_at);
        Supervisor {
            account: Account::new(&mut family, plan.clone(), ends, tty.is_some()),
            family,
            tty,
            reaping: false,
            shutdown: Shutdown::new(plan, started_at),
            watched,
            watch: None,
            around,
        }
    }

    /// Supervises the app to its end, and returns our exit code.
    pub fn run(mut self, mut wait: Wait) -> u8 {
        loop {
            if let ControlFlow::Break(ending) = self.wake(&mut wait) {
                return self.finish(ending);
            }
        }
    }

    /// One wake-up: all signals, then reaping, then the deadlines, all with one time; between them a
    /// look at the traffic, which may take a moment.
    fn wake(&mut self, wait: &mut Wait) -> ControlFlow<Option<Ending>> {
        let received = wait.next(self.deadline());
        let mut now = Instant::now();
        for received in received {
            match received.signal {
                // Whoever sent it: a real one may have been merged with it.
                Signal::CHLD => self.reaping = true,
                signal => {
                    self.reaping |= signal == helper::END;
                    self.handle(Event::Signal(signal), Some(*received), now)?;
                }
            }
        }
        if self.reaping && self.family.main_has_ended() {
            // Once it is reaped, nothing tells any more what it executed last.
            self.account.timeline.app = self.family.main_name();
        }
        for _ in 0..REAPED_AT_ONCE {
            if !self.reaping {
                break;
            }
            let event = self.family.reap();
            match event {
                Event::Ended(Who::Main, ending) => self.main_ended(ending, now),
                Event::Ended(Who::Task, ending) => self.task_ended(ending, now),
                Event::Ended(Who::Responder, ending) => {
                    self.around.readiness.responder_ended(ending, now);
                }
                _ => {}
            }
            self.reaping = !matches!(event, Event::SomeLeft | Event::NothingLeft);
            self.handle(event, None, now)?;
            self.tell_of_tasks(now)?;
        }
        if self.next_deadline().is_some_and(|at| at <= now) {
            now = self.deadlines_passed(now)?;
        }
        self.tell_of_tasks(now)?;
        if !self.shutdown.holds() {
            self.end_watch();
        }
        ControlFlow::Continue(())
    }

    /// One of the deadlines has passed, or several have.
    fn deadlines_passed(&mut self, now: Instant) -> ControlFlow<Option<Ending>, Instant> {
        let now = self.look_at_traffic(now)?;
        while self.shutdown.deadline().is_some_and(|at| at <= now) {
            self.handle(Event::Tick, None, now)?;
        }
        if let Some(signal) = self.around.tasks.passed(now) {
            self.family.signal(Who::Task, signal);
            self.reaping = true;
        }
        if let Some(given_up) = self.around.tasks.given_up(now) {
            self.family.disown(Who::Task);
            self.tell(Step::TaskEnded(given_up), now);
            self.run_tasks(now);
        }
        self.around.readiness.passed(&mut self.family, now);
        ControlFlow::Continue(now)
    }

    /// When to wake without a signal.
    fn deadline(&self) -> Option<Instant> {
        if self.reaping { Some(Instant::now()) } else { self.next_deadline() }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let look_at = self.watch.as_ref().and_then(Watch::next_at);
        let around = earlier(self.around.tasks.deadline(), self.around.readiness.deadline());
        earlier(earlier(self.shutdown.deadline(), look_at), around)
    }

    /// Tells the core when all that was run has ended, be it that it could not even be started.
    fn tell_of_tasks(&mut self, now: Instant) -> ControlFlow<Option<Ending>> {
        if self.around.tasks.have_ended() {
            self.handle(Event::TasksEnded, None, now)?;
            // The hold may have lasted for them alone, and no look be due any more.
            self.look_at_traffic(now)?;
        }
        ControlFlow::Continue(())
    }

    /// Looks at the traffic, if it is watched, and tells what time it is then.
    fn look_at_traffic(&mut self, now: Instant) -> ControlFlow<Option<Ending>, Instant> {
        let Some(watch) = &mut self.watch else {
            return ControlFlow::Continue(now);
        };
        watch.look(Instant::now);
        let now = Instant::now();
        if watch.traffic_has_stopped(now) {
            self.handle(Event::TrafficStopped, None, now)?;
        }
        ControlFlow::Continue(now)
    }

    fn end_watch(&mut self) {
        if let Some(mut watch) = self.watch.take() {
            watch.look(Instant::now);
            self.account.timeline.traffic = Some(watch.end());
        }
    }

    fn handle(
        &mut self,
        event: Event,
        received: Option<Received>,
        now: Instant,
    ) -> ControlFlow<Option<Ending>> {
        if self.account.timeline.awaits_group() && self.family.group_is_empty() {
            self.tell(Step::GroupEnded, now);
        }
        match self.shutdown.handle(event, now) {
            Some(action @ (Action::Exit(ending) | Action::Leave(ending))) => {
                if event == Event::Tick {
                    self.tell(Step::GaveUp { names: self.family.left() }, now);
                }
                if let Action::Exit(_) = action {
                    return ControlFlow::Break(ending);
                }
                self.leave(ending, now);
            }
            Some(action) => self.perform(action, received, now),
            None => {}
        }
        ControlFlow::Continue(())
    }

    fn perform(&mut self, action: Action, received: Option<Received>, now: Instant) {
        match action {
            Action::Hold { signal, may_end_at, forward_at, kill_at } => {
                self.around.readiness.stop(&self.family);
                let sender = received.map(sender);
                self.tell(Step::Began { signal, sender, may_end_at, forward_at, kill_at }, now);
                if now < forward_at {
                    let times = Times { began_at: now, may_end_at, ends_at: forward_at };
                    self.watch = Some(Watch::begin(&self.watched, &self.family.pids(), times));
                }
                self.around.stop();
                self.run_tasks(now);
            }
            Action::Note(note) => {
                if let Some(received) = received {
                    let (signal, sender) = (received.signal, Some(sender(received)));
                    self.tell(Step::Noted { signal, sender, note }, now);
                }
                // Where it is the first one: the app had ended by itself.
                if let Note::SweptAlready { .. } = note {
                    self.around.stop();
                    self.run_tasks(now);
                }
            }
            Action::Forward { signal, why } => {
                let target = self.family.forward(signal, why != Why::Passing);
                self.account.forwarded(signal);
                if let Some(Received { signal, pid: 0, by_kernel: false, .. }) = received
                    && why == Why::Passing
                    && self.family.main_minds(signal)
                {
                    self.account.came_from_outside(signal, now);
                }
                self.tell(Step::Forwarded { signal, why, target }, now);
            }
            Action::Drop { signal, why } => {
                if why == Why::Unheld {
                    self.began_unheld(received, now);
                }
                self.tell(Step::Dropped { signal, why }, now);
            }
            Action::Sweep { signal, kill_at } => {
                self.began_unheld(received, now);
                let swept = self.family.sweep(signal);
                if !swept.is_empty() {
                    self.tell(Step::Swept { signal, swept, kill_at }, now);
                }
            }
            Action::KillAll => {
                let deaf = self.account.timeline.awaits_trap() && self.family.main_has_children();
                // It is repeated while something is left; only news are told.
                let killed = self.family.kill_all();
                if let Some(names) =
                    killed.and_then(|names| self.account.timeline.not_yet_killed(names))
                {
                    self.tell(Step::Killed { names, deaf }, now);
                }
                let not_run: Vec<Task> = self.around.tasks.cancel().collect();
                for task in not_run {
                    self.tell(Step::NotRun(task), now);
                }
                self.around.readiness.close();
                // Then no child will tell us of its end.
                self.reaping |= self.family.nothing_left();
            }
            Action::Suspend(signal) => {
                if let Some(tty) = &self.tty {
                    tty.suspend(self.family.main_group(), signal);
                }
            }
            Action::Resume(signal) => {
                if let Some(tty) = &self.tty {
                    tty.resume(self.family.main_group(), signal);
                }
            }
            // Taken by the caller.
            Action::Leave(_) | Action::Exit(_) => {}
        }
    }

    /// A stop signal, when only leftovers are there, has nobody to be held for.
    fn began_unheld(&mut self, received: Option<Received>, now: Instant) {
        if let Some(received) = received {
            let (signal, sender) = (received.signal, Some(sender(received)));
            let kill_at = self.shutdown.deadline();
            let (may_end_at, forward_at) = (now, now);
            self.tell(Step::Began { signal, sender, may_end_at, forward_at, kill_at }, now);
            self.around.stop();
            self.run_tasks(now);
        }
    }

    /// The app and its leftovers are gone.
    fn leave(&mut self, ending: Option<Ending>, now: Instant) {
        self.end_watch();
        self.account.judge(ending);
        self.around.leave();
        self.run_tasks(now);
    }

    /// Starts what is to be run next, if nothing runs.
    fn run_tasks(&mut self, now: Instant) {
        while let Some(task) = self.around.tasks.next() {
            let told =
                || Told { signal: self.account.timeline.signal, end: self.account.so_far(now) };
            if let Some(failed) = self.around.start(task, told, &mut self.family, now) {
                self.tell(Step::TaskEnded(failed), now);
            }
        }
    }

    fn task_ended(&mut self, ending: Ending, now: Instant) {
        if let Some(outcome) = self.around.tasks.ended(ending, now) {
            self.tell(Step::TaskEnded(outcome), now);
        }
        self.run_tasks(now);
    }

    fn main_ended(&mut self, ending: Ending, now: Instant) {
        self.around.readiness.end(&self.family);
        self.account.explain(ending, now);
        self.tell(Step::MainEnded(ending), now);
    }

    fn tell(&mut self, step: Step, now: Instant) {
        self.account.tell(step, &mut self.family, now);
    }

    /// Gives everything back and tells what happened.
    fn finish(mut self, ending: Option<Ending>) -> u8 {
        let now = Instant::now();
        self.end_watch();
        if let Some(tty) = &self.tty {
            tty.give_back(self.family.main_group());
        }
        self.around.readiness.end(&self.family);
        self.family.end_helpers();
        self.account.close(ending, now)
    }
}

fn sender(received: Received) -> Sender {
    let command = match received.by_kernel {
        true => Some("kernel".into()),
        false => proc::command(received.pid),
    };
    Sender { pid: received.pid, uid: received.uid, command }
}
