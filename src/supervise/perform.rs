//! What the core asks for, done.

use std::ops::ControlFlow;
use std::time::Instant;

use crate::process::killed::Kill;
use crate::process::reap;
use crate::process::target::{Name, Target};
use crate::process::wait::{Origin, Received};
use crate::report::journal::sender;
use crate::report::step::Step;
use crate::shutdown::event::{Action, Event, Why};
use crate::signal::Signal;
use crate::supervise::{Flow, Supervisor};
use crate::tasks::task::Task;
use crate::traffic::last_look::LastLook;
use crate::traffic::watch::{Times, Watch};

impl Supervisor {
    /// Does what the core asks for. What was received is the signal that made it ask, if one did.
    ///
    /// Its arms need much of the stack, so a signal that is only passed does not come here.
    #[cold]
    #[inline(never)]
    pub(super) fn perform(
        &mut self,
        action: Action,
        received: Option<Received>,
        now: Instant,
    ) -> Flow {
        match action {
            Action::Begin { signal, may_end_at, forward_at, kill_at } => {
                self.readiness.stop(&self.family);
                let our_peers = self.rehearsal.stop(received.is_some(), &self.family);
                self.watched.rules.ignored_peers.extend(our_peers);
                let sender = received.map(sender);
                self.record(Step::Began { signal, sender, may_end_at, forward_at, kill_at }, now);
                if now < forward_at {
                    let times = Times { began_at: now, may_end_at, ends_at: forward_at };
                    let helpers = self.family.helper_pids();
                    self.watch = Some(Box::new(Watch::begin(&self.watched, &helpers, times)));
                    self.kill_at = kill_at;
                }
            }
            Action::StartOnStop => {
                self.tasks.add_on_stop();
                self.start_tasks(now);
            }
            Action::Note(note) => {
                let Some(received) = received else { return ControlFlow::Continue(()) };
                let (signal, sender) = (received.signal, Some(sender(received)));
                self.record(Step::Noted { signal, sender, note }, now);
            }
            Action::Forward { signal, why } => return self.forward_stop(signal, why, now),
            Action::Drop { signal, why } => self.record(Step::Dropped { signal, why }, now),
            Action::Sweep { signal, kill_at } => {
                let (swept, looked) = self.family.sweep(signal, now);
                if !swept.is_empty() {
                    self.record(Step::Swept { signal, swept, kill_at }, now);
                }
                return self.handle(Event::Looked(looked), None, now);
            }
            Action::LookForStandIns => {
                let (names, looked) = self.family.look_for_stand_ins(now);
                self.record_passed_on(names, false, now);
                return self.handle(Event::Looked(looked), None, now);
            }
            Action::LookForLeftovers => {
                let (names, looked) = self.family.look_for_leftovers(now);
                self.record_passed_on(names, true, now);
                return self.handle(Event::Looked(looked), None, now);
            }
            Action::LastCall => {
                let names = self.family.last_call(now);
                self.record_passed_on(names, false, now);
            }
            Action::KillAll { with_app } => self.kill_all(with_app, now),
            Action::GiveUp => self.record(Step::GaveUp { names: self.family.left() }, now),
            Action::Suspend(signal) => self.on_tty(|tty, group| tty.suspend(group, signal)),
            Action::Resume(signal) => self.on_tty(|tty, group| tty.resume(group, signal)),
            Action::StartOnExit(ending) => {
                self.end_watch(now);
                self.journal.correct_killed(self.family.killed());
                self.journal.judge(ending, self.rehearsal.rehearsed());
                self.tasks.add_on_exit();
                self.start_tasks(now);
            }
            Action::Exit(ending) => return ControlFlow::Break(ending),
        }
        ControlFlow::Continue(())
    }

    fn forward_stop(&mut self, signal: Signal, why: Why, now: Instant) -> Flow {
        self.watch.iter_mut().for_each(|watch| watch.stop());
        self.rehearsal.forwarding(&self.family);
        let (target, looked) = self.family.forward_stop(signal, now);
        self.rehearsal.forwarded(&self.family);
        self.record(Step::Forwarded { signal, why, target }, now);
        self.handle(Event::Looked(looked), None, now)
    }

    /// Forwards a signal that is no stop signal.
    pub(super) fn pass(
        &mut self,
        signal: Signal,
        received: Option<Received>,
        now: Instant,
    ) -> Flow {
        let by_kernel = received.is_some_and(|received| received.origin == Origin::Kernel);
        let outside = received.filter(Received::is_from_outside).map(|received| received.signal);
        if outside.is_some() {
            self.undeclared.came(signal, &self.journal, now);
        }
        let (target, looked) = self.family.forward(signal, by_kernel, now);
        let maybe_stop = outside.filter(|signal| self.family.main_may_exit_on(*signal));
        self.journal.note_passed(signal, maybe_stop, now);
        // Mostly it is neither, and to make a step costs more than to forward the signal.
        let is_said = self.journal.logs_details() || signal == Signal::KILL;
        if is_said || !matches!(target, Target::Main(_)) {
            self.record(Step::Forwarded { signal, why: Why::Passing, target }, now);
        }
        let goes_on = ControlFlow::Continue(());
        looked.map_or(goes_on, |looked| self.handle(Event::Looked(looked), None, now))
    }

    fn record_passed_on(&mut self, names: Vec<Name>, left_over: bool, now: Instant) {
        if !names.is_empty() {
            self.record(Step::PassedOn { names, left_over }, now);
        }
    }

    fn kill_all(&mut self, of_app: bool, now: Instant) {
        if let Some(Kill { names, trap_pending }) = self.family.kill_all(now) {
            self.record(Step::Killed { names, trap_pending, of_app }, now);
            self.journal.record_open_at_kill(self.last_look.as_ref().and_then(LastLook::found));
        }
        for task in self.tasks.queue.cancel().collect::<Vec<Task>>() {
            self.record(Step::NotRun(task), now);
        }
        self.readiness.close();
        // Where nothing is left, no child will wake us with its end.
        if reap::none_left() {
            self.reap_at = Some(now);
        }
    }
}
