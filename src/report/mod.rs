//! What is logged and reported of a run: a line of the log for each step, and the report at the end.
//!
//! - `journal.rs`: takes each step, logs it, and publishes the report.
//! - `step.rs`: the steps of a shutdown, and how much each matters.
//! - `timeline.rs`: what is kept of the steps.
//! - `outcome.rs`: what became of the app, in one word.
//! - `summary.rs`: what the timeline comes to, as the report needs it.
//! - `verdict.rs`: the verdict of a rehearsal, and its line.
//! - `text.rs`: the steps as lines for people.
//! - `short.rs`: the report as one short line for people; `traffic.rs`: its part on the traffic.
//! - `json.rs`: the report as one JSON object.
//! - `words.rs`: names, senders and targets in words; how a report is kept short.

pub mod journal;
pub mod json;
pub mod outcome;
pub mod short;
pub mod step;
pub mod summary;
pub mod text;
pub mod timeline;
mod traffic;
pub mod verdict;
pub mod words;

#[cfg(test)]
mod tests;
