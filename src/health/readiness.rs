//! What is to be seen of the app's readiness from outside: a file, and the responder to probes.

use std::fs::{self, OpenOptions};
use std::io::{self, PipeWriter};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use tracing::warn;

use crate::exit::StartError;
use crate::health::probe::{self, State};
use crate::health::responder::Health;
use crate::http::url::Url;
use crate::process::family::{Family, Helper};
use crate::process::helper;
use crate::shutdown::ending::Ending;
use crate::span::Span;

/// Before the responder is started again; it doubles, and begins anew after a good while.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(30)];

/// How the app's readiness is to be shown.
#[derive(Debug)]
pub struct ReadinessConfig {
    /// A file that exists as long as the app is ready; an absolute path.
    pub ready_file: Option<PathBuf>,
    /// Where probes are answered.
    pub listen: Option<SocketAddr>,
    /// What is asked for the status of /readyz before the stop signal.
    pub upstream: Option<Url>,
}

impl ReadinessConfig {
    /// Prepares what shows it, or says what could not work.
    pub fn prepare(self) -> Result<Readiness, StartError> {
        let file = self.ready_file.map(ReadyFile::prepare).transpose()?;
        let upstream = self.upstream;
        let health = self.listen.map(|address| Health::bind(address, upstream)).transpose()?;
        Ok(Readiness::new(file, health))
    }
}

/// A file that exists as long as the app is ready.
pub struct ReadyFile(PathBuf);

impl ReadyFile {
    /// Removes a stale one, and makes sure that a new one can be made.
    pub fn prepare(path: PathBuf) -> Result<ReadyFile, StartError> {
        // In this order: where none can be made, none can be removed, not even one that is not there.
        match can_be_made(&path).and_then(|()| remove_stale(&path)) {
            Ok(()) => Ok(ReadyFile(path)),
            Err(why) => Err(StartError::Failed(format!("--ready-file {}: {why}", path.display()))),
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

fn can_be_made(path: &Path) -> Result<(), String> {
    if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err("it is a directory".into());
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    match access(folder, AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) => Ok(()),
        Err(Errno::ENOENT) => Err("its directory does not exist".into()),
        Err(Errno::EROFS) => {
            Err("its directory is read-only; mount a tmpfs or an emptyDir there".into())
        }
        Err(errno) => Err(errno.desc().into()),
    }
}

/// What else stands there somebody may need: as root we could remove even a device.
fn remove_stale(path: &Path) -> Result<(), String> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => Err("it is a directory".into()),
        Ok(found) if found.is_file() || found.is_symlink() => {
            fs::remove_file(path).map_err(|error| error.to_string())
        }
        Ok(_) => Err("it is no regular file".into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.to_string()),
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
    fn new(file: Option<ReadyFile>, health: Option<Health>) -> Readiness {
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

    /// The stop signal has come: the app is not ready any more.
    pub fn stop(&mut self, family: &Family) {
        self.remove_file();
        if let Some(responder) = &mut self.responder {
            responder.state.stopping = true;
            family.signal(Helper::Responder, probe::STOPPING);
        }
    }

    /// The app has ended: it neither is ready nor lives.
    pub fn end(&mut self, family: &Family) {
        self.remove_file();
        if let Some(responder) = &mut self.responder {
            responder.state.ended = true;
            family.signal(Helper::Responder, probe::ENDED);
        }
    }

    fn remove_file(&mut self) {
        if let Some(file) = self.file.take() {
            file.remove();
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

    /// Starts it again, if its time has come.
    pub fn on_deadline(&mut self, family: &mut Family, now: Instant) {
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
            Ok((pid, _)) => family.adopt(Helper::Responder, pid),
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
