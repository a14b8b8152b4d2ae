//! What keeps the binary and its memory small.

pub mod stack;
#[cfg(all(panic = "abort", target_env = "musl"))]
pub mod unwind;
