use std::process::{Child, Command};

use super::*;

/// A child that ends so.
fn child(script: &str) -> Child {
    Command::new("sh").args(["-c", script]).spawn().unwrap()
}

/// The status of a child once it has ended, which is left where it is.
fn peeked(child: &Child) -> Ending {
    let pid = child.id() as i32;
    loop {
        if let Some(ending) = peek(pid) {
            return ending;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_status_is_seen_before_it_is_taken() {
    for (script, ending) in [
        ("exit 7", Ending::Exited(7)),
        ("exit 0", Ending::Exited(0)),
        ("kill -KILL $$", Ending::KILLED),
        // A real-time one.
        ("kill -37 $$", Ending::Signaled(Signal::new(37).unwrap())),
    ] {
        let mut child = child(script);
        assert_eq!([peeked(&child), peeked(&child)], [ending; 2], "{script}");
        assert!(!none_left());
        child.wait().unwrap();
        assert_eq!(peek(child.id() as i32), None, "{script}: it is no child any more");
    }
}

#[test]
fn who_runs_has_no_status() {
    let mut child = child("exec sleep 60");
    assert_eq!(peek(child.id() as i32), None);
    child.kill().unwrap();
    assert_eq!(peeked(&child), Ending::KILLED);
    child.wait().unwrap();
}

#[test]
fn statuses_are_decoded() {
    assert_eq!(decode(7 << 8), Status::Ended(Ending::Exited(7)));
    assert_eq!(decode(0), Status::Ended(Ending::Exited(0)));
    assert_eq!(decode(9), Status::Ended(Ending::KILLED));
    // With the bit that says that memory was dumped.
    let quit = Signal::QUIT.number();
    assert_eq!(decode(quit | 0x80), Status::Ended(Ending::Signaled(Signal::QUIT)));
    let tstp = Signal::TSTP.number();
    assert_eq!(decode(tstp << 8 | 0x7f), Status::Stopped(Signal::TSTP));
}
