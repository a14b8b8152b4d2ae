//! How late the machine is. Who else wants the CPU is no fault of ours, so what we need for a look at all
//! processes is measured beside the runs, all the time.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::libc;

const PAUSE: Duration = Duration::from_millis(100);

/// Looks one after the other take no longer in a run than so many of the longest look meanwhile.
const LOOKS: u32 = 4;

/// What was measured so far.
pub struct Machine(Mutex<Measured>);

struct Measured {
    /// When the look began that is under way, or is the next.
    next_at: Instant,
    /// When each began, and how long it took.
    looks: Vec<(Instant, Duration)>,
}

impl Machine {
    pub fn new() -> Machine {
        Machine(Mutex::new(Measured { next_at: Instant::now(), looks: vec![] }))
    }

    /// Measures until it is told to end.
    pub fn measure(&self, is_over: impl Fn() -> bool) {
        while !is_over() {
            let began_at = self.0.lock().expect("a lock").next_at;
            // The pace of measuring.
            std::thread::sleep(began_at.saturating_duration_since(Instant::now()));
            look();
            let mut measured = self.0.lock().expect("a lock");
            measured.looks.push((began_at, began_at.elapsed()));
            measured.next_at = Instant::now() + PAUSE;
        }
    }

    /// How late something may be that takes some looks, between these times.
    pub fn lateness(&self, from: Instant, to: Instant) -> Duration {
        let measured = self.0.lock().expect("a lock");
        let in_time = |(at, took): &&(Instant, Duration)| *at < to && *at + *took > from;
        let looks = measured.looks.iter().filter(in_time).map(|(_, took)| *took);
        let now = to.saturating_duration_since(measured.next_at);
        looks.chain([now]).max().unwrap_or_default() * LOOKS
    }

    /// How long the longest look took.
    pub fn longest_look(&self) -> Duration {
        let measured = self.0.lock().expect("a lock");
        measured.looks.iter().map(|(_, took)| *took).max().unwrap_or_default()
    }
}

/// As the init looks at processes.
fn look() {
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let _ = std::fs::read(entry.path().join("stat"));
        // SAFETY: it takes no pointer.
        unsafe { libc::sched_yield() };
    }
}
