//! When to look for processes that are to be signalled.

use std::time::{Duration, Instant};

use crate::shutdown::event::{Action, Actions};

/// Two looks are so far apart at least: each of 3,000 leftovers may end by itself.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// And so far at most: what `docker exec` leaves behind becomes our child without a word.
pub const MAX_BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// How long before SIGKILL those get SIGTERM that were sent nothing, at most.
const LAST_CALL: Duration = Duration::from_secs(2);

/// When to look for processes that are to be signalled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Looks {
    /// Before then there is no look because of a child that ended.
    not_before: Option<Instant>,
    pub next: Option<Instant>,
    pub last_call: Option<Instant>,
}

impl Looks {
    /// None so far. The last call comes when half of the time until SIGKILL is over, or later.
    pub fn new(kill_at: Option<Instant>, now: Instant) -> Looks {
        let left = |at: Instant| at.saturating_duration_since(now);
        let last_call = kill_at.and_then(|at| at.checked_sub((left(at) / 2).min(LAST_CALL)));
        Looks { last_call, ..Looks::default() }
    }

    pub fn deadline(self) -> Option<Instant> {
        earlier(self.next, self.last_call)
    }

    /// Something has changed: look as soon as the last look is long enough ago.
    pub fn soon(&mut self, now: Instant) {
        let at = self.not_before.map_or(now, |at| at.max(now));
        self.next = earlier(self.next, Some(at));
    }

    /// This was a look.
    pub fn looked(&mut self, now: Instant, pause: Duration, next_at: Option<Instant>) {
        self.not_before = Some(now + BETWEEN_LOOKS + pause);
        self.next = next_at;
    }

    /// What is due: the last call, or a look, if any.
    pub fn due(&mut self, look: Action, now: Instant) -> Actions {
        let is_due = |at: &mut Instant| *at <= now;
        if self.last_call.take_if(is_due).is_some() {
            return Action::LastCall.into();
        }
        self.next.take_if(is_due).map_or(Actions::NONE, |_| look.into())
    }
}

/// The earlier of two deadlines, either of which may be missing.
pub fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Whether a deadline is there, and has passed.
pub fn is_due(at: Option<Instant>, now: Instant) -> bool {
    at.is_some_and(|at| at <= now)
}
