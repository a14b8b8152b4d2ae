//! What happens around the app: its readiness as seen from outside, the hooks, and the sidecars that
//! are told to quit. All of it is checked before the app is spawned.

pub mod hook;
pub mod queue;
pub mod sidecar;

use std::ffi::CStr;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::exit::StartError;
use crate::health::readiness::{Readiness, ReadyFile};
use crate::health::responder::Health;
use crate::http::url::{Request, Url};
use crate::process::family::Family;
use crate::process::inherited::Inherited;
use crate::shutdown::Who;
use crate::tasks::hook::{Hook, Occasion, Place, Told};
use crate::tasks::queue::{Done, Task, Tasks};

/// What of it is asked for.
#[derive(Debug)]
pub struct Asked {
    /// Absolute.
    pub ready_file: Option<PathBuf>,
    pub health_listen: Option<SocketAddr>,
    pub health_upstream: Option<Url>,
    pub on_stop: Vec<Hook>,
    pub on_exit: Vec<Hook>,
    pub hook_timeout: Duration,
    pub quit: Vec<Request>,
}

/// All of it, ready to happen.
pub struct Around {
    pub readiness: Readiness,
    pub tasks: Tasks,
    on_stop: Vec<Task>,
    on_exit: Vec<Task>,
    /// Where there are hooks.
    place: Option<Place>,
}

impl Asked {
    /// Prepares it; an error where it could not work.
    pub fn prepare(
        self,
        environment: &[&'static CStr],
        inherited: &Inherited,
    ) -> Result<Around, StartError> {
        let of = |occasion, hooks: Vec<Hook>| -> Vec<Task> {
            hooks.into_iter().map(|hook| Task::Hook(occasion, hook)).collect()
        };
        self.on_stop.iter().try_for_each(|hook| hook.check(Occasion::OnStop))?;
        self.on_exit.iter().try_for_each(|hook| hook.check(Occasion::OnExit))?;
        let place = match self.on_stop.is_empty() && self.on_exit.is_empty() {
            true => None,
            false => Some(Place::here(environment, inherited)?),
        };
        let on_stop = of(Occasion::OnStop, self.on_stop);
        let mut on_exit = of(Occasion::OnExit, self.on_exit);
        on_exit.extend(self.quit.into_iter().map(Task::Quit));
        let file = self.ready_file.map(ReadyFile::prepare).transpose()?;
        let upstream = self.health_upstream;
        let health =
            self.health_listen.map(|address| Health::bind(address, upstream)).transpose()?;
        Ok(Around {
            readiness: Readiness::new(file, health),
            tasks: Tasks::new(self.hook_timeout),
            on_stop,
            on_exit,
            place,
        })
    }
}

impl Around {
    /// The stop signal has come.
    pub fn stop(&mut self) {
        self.tasks.add(std::mem::take(&mut self.on_stop));
    }

    /// The app and its leftovers are gone.
    pub fn leave(&mut self) {
        self.tasks.add(std::mem::take(&mut self.on_exit));
    }

    /// What sidecars are told, where there is no app that ends.
    pub fn into_requests(self) -> impl Iterator<Item = Request> {
        self.on_exit.into_iter().filter_map(|task| match task {
            Task::Quit(request) => Some(request),
            Task::Hook(..) => None,
        })
    }

    /// Starts a task; tells how it went if it could not be started.
    pub fn start(
        &mut self,
        task: Task,
        told: impl FnOnce() -> Told,
        family: &mut Family,
        now: Instant,
    ) -> Option<Done> {
        let started = match (&task, &self.place) {
            (Task::Quit(request), _) => sidecar::start(request, sidecar::QUIT_PATIENCE),
            (Task::Hook(occasion, hook), Some(place)) => place.start(*occasion, hook, &told()),
            (Task::Hook(..), None) => Err(io::ErrorKind::NotFound.into()),
        };
        match started {
            Ok((pid, words)) => {
                family.adopt(Who::Task, pid);
                self.tasks.started(task, words, now);
                None
            }
            Err(error) => {
                let how = Err(format!("could not be started: {error}"));
                Some(Done { task, how, took: Duration::ZERO })
            }
        }
    }
}
