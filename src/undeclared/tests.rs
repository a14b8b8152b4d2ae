use std::net::TcpListener;

use super::*;

/// To compare them would take longer than a signal may wait.
#[test]
fn more_listeners_than_that_are_not_compared() {
    let bind = |_| TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let listeners: Vec<_> = (0..=MAX_LISTENERS).map(bind).collect();
    let maybe_stop = MaybeStop::new("SIGUSR1".parse().expect("a signal"), Instant::now());
    assert!(maybe_stop.before.is_empty() && maybe_stop.of_app.is_empty());
    drop(listeners);
}
