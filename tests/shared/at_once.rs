//! Tests that are short, as their cases do not wait for each other.

/// Plays each of these at the same time as the others.
pub fn at_once<T: Copy + Send>(cases: impl IntoIterator<Item = T>, play: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        for case in cases {
            let play = &play;
            scope.spawn(move || play(case));
        }
    });
}
