//! Shows outside whether the app is ready: by a file, and by the process that answers probes. This is
//! the part in PID 1, which makes and removes the file and starts the process again when it dies.

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
use crate::health::responder::ProbeListener;
use crate::health::upstream::Upstream;
use crate::process::family::Family;
use crate::process::helper;
use crate::process::helpers::Helper;
use crate::shutdown::ending::Ending;
use crate::span::Span;

/// The pause before the responder is started again: it doubles with each death up to the longest, and
/// is the shortest again after the responder has run for longer than that.
const MIN_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// How the app's readiness is to be shown.
#[derive(Debug)]
pub struct ReadinessConfig {
    /// A file that exists as long as the app is ready; an absolute path.
    pub ready_file: Option<PathBuf>,
    /// Where probes are answered.
    pub listen: Option<SocketAddr>,
    /// What says before the stop signal whether the app is ready.
    pub upstream: Option<Upstream>,
}

impl ReadinessConfig {
    /// Prepares what shows it, or returns why that cannot work.
    pub fn prepare(self) -> Result<Readiness, StartError> {
        let file = self.ready_file.map(ReadyFile::prepare).transpose()?;
        let upstream = self.upstream;
        let listener =
            self.listen.map(|address| ProbeListener::bind(address, upstream)).transpose()?;
        Ok(Readiness::new(file, listener))
    }
}

/// A file that exists as long as the app is ready.
pub struct ReadyFile(PathBuf);

impl ReadyFile {
    /// Removes a stale one, and makes sure that a new one can be made.
    pub fn prepare(path: PathBuf) -> Result<ReadyFile, StartError> {
        // In this order, since in a read-only directory unlink(2) fails even where there is no file.
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

/// Removes a regular file or a symbolic link. Anything else may be needed, and root could remove even
/// a device.
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

/// What PID 1 keeps of the responder, to start it again when it dies.
struct ResponderProcess {
    listener: ProbeListener,
    /// What the next one has to know from its start.
    state: State,
    started_at: Instant,
    /// The pause before the next start.
    pause: Duration,
    /// When it is to be started, where it is dead.
    start_at: Option<Instant>,
}

/// The ready file and the responder, where they are configured.
pub struct Readiness {
    file: Option<ReadyFile>,
    responder: Option<ResponderProcess>,
}

impl Readiness {
    fn new(file: Option<ReadyFile>, listener: Option<ProbeListener>) -> Readiness {
        let responder = listener.map(|listener| ResponderProcess {
            listener,
            state: State::default(),
            started_at: Instant::now(),
            pause: MIN_PAUSE,
            start_at: None,
        });
        Readiness { file, responder }
    }

    /// The descriptor of the listener, which must stay open.
    pub fn descriptor(&self) -> Option<RawFd> {
        self.responder.as_ref().map(|responder| responder.listener.descriptor())
    }

    /// The app has been spawned: makes the file and starts the responder.
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

    /// The app has ended: it is neither ready nor alive.
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

    /// The responder has died: starts it again after a pause.
    pub fn responder_ended(&mut self, ending: Ending, now: Instant) {
        let Some(responder) = &mut self.responder else {
            return;
        };
        if now.saturating_duration_since(responder.started_at) > MAX_PAUSE {
            responder.pause = MIN_PAUSE;
        }
        let pause = responder.start_later(now);
        warn!(
            event = "responder_died",
            "the process that answers probes {ending}; starting it again in {pause}"
        );
    }

    /// When the responder is to be started again.
    pub fn deadline(&self) -> Option<Instant> {
        self.responder.as_ref()?.start_at
    }

    /// Starts the responder if its time has come.
    pub fn on_deadline(&mut self, family: &mut Family, now: Instant) {
        if let Some(responder) = &mut self.responder
            && responder.start_at.is_some_and(|at| at <= now)
        {
            responder.start(family, now);
        }
    }

    /// Closes the listener, so that the port is free; the responder is not started again.
    pub fn close(&mut self) {
        self.responder = None;
    }
}

impl ResponderProcess {
    /// Schedules its start after a pause, returns that pause, and doubles the next one.
    fn start_later(&mut self, now: Instant) -> Span {
        let pause = self.pause;
        self.start_at = Some(now + pause);
        self.pause = (pause * 2).min(MAX_PAUSE);
        Span(pause)
    }

    fn start(&mut self, family: &mut Family, now: Instant) {
        self.started_at = now;
        self.start_at = None;
        let serve = |_: &mut PipeWriter| {
            // It returns only where it cannot go on.
            let _ = self.listener.serve(self.state);
            helper::FAILED
        };
        match helper::start(c"reprieve-health", helper::END, serve) {
            Ok((pid, _)) => family.adopt(Helper::Responder, pid),
            Err(error) => {
                let pause = self.start_later(now);
                warn!(
                    event = "no_responder",
                    "cannot start the process that answers probes: {error}; trying again in {pause}"
                );
            }
        }
    }
}
