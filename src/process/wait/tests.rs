use super::*;

/// Raises signals, and takes what one wait returns, in a thread that blocks all.
fn blocked(test: impl FnOnce(Wait) + Send + 'static) {
    let thread = std::thread::spawn(|| {
        nix::sys::signal::SigSet::all().thread_block().expect("a mask");
        test(Wait::new().expect("signals"));
    });
    thread.join().expect("no panic");
}

fn raise(signal: Signal) {
    // SAFETY: no pointer is involved. It goes to this thread.
    unsafe { libc::raise(signal.number()) };
}

fn next(wait: &mut Wait) -> Vec<Signal> {
    wait.next(Some(Instant::now())).iter().map(|received| received.signal).collect()
}

#[test]
fn a_storm_of_low_signals_keeps_no_other_waiting() {
    blocked(|mut wait| {
        raise(Signal::CHLD);
        let mut stormy = (0..MAX_WAKE_UPS).map(|_| {
            raise(Signal::HUP);
            next(&mut wait)
        });
        assert!(stormy.any(|received| received == [Signal::HUP, Signal::CHLD]));
    });
}

#[test]
fn what_pends_with_the_end_of_a_child_comes_with_it() {
    blocked(|mut wait| {
        let last = "SIGRTMIN+3".parse().expect("a signal");
        raise(last);
        raise(Signal::CHLD);
        assert_eq!(next(&mut wait), [Signal::CHLD, last]);
    });
}

#[test]
fn a_signal_of_our_own_writing_is_left_out() {
    blocked(|mut wait| {
        raise(Signal::PIPE);
        assert_eq!(next(&mut wait), []);
        raise(Signal::HUP);
        assert_eq!(next(&mut wait), [Signal::HUP]);
    });
}
