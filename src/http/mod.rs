//! Plain HTTP/1.1, as far as a client needs it:
//!
//! - `url.rs`: parses URLs and requests as people write them, and writes the head of a request
//! - `client.rs`: sends a request and reads the status of the response, by one deadline

pub mod client;
pub mod url;
