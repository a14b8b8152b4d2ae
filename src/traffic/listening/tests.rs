use std::net::{Ipv4Addr, SocketAddr};

use super::*;
use crate::traffic::owners::tests::{Family, listener};
use crate::traffic::socket::{LISTEN, ListedSocket};

/// Of one TCP listener, whose uid is nobody's.
fn listing(scope: &Scope, tcp: &[(u16, u64)]) -> Listing {
    let mut listing = Listing::default();
    for (port, inode) in tcp {
        let peer = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let (state, port, inode, uid) = (LISTEN, *port, *inode, u32::MAX);
        let (queued, cookie) = (0, 0);
        let (received, sent, silent_for) = (None, None, None);
        let socket = ListedSocket {
            state,
            port,
            peer,
            inode,
            uid,
            cookie,
            queued,
            received,
            sent,
            silent_for,
        };
        listing.add_tcp(scope, &socket);
    }
    listing
}

/// Takes listings in until it is known whose it is.
fn known(listening: &mut Listening, listing: &Listing) {
    while listening.refresh(listing.clone(), &[]) == Knowledge::Searching {
        assert_eq!(listening.servers().unseen, None);
        while !listening.go_on() {}
    }
}

#[test]
fn what_opens_later_is_found_and_stays() {
    let (socket, inode) = listener();
    let family = Family::run("sleep 1000 & echo; wait", &socket);
    let mut listening = Listening::new(Ports::OfFamily, Vec::new());
    let nothing = Listing::default();
    assert_eq!(listening.refresh(nothing.clone(), &[]), Knowledge::Known);
    assert!(listening.servers().are_none());
    let one = listing(listening.scope(), &[(8080, inode), (15021, 1)]);
    known(&mut listening, &one);
    assert_eq!(listening.servers().tcp_ports, [8080]);
    // It has closed its door; and there is nothing to be searched for.
    assert_eq!(listening.refresh(nothing, &[]), Knowledge::Known);
    assert_eq!(listening.servers().tcp_ports, [8080]);
    drop(family);
}

#[test]
fn what_is_new_alone_is_searched_for() {
    let (socket, inode) = listener();
    let _family = Family::run("sleep 1000 & echo; wait", &socket);
    let mut listening = Listening::new(Ports::OfFamily, Vec::new());
    let one = listing(listening.scope(), &[(8080, inode)]);
    known(&mut listening, &one);
    assert_eq!(listening.wanted(&one), None);
    let two = listing(listening.scope(), &[(8080, inode), (9000, 1)]);
    assert_eq!(listening.wanted(&two), Some(SortedSet::from_iter([1])));
    known(&mut listening, &two);
    // An inode that was gone may be another's now.
    known(&mut listening, &one);
    assert_eq!(listening.wanted(&two), Some(SortedSet::from_iter([1])));
}

#[test]
fn nobody_is_searched_where_ports_are_named() {
    let mut listening = Listening::new(Ports::Named(vec![80]), Vec::new());
    let mut others = listing(listening.scope(), &[(8080, 1)]);
    listening.add_unix(&mut others);
    assert_eq!(listening.refresh(others, &[]), Knowledge::Known);
    let why = UnseenReason::NobodyListens(80);
    assert_eq!(listening.servers().unseen, Some(why));
    // It listens now; and then it has closed its door.
    let open = listing(listening.scope(), &[(80, 1)]);
    for listing in [open, Listing::default()] {
        assert_eq!(listening.refresh(listing, &[]), Knowledge::Known);
        assert_eq!(
            (&listening.servers().tcp_ports[..], &listening.servers().unseen),
            (&[80][..], &None)
        );
    }
}

/// A Unix listener beside which nothing is searched for, with one peer.
fn unix(peer: u64) -> Listing {
    let mut listing = Listing::default();
    listing.add_unix(1, b"@manager");
    listing.add_unix_peer(b"@manager", peer);
    listing
}

#[test]
fn peers_alone_are_not_searched_for_without_an_end() {
    let mut listening = Listening::new(Ports::OfFamily, Vec::new());
    listening.owned.searched.insert(1);
    let searches = (10..100).filter(|peer| listening.wanted(&unix(*peer)).is_some()).count();
    assert_eq!(searches, 16);
    // Something that is new is.
    listening.owned.searched = SortedSet::default();
    assert!(listening.wanted(&unix(10)).is_some());
}

#[test]
fn what_there_is_no_memory_for_is_unseen() {
    let mut cut = Listing::default();
    while cut.room.takes_one(usize::MAX / 1024) {}
    let mut listening = Listening::new(Ports::OfFamily, Vec::new());
    for listing in [cut, Listing::default()] {
        assert_eq!(listening.refresh(listing, &[]), Knowledge::Known);
        assert_eq!(listening.servers().unseen, Some(UnseenReason::NoMemory));
    }
    let mut listening = Listening::new(Ports::OfFamily, Vec::new());
    listening.owned.is_cut = true;
    assert_eq!(listening.refresh(Listing::default(), &[]), Knowledge::Known);
    assert_eq!(listening.servers().unseen, Some(UnseenReason::NoMemory));
}

#[test]
fn what_was_not_seen_once_stays_unseen() {
    let (socket, inode) = listener();
    let _family = Family::run("sleep 1000 & echo; wait", &socket);
    let mut listening = Listening::new(Ports::OfFamily, Vec::new());
    let mut shared = Listing::default();
    shared.add_unix(inode, b"/proc/shared.sock");
    known(&mut listening, &shared);
    let why = Some(UnseenReason::Unix("/proc/shared.sock".into()));
    assert_eq!(listening.servers().unseen, why);
    listening.refresh(Listing::default(), &[]);
    assert_eq!(listening.servers().unseen, why);
}
