//! What is run beside the app, one after the other: hooks, and the requests that tell a sidecar to
//! quit. Time is a parameter, and nothing is started or signalled in here.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use crate::http::url::Request;
use crate::process::helper::Words;
use crate::shutdown::Ending;
use crate::shutdown::plan::Span;
use crate::signal::Signal;
use crate::tasks::hook::{Hook, Occasion};
use crate::tasks::sidecar;

/// From SIGTERM to SIGKILL, for a hook that has used up its time; and from there until we wait for it
/// no longer.
pub const TIME_TO_END: Duration = Duration::from_secs(1);

/// One thing to be run.
#[derive(Clone, Debug)]
pub enum Task {
    Hook(Occasion, Hook),
    /// Tells a sidecar to quit.
    Quit(Request),
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Task::Hook(occasion, hook) => write!(f, "{occasion} hook {hook}"),
            Task::Quit(request) => write!(f, "{request}"),
        }
    }
}

/// How a task went.
#[derive(Debug)]
pub struct Done {
    pub task: Task,
    pub how: Result<String, String>,
    pub took: Duration,
}

/// The tasks that wait, and the one that runs.
pub struct Tasks {
    hook_timeout: Duration,
    waiting: VecDeque<Task>,
    running: Option<Running>,
    /// All have ended, and nobody knows yet.
    news: bool,
}

struct Running {
    task: Task,
    words: Words,
    began_at: Instant,
    patience: Patience,
}

/// How long there is patience with the task that runs, and whether it has been told to end.
#[derive(Clone, Copy)]
enum Patience {
    Until(Instant),
    Told { kill_at: Instant },
    Killed { give_up_at: Instant },
}

impl Tasks {
    pub fn new(hook_timeout: Duration) -> Tasks {
        Tasks { hook_timeout, waiting: VecDeque::new(), running: None, news: false }
    }

    /// Adds what is to be run after all that waits already.
    pub fn add(&mut self, tasks: impl IntoIterator<Item = Task>) {
        self.waiting.extend(tasks);
        self.news |= !self.waiting.is_empty();
    }

    /// What is to be started now.
    pub fn next(&mut self) -> Option<Task> {
        if self.running.is_some() { None } else { self.waiting.pop_front() }
    }

    /// It runs now.
    pub fn started(&mut self, task: Task, words: Words, now: Instant) {
        let limit = match task {
            Task::Hook(..) => self.hook_timeout,
            Task::Quit(_) => sidecar::QUIT_PATIENCE + sidecar::TIME_TO_RESOLVE,
        };
        let patience = Patience::Until(now + limit);
        self.running = Some(Running { task, words, began_at: now, patience });
    }

    /// Nothing more is started.
    pub fn cancel(&mut self) -> impl Iterator<Item = Task> {
        self.waiting.drain(..)
    }

    /// When [`Tasks::passed`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        match self.running.as_ref()?.patience {
            Patience::Until(at)
            | Patience::Told { kill_at: at }
            | Patience::Killed { give_up_at: at } => Some(at),
        }
    }

    /// Time has passed: what the group of the task that runs is to be sent, if anything.
    pub fn passed(&mut self, now: Instant) -> Option<Signal> {
        self.deadline().filter(|at| *at <= now)?;
        let running = self.running.as_mut()?;
        let at = now + TIME_TO_END;
        let (signal, patience) = match (running.patience, &running.task) {
            (Patience::Killed { .. }, _) => return None,
            (Patience::Until(_), Task::Hook(..)) => (Signal::TERM, Patience::Told { kill_at: at }),
            _ => (Signal::KILL, Patience::Killed { give_up_at: at }),
        };
        running.patience = patience;
        Some(signal)
    }

    /// What we wait for no longer, for not even SIGKILL has ended it: it hangs in the kernel, or is
    /// another user's.
    pub fn given_up(&mut self, now: Instant) -> Option<Done> {
        let Running { task, began_at, .. } = self.running.take_if(|running| {
            matches!(running.patience, Patience::Killed { give_up_at } if give_up_at <= now)
        })?;
        let how = Err("was not ended by SIGKILL, and is left alone".into());
        Some(Done { task, how, took: now.saturating_duration_since(began_at) })
    }

    /// What ran has ended.
    pub fn ended(&mut self, ending: Ending, now: Instant) -> Option<Done> {
        let Running { task, mut words, began_at, patience } = self.running.take()?;
        let words = words.read();
        let late = !matches!(patience, Patience::Until(_));
        let how = match (&task, ending) {
            // It never became its command.
            (Task::Hook(..), _) if !words.is_empty() => Err(words),
            // Whatever it ended with: it had not done its work when it was told to end.
            (Task::Hook(..), _) if late => {
                let limit = Span(self.hook_timeout);
                Err(format!("{ending}, for its --hook-timeout of {limit} was over"))
            }
            (Task::Hook(..), Ending::Exited(0)) => Ok(ending.to_string()),
            (Task::Hook(..), _) => Err(ending.to_string()),
            (Task::Quit(request), Ending::Exited(0)) => sidecar::answer(request, &words),
            (Task::Quit(_), _) if !words.is_empty() => Err(words),
            (Task::Quit(_), _) if late => Err("no answer".into()),
            (Task::Quit(_), _) => Err(ending.to_string()),
        };
        Some(Done { task, how, took: now.saturating_duration_since(began_at) })
    }

    /// Whether all that was added has ended; said once.
    pub fn have_ended(&mut self) -> bool {
        let all = self.running.is_none() && self.waiting.is_empty();
        all && std::mem::take(&mut self.news)
    }
}

#[cfg(test)]
mod tests;
