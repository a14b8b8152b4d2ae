use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What the kernel does with a dump's program (inet_diag_bc_run in its inet_diag.c).
fn chooses(code: &[u8], port: u16) -> bool {
    let (mut at, end) = (0, code.len());
    while at < end {
        let [operation, yes, no, no_2] = code[at..at + 4] else { unreachable!() };
        let operand = || u16::from_ne_bytes([code[at + 6], code[at + 7]]);
        let is_true = match operation {
            1 => false,
            2 => port >= operand(),
            3 => port <= operand(),
            other => panic!("operation {other}"),
        };
        let step: usize = if is_true { yes.into() } else { u16::from_ne_bytes([no, no_2]).into() };
        assert!(step > 0 && step.is_multiple_of(4));
        at += step;
    }
    assert!(at <= end + 4);
    at == end
}

/// What it does with the program for events, with the port as its first instruction loads it.
fn lets_through(program: &[libc::sock_filter], port: u16) -> bool {
    let mut at = 1;
    loop {
        let libc::sock_filter { code, jt, jf, k } = program[at];
        let is_true = match u32::from(code) {
            0x35 => u32::from(port) >= k,
            0x25 => u32::from(port) > k,
            0x06 => return k != 0,
            other => panic!("code {other:x}"),
        };
        at += 1 + usize::from(if is_true { jt } else { jf });
    }
}

fn check(ports: &[u16], port: u16) {
    let ranges = PortRanges::new(ports);
    let is_one = ports.contains(&port);
    assert_eq!(ranges.contains(port), is_one, "{ports:?} {port}");
    let chosen = match ranges.choice() {
        Choice::All => true,
        Choice::One(one) => port == one,
        Choice::Program(code) => chooses(&code, port),
    };
    let program = ranges.socket_filter();
    match program {
        None => assert!(ranges.choice() == Choice::All && chosen),
        Some(_) if ports.is_empty() => assert_eq!(ranges.choice(), Choice::Program(vec![])),
        Some(_) => assert_eq!(chosen, is_one, "{ports:?} {port}"),
    }
    if let Some(program) = program {
        assert_eq!(lets_through(&program, port), is_one, "{ports:?} {port}");
    }
}

#[test]
fn neighbours_are_one_range() {
    assert_eq!(PortRanges::new(&[81, 80, 8080, 82, 80, 65_535]).0.len(), 3);
    assert_eq!(PortRanges::new(&[65_535, 65_534, 0, 65_535]).0, [(0, 0), (65_534, 65_535)]);
    assert!(PortRanges::new(&[]).is_empty());
}

#[test]
fn there_is_a_longest_program() {
    let ports: Vec<u16> = (0..=MAX_RANGES as u16).map(|n| 2 * n).collect();
    let too_many = PortRanges::new(&ports);
    assert_eq!((too_many.choice(), too_many.socket_filter().is_none()), (Choice::All, true));
    let most = PortRanges::new(&ports[1..]);
    assert!(matches!(most.choice(), Choice::Program(_)) && most.socket_filter().is_some());
    for port in 0..150 {
        check(&ports, port);
        check(&ports[1..], port);
    }
}

proptest! {
    #[test]
    fn a_port_is_in_it_or_not(ports in vec(any::<u16>(), 0..70), port in any::<u16>()) {
        check(&ports, port);
        ports.iter().flat_map(|port| [port.wrapping_sub(1), *port, port.wrapping_add(1)])
            .for_each(|port| check(&ports, port));
    }
}
