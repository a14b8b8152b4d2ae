use super::*;

/// Each file is of a Linux 6.18.
const ROUTE: &str = include_str!("../../../fuzz/corpus/routes/route");
const IPV6_ROUTE: &str = include_str!("../../../fuzz/corpus/routes/ipv6_route");

#[test]
fn the_default_gateways_are_found() {
    let found: Vec<_> = ROUTE.lines().filter_map(|line| gateway(line.as_bytes())).collect();
    // The numbers are of a machine whose first byte is the lowest.
    let expected = if cfg!(target_endian = "little") { [192, 0, 2, 1] } else { [1, 2, 0, 192] };
    assert_eq!(found, [Ipv4Addr::from(expected)]);
    let found: Vec<_> = IPV6_ROUTE.lines().filter_map(|line| gateway6(line.as_bytes())).collect();
    assert_eq!(found, ["fd00::1".parse::<Ipv6Addr>().unwrap()]);
}

#[test]
fn what_is_no_default_route_through_a_gateway_is_none() {
    for (line, why) in [
        ("eth0 00000000 00000000 0001 0 0 0 00000000 0 0 0", "no gateway"),
        ("eth0 000011AC 010200C0 0003 0 0 0 0000FFFF 0 0 0", "a part of the addresses"),
        ("eth0 00000000 010200C0 0003 0 0 0 00000080 0 0 0", "one half of them"),
        ("eth0 00000000 010200C0 0002 0 0 0 00000000 0 0 0", "down"),
        ("eth0 00000000 010200C0 0203 0 0 0 00000000 0 0 0", "unreachable"),
        ("eth0 00000000 010200C0 0003 0 0 0", "cut"),
        ("Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT", "the names"),
        ("", "empty"),
    ] {
        assert_eq!(gateway(line.as_bytes()), None, "{why}");
    }
    let (none, through) = ("0".repeat(32), "fd000000000000000000000000000001");
    for (line, why) in [
        (format!("{none} 00 {none} 00 {none} 400 2 0 00000001 eth0"), "no gateway"),
        (format!("{none} 00 {none} 40 {through} 400 2 0 00000003 eth0"), "for some sources"),
        (format!("{none} 01 {none} 00 {through} 400 2 0 00000003 eth0"), "one half"),
        (format!("{none} 00 {none} 00 {through} 400 2 0 00200202 lo"), "down"),
        (format!("{none} 00 {none} 00 {through} 400 2 0 00200203 lo"), "unreachable"),
        (format!("{none} 00 {none} 00 {through} 400 2 0"), "cut"),
    ] {
        assert_eq!(gateway6(line.as_bytes()), None, "{why}");
    }
}

#[test]
fn any_bytes_are_no_panic() {
    for line in [&b"\xff"[..], b"eth0 +0 010200C0 3 0 0 0 0", b"eth0 000000000 0 3 0 0 0 0"] {
        gateway(line);
        gateway6(line);
    }
}
