//! Readiness as it is seen from outside.

pub mod probe;
pub mod readiness;
pub mod responder;
