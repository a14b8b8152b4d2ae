//! Shows outside whether the app is ready: by a file, and by the process that answers probes. This is
//! the part in PID 1, which makes and removes the file and starts the process again when it dies.

use std::io::PipeWriter;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tracing::warn;

use crate::exit::StartError;
use crate::health::probe::{self, State};
use crate::health::ready_file::{self, ReadyFile};
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
    /// An error where the ready file could not be made. Nothing is changed for that.
    pub fn check(&self) -> Result<(), StartError> {
        self.ready_file.as_deref().map_or(Ok(()), ready_file::check)
    }

    /// Prepares what shows it, or returns why that cannot work.
    pub fn prepare(self) -> Result<Readiness, StartError> {
        let file = self.ready_file.map(ReadyFile::prepare).transpose()?;
        let upstream = self.upstream;
        let listener =
            self.listen.map(|address| ProbeListener::bind(address, upstream)).transpose()?;
        Ok(Readiness::new(file, listener))
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
        if let Some(file) = &mut self.file {
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
