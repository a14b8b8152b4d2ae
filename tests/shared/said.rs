//! The lines that programs have written so far, each with when it came.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use super::waiting::TIMEOUT;

/// One line, from whom, and when it came.
#[derive(Clone, Debug)]
pub struct Line {
    pub source: &'static str,
    pub text: String,
    pub at: Instant,
}

/// The lines of several streams, in the order in which they came.
#[derive(Default)]
pub struct Said {
    lines: Mutex<Vec<Line>>,
    more: Condvar,
}

impl Said {
    /// Collects the lines of a stream, until the returned thread sees its end.
    pub fn listen(
        self: &Arc<Said>,
        source: &'static str,
        from: impl Read + Send + 'static,
    ) -> JoinHandle<()> {
        let said = self.clone();
        std::thread::spawn(move || {
            for text in BufReader::new(from).lines().map_while(Result::ok) {
                let line = Line { source, text, at: Instant::now() };
                said.lines.lock().expect("a lock").push(line);
                said.more.notify_all();
            }
        })
    }

    /// Waits for the n-th line with this in it.
    #[track_caller]
    pub fn hears_times(&self, part: &str, n: usize) -> Line {
        self.until(&format!("{n} times {part:?}"), |lines| {
            lines.iter().filter(|line| line.text.contains(part)).nth(n - 1).cloned()
        })
    }

    /// Waits until something can be found in the lines.
    #[track_caller]
    pub fn until<T>(&self, what: &str, found: impl Fn(&[Line]) -> Option<T>) -> T {
        let give_up_at = Instant::now() + TIMEOUT;
        let mut lines = self.lines.lock().expect("a lock");
        loop {
            if let Some(found) = found(&lines) {
                return found;
            }
            let left = give_up_at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let said = show(&lines);
                drop(lines);
                panic!("waited in vain for {what}; was said:\n{said}");
            }
            lines = self.more.wait_timeout(lines, left).expect("a lock").0;
        }
    }

    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().expect("a lock").clone()
    }
}

/// The lines, for the message of an assertion.
pub fn show(lines: &[Line]) -> String {
    lines.iter().map(|line| format!("  {}: {}\n", line.source, line.text)).collect()
}
