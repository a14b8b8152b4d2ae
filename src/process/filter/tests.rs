use super::*;

#[test]
fn who_waits_in_a_pipeline() {
    let reader = |pid, writers: &[i32]| (pid, Some(writers.to_vec()));
    let other = |pid| (pid, None);
    for (signalled, readers, expected) in [
        // app | tee
        (&[][..], vec![other(1), reader(2, &[1])], vec![2]),
        // app | sed | tee, in any order
        (&[], vec![reader(3, &[2]), reader(2, &[1]), other(1)], vec![2, 3]),
        // The app was signalled before.
        (&[1], vec![reader(2, &[1])], vec![2]),
        // Coprocesses read from each other.
        (&[], vec![reader(1, &[2]), reader(2, &[1])], vec![]),
        // What reads from a circle has nobody to wait for either.
        (&[], vec![reader(1, &[2]), reader(2, &[1]), reader(3, &[1])], vec![]),
        (&[], vec![other(1), other(2)], vec![]),
        // Who wrote has just ended.
        (&[], vec![reader(1, &[])], vec![1]),
    ] {
        let mut waiting = waiting(signalled, &readers);
        waiting.sort_unstable();
        assert_eq!(waiting, expected, "{readers:?}");
    }
}
