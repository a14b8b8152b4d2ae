//! Shows outside whether the app is ready and alive:
//!
//! - `readiness.rs`: in PID 1: makes and removes the ready file, and starts the responder again
//! - `responder.rs`: the process that answers probes: its listener, its clients and their limits
//! - `probe.rs`: parses a probe, and knows what PID 1 has told of the app
//! - `upstream.rs`: asks the app itself, in a process of its own

pub mod probe;
pub mod readiness;
pub mod responder;
pub mod upstream;
