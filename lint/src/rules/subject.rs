//! What several rules ask of a container.

use std::time::Duration;

use reprieve::shutdown::plan::{Delay, Plan};

use crate::rules::Subject;

impl Subject<'_> {
    /// The plan of the shutdown, as far as it is known; None where reprieve would not start. A margin
    /// that cannot be known counts as nothing.
    pub fn plan(&self) -> Option<Plan> {
        let settings = self.settings;
        let mut plan = settings.config.as_ref().map(|config| config.plan.clone())?;
        if settings.is_unknown("margin") {
            plan.margin = Duration::ZERO;
        }
        Some(plan)
    }

    /// The delay, where there is one.
    pub fn delay(&self) -> Option<Delay> {
        self.plan().map(|plan| plan.delay).filter(|delay| !delay.max.is_zero())
    }

    /// How long the platform waits before its stop signal at least, out of the allowance.
    pub fn sleeps_in_allowance(&self) -> Duration {
        let hooks = self.container.before_stop.iter().filter(|it| it.uses_allowance);
        hooks.fold(Duration::ZERO, |sum, it| sum.saturating_add(it.time))
    }
}
