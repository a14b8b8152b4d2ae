use super::*;

/// More than any machine has.
const HUGE: usize = usize::MAX / 1024;

#[test]
fn a_few_have_room_whatever_is_refused() {
    assert!(is_there_for(FEW, HUGE));
    assert!(!is_there_for(FEW + 1, HUGE));
    assert!(!is_there_for(usize::MAX, 2), "nor does it overflow");
    assert!(is_there_for(100_000, 100));
}

#[test]
fn what_is_full_stays_full() {
    let mut room = Room::default();
    assert!((0..FEW).all(|_| room.takes_one(HUGE)));
    assert!(!room.is_full());
    assert!(!room.takes_one(HUGE));
    assert!(room.is_full());
    assert!(!room.takes_one(1));
    let mut room = Room::default();
    assert!((0..100_000).all(|_| room.takes_one(100)));
}
