use super::*;

fn tracked(key: u64, received: u32) -> Tracked {
    Tracked { key, received, flags: FRESH, ..Tracked::default() }
}

#[test]
fn entries_are_small() {
    assert_eq!(size_of::<Tracked>(), 24);
}

#[test]
fn a_key_is_the_cookie_or_of_both_ends() {
    let peer = |port| SocketAddr::from(([10, 0, 0, 1], port));
    assert_eq!(key(7, 80, peer(1)), 7);
    assert_eq!(key(0, 80, peer(1)), key(0, 80, peer(1)));
    assert_ne!(key(0, 80, peer(1)), key(0, 80, peer(2)));
    assert_ne!(key(0, 80, peer(1)), key(0, 81, peer(1)));
}

#[test]
fn what_is_added_is_found_once_it_is_in_order() {
    let mut list = TrackedList::default();
    for (key, received) in [(5, 1), (3, 2), (9, 3), (3, 4)] {
        assert!(list.add(tracked(key, received)));
    }
    assert_eq!(list.find(3), None);
    let mut added = Vec::new();
    list.put_in_order(|tracked| added.push((tracked.key, tracked.received)));
    assert_eq!(added, [(3, 4), (5, 1), (9, 3)]);
    assert!(list.add(tracked(4, 0)));
    list.put_in_order(|tracked| added.push((tracked.key, tracked.received)));
    assert_eq!(added.len(), 4, "each once");
    list.retain(|tracked| tracked.key > 3);
    assert_eq!(list.find(3), None);
    for key in [4, 5, 9] {
        assert_eq!(list.find(key).map(|tracked| tracked.key), Some(key));
    }
    assert_eq!(list.find(10), None);
}

#[test]
fn flags_are_independent() {
    let mut tracked = tracked(1, 0);
    tracked.set(OPEN, true);
    tracked.set(FRESH, false);
    assert_eq!(
        [OLD, FRESH, SPOKE, OPEN, PENDING].map(|flag| tracked.is(flag)),
        [false, false, false, true, false]
    );
}

/// 100,000 connections are to take less than 4 MiB.
#[test]
fn it_grows_by_an_eighth() {
    let mut list = TrackedList::default();
    (0..100_000).for_each(|key| assert!(list.add(tracked(key, 0))));
    assert!(list.entries.capacity() * size_of::<Tracked>() < 3 << 20);
}
