use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// More than any machine needs.
const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(100);

/// A server for one client; what was sent to it comes over the channel.
fn serve(conversation: impl FnOnce(&mut TcpStream) + Send + 'static) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heard, request) = channel();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        heard.send(String::from_utf8(head).unwrap()).unwrap();
        conversation(&mut client);
    });
    (format!("http://127.0.0.1:{port}/"), request)
}

fn get(url: &str, timeout: Duration) -> Result<u16, String> {
    Request::get(url.parse().unwrap()).send(timeout).map_err(|why| why.to_string())
}

fn answered(pieces: Vec<Vec<u8>>) -> Result<u16, String> {
    let (url, _request) = serve(move |client| {
        for piece in pieces {
            // A client that has its status leaves.
            let _ = client.write_all(&piece);
        }
    });
    get(&url, LONG)
}

/// Until the client has gone.
fn stay(client: &mut TcpStream) {
    let _ = client.read(&mut [0]);
}

#[test]
fn the_status_of_the_last_answer_counts() {
    let headers = |count| format!("HTTP/1.1 200 \r\n{}\r\n", "X: y\r\n".repeat(count));
    for (answer, status) in [
        ("HTTP/1.1 200 OK\r\n\r\n", 200),
        ("HTTP/1.0 204 \r\n\r\n", 204),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc", 404),
        ("HTTP/1.1 302 \r\nLocation: http://127.0.0.1:1/\r\n\r\n", 302),
        ("HTTP/1.1 100 \r\n\r\nHTTP/1.1 103 \r\nLink: x\r\n\r\nHTTP/1.1 503 \r\n\r\n", 503),
        ("HTTP/1.1 101 \r\nUpgrade: x\r\n\r\nanything", 101),
        (&headers(MAX_HEADERS), 200),
    ] {
        assert_eq!(answered(vec![answer.into()]), Ok(status), "{answer}");
        let bytes = answer.bytes().map(|byte| vec![byte]).collect();
        assert_eq!(answered(bytes), Ok(status), "a byte at a time: {answer}");
    }
}

#[test]
fn what_is_no_answer_says_why() {
    let long = format!("HTTP/1.1 200 \r\nX: {}", "y".repeat(MAX_HEAD));
    let many = format!("HTTP/1.1 200 \r\n{}\r\n", "X: y\r\n".repeat(MAX_HEADERS + 1));
    let endless = "HTTP/1.1 102 \r\n\r\n".repeat(MAX_HEAD / 10);
    for (answer, why) in [
        ("", "closed without an answer"),
        ("H", "the answer was cut short"),
        ("HTTP/1.1 200 OK\r\nX: y\r\n", "the answer was cut short"),
        ("HTTP/1.1 100 \r\n\r\n", "the answer was cut short"),
        ("\x15\x03\x01\0\x02\x02\x16", "the answer is not HTTP"),
        ("220 mail ESMTP\r\n", "the answer is not HTTP"),
        ("HTTP/2 200\r\n\r\n", "the answer is not HTTP"),
        ("HTTP/1.1 000 \r\n\r\n", "the answer is not HTTP"),
        ("HTTP/1.1 600 \r\n\r\n", "the answer is not HTTP"),
        ("HTTP/1.1 200 OK\r\n\0\r\n\r\n", "the answer is not HTTP"),
        (&long, "the head of the answer is too long"),
        (&many, "the head of the answer is too long"),
        (&endless, "the head of the answer is too long"),
    ] {
        // Where what is sent is left unread, the close would be a reset.
        let bytes = answer.as_bytes().to_vec();
        let (url, _request) = serve(move |client| {
            let _ = client.write_all(&bytes);
            let _ = client.shutdown(std::net::Shutdown::Write);
            stay(client);
        });
        assert_eq!(get(&url, LONG), Err(why.into()), "{answer:.40}");
    }
}

#[test]
fn the_request_is_sent_as_it_is_written() {
    let (url, request) = serve(|client| {
        let _ = client.write_all(b"HTTP/1.1 204 \r\n\r\n");
    });
    let post: Request = format!("{url}quit?now=1").parse().unwrap();
    assert_eq!(post.send(LONG).ok(), Some(204));
    assert_eq!(request.recv().unwrap(), post.head());
}

#[test]
fn a_server_that_says_nothing_has_until_the_deadline() {
    let (url, _request) = serve(stay);
    let began = Instant::now();
    assert_eq!(get(&url, SHORT), Err("no answer in 0.1s".into()));
    assert!(began.elapsed() >= SHORT);
}

#[test]
fn a_server_that_drips_has_until_the_same_deadline() {
    let (url, _request) = serve(|client| {
        let _ = client.write_all(b"HTTP/1.1 200 \r\nX: ");
        // The sleep is what makes it drip: each byte would start another timeout anew.
        while client.write_all(b"y").is_ok() {
            thread::sleep(SHORT / 20);
        }
    });
    let began = Instant::now();
    assert_eq!(get(&url, SHORT), Err("no answer in 0.1s".into()));
    assert!(began.elapsed() >= SHORT);
}

#[test]
fn no_time_at_all_is_no_error_of_ours() {
    assert_eq!(get("http://127.0.0.1:1/", Duration::ZERO), Err("no answer in 0s".into()));
}

/// A port that is taken by a socket that does not listen: nobody else can have it meanwhile.
fn refusing() -> (u16, impl Sized) {
    let flags = SockFlag::SOCK_CLOEXEC;
    let taken = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
    bind(std::os::fd::AsRawFd::as_raw_fd(&taken), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    let address: SockaddrIn = getsockname(std::os::fd::AsRawFd::as_raw_fd(&taken)).unwrap();
    (address.port(), taken)
}

#[test]
fn a_port_where_nobody_listens_refuses() {
    let (port, _taken) = refusing();
    let refused = Err("connection refused".to_owned());
    assert_eq!(get(&format!("http://127.0.0.1:{port}/"), LONG), refused);
    assert_eq!(get(&format!("http://localhost:{port}/"), LONG), refused);
}

#[test]
fn every_address_is_tried_in_its_turn() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, _taken) = refusing();
    let addresses = [([127, 0, 0, 1], port).into(), listener.local_addr().unwrap()];
    let deadline = Deadline { at: Instant::now() + LONG, timeout: LONG };
    let stream = connect(&addresses, deadline).unwrap();
    assert_eq!(stream.peer_addr().unwrap(), addresses[1]);
}

#[test]
fn localhost_is_loopback_without_a_resolver() {
    let none = Deadline { at: Instant::now(), timeout: Duration::ZERO };
    let found = |server: &str| addresses(&server.parse().unwrap(), none).ok();
    let loopback = ["127.0.0.1:80", "[::1]:80"].map(|address| address.parse().unwrap());
    for server in ["localhost:80", "LocalHost.:80", "a.localhost:80"] {
        assert_eq!(found(server), Some(loopback.to_vec()), "{server}");
    }
    assert_eq!(found("[::1]:80"), Some(loopback[1..].to_vec()));
    assert_eq!(found("127.0.0.1:80"), Some(loopback[..1].to_vec()));
}

/// What servers say, and what of it gets lost or wrong on the way.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop::sample::select(vec![
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 100 \r\n\r\nHTTP/1.1 404 Not Found\r\nA: b\r\nC:\r\n\r\n",
        "HTTP/1.0 503\n\n",
    ]);
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let changed = (whole, changes, any::<prop::sample::Index>());
    let changed = changed.prop_map(|(whole, changes, cut)| {
        let mut bytes = whole.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len() * 2));
        bytes
    });
    prop_oneof![vec(any::<u8>(), 0..200), changed]
}

proptest! {
    #[test]
    fn any_bytes_have_a_status_or_none(bytes in answers()) {
        if let Ok(Some(found)) = status(&bytes) {
            prop_assert!(found == 101 || (200..600).contains(&found));
            // It was there at once or with a later byte, and does not change.
            let first = (0..=bytes.len()).find_map(|end| status(&bytes[..end]).unwrap());
            prop_assert_eq!(first, Some(found));
        }
    }

    #[test]
    fn any_server_has_an_end(bytes in answers(), piece in 1..50usize) {
        let expected = status(&bytes).ok().flatten();
        let pieces = bytes.chunks(piece).map(<[u8]>::to_vec).collect();
        let began = Instant::now();
        prop_assert_eq!(answered(pieces).ok(), expected);
        prop_assert!(began.elapsed() < LONG);
    }
}
