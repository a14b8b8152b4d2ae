//! What is run beside the app, one task after the other: the hooks, and the requests that ask a
//! sidecar to quit. All of it is checked before the app is spawned.
//!
//! - `task.rs`: a task, as plain values.
//! - `queue.rs`: which task runs, for how long it may, and how it went.
//! - `hook.rs`: how a hook is run.
//! - `sidecar.rs`: how a sidecar is waited for, and asked to quit.
//! - `answer.rs`: what a sidecar answered, in words.

pub mod answer;
pub mod hook;
pub mod queue;
pub mod sidecar;
pub mod task;

use std::ffi::CStr;
use std::io;
use std::time::{Duration, Instant};

use crate::exit::StartError;
use crate::http::url::Request;
use crate::process::family::Family;
use crate::process::helper::Output;
use crate::process::helpers::Helper;
use crate::process::inherited::Inherited;
use crate::process::spawn::Depth;
use crate::shutdown::ending::Ending;
use crate::tasks::hook::{HookContext, Place};
use crate::tasks::queue::Queue;
use crate::tasks::task::{Done, Hook, Occasion, QUIT_TIMEOUT, Task};

/// What is to be run beside the app.
#[derive(Debug)]
pub struct TasksConfig {
    pub on_stop: Vec<Hook>,
    pub on_exit: Vec<Hook>,
    pub hook_timeout: Duration,
    /// The requests that ask sidecars to quit; they come after the on-exit hooks.
    pub quit: Vec<Request>,
}

impl TasksConfig {
    /// An error where the program of a hook cannot be executed.
    pub fn check(&self, environment: &[&CStr], depth: Depth) -> Result<(), StartError> {
        let check = |occasion| move |hook: &Hook| hook.check(occasion, environment, depth);
        self.on_stop.iter().try_for_each(check(Occasion::OnStop))?;
        self.on_exit.iter().try_for_each(check(Occasion::OnExit))
    }

    /// Prepares the tasks, or returns why that cannot work.
    pub fn prepare(
        self,
        environment: &[&'static CStr],
        inherited: &Inherited,
    ) -> Result<Tasks, StartError> {
        let tasks = |occasion, hooks: Vec<Hook>| -> Vec<Task> {
            hooks.into_iter().map(|hook| Task::Hook(occasion, hook)).collect()
        };
        self.check(environment, Depth::Name)?;
        let place = match self.on_stop.is_empty() && self.on_exit.is_empty() {
            true => None,
            false => Some(Place::here(environment, inherited)?),
        };
        let on_stop = tasks(Occasion::OnStop, self.on_stop);
        let mut on_exit = tasks(Occasion::OnExit, self.on_exit);
        on_exit.extend(self.quit.into_iter().map(Task::Quit));
        let queue = Queue::new(self.hook_timeout);
        Ok(Tasks { queue, output: None, on_stop, on_exit, place })
    }
}

/// The tasks of one run.
pub struct Tasks {
    pub queue: Queue,
    /// The output of the task that runs.
    output: Option<Output>,
    on_stop: Vec<Task>,
    on_exit: Vec<Task>,
    /// Where hooks run, if there are any.
    place: Option<Place>,
}

impl Tasks {
    /// The stop signal has come: the on-stop hooks are next.
    pub fn add_on_stop(&mut self) {
        self.queue.add(std::mem::take(&mut self.on_stop));
    }

    /// The app and its leftovers are gone: the on-exit hooks and the requests are next.
    pub fn add_on_exit(&mut self) {
        self.queue.add(std::mem::take(&mut self.on_exit));
    }

    /// The requests to sidecars, where the app could not be started.
    pub fn into_requests(self) -> impl Iterator<Item = Request> {
        self.on_exit.into_iter().filter_map(|task| match task {
            Task::Quit(request) => Some(request),
            Task::Hook(..) => None,
        })
    }

    /// Starts a task; how it went is returned if it could not be started.
    pub fn start(
        &mut self,
        task: Task,
        context: impl FnOnce() -> HookContext,
        family: &mut Family,
        now: Instant,
    ) -> Option<Done> {
        let started = match (&task, &self.place) {
            (Task::Quit(request), _) => sidecar::start(request, QUIT_TIMEOUT),
            (Task::Hook(occasion, hook), Some(place)) => place.start(*occasion, hook, &context()),
            (Task::Hook(..), None) => Err(io::ErrorKind::NotFound.into()),
        };
        match started {
            Ok((pid, output)) => {
                family.adopt(Helper::Task, pid);
                self.output = Some(output);
                self.queue.started(task, now);
                None
            }
            Err(error) => {
                let how = Err(format!("could not be started: {error}"));
                Some(Done { task, how, took: Duration::ZERO })
            }
        }
    }

    /// The process of the task that ran has ended.
    pub fn ended(&mut self, ending: Ending, now: Instant) -> Option<Done> {
        let output = self.output.take().map(|mut output| output.read());
        self.queue.ended(ending, output.unwrap_or_default(), now)
    }
}
