use std::net::{Ipv4Addr, SocketAddr};

use super::*;
use crate::traffic::socket::ESTABLISHED;

const US: u32 = 0;
const APP: u32 = 1000;
const NEIGHBOUR: u32 = 1337;

fn of_family() -> Scope {
    Scope { ports: Ports::OfFamily, ignored: vec![9], ephemeral: 32768..=60999 }
}

fn named(ports: &[u16]) -> Scope {
    Scope { ports: Ports::Named(ports.to_vec()), ..of_family() }
}

fn socket(state: u32, port: u16, inode: u64, uid: u32) -> ListedSocket {
    let peer = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
    let (cookie, queued) = (inode, 0);
    let (received, sent, silent_for) = (None, None, None);
    ListedSocket { state, port, peer, inode, uid, cookie, queued, received, sent, silent_for }
}

/// A listing of TCP listeners and UDP sockets: port, inode and uid, and the state for UDP.
fn listing(scope: &Scope, tcp: &[(u16, u64, u32)], udp: &[(u32, u16, u64, u32)]) -> Listing {
    let mut listing = Listing::default();
    for (port, inode, uid) in tcp {
        listing.add_tcp(scope, &socket(LISTEN, *port, *inode, *uid));
    }
    for (state, port, inode, uid) in udp {
        listing.add_udp(scope, &socket(*state, *port, *inode, *uid));
    }
    listing
}

/// What a search for all of the listing finds, in a family that can be looked into.
fn owned(listing: &Listing, found: &[u64]) -> Owned {
    Owned {
        searched: listing.inodes().chain(listing.peers()).collect(),
        found: found.iter().map(|inode| (*inode, 7)).collect(),
        read_any: true,
        ..Owned::default()
    }
}

fn of_family_in(listing: &Listing, owned: &Owned) -> Servers {
    servers(&of_family(), listing, owned, US, &[])
}

#[test]
fn what_is_found_is_theirs_and_nothing_else() {
    let tcp = [(8080, 1, APP), (8080, 2, APP), (9090, 3, APP), (15021, 4, NEIGHBOUR), (9, 5, APP)];
    let listing = listing(&of_family(), &tcp, &[]);
    let found = of_family_in(&listing, &owned(&listing, &[1, 2, 5]));
    let tcp_ports = vec![8080];
    assert_eq!(found, Servers { served: tcp_ports.clone(), tcp_ports, ..Servers::default() });
    let none = of_family_in(&listing, &owned(&listing, &[]));
    assert!(none.are_none() && !none.guessed);
}

/// nginx: the master is root, its workers are not.
#[test]
fn what_cannot_be_looked_into_has_the_listeners_of_its_uids() {
    let tcp = [(8080, 1, US), (15021, 2, NEIGHBOUR), (9000, 3, APP), (80, 4, US)];
    let listing = listing(&of_family(), &tcp, &[]);
    let unreadable_uids = SortedSet::from_iter([APP]);
    let nginx = Owned { unreadable_uids: unreadable_uids.clone(), ..owned(&listing, &[1]) };
    let servers = of_family_in(&listing, &nginx);
    assert_eq!((servers.tcp_ports, servers.guessed), (vec![8080, 9000], false));
    // gosu: nothing can be looked into.
    let gosu = Owned { read_any: false, unreadable_uids, ..owned(&listing, &[]) };
    let servers = of_family_in(&listing, &gosu);
    assert_eq!((servers.tcp_ports, servers.guessed), (vec![9000], false));
}

/// It has bound its port as root, and changed its uid then.
#[test]
fn where_nothing_has_its_uid_what_has_ours_counts_then_all() {
    let tcp = [(80, 1, US), (15021, 2, NEIGHBOUR)];
    let both = listing(&of_family(), &tcp, &[]);
    let changed = |read_any, listing: &Listing| Owned {
        read_any,
        unreadable_uids: SortedSet::from_iter([APP]),
        ..owned(listing, &[])
    };
    for read_any in [true, false] {
        let servers = of_family_in(&both, &changed(read_any, &both));
        assert_eq!((servers.tcp_ports, servers.guessed), (vec![80], true));
    }
    let neighbour = listing(&of_family(), &tcp[1..], &[]);
    let servers = of_family_in(&neighbour, &changed(false, &neighbour));
    assert_eq!((servers.tcp_ports, servers.guessed), (vec![15021], true));
    // A shell was looked into, and the uid of the worker beneath it is known: it has no listener.
    let servers = of_family_in(&neighbour, &changed(true, &neighbour));
    assert!(servers.are_none() && !servers.guessed);
    // Not even the uids can be seen.
    let hidden = Owned { incomplete: true, ..owned(&both, &[]) };
    let servers = of_family_in(&both, &hidden);
    assert_eq!((servers.tcp_ports, servers.guessed), (vec![80, 15021], true));
    let hidden = Owned { incomplete: true, ..owned(&both, &[1]) };
    assert_eq!(of_family_in(&both, &hidden).tcp_ports, [80]);
}

#[test]
fn what_was_not_searched_for_yet_may_be_theirs() {
    let listing = listing(&of_family(), &[(8080, 1, APP), (9000, 2, NEIGHBOUR)], &[]);
    let servers = of_family_in(&listing, &Owned::default());
    assert_eq!((servers.tcp_ports, servers.guessed), (vec![8080, 9000], false));
    let mut one = owned(&listing, &[]);
    one.searched.remove(1);
    assert_eq!(of_family_in(&listing, &one).tcp_ports, [8080]);
}

#[test]
fn a_port_stays_once_it_was_listened_on() {
    let nothing = Listing::default();
    let servers = servers(&of_family(), &nothing, &owned(&nothing, &[]), US, &[8080]);
    assert_eq!(servers.tcp_ports, [8080]);
}

fn udp(port: u16, inode: u64) -> UdpServer {
    UdpServer { port, inode }
}

#[test]
fn udp_outside_the_ephemeral_ports_is_a_server_beside_tcp() {
    let dns = [(53, 1, APP), (9153, 2, APP)];
    let sockets = [(CLOSE, 53, 4, APP), (CLOSE, 53, 3, APP), (ESTABLISHED, 53, 5, APP)];
    let listing = listing(&of_family(), &dns, &sockets);
    let found = of_family_in(&listing, &owned(&listing, &[1, 2, 3, 4]));
    let (tcp_ports, udp) = (vec![53, 9153], vec![udp(53, 3), udp(53, 4)]);
    let served = tcp_ports.clone();
    assert_eq!(found, Servers { tcp_ports, served, udp, ..Servers::default() });
}

#[test]
fn a_udp_client_is_no_server() {
    let sockets = [(CLOSE, 40000, 1, APP), (ESTABLISHED, 40001, 2, APP), (CLOSE, 9, 3, APP)];
    let listing = listing(&of_family(), &[], &sockets);
    let servers = of_family_in(&listing, &owned(&listing, &[1, 2, 3]));
    assert!(servers.are_none() && servers.other_udp);
    // The ends of the range are in it.
    for (port, count) in [(32767, 1), (32768, 0), (60999, 0), (61000, 1)] {
        let listing = self::listing(&of_family(), &[], &[(CLOSE, port, 1, APP)]);
        assert_eq!(of_family_in(&listing, &owned(&listing, &[1])).udp.len(), count, "{port}");
    }
    // HTTP/3 on a high port.
    let listing = self::listing(&of_family(), &[(50443, 1, APP)], &[(CLOSE, 50443, 2, APP)]);
    assert_eq!(of_family_in(&listing, &owned(&listing, &[1, 2])).udp, [udp(50443, 2)]);
}

#[test]
fn what_another_udp_socket_receives_is_counted_together_with_a_servers() {
    for other in [
        // A client of theirs or of a neighbour, a server of a neighbour, and one that is ignored.
        (CLOSE, 40000, 2, APP),
        (ESTABLISHED, 40000, 3, NEIGHBOUR),
        (ESTABLISHED, 123, 2, APP),
        (CLOSE, 123, 3, NEIGHBOUR),
        (CLOSE, 53, 3, NEIGHBOUR),
        (CLOSE, 9, 2, APP),
    ] {
        let listing = listing(&of_family(), &[(9153, 9, APP)], &[(CLOSE, 53, 1, APP), other]);
        let servers = of_family_in(&listing, &owned(&listing, &[1, 2, 9]));
        assert!(servers.other_udp, "{other:?}");
        assert_eq!(servers.unseen, Some(UnseenReason::Udp(53)), "{other:?}");
        assert_eq!(servers.udp, [udp(53, 1)], "{other:?}");
    }
}

#[test]
fn what_waits_on_a_server_is_seen() {
    for (state, port, is_traffic) in
        [(CLOSE, 53, true), (ESTABLISHED, 53, true), (ESTABLISHED, 40000, false)]
    {
        let scope = of_family();
        let mut listing = listing(&scope, &[], &[(CLOSE, 53, 1, APP)]);
        listing.add_udp(&scope, &ListedSocket { queued: 768, ..socket(state, port, 2, APP) });
        let servers = of_family_in(&listing, &owned(&listing, &[1, 2]));
        assert_eq!(servers.udp_queued, is_traffic, "{state} {port}");
    }
}

#[test]
fn a_port_that_is_named_needs_a_listener_whoevers_it_is() {
    let decide = |ports: &[u16], once: &[u16]| {
        let scope = named(ports);
        let tcp = [(8080, 1, APP), (53, 2, APP), (9000, 3, NEIGHBOUR)];
        let sockets = [(CLOSE, 53, 4, APP), (CLOSE, 443, 5, APP), (CLOSE, 50443, 7, APP)];
        let listing = listing(&scope, &tcp, &sockets);
        servers(&scope, &listing, &Owned::default(), US, once)
    };
    let seen = decide(&[9000, 8080], &[]);
    assert_eq!((seen.tcp_ports, seen.unseen, seen.guessed), (vec![8080, 9000], None, false));
    assert_eq!(decide(&[8080, 80], &[]).unseen, Some(UnseenReason::NobodyListens(80)));
    assert_eq!(decide(&[8080, 443], &[]).unseen, Some(UnseenReason::OnlyUdp(443)));
    assert_eq!(decide(&[50443], &[]).unseen, Some(UnseenReason::OnlyUdp(50443)));
    // The app has closed its door, or the port is ignored.
    assert_eq!(decide(&[8080, 80], &[80]).unseen, None);
    assert_eq!(decide(&[8080, 9], &[]).unseen, None);
    // Both are watched, as far as UDP can be.
    let both = decide(&[53], &[]);
    assert_eq!((both.tcp_ports, both.udp), (vec![53], vec![udp(53, 4)]));
    assert_eq!(both.unseen, Some(UnseenReason::Udp(53)));
    let scope = named(&[53]);
    let alone = listing(&scope, &[(53, 2, APP)], &[(CLOSE, 53, 4, APP)]);
    assert_eq!(servers(&scope, &alone, &Owned::default(), US, &[]).unseen, None);
}

/// A listing of the Unix listener 1, with this reach and these peers.
fn unix(reach: Reach, peers: &[u64]) -> Listing {
    let mut listing = Listing::default();
    listing.add_unix(1, b"/run/app/\xff\n.sock");
    peers.iter().for_each(|peer| listing.add_unix_peer(b"/run/app/\xff\n.sock", *peer));
    listing.add_unix_peer(b"@another", 99);
    listing.unix[0].reach = Some(reach);
    listing
}

#[test]
fn a_unix_socket_that_others_can_reach_is_a_server_that_is_not_seen() {
    let shared = unix(Reach::Shared, &[]);
    let why = Some(UnseenReason::Unix("/run/app/\u{fffd}?.sock".into()));
    assert_eq!(of_family_in(&shared, &owned(&shared, &[1])).unseen, why);
    // It is somebody else's, or may be.
    assert_eq!(of_family_in(&shared, &owned(&shared, &[])).unseen, None);
    assert_eq!(of_family_in(&shared, &Owned::default()).unseen, None);
    let unreadable_uids = SortedSet::from_iter([APP]);
    let missed = Owned { unreadable_uids, ..owned(&shared, &[]) };
    assert_eq!(of_family_in(&shared, &missed).unseen, why);
    // What is not known is not private.
    let mut unknown = shared.clone();
    unknown.unix[0].reach = None;
    assert_eq!(of_family_in(&unknown, &owned(&unknown, &[1])).unseen, why);
}

#[test]
fn a_private_unix_socket_is_no_server_unless_somebody_else_is_connected() {
    let unseen = |listing: &Listing, owned: &Owned| of_family_in(listing, owned).unseen.is_some();
    let private = unix(Reach::Private, &[5, 6]);
    assert!(!unseen(&private, &owned(&private, &[1, 5, 6])));
    assert!(unseen(&private, &owned(&private, &[1, 5])));
    let mut new = owned(&private, &[1, 5]);
    new.searched.remove(6);
    assert!(!unseen(&private, &new));
    // It may be one of theirs that cannot be looked into.
    let missed = Owned { unreadable_uids: SortedSet::from_iter([APP]), ..owned(&private, &[1, 5]) };
    assert!(!unseen(&private, &missed));
    // Somebody else's own connections are none of ours.
    assert!(!unseen(&private, &owned(&private, &[])));
    let alone = unix(Reach::Private, &[]);
    assert!(of_family_in(&alone, &owned(&alone, &[1])).are_none());
}

#[test]
fn no_more_peers_are_kept_than_are_needed() {
    let peers: Vec<u64> = (10..1000).collect();
    assert_eq!(unix(Reach::Private, &peers).peers().count(), 64);
}
