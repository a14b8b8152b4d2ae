//! The pause of `catatonit -P`: it runs nothing, and keeps the namespaces of a pod until a signal ends it.

use std::time::Instant;

use nix::libc;

use crate::process::wait::Wait;
use crate::process::{inherited, orphans};
use crate::signal::Signal;

/// Reaps whatever becomes our child, until SIGTERM or SIGINT comes. Other signals mean nothing to it.
pub fn run(mut wait: Wait) -> u8 {
    orphans::adopt(None);
    inherited::let_go(Vec::new());
    let mut reaping = true;
    loop {
        // One child for each look at the signals: no crowd of orphans keeps us from the end.
        for received in wait.next(reaping.then(Instant::now)) {
            match received.signal {
                Signal::TERM | Signal::INT => return 0,
                Signal::CHLD => reaping = true,
                _ => {}
            }
        }
        // SAFETY: a null pointer means that no status is wanted.
        reaping = reaping && unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0;
    }
}
