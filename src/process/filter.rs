//! Filters: what reads from a FIFO to which others write that have been signalled. A filter ends by itself
//! when they have ended, and is not to end before them (`app | tee log`).

use std::time::{Duration, Instant};

use crate::process::proc::{self, Fifo, Process};
use crate::signal::Signal;

/// How long a filter has to see the end of its input, before it is signalled itself.
const TIME_TO_SEE_THE_END: Duration = Duration::from_secs(1);

/// How often it is looked whether somebody still writes to a filter.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// More filters than this at once are signalled as others are.
const MAX_FILTERS: usize = 32;

/// So many descriptors are looked at in one search for those who write to filters.
const MAX_DESCRIPTORS: usize = 4096;

/// What a process is to us that has been signalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Main,
    /// It stands for the main child, which was a shell or a relay and has ended.
    StandIn,
    /// It outlives the app.
    Leftover,
}

/// A filter whose turn comes after that of those who write to it.
struct Filter {
    process: Process,
    role: Role,
    signal: Signal,
    fifo: Fifo,
    /// Since then nobody who is to end before it writes to it.
    alone_since: Option<Instant>,
}

/// The filters that are to be signalled later.
#[derive(Default)]
pub struct Filters(Vec<Filter>);

impl Filters {
    /// Nobody waits any more.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether this process waits.
    pub fn have(&self, pid: i32) -> bool {
        self.0.iter().any(|filter| filter.process.pid == pid)
    }

    /// This process has ended.
    pub fn reaped(&mut self, pid: i32) {
        self.0.retain(|filter| filter.process.pid != pid);
    }

    /// Whether one that waits is the app, or stands for it.
    pub fn stand_for_the_app(&self) -> bool {
        self.0.iter().any(|filter| filter.role != Role::Leftover)
    }

    /// When to look at them again.
    pub fn look_at(&self, now: Instant) -> Option<Instant> {
        let at = |filter: &Filter| match filter.alone_since {
            Some(since) => since + TIME_TO_SEE_THE_END,
            None => now + BETWEEN_LOOKS,
        };
        self.0.iter().map(at).min()
    }

    /// Lets the main child wait if children of its own write to it, as to the last command of a pipeline
    /// in yash. Returns them, and those that write to them in turn.
    pub fn wait_for_children(&mut self, main: &Process, signal: Signal) -> Vec<Process> {
        let ours = proc::fifo_input(std::process::id() as i32);
        let Some(fifo) = input(main, ours) else { return Vec::new() };
        let mut descriptors = MAX_DESCRIPTORS;
        let mut children: Vec<Process> =
            proc::children(main.pid).into_iter().filter_map(Process::read).collect();
        let (mut fifos, mut pipeline) = (vec![fifo], Vec::new());
        while let Some(fifo) = fifos.pop() {
            let is_writer =
                |child: &mut Process| proc::writes_to(child.pid, fifo, &mut descriptors);
            for writer in children.extract_if(.., is_writer).collect::<Vec<_>>() {
                fifos.extend(input(&writer, ours));
                pipeline.push(writer);
            }
        }
        if !pipeline.is_empty() {
            self.wait(main.clone(), Role::Main, signal, fifo);
        }
        pipeline
    }

    fn wait(&mut self, process: Process, role: Role, signal: Signal, fifo: Fifo) {
        self.0.push(Filter { process, role, signal, fifo, alone_since: None });
    }

    /// Takes the filters out of those whose turn it is, and returns the others. The writers are those
    /// that were signalled. In a circle, as of coprocesses, there is no first, so none waits. The search
    /// for them is broken off at `until`.
    pub fn hold_back(
        &mut self,
        due: Vec<Process>,
        writers: &[i32],
        role: Role,
        signal: Signal,
        until: Option<Instant>,
    ) -> Vec<Process> {
        let ours = proc::fifo_input(std::process::id() as i32);
        let inputs: Vec<Option<Fifo>> = due.iter().map(|process| input(process, ours)).collect();
        // Where there are many the search would take too long.
        if !(1..=MAX_FILTERS).contains(&inputs.iter().flatten().count()) {
            return due;
        }
        let mut descriptors = MAX_DESCRIPTORS;
        let pids: Vec<i32> = due.iter().map(|process| process.pid).collect();
        let all = || writers.iter().chain(&pids).copied();
        let mut writers_to = |reader: i32, fifo: Fifo| -> Vec<i32> {
            let others = all().filter(|pid| *pid != reader);
            let in_time = others.take_while(|_| !proc::is_over(until));
            in_time.filter(|pid| proc::writes_to(*pid, fifo, &mut descriptors)).collect()
        };
        let edges: Vec<(i32, Option<Vec<i32>>)> = pids
            .iter()
            .zip(&inputs)
            .map(|(pid, fifo)| (*pid, fifo.map(|fifo| writers_to(*pid, fifo))))
            .collect();
        let waiting = waiting(writers, &edges);
        let mut ready = Vec::new();
        for (process, fifo) in due.into_iter().zip(inputs) {
            match fifo.filter(|_| waiting.contains(&process.pid)) {
                Some(fifo) => self.wait(process, role, signal, fifo),
                None => ready.push(process),
            }
        }
        ready
    }

    /// Takes out those that have had the time to see the end of their input. The search for who writes
    /// to them is broken off at `until`.
    pub fn take_due(
        &mut self,
        writers: &[i32],
        now: Instant,
        until: Option<Instant>,
    ) -> Vec<(Process, Role, Signal)> {
        let mut descriptors = MAX_DESCRIPTORS;
        let pids: Vec<i32> = self.0.iter().map(|filter| filter.process.pid).collect();
        let mut due = Vec::new();
        for mut filter in std::mem::take(&mut self.0) {
            if !filter.process.is_still_there() {
                continue;
            }
            let mut others = writers.iter().chain(&pids).filter(|pid| **pid != filter.process.pid);
            let has_writer = others.any(|pid| {
                !proc::is_over(until) && proc::writes_to(*pid, filter.fifo, &mut descriptors)
            });
            filter.alone_since = filter.alone_since.or(Some(now)).filter(|_| !has_writer);
            match filter.alone_since {
                Some(since) if since + TIME_TO_SEE_THE_END <= now => {
                    due.push((filter.process, filter.role, filter.signal));
                }
                _ => self.0.push(filter),
            }
        }
        due
    }
}

/// Those of the readers who wait. Each has those who write to it: none of them where it reads from no
/// FIFO. A reader waits for somebody who was signalled, who reads nothing, or who waits by right; and to
/// see the end of its input if nobody writes any more.
fn waiting(signalled: &[i32], readers: &[(i32, Option<Vec<i32>>)]) -> Vec<i32> {
    let mut first = signalled.to_vec();
    first.extend(readers.iter().filter(|(_, writers)| writers.is_none()).map(|(pid, _)| *pid));
    let mut waiting = Vec::new();
    loop {
        let next = readers.iter().find(|(pid, writers)| {
            let ends = |writers: &Vec<i32>| {
                writers.is_empty() || writers.iter().any(|writer| first.contains(writer))
            };
            !waiting.contains(pid) && writers.as_ref().is_some_and(ends)
        });
        let Some((pid, _)) = next else { return waiting };
        waiting.push(*pid);
        first.push(*pid);
    }
}

/// The FIFO that a process has as its input, unless that is ours too.
fn input(process: &Process, ours: Option<Fifo>) -> Option<Fifo> {
    proc::fifo_input(process.pid).filter(|fifo| ours != Some(*fifo))
}

#[cfg(test)]
mod tests;
