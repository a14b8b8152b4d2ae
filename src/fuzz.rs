//! What `cargo fuzz` runs, see fuzz/README.md: for each parser of what others write, a function that
//! takes any bytes, and panics where a promise of the parser does not hold. The unit tests run them on
//! the files in fuzz/corpus.

pub use crate::cli::fuzz::command_line;
pub use crate::cli::values::fuzz::values;
pub use crate::health::probe::fuzz::request;
pub use crate::http::client::fuzz::response;
pub use crate::http::url::fuzz::url;
pub use crate::process::proc::fuzz::stat;
pub use crate::tasks::task::fuzz::hooks;
pub use crate::traffic::mounts::fuzz::mountinfo;
pub use crate::traffic::proc_net::fuzz::proc_net;
pub use crate::traffic::routes::fuzz::routes;
pub use crate::traffic::sock_diag::fuzz::netlink;

/// A /proc/PID/status, which two files parse.
pub fn status(bytes: &[u8]) {
    crate::process::proc::fuzz::status(bytes);
    crate::traffic::owners::fuzz::status(bytes);
}

#[cfg(test)]
mod tests;
