//! What keeps the binary and the memory of PID 1 small.

#[cfg(all(panic = "abort", target_env = "musl"))]
pub mod unwind;
