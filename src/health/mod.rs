//! Shows outside whether the app is ready and alive:
//!
//! - `readiness.rs`: in PID 1: turns the ready file and the responder, and starts that again
//! - `ready_file.rs`: makes and removes the ready file
//! - `responder.rs`: the process that answers probes: its listener, its clients and their limits
//! - `probe.rs`: parses a probe, and knows what PID 1 has told of the app
//! - `upstream.rs`: asks the app itself, in a process of its own

pub mod probe;
pub mod readiness;
mod ready_file;
pub mod responder;
pub mod upstream;
