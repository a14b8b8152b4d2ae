//! What is told of a run: its steps, the record that is kept of them, and the report at its end.

pub mod journal;
pub mod json;
pub mod step;
pub mod timeline;
