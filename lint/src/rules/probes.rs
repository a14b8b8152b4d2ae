//! Probes that get in the way of a hold.

use reprieve::span::Span;
use reprieve::traffic::servers::Ports;

use crate::model::{How, Probe, ProbeKind};
use crate::rules::{Fault, Subject};

pub fn probe_grace_period(subject: &Subject) -> Vec<Fault> {
    let Some(delay) = subject.delay() else { return Vec::new() };
    let own = subject.container.probes.iter().filter_map(|probe| probe.grace_period);
    let short = own.filter(|own| own.time <= delay.max).map(|own| {
        let message = format!(
            "a grace period of {} where this probe fails, and a delay of {delay}: the app is killed during \
             the hold",
            Span(own.time)
        );
        Fault::new(own.place, message)
    });
    short.collect()
}

/// Each request of a readiness probe is traffic, and the probe goes on until the app has ended.
pub fn readiness_window(subject: &Subject) -> Vec<Fault> {
    let settings = subject.settings;
    let Some(config) = &settings.config else { return Vec::new() };
    let unknown = ["quiet-window", "ignore-peer", "ignore-port", "traffic-port", "health-listen"];
    let is_known = !unknown.iter().any(|long| settings.is_unknown(long));
    let Some(delay) = subject.delay().filter(|delay| delay.is_range() && is_known) else {
        return Vec::new();
    };
    let watched = &config.watched;
    if settings.has("ignore-peer") {
        return Vec::new();
    }
    let is_watched = |port: u16| {
        !watched.ignored_ports.contains(&port)
            && match &watched.ports {
                Ports::Named(ports) => ports.contains(&port),
                Ports::OfFamily => true,
            }
    };
    let window = watched.rules.quiet_window;
    let often = subject.readiness().filter(|probe| {
        let How::Request(port) = &probe.how else { return false };
        port.is_none_or(|port| is_watched(port.number)) && probe.period.time <= window
    });
    let fault = |probe: &Probe| {
        let message = format!(
            "the readiness probe asks each {}, and the quiet window is {}: a hold of {delay} always lasts to \
             its end",
            Span(probe.period.time),
            Span(window)
        );
        Fault::new(probe.period.place, message)
    };
    often.map(fault).collect()
}

/// A readiness that ends with the stop signal takes the endpoint out, which is well where another serves.
pub fn readiness_on_health_port(subject: &Subject) -> Vec<Fault> {
    let Some(config) = &subject.settings.config else { return Vec::new() };
    if subject.workload.replicas.is_none_or(|replicas| replicas > 1) {
        return Vec::new();
    }
    let listen = config.readiness.listen.map(|address| address.port());
    let file = config.readiness.ready_file.as_ref().and_then(|path| path.to_str());
    let place = |probe: &Probe| match &probe.how {
        How::Request(Some(port)) | How::Connection(Some(port)) => {
            (Some(port.number) == listen).then_some(port.place)
        }
        How::Command(words) => {
            let names_it = |text: &String| file.is_some_and(|file| text.contains(file));
            words
                .iter()
                .find(|word| word.text.as_ref().is_some_and(names_it))
                .map(|word| word.place)
        }
        _ => None,
    };
    let message = "the only replica is taken out of service at the stop signal, while no other is ready: \
                   requests are lost for as long as the hold lasts";
    subject.readiness().filter_map(place).map(|place| Fault::new(place, message)).collect()
}

impl Subject<'_> {
    fn readiness(&self) -> impl Iterator<Item = &Probe> {
        self.container.probes.iter().filter(|probe| probe.kind == ProbeKind::Readiness)
    }
}
