//! The tasks, one after the other: which one runs, for how long it may, and how it went. Time is a
//! parameter; nothing is started, signalled or read in here.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::shutdown::ending::Ending;
use crate::signal::Signal;
use crate::span::Span;
use crate::tasks::answer;
use crate::tasks::task::{Done, QUIT_TIMEOUT, TIME_TO_END, TIME_TO_RESOLVE, Task};

/// The tasks that wait, and the one that runs.
#[derive(Debug)]
pub struct Queue {
    hook_timeout: Duration,
    waiting: VecDeque<Task>,
    running: Option<Running>,
    /// Tasks were added, and [`Queue::have_ended`] has not reported the end of all since.
    end_unreported: bool,
}

#[derive(Debug)]
struct Running {
    task: Task,
    began_at: Instant,
    stage: Stage,
}

/// What is next for the task that runs.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// It may run until then.
    InTime { until: Instant },
    /// It was sent SIGTERM, and is sent SIGKILL at this time.
    Terminated { kill_at: Instant },
    /// It was sent SIGKILL, and is waited for until this time.
    Killed { give_up_at: Instant },
}

impl Queue {
    /// Each hook may take this long.
    pub fn new(hook_timeout: Duration) -> Queue {
        Queue { hook_timeout, waiting: VecDeque::new(), running: None, end_unreported: false }
    }

    /// Adds what is to be run after all that waits already.
    pub fn add(&mut self, tasks: impl IntoIterator<Item = Task>) {
        self.waiting.extend(tasks);
        self.end_unreported |= !self.waiting.is_empty();
    }

    /// What is to be started now.
    pub fn take_next(&mut self) -> Option<Task> {
        if self.running.is_some() { None } else { self.waiting.pop_front() }
    }

    /// The task was started, and runs now.
    pub fn started(&mut self, task: Task, now: Instant) {
        let limit = match task {
            Task::Hook(..) => self.hook_timeout,
            Task::Quit(_) => QUIT_TIMEOUT + TIME_TO_RESOLVE,
        };
        let stage = Stage::InTime { until: now + limit };
        self.running = Some(Running { task, began_at: now, stage });
    }

    /// Drops the tasks that wait, and returns them.
    pub fn cancel(&mut self) -> impl Iterator<Item = Task> {
        self.waiting.drain(..)
    }

    /// When [`Queue::on_deadline`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        match self.running.as_ref()?.stage {
            Stage::InTime { until: at }
            | Stage::Terminated { kill_at: at }
            | Stage::Killed { give_up_at: at } => Some(at),
        }
    }

    /// The signal that is to be sent to the group of the task that runs, if its time is over.
    pub fn on_deadline(&mut self, now: Instant) -> Option<Signal> {
        self.deadline().filter(|at| *at <= now)?;
        let running = self.running.as_mut()?;
        let at = now + TIME_TO_END;
        let (signal, stage) = match (running.stage, &running.task) {
            (Stage::Killed { .. }, _) => return None,
            (Stage::InTime { .. }, Task::Hook(..)) => {
                (Signal::TERM, Stage::Terminated { kill_at: at })
            }
            _ => (Signal::KILL, Stage::Killed { give_up_at: at }),
        };
        running.stage = stage;
        Some(signal)
    }

    /// The task that is waited for no longer, for it survived SIGKILL: it hangs in the kernel, or is
    /// another user's.
    pub fn given_up(&mut self, now: Instant) -> Option<Done> {
        let Running { task, began_at, .. } = self.running.take_if(
            |running| matches!(running.stage, Stage::Killed { give_up_at } if give_up_at <= now),
        )?;
        let how = Err("was not ended by SIGKILL, and is left alone".into());
        Some(Done { task, how, took: now.saturating_duration_since(began_at) })
    }

    /// The task that ran has ended, with this output: of a hook why it could not run its command, of
    /// a request the status or why there is none.
    pub fn ended(&mut self, ending: Ending, output: String, now: Instant) -> Option<Done> {
        let Running { task, began_at, stage } = self.running.take()?;
        let late = !matches!(stage, Stage::InTime { .. });
        let how = match (&task, ending) {
            (Task::Quit(request), Ending::Exited(0)) => answer::to_quit(request, &output),
            _ if !output.is_empty() => Err(output),
            // It had not done its work when it was sent SIGTERM, whatever its ending was.
            (Task::Hook(..), _) if late => {
                let limit = Span(self.hook_timeout);
                Err(format!("{ending}, for its --hook-timeout of {limit} was over"))
            }
            (Task::Hook(..), Ending::Exited(0)) => Ok(ending.to_string()),
            (Task::Quit(_), _) if late => Err("no answer".into()),
            _ => Err(ending.to_string()),
        };
        Some(Done { task, how, took: now.saturating_duration_since(began_at) })
    }

    /// Whether all tasks that were added have ended; true once for each time that some were added.
    pub fn have_ended(&mut self) -> bool {
        let all = self.running.is_none() && self.waiting.is_empty();
        all && std::mem::take(&mut self.end_unreported)
    }
}

#[cfg(test)]
mod tests;
