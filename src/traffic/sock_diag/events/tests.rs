use std::net::{TcpListener, TcpStream};

use super::*;
use crate::test_support::eventually;
use crate::traffic::tests::is_alone;

/// Makes the receive buffer so small that it has room for a few events only.
pub fn shrink_buffer(events: &EventSocket) {
    setsockopt(&events.socket, sockopt::RcvBuf, &2048).unwrap();
}

fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("[::]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Has a connection come and go, of which the server's end is the last to go.
fn visit(listener: &TcpListener, address: &str) {
    drop(TcpStream::connect((address, listener.local_addr().unwrap().port())).unwrap());
    drop(listener.accept().unwrap());
}

/// The ports of all events that the kernel has let through so far.
fn received(events: &EventSocket) -> Vec<u16> {
    let mut ports = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(event) = receive(&events.socket, &mut buffer) {
        let ended = messages(event).filter_map(|message| parse_socket(message.payload));
        ports.extend(ended.map(|socket| socket.port));
    }
    ports
}

/// The same, once there are so many of one port.
fn await_events(events: &EventSocket, port: u16, count: usize) -> Vec<u16> {
    let mut seen = Vec::new();
    eventually("the ends", || {
        seen.extend(received(events));
        let ends = seen.iter().filter(|ended| **ended == port).count();
        (ends >= count).then(|| seen.clone())
    })
}

/// As nobody, in a network namespace of its own, in which no other test has connections.
#[test]
#[cfg_attr(without_namespaces, ignore = "needs a user namespace")]
fn the_kernel_sends_only_what_is_watched() {
    if !is_alone("traffic::sock_diag::events::tests::the_kernel_sends_only_what_is_watched") {
        return;
    }
    let ((one, port), (other, other_port)) = (listen(), listen());
    let mut events = EventSocket::open(&[port]).unwrap();
    let nothing = EventSocket::open(&[]).unwrap();
    let witness = EventSocket::open(&[other_port]).unwrap();
    let visit_both = || {
        for address in ["127.0.0.1", "::1"] {
            visit(&one, address);
            visit(&other, address);
        }
        await_events(&witness, other_port, 2);
    };
    visit_both();
    assert_eq!(await_events(&events, port, 2), [port; 2]);
    // Other ports, as the app closes one and opens another.
    events.watch(&[other_port]).unwrap();
    visit_both();
    assert_eq!(await_events(&events, other_port, 2), [other_port; 2]);
    events.watch(&[other_port, port]).unwrap();
    visit_both();
    let mut both = Vec::new();
    eventually("all ends", || {
        assert!(!events.drain(&mut |socket| both.push(socket.port)));
        (both.len() == 4).then_some(())
    });
    both.sort_unstable();
    let mut expected = [port, port, other_port, other_port];
    expected.sort_unstable();
    assert_eq!(both, expected);
    assert!(received(&nothing).is_empty());
}

#[test]
#[cfg_attr(without_namespaces, ignore = "needs a user namespace")]
fn more_ports_than_a_filter_may_have_are_left_out_here() {
    let test = "more_ports_than_a_filter_may_have_are_left_out_here";
    if !is_alone(&format!("traffic::sock_diag::events::tests::{test}")) {
        return;
    }
    let ((one, port), (other, other_port)) = (listen(), listen());
    let many: Vec<u16> = (1..200).step_by(2).chain([port]).collect();
    // A filter from before goes.
    let mut events = EventSocket::open(&[1]).unwrap();
    events.watch(&many).unwrap();
    let unread = EventSocket::open(&many).unwrap();
    visit(&other, "127.0.0.1");
    visit(&one, "127.0.0.1");
    let mut ended = Vec::new();
    eventually("the end", || {
        assert!(!events.drain(&mut |socket| ended.push(socket)));
        (!ended.is_empty()).then_some(())
    });
    let [ended] = ended[..] else { panic!("{ended:?}") };
    assert_eq!((ended.port, ended.received, ended.inode), (port, Some(1), 0));
    await_events(&unread, other_port, 1);
}

/// More ends than there is room for in a shrunken buffer.
const VISITS: usize = 100;

#[test]
#[cfg_attr(without_namespaces, ignore = "needs a user namespace")]
fn what_is_not_watched_takes_no_room() {
    let test = "what_is_not_watched_takes_no_room";
    if !is_alone(&format!("traffic::sock_diag::events::tests::{test}")) {
        return;
    }
    let (listener, port) = listen();
    let [unmoved, flooded] = [&[1], &[port]].map(|ports| EventSocket::open(ports).unwrap());
    shrink_buffer(&unmoved);
    shrink_buffer(&flooded);
    let witness = EventSocket::open(&[port]).unwrap();
    (0..VISITS).for_each(|_| visit(&listener, "127.0.0.1"));
    await_events(&witness, port, VISITS);
    assert!(flooded.drain(&mut |_| {}), "the buffer is not full");
    assert!(!unmoved.drain(&mut |socket| panic!("{socket:?}")));
}

#[test]
fn a_filter_that_is_refused_leaves_none() {
    let mut events = EventSocket::open(&[80]).unwrap();
    assert_eq!(attach(&events.socket, &mut []), Err(Errno::EINVAL));
    for _ in 0..2 {
        detach(&events.socket).unwrap();
    }
    events.watch(&[80, 81]).unwrap();
}
