//! Plain HTTP.

pub mod client;
pub mod url;
