//! What is allowed, and probably not meant: each is a warning before the app is started.

use tracing::warn;

use crate::cli::Config;
use crate::cli::variables;
use crate::exit::StartError;
use crate::signal::Signal;
use crate::span::Span;
use crate::tasks::task::Occasion;
use crate::traffic::servers::Ports;

/// A warning, and the event that it is in the log.
#[derive(Debug)]
pub struct Warning {
    event: &'static str,
    text: String,
}

impl Warning {
    pub fn log(&self) {
        warn!(event = self.event, "{}", self.text);
    }
}

impl Config {
    /// All that is to be said before the app is started. An error where the times do not fit each other.
    pub fn warnings(&self) -> Result<Vec<Warning>, StartError> {
        let tight = self.plan.check().map_err(|misfit| StartError::Failed(misfit.to_string()))?;
        let mut all = Vec::new();
        let mut add = |event, text| all.push(Warning { event, text });
        for stray in &self.strays {
            add("unknown_variable", variables::remedy(stray));
        }
        if let Some(why) = self.unchecked_delay() {
            add("no_grace_period", why);
        }
        if let Some(tight) = tight {
            add("tight", tight.to_string());
        }
        for from in &self.plan.stop_signals {
            if let Some(to @ (Signal::KILL | Signal::STOP)) = self.plan.rewrite(*from) {
                let why =
                    "so it cannot finish what it has begun; write a signal at which it drains";
                add("no_drain", format!("--rewrite {from}:{to}: no app can catch {to}, {why}"));
            }
        }
        let on_exit = self.tasks.on_exit.iter().map(|hook| (Occasion::OnExit, hook));
        for (occasion, hook) in
            self.tasks.on_stop.iter().map(|hook| (Occasion::OnStop, hook)).chain(on_exit)
        {
            if let Some(word) = hook.for_shell() {
                let text = "no shell reads it: write sh -c '...' if one is to";
                add("no_shell", format!("--{occasion} {hook} has {word}, and {text}"));
            }
        }
        if let Some(why) = self.plan.unused_leftovers_timeout() {
            add("unused_option", why);
        }
        self.unused_traffic_options().into_iter().for_each(|why| add("unused_option", why));
        Ok(all)
    }

    /// A delay that may be longer than the orchestrator waits. Who says `none` knows that it waits.
    fn unchecked_delay(&self) -> Option<String> {
        let is_open = self.plan.grace_period.is_none() && !self.has_grace_period;
        (is_open && !self.plan.delay.max.is_zero()).then(|| {
            format!(
                "a delay of {} without a grace period: where the orchestrator allows less, the app is \
                 killed before it gets the stop signal; set --grace-period to what it allows, or to \
                 none if it waits as long as it takes",
                self.plan.delay
            )
        })
    }

    /// What was asked of the watch over traffic and has no effect, each with the reason.
    fn unused_traffic_options(&self) -> Vec<String> {
        let Config { plan, watched, readiness, .. } = self;
        let window = watched.rules.quiet_window;
        let never_early = (plan.delay.is_range() && plan.delay.max <= window).then(|| {
            format!(
                "--delay {} ends early only where nothing listens, for its MAX is not above the \
                 quiet window of {}: use a larger MAX or a smaller --quiet-window",
                plan.delay,
                Span(window)
            )
        });
        let named = match &watched.ports {
            Ports::Named(ports) => &ports[..],
            Ports::OfFamily => &[],
        };
        let ignored = named.iter().filter(|port| watched.ignored_ports.contains(port));
        let ignored = ignored.map(|port| {
            let is_ours = readiness.listen.is_some_and(|address| address.port() == *port);
            let by =
                if is_ours { "--health-listen is there" } else { "--ignore-port names it too" };
            format!("--traffic-port {port} is not watched: {by}")
        });
        never_early.into_iter().chain(ignored).collect()
    }
}
