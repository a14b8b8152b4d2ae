//! The controller: what a Deployment's controller, the endpoint controller and a kubelet do
//! together, in their order and with the lag between them.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::Try;
use crate::http::Connection;
use crate::load::{Clients, Load, Tallies};
use crate::place::{PATIENCE, PORT, Place, Pod};
use crate::proxy::Proxy;
use crate::rows::{Setup, StopSignal, Times};

pub const REPLICAS: usize = 2;

/// Some request is always in flight.
const NGINX: &str = include_str!("../../tests/shared/nginx.conf");

const PAGE_LENGTH: usize = 7 * 1024;

/// How one replica ended.
#[derive(Clone, Copy)]
pub struct End {
    /// Counted from the moment the controller wanted it to end.
    pub after: Duration,
    /// By the controller, at the end of the grace period.
    pub killed: bool,
}

/// What came of one rollout.
pub struct Outcome {
    pub tallies: Tallies,
    pub ends: Vec<End>,
    /// Until the last old replica has ended and HAProxy knows of it.
    pub took: Duration,
    /// What the replicas said.
    pub logs: String,
}

/// Who replaces replicas.
pub struct Controller {
    place: Place,
    times: Times,
    stop_signal: Signal,
}

impl Controller {
    pub fn new(place: Place, times: Times, stop_signal: StopSignal) -> Controller {
        Controller { place, times, stop_signal: stop_signal.into() }
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// One rolling restart with clients that never pause, and a lag for each replica.
    pub fn rolls_out(
        &self,
        setup: &Setup,
        lags: [Duration; REPLICAS],
        clients: Clients,
    ) -> Try<Outcome> {
        let proxy = Proxy::start(&self.place)?;
        let mut old = Vec::new();
        for _ in 0..REPLICAS {
            old.push(self.start_replica(setup, &proxy)?);
        }
        let load = Load::start(proxy.service(), clients);
        load.serves_on()?;
        if load.so_far().failures() > 0 {
            return Err(format!("requests fail before the rollout: {:?}", load.so_far()).into());
        }
        let began_at = Instant::now();
        let mut new = Vec::new();
        let mut ends = Vec::new();
        for (replica, lag) in old.iter_mut().zip(lags) {
            new.push(self.start_replica(setup, &proxy)?);
            ends.push(self.stop(replica, setup.pre_stop, lag, &proxy)?);
        }
        let took = began_at.elapsed();
        load.serves_on()?;
        let logs = old.iter().map(Pod::log).collect();
        Ok(Outcome { tallies: load.stop(), ends, took, logs })
    }

    fn start_replica(&self, setup: &Setup, proxy: &Proxy) -> Try<Pod> {
        let site = self.place.site("replica")?;
        let address = format!("{}:{PORT}", site.ip);
        fs::write(site.folder.join("nginx.conf"), NGINX.replace("ADDRESS", &address))?;
        fs::write(site.folder.join("index.html"), "x".repeat(PAGE_LENGTH))?;
        let words = setup.line(&site.folder);
        let replica = site.start(&words)?;
        replica.eventually("an answer", |replica| {
            let mut probe = Connection::open((replica.ip, PORT).into()).ok()?;
            probe.get().ok()
        })?;
        proxy.add(&replica)?;
        Ok(replica)
    }

    /// What happens when a pod is deleted: the preStop sleep and the lag of the endpoints begin at
    /// the same time. The runtime kills when what the sleep has left of the grace period is over,
    /// counted from the stop signal.
    fn stop(
        &self,
        replica: &mut Pod,
        pre_stop: Duration,
        lag: Duration,
        proxy: &Proxy,
    ) -> Try<End> {
        enum Step {
            Signal,
            TakeOut,
        }
        let mut steps = [(pre_stop, Step::Signal), (lag, Step::TakeOut)];
        steps.sort_by_key(|(after, _)| *after);
        let began_at = Instant::now();
        let mut kill_at = began_at + self.times.grace_period;
        for (after, step) in steps {
            // Time is what the experiment is about.
            std::thread::sleep((began_at + after).saturating_duration_since(Instant::now()));
            match step {
                Step::Signal => {
                    replica.signal(self.stop_signal);
                    kill_at =
                        (Instant::now() + self.times.grace_period).checked_sub(pre_stop).unwrap();
                }
                Step::TakeOut => proxy.take_out(replica)?,
            }
        }
        let ended_at = replica.ends_by(kill_at);
        let killed = ended_at.is_none();
        if killed {
            replica.signal(Signal::SIGKILL);
        }
        let ended_at = ended_at.or_else(|| replica.ends_by(Instant::now() + PATIENCE));
        let ended_at = ended_at.ok_or_else(|| format!("{} cannot be killed", replica.name))?;
        Ok(End { after: ended_at - began_at, killed })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Tallies { new, kept } = &self.tallies;
        write!(f, "{} served, {} failed", self.tallies.served(), self.tallies.failures())?;
        write!(f, " (new connections {:?}, kept ones {:?})", new.failed, kept.failed)
    }
}
