//! What became of the app, in one word.

use serde::Serialize;

use crate::report::timeline::{HoldEnd, Timeline, Trigger};
use crate::shutdown::ending::Ending;

/// What became of the app and of what it left. Of several that are true the first one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Something is left to the kernel: SIGKILL did not end it, or we may not signal it.
    Survived,
    /// Our SIGKILL ended the app, or what stood for it.
    Killed,
    /// Our SIGKILL ended what the app had left over.
    LeftoversKilled,
    /// A signal ended the app that we neither sent nor forwarded, as where memory ran out.
    Died,
    /// How the app ended was not seen.
    Unknown,
    /// The app ended while the stop signal was held back.
    EndedEarly,
    /// The app ended, and had got no stop signal: none had come, or it is rewritten to 0.
    EndedByItself,
    /// The stop signal ended the app, which did not catch it.
    EndedBySignal,
    /// The app got the stop signal, and exited.
    Drained,
}

impl Timeline {
    /// What became of the app.
    pub fn outcome(&self) -> Outcome {
        let main = match self.ended {
            _ if !self.survivors.is_empty() => return Outcome::Survived,
            _ if self.app_killed => return Outcome::Killed,
            _ if self.killed() => return Outcome::LeftoversKilled,
            _ if self.died => return Outcome::Died,
            None => return Outcome::Unknown,
            Some((_, ending)) => ending,
        };
        let ending = self.stand_in.as_ref().map_or(main, |(.., ending)| *ending);
        match (&self.forwarded, self.hold_end) {
            _ if self.trigger == Trigger::Exit => Outcome::EndedByItself,
            (None, Some((_, HoldEnd::Exit))) => Outcome::EndedEarly,
            (None, _) => Outcome::EndedByItself,
            (Some(_), _) if matches!(ending, Ending::Signaled(_)) => Outcome::EndedBySignal,
            (Some(_), _) => Outcome::Drained,
        }
    }
}

#[cfg(test)]
mod tests;
