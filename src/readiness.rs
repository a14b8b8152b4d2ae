//! What is to be seen of the app's readiness from outside: a file, and the responder to probes.

use std::fs::{self, OpenOptions};
use std::io::{self, PipeWriter};
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use tracing::warn;

use crate::exit::StartError;
use crate::family::Family;
use crate::health::Health;
use crate::helper;
use crate::plan::Span;
use crate::probes::{self, State};
use crate::shutdown::{Ending, Who};

/// Before the responder is started again; it doubles, and begins anew after a good while.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(30)];

/// A file that exists as long as the app is ready.
pub struct ReadyFile(PathBuf);

impl ReadyFile {
    /// Removes a stale one, and makes sure that a new one can be made.
    pub fn prepare(path: PathBuf) -> Result<ReadyFile, StartError> {
        let failed = |why: &str| {
            let path = path.display();
            StartError::Failed(format!("--ready-file {path}: {why}"))
        };
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) if path.is_dir() => return Err(failed("it is a directory")),
            Err(error) => return Err(failed(&error.to_string())),
        }
        let folder = path.parent().unwrap_or(Path::new("/"));
        match access(folder, AccessFlags::W_OK | AccessFlags::X_OK) {
            Ok(()) => Ok(ReadyFile(path)),
            Err(Errno::ENOENT) => Err(failed("its directory does not exist")),
            Err(Errno::EROFS) => {
                Err(failed("its directory is read-only; mount a tmpfs or an emptyDir there"))
            }
            Err(errno) => Err(failed(errno.desc())),
        }
    }

    fn make(&self) {
        if let Err(error) = OpenOptions::new().write(true).create_new(true).open(&self.0) {
            let path = self.0.display();
            warn!(event = "no_ready_file", "cannot make the ready file {path}: {error}");
        }
    }

    fn remove(&self) {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let path = self.0.display();
                warn!(event = "ready_file_stays", "cannot remove {path}: {error}");
            }
            _ => {}
        }
    }
}

/// The responder to probes, as PID 1 sees it: a process that is started again when it dies.
struct Responder {
    health: Health,
    state: State,
    started_at: Instant,
    pause: Duration,
    start_at: Option<Instant>,
}

/// Both, where they are asked for.
pub struct Readiness {
    file: Option<ReadyFile>,
    responder: Option<Responder>,
}

impl Readiness {
    pub fn new(file: Option<ReadyFile>, health: Option<Health>) -> Readiness {
        let responder = health.map(|health| Responder {
            health,
            state: State::default(),
            started_at: Instant::now(),
            pause: PAUSES[0],
            start_at: None,
        });
        Readiness { file, responder }
    }

    /// The descriptor that this holds.
    pub fn descriptor(&self) -> Option<RawFd> {
        self.responder.as_ref().map(|responder| responder.health.descriptor())
    }

    /// The app runs.
    pub fn begin(&mut self, family: &mut Family, now: Instant) {
        if let Some(file) = &self.file {
            file.make();
        }
        if let Some(responder) = &mut self.responder {
            responder.start(family, now);
        }
    }

    /// A stop signal came, or the app has ended: it is not ready any more.
    pub fn end(&mut self, family: &Family, app_has_ended: bool) {
        if let Some(file) = self.file.take() {
            file.remove();
        }
        let Some(responder) = &mut self.responder else {
            return;
        };
        if !responder.state.stopping {
            responder.state.stopping = true;
            family.signal(Who::Responder, probes::STOPPING);
        }
        if app_has_ended && !responder.state.ended {
            responder.state.ended = true;
            family.signal(Who::Responder, probes::ENDED);
        }
    }

    /// The responder has died.
    pub fn responder_ended(&mut self, ending: Ending, now: Instant) {
        let Some(responder) = &mut self.responder else {
            return;
        };
        let [shortest, longest] = PAUSES;
        if now.saturating_duration_since(responder.started_at) > longest {
            responder.pause = shortest;
        }
        let pause = responder.pause(now);
        warn!(
            event = "responder_died",
            "the process that answers probes {ending}; starting it again in {pause}"
        );
    }

    /// When it is to be started again.
    pub fn deadline(&self) -> Option<Instant> {
        self.responder.as_ref()?.start_at
    }

    /// Time has passed.
    pub fn passed(&mut self, family: &mut Family, now: Instant) {
        if let Some(responder) = &mut self.responder
            && responder.start_at.is_some_and(|at| at <= now)
        {
            responder.start(family, now);
        }
    }

    /// Nobody answers any more, and the port is free.
    pub fn close(&mut self) {
        self.responder = None;
    }
}

impl Responder {
    /// Has it started again after a pause, and the next one longer.
    fn pause(&mut self, now: Instant) -> Span {
        let pause = self.pause;
        self.start_at = Some(now + pause);
        self.pause = (pause * 2).min(PAUSES[1]);
        Span(pause)
    }

    fn start(&mut self, family: &mut Family, now: Instant) {
        self.started_at = now;
        self.start_at = None;
        let serve = |_: &mut PipeWriter| {
            // It answers for good, or cannot go on.
            let _ = self.health.serve(self.state);
            helper::FAILED
        };
        match helper::start(c"reprieve-health", helper::END, serve) {
            Ok((pid, _)) => family.adopt(Who::Responder, pid),
            Err(error) => {
                let pause = self.pause(now);
                warn!(
                    event = "no_responder",
                    "cannot start the process that answers probes: {error}; trying again in {pause}"
                );
            }
        }
    }
}
