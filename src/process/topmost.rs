//! Who is to hear a stop signal: what is topmost, once each, and what becomes topmost when one of
//! them ends.
//!
//! *Topmost* is the main child, and what became our child because its parent ended. A master so has its
//! workers to itself while it lives, and a relay passes on what it got. A process that does nothing
//! with the signal passes it through: its children get it too, by the same rule.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::process::filter::{Filters, Role};
use crate::process::proc::{self, Process, Signals};
use crate::process::send::{Sent, send};
use crate::process::shell::{self, Conduct};
use crate::process::target::{Name, Reason};
use crate::shutdown::ending::Ending;
use crate::shutdown::event::Looked;
use crate::signal::Signal;
use crate::sorted::SortedSet;

/// A process that blocks a signal and has not taken it after this long does nothing with it.
const TAKEN_WITHIN: Duration = Duration::from_millis(100);

/// Those to whom a signal was passed on may end, and leave us their children, without a word.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// A process that has been signalled.
#[expect(clippy::struct_excessive_bools, reason = "four facts, each by itself")]
struct Record {
    process: Process,
    role: Role,
    /// None where it got the signal as a member of a group.
    signal: Option<Signal>,
    /// What stands behind it when it ends was run by it for the app: a shell, or a relay.
    runs_the_app: bool,
    /// It is our child, which nobody else reaps.
    is_child: bool,
    refused: bool,
    /// It does nothing with the signal itself.
    passes_through: bool,
    /// It blocks the signal, and may take it late: until then it counts as one that acts.
    blocked_until: Option<Instant>,
    /// Whether it has taken it is looked at then.
    look_at: Option<Instant>,
}

/// What a look did.
#[derive(Default)]
pub struct Look {
    pub signalled: Vec<Name>,
    /// Those that had the signal already, as members of the main child's group.
    pub signalled_before: Vec<Name>,
    pub refused: Vec<Name>,
    pub looked: Looked,
    /// Those whose children are to get the signal too.
    through: Vec<(i32, Role, Signal)>,
}

/// Those who have been signalled, and those whose turn comes later.
#[derive(Default)]
pub struct Topmost {
    /// By their pids.
    records: HashMap<i32, Record>,
    filters: Filters,
    /// Children of ours that are neither the app nor stand for it: daemons.
    daemons: SortedSet<i32>,
    /// Since the last look a process ended that ran others for the app.
    relay_ended: bool,
    /// No look goes on beyond it: SIGKILL is due.
    until: Option<Instant>,
}

/// How a process takes a signal.
enum Reaction {
    Acts(Reason),
    PassesThrough(Reason),
    /// Nobody knows before some time has passed.
    Blocks,
}

impl Topmost {
    /// Looks go on until then at most, when SIGKILL is due: each takes its time, and more than its time
    /// where the CPU is scarce. Who is not signalled for that is about to be killed.
    pub fn look_until(&mut self, until: Option<Instant>) {
        self.until = until;
    }

    /// Forgets who was signalled.
    pub fn forget(&mut self) {
        *self = Topmost { until: self.until, ..Topmost::default() };
    }

    /// A stop signal is about to be forwarded, once more perhaps: who was signalled before is to be
    /// signalled again. What else is our child by now does not stand for the app.
    pub fn begin(&mut self, children: &[i32]) {
        if self.records.is_empty() {
            self.daemons = children.iter().copied().collect();
        }
        self.records.retain(|_, record| record.role == Role::Leftover);
        self.filters.clear();
    }

    /// Signals the main child, and passes the signal through it if it does nothing with it. Returns
    /// why the main child was chosen or passed through, and who else has it.
    pub fn signal_main(
        &mut self,
        main: &Process,
        signal: Signal,
        now: Instant,
    ) -> (Reason, Vec<Name>) {
        let mut look = Look::default();
        let writers = self.filters.wait_for_children(main, signal);
        if !writers.is_empty() {
            for writer in self.filters.hold_back(writers, &[], Role::StandIn, signal, self.until) {
                self.signal(&writer, Role::StandIn, signal, now, &mut look);
            }
            return (Reason::Filter, look.signalled);
        }
        let reason = self.signal(main, Role::Main, signal, now, &mut look);
        look.signalled.retain(|name| name.pid != main.pid);
        (reason, look.signalled)
    }

    /// Records that the main child got a signal without this rule, and continues it if it is stopped.
    pub fn record_main(&mut self, main: &Process, signal: Signal) {
        continue_stopped(main);
        let runs_the_app = shell::of(main.pid).is_some();
        self.record(main, Role::Main, Some(signal), runs_the_app);
    }

    /// Signals those that have become topmost, and those whose time has come. In the role of a
    /// leftover that is each that was not signalled; of a stand-in only those that a shell or a relay
    /// has left.
    pub fn look(
        &mut self,
        topmost: &[i32],
        role: Role,
        signal: Signal,
        has_it: impl Fn(&Process) -> bool,
        now: Instant,
    ) -> Look {
        let mut look = Look::default();
        self.forget_the_dead(topmost);
        let relay_ended = std::mem::take(&mut self.relay_ended);
        let mut due = Vec::new();
        let until = self.until;
        for pid in topmost.iter().take_while(|_| !proc::is_over(until)) {
            if self.records.contains_key(pid) || self.filters.have(*pid) {
                continue;
            }
            if role == Role::StandIn && (!relay_ended || self.daemons.contains(*pid)) {
                self.daemons.insert(*pid);
                continue;
            }
            match Process::read(*pid).filter(|process| !process.zombie) {
                Some(process) if has_it(&process) => {
                    continue_stopped(&process);
                    look.signalled_before.push(Name::from(&process));
                    self.record(&process, role, None, false);
                }
                Some(process) => due.push(process),
                None => {}
            }
        }
        let writers = self.living();
        for process in self.filters.hold_back(due, &writers, role, signal, until) {
            self.signal(&process, role, signal, now, &mut look);
        }
        self.look_at_blocked(signal, now, &mut look);
        for (process, role, signal) in self.filters.take_due(&self.living(), now, until) {
            self.signal(&process, role, signal, now, &mut look);
        }
        look.looked = self.looked(topmost, now);
        look
    }

    fn looked(&self, topmost: &[i32], now: Instant) -> Looked {
        let records = || topmost.iter().filter_map(|pid| self.records.get(pid));
        let blocked_at = self.records.values().filter_map(|record| record.look_at).min();
        // Those that are not our children may end, and leave us theirs, without a word.
        let passed_on = self.records.len() > records().count();
        let passed_at = passed_on.then(|| now + BETWEEN_LOOKS);
        let refused = records().filter(|record| record.refused).count();
        let nobody_else = self.records.values().all(|r| r.refused || r.passes_through);
        // What ignores the signal, and runs nobody who acts on it, would be there for ever.
        let may_act = |r: &Record| !r.passes_through || r.blocked_until.is_some_and(|at| at > now);
        let drains = |r: &Record| r.role == Role::StandIn && !r.refused && may_act(r);
        Looked {
            stand_ins: self.filters.stand_for_the_app() || self.records.values().any(drains),
            only_refused: refused > 0 && refused == topmost.len() && nobody_else,
            // A look takes a millisecond where 3,000 children are there.
            pause: Duration::from_micros(50) * topmost.len() as u32,
            again_at: blocked_at
                .into_iter()
                .chain(self.filters.look_at(now))
                .chain(passed_at)
                .min(),
        }
    }

    /// What there is to look at later, after the main child was signalled.
    pub fn looked_after_main(&self, main: i32, now: Instant) -> Looked {
        self.looked(&[main], now)
    }

    /// A child of ours has been reaped. Returns its name if it stood for the app.
    pub fn reaped(&mut self, pid: i32, ending: Ending) -> Option<Name> {
        self.daemons.remove(pid);
        self.filters.reaped(pid);
        let record = self.records.remove(&pid)?;
        let of_signal = record.signal.is_some_and(|signal| ending == Ending::Signaled(signal));
        self.relay_ended |= record.role != Role::Leftover && (record.runs_the_app || of_signal);
        (record.role == Role::StandIn).then(|| Name::from(&record.process))
    }

    /// Sends SIGTERM to those among these that were sent nothing so far, or another signal with which they
    /// do nothing.
    pub fn last_call(
        &mut self,
        left: &[Process],
        has_it: impl Fn(&Process) -> bool,
        now: Instant,
    ) -> Vec<Name> {
        let mut look = Look::default();
        self.filters.clear();
        for process in left {
            match self.records.get(&process.pid) {
                Some(record) if record.passes_through && record.signal != Some(Signal::TERM) => {
                    self.terminate(process.pid, &mut look);
                }
                None if !has_it(process) => {
                    self.signal(process, Role::Leftover, Signal::TERM, now, &mut look);
                }
                Some(_) | None => {}
            }
        }
        look.signalled
    }

    /// Those of our children that stand for the main child.
    pub fn stand_ins(&self, topmost: &[i32]) -> Vec<Process> {
        let records = topmost.iter().filter_map(|pid| self.records.get(pid));
        let stand_ins = records.filter(|record| record.role == Role::StandIn);
        stand_ins.map(|record| record.process.clone()).collect()
    }

    /// Whether it was signalled, or is to be later.
    pub fn has(&self, pid: i32) -> bool {
        self.records.contains_key(&pid) || self.filters.have(pid)
    }

    fn record(
        &mut self,
        process: &Process,
        role: Role,
        signal: Option<Signal>,
        runs_the_app: bool,
    ) {
        let record = Record {
            process: process.clone(),
            role,
            signal,
            runs_the_app,
            is_child: process.parent == std::process::id() as i32,
            refused: false,
            passes_through: false,
            blocked_until: None,
            look_at: None,
        };
        self.records.insert(process.pid, record);
    }

    /// Those that were not our children are reaped by others. A shell among them may have left us what
    /// it ran.
    fn forget_the_dead(&mut self, topmost: &[i32]) {
        // The pid of a child of ours is its own until we reap it.
        if self.records.values().all(|record| record.is_child) {
            return;
        }
        let ours: SortedSet<i32> = topmost.iter().copied().collect();
        let (mut relay_ended, until) = (false, self.until);
        self.records.retain(|pid, record| {
            if record.is_child || proc::is_over(until) {
                return true;
            }
            let is_it = Process::read(*pid).filter(|now| now.started == record.process.started);
            record.is_child = is_it.is_some() && ours.contains(*pid);
            let lives = record.is_child || is_it.is_some_and(|now| !now.zombie);
            relay_ended |= !lives && record.runs_the_app && record.role != Role::Leftover;
            lives
        });
        self.relay_ended |= relay_ended;
    }

    /// Sends a signal to one process, and to its children if it does nothing with it, and so on down.
    fn signal(
        &mut self,
        process: &Process,
        role: Role,
        signal: Signal,
        now: Instant,
        look: &mut Look,
    ) -> Reason {
        let reason = self.signal_one(process, role, signal, now, look);
        self.pass_on(now, look);
        reason
    }

    /// Signals the children of those who pass the signal through. A list and no recursion: a chain of
    /// processes can be as long as it likes.
    fn pass_on(&mut self, now: Instant, look: &mut Look) {
        while let Some((pid, role, signal)) = look.through.pop() {
            let role = if role == Role::Main { Role::StandIn } else { role };
            for child in proc::children(pid).into_iter().filter_map(Process::read) {
                if proc::is_over(self.until) {
                    return;
                }
                if !child.zombie && !self.has(child.pid) {
                    self.signal_one(&child, role, signal, now, look);
                }
            }
        }
    }

    fn signal_one(
        &mut self,
        process: &Process,
        role: Role,
        signal: Signal,
        now: Instant,
        look: &mut Look,
    ) -> Reason {
        if role != Role::Main && proc::is_over(self.until) {
            return Reason::NoShell;
        }
        let signals = proc::signals(process.pid).unwrap_or_default();
        // Of leftovers there may be thousands. A shell that does not catch the signal ends of it anyway.
        let matters = role != Role::Leftover || signals.caught.contains(signal);
        let shell = matters.then(|| shell::of(process.pid)).flatten();
        // A stand-in that knows no other signal knows SIGTERM.
        let signal = match role {
            Role::Main => signal,
            _ if signal == Signal::TERM || minds(process.pid, &signals, signal) => signal,
            _ => Signal::TERM,
        };
        let name = Name::from(process);
        let sent = send(process, signal);
        self.record(process, role, Some(signal), shell.is_some());
        match sent {
            Sent::Gone => return Reason::NoShell,
            Sent::Refused => {
                look.refused.push(name);
                if let Some(record) = self.records.get_mut(&process.pid) {
                    record.refused = true;
                }
                look.through.push((process.pid, role, signal));
                return Reason::Refused;
            }
            Sent::Yes => look.signalled.push(name),
        }
        continue_stopped(process);
        match reaction(process.pid, shell, &signals, signal) {
            Reaction::Acts(reason) => reason,
            Reaction::PassesThrough(reason) => {
                if let Some(record) = self.records.get_mut(&process.pid) {
                    record.passes_through = true;
                }
                look.through.push((process.pid, role, signal));
                reason
            }
            Reaction::Blocks => {
                if let Some(record) = self.records.get_mut(&process.pid) {
                    record.look_at = Some(now + TAKEN_WITHIN);
                    record.blocked_until = Some(now + BETWEEN_LOOKS + BETWEEN_LOOKS);
                }
                Reason::NoShell
            }
        }
    }

    /// Sends SIGTERM to one that did nothing with the signal that it got.
    fn terminate(&mut self, pid: i32, look: &mut Look) {
        if let Some(record) = self.records.get_mut(&pid)
            && send(&record.process, Signal::TERM) == Sent::Yes
        {
            (record.signal, record.look_at) = (Some(Signal::TERM), None);
            record.passes_through = false;
            look.signalled.push(Name::from(&record.process));
        }
    }

    /// Those that were signalled and act on it.
    fn living(&self) -> Vec<i32> {
        let acts = |record: &Record| !record.refused && !record.passes_through;
        self.records.iter().filter(|(_, record)| acts(record)).map(|(pid, _)| *pid).collect()
    }

    /// Passes the signal through those that have not taken it in time.
    fn look_at_blocked(&mut self, asked: Signal, now: Instant, look: &mut Look) {
        let mut through = Vec::new();
        for record in self.records.values_mut() {
            if record.look_at.take_if(|at| *at <= now).is_none() {
                continue;
            }
            let signal = record.signal.unwrap_or(asked);
            let signals = proc::signals(record.process.pid);
            let is_pending = signals.is_some_and(|signals| signals.pending.contains(signal));
            if is_pending && !record.passes_through {
                (record.passes_through, record.runs_the_app) = (true, true);
                through.push((record.process.pid, record.role, signal));
            }
            record.passes_through &= is_pending;
            record.look_at = is_pending.then(|| now + BETWEEN_LOOKS);
        }
        for (pid, role, signal) in through {
            let before = self.records.len();
            look.through.push((pid, role, signal));
            self.pass_on(now, look);
            // It runs nobody who could act in its place.
            if self.records.len() == before && signal != Signal::TERM {
                self.terminate(pid, look);
            }
        }
    }
}

/// Whether a process does something of its own with a signal.
fn minds(pid: i32, signals: &Signals, signal: Signal) -> bool {
    signals.caught.contains(signal)
        || signals.blocked.contains(signal)
        || proc::waits_for_signals(pid)
}

fn reaction(pid: i32, shell: Option<&'static str>, signals: &Signals, signal: Signal) -> Reaction {
    let ignored = signals.ignored.contains(signal)
        || signal.is_ignored_by_default() && !signals.caught.contains(signal);
    // What is blocked or waited for is taken, though it be ignored.
    if ignored && !signals.blocked.contains(signal) && !proc::waits_for_signals(pid) {
        return Reaction::PassesThrough(Reason::Ignored);
    }
    match shell {
        Some(shell) => match shell::conduct(shell, signal, signals.caught.contains(signal)) {
            Conduct::Trap => Reaction::Acts(Reason::ShellWithTrap(shell)),
            Conduct::End => Reaction::Acts(Reason::ShellWithoutTrap(shell)),
            Conduct::Nothing => Reaction::PassesThrough(Reason::OpaqueShell(shell)),
        },
        None if signals.blocked.contains(signal) => Reaction::Blocks,
        None => Reaction::Acts(Reason::NoShell),
    }
}

/// Continues a process that is stopped, so that it can act on the signal that it got.
fn continue_stopped(process: &Process) {
    if process.stopped {
        send(process, Signal::CONT);
    }
}

/// Forwards a signal that asks for no stop: not to a shell that would end of it while it runs
/// something, but to what it runs, and so on down. Returns whether the process itself got it.
pub fn forward_past_shells(pid: i32, signal: Signal, reached: &mut Vec<Name>) -> bool {
    let mut pids = vec![pid];
    while let Some(pid) = pids.pop() {
        let Some(process) = Process::read(pid).filter(|process| !process.zombie) else {
            continue;
        };
        let signals = proc::signals(pid).unwrap_or_default();
        let caught = signals.caught.contains(signal);
        let conduct = shell::of(pid).map(|shell| shell::conduct(shell, signal, caught));
        let runs = match conduct {
            Some(Conduct::End | Conduct::Nothing) => proc::children(pid),
            Some(Conduct::Trap) | None => Vec::new(),
        };
        let would_end = conduct == Some(Conduct::End)
            && !signals.ignored.contains(signal)
            && !signal.is_harmless();
        let spared = would_end && !runs.is_empty();
        if !spared && send(&process, signal) == Sent::Yes {
            reached.push(Name::from(&process));
        }
        pids.extend(runs);
    }
    reached.iter().any(|name| name.pid == pid)
}
