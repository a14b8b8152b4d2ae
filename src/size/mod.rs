//! What keeps the binary and the memory of PID 1 small, and what memory it has when there is no more.

pub mod reserve;
#[cfg(all(panic = "abort", target_env = "musl"))]
pub mod unwind;
