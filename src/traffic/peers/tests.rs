use super::*;

const PROBER: &str = "10.244.0.1:40000";
const PORT: u16 = 8080;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Connections from one peer, each with when it came and how many bytes it brought.
fn asked(connections: &[(i32, Option<u64>)]) -> PeerCount {
    let mut peers = Peers::default();
    for (at, bytes) in connections {
        peers.add(address(PROBER), PORT, *at);
        peers.end(address(PROBER), PORT, *bytes);
    }
    peers.most()[0]
}

#[test]
fn a_steady_pace_with_the_same_bytes_looks_like_a_probe() {
    for probe in [
        [(100, Some(120)), (3_100, Some(120)), (6_100, Some(120))],
        // By looks each 250 ms; one closed by the app, so without the FIN.
        [(250, Some(121)), (1_000, Some(120)), (2_250, Some(121))],
        // A TCP probe.
        [(0, Some(0)), (10_000, Some(1)), (20_000, Some(1))],
    ] {
        assert!(asked(&probe).looks_like_probe, "{probe:?}");
        assert!(!asked(&probe[..2]).looks_like_probe, "two show no pace");
    }
    let mut under_way = Peers::default();
    for at in [0, 3_000, 6_000] {
        under_way.add(address(PROBER), PORT, at);
        if at > 0 {
            under_way.end(address(PROBER), PORT, Some(120));
        }
    }
    assert!(under_way.most()[0].looks_like_probe);
}

#[test]
fn what_differs_is_no_probe() {
    for (connections, why) in [
        ([(0, Some(120)), (3_000, Some(122)), (6_000, Some(120))], "other bytes"),
        ([(0, Some(120)), (3_000, Some(120)), (6_900, Some(120))], "no steady pace"),
        ([(0, Some(120)), (400, Some(120)), (800, Some(120))], "too fast"),
        ([(0, None), (3_000, None), (6_000, None)], "bytes are not known"),
        ([(0, Some(120)), (3_000, None), (6_000, None)], "few have ended"),
    ] {
        assert!(!asked(&connections).looks_like_probe, "{why}");
    }
}

#[test]
fn those_with_the_most_connections_come_first() {
    let mut peers = Peers::default();
    let counts = [("10.0.0.1:1", 1), ("10.0.0.2:1", 5), ("10.0.0.3:1", 3), ("[fd00::1]:1", 4)];
    for (peer, count) in counts {
        (0..count).for_each(|at| peers.add(address(peer), PORT, at));
    }
    // Another port is another server.
    peers.add(address("10.0.0.2:1"), 9090, 0);
    let most: Vec<_> =
        peers.most().iter().map(|one| (one.peer.to_string(), one.connections)).collect();
    assert_eq!(most, [("10.0.0.2".into(), 5), ("fd00::1".into(), 4), ("10.0.0.3".into(), 3)]);
}

/// 10.19: the memory is bounded, and who comes often is not pushed out by many who come once.
#[test]
fn a_crowd_pushes_out_nobody_who_comes_often() {
    let mut peers = Peers::default();
    for number in 0..100_000_u32 {
        let [_, high, middle, low] = number.to_be_bytes();
        peers.add(SocketAddr::from(([172, high, middle, low], 1)), PORT, 0);
        if number.is_multiple_of(10) {
            peers.add(address(PROBER), PORT, number as i32 * 100);
        }
    }
    assert_eq!(peers.0.len(), MAX_PEERS);
    let most = peers.most();
    assert_eq!((most[0].peer, most[0].connections), (address(PROBER).ip(), 10_000));
}
