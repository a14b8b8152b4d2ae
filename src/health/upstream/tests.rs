use std::net::TcpListener;

use super::*;
use crate::test_support::eventually;

fn upstream(text: &str) -> Result<Upstream, ParseUpstreamError> {
    text.parse()
}

#[test]
fn an_upstream_is_a_url_or_a_port() {
    for (text, host, port) in [
        ("tcp://localhost:50051", "localhost", 50051),
        (" TCP://10.0.0.1:1 ", "10.0.0.1", 1),
        ("tcp://[::1]:65535", "[::1]", 65535),
    ] {
        let Ok(Upstream::Tcp(server)) = upstream(text) else { panic!("{text}") };
        assert_eq!((server.host(), server.port()), (host, port), "{text}");
    }
    let http = Upstream::Http(Request::get("http://localhost:8080/ready".parse().unwrap()));
    assert_eq!(upstream("http://localhost:8080/ready"), Ok(http));
}

#[test]
fn what_is_no_upstream_says_what_would_be_right() {
    for text in [
        "tcp://",
        "tcp://localhost",
        "tcp://localhost:",
        "tcp://localhost:0",
        "tcp://localhost:65536",
        "tcp://localhost:50051/",
        "tcp://localhost:50051/ready",
        "tcp://localhost:50051?a",
        "tcp://:50051",
        "tcp://::1:50051",
        "tcp://me@localhost:50051",
    ] {
        assert_eq!(upstream(text), Err(ParseUpstreamError::Tcp), "{text}");
    }
    for text in ["", "localhost:50051", "grpc://localhost:50051", "https://localhost:8443/"] {
        let why = upstream(text).unwrap_err().to_string();
        assert!(why.contains("http://") && why.contains("or tcp://HOST:PORT"), "{text}: {why}");
    }
}

#[test]
fn where_a_listener_is_reached() {
    for (listener, reached, not_reached) in [
        ("0.0.0.0:80", &["127.0.0.1:80", "10.0.0.1:80", "[::ffff:10.0.0.1]:80"][..], "[::1]:80"),
        ("[::]:80", &["127.0.0.1:80", "[::1]:80", "0.0.0.0:80"], "127.0.0.1:81"),
        ("127.0.0.1:80", &["127.0.0.1:80", "0.0.0.0:80", "[::]:80"], "10.0.0.1:80"),
        ("[::1]:80", &["[::1]:80"], "127.0.0.1:80"),
        ("[::ffff:10.0.0.1]:80", &["10.0.0.1:80"], "[::1]:80"),
    ] {
        let serves = |address: &str| serves(listener.parse().unwrap(), address.parse().unwrap());
        reached.iter().for_each(|address| assert!(serves(address), "{listener} at {address}"));
        assert!(!serves(not_reached), "{listener} at {not_reached}");
    }
}

#[test]
fn somebody_listens_or_nobody() {
    for address in ["127.0.0.1:0", "127.1.2.3:0", "0.0.0.0:0"] {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let server = address.to_string().parse().unwrap();
        assert!(is_listened_at(&server), "{address}");
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "{address}: it has connected");
        drop(listener);
        // A process that another test has forked has a copy for a moment.
        eventually("nobody listens", || (!is_listened_at(&server)).then_some(()));
    }
}

#[test]
fn our_own_listener_is_no_upstream() {
    let is_at =
        |text: &str, listener: &str| upstream(text).unwrap().is_at(listener.parse().unwrap());
    for text in ["tcp://localhost:8086", "http://127.0.0.1:8086/readyz", "tcp://0.0.0.0:8086"] {
        assert!(is_at(text, "0.0.0.0:8086"), "{text}");
    }
    for text in ["tcp://localhost:8087", "http://192.0.2.1:8086/", "tcp://app:8086"] {
        assert!(!is_at(text, "0.0.0.0:8086"), "{text}");
    }
    assert!(!is_at("tcp://localhost:8086", "127.0.0.2:8086"));
}

/// As where the process that asks is killed from outside.
#[test]
fn a_question_that_is_never_answered_ends() {
    let upstream = upstream("http://127.0.0.1:1/").unwrap();
    let mut asker = Asker::new(&upstream).unwrap();
    let now = Instant::now();
    assert!(asker.wakes().is_none() && asker.end(now).is_none());
    let process = helper::fork_task(|| {
        loop {
            std::thread::park();
        }
    });
    asker.question = Some(Question { process: process.unwrap(), ends_at: now + TIMEOUT });
    assert_eq!(asker.end(now), None);
    assert_eq!(asker.end(now + TIMEOUT), Some(Response(503, "no answer")));
    assert!(asker.wakes().is_none() && asker.last(now + TIMEOUT).is_none());
}

#[test]
fn whether_somebody_listens_counts_for_a_second() {
    let upstream = upstream("tcp://127.0.0.1:1").unwrap();
    let mut asker = Asker::new(&upstream).unwrap();
    let now = Instant::now();
    asker.begin(&mut Vec::<()>::new(), now).unwrap();
    let process = asker.question.as_ref().unwrap().process;
    asker.begin(&mut Vec::<()>::new(), now).unwrap();
    assert_eq!(asker.question.as_ref().unwrap().process, process, "a second question");
    let answer = loop {
        if let Some(answer) = asker.end(now) {
            break answer;
        }
    };
    assert_eq!(answer, Response(503, "nobody listens"));
    assert_eq!(asker.last(now + Duration::from_millis(999)), Some(answer));
    assert_eq!(asker.last(now + MAX_AGE), None);
}
