use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn parse(bytes: &str) -> Option<ProbeRequest> {
    ProbeRequest::parse(bytes.as_bytes())
}

#[test]
fn what_a_request_asks() {
    let asks = |probe, body| Some(ProbeRequest { probe: Ok(probe), body });
    let wrong =
        |status, text, body| Some(ProbeRequest { probe: Err(Response(status, text)), body });
    let headers = |count| format!("GET /livez HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(count));
    let long = |length| format!("GET /livez HTTP/1.1\r\nX: {}", "y".repeat(length));
    let (included, omitted) = (Body::Included, Body::Omitted);
    for (bytes, expected) in [
        ("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", asks(Probe::Ready, included)),
        ("GET /livez HTTP/1.0\r\n\r\n", asks(Probe::Live, included)),
        ("HEAD /readyz?a=b?c HTTP/1.1\r\n\r\nrest", asks(Probe::Ready, omitted)),
        ("GET /livez HTTP/1.1\n\n", asks(Probe::Live, included)),
        (&headers(MAX_HEADERS), asks(Probe::Live, included)),
        ("OPTIONS /readyz HTTP/1.0\r\n\r\n", asks(Probe::Ready, included)),
        ("GET http://10.0.0.1:8086/readyz?a HTTP/1.1\r\n\r\n", asks(Probe::Ready, included)),
        ("HEAD http://host/livez HTTP/1.1\r\n\r\n", asks(Probe::Live, omitted)),
        ("", None),
        ("GET /livez HTTP/1.1\r\n", None),
        (&long(100), None),
        ("GET / HTTP/1.1\r\n\r\n", wrong(404, "not found", included)),
        ("GET /readyz/ HTTP/1.1\r\n\r\n", wrong(404, "not found", included)),
        ("HEAD /x HTTP/1.1\r\n\r\n", wrong(404, "not found", omitted)),
        ("OPTIONS / HTTP/1.0\r\n\r\n", asks(Probe::Ready, included)),
        ("GET / HTTP/1.0\r\n\r\n", wrong(404, "not found", included)),
        ("OPTIONS * HTTP/1.1\r\n\r\n", wrong(404, "not found", included)),
        ("CONNECT host:80 HTTP/1.1\r\n\r\n", wrong(404, "not found", included)),
        ("POST /livez HTTP/1.1\r\n\r\n", wrong(405, "GET, HEAD or OPTIONS only", included)),
        ("get /livez HTTP/1.1\r\n\r\n", wrong(405, "GET, HEAD or OPTIONS only", included)),
        ("\x16\x03\x01\x02\0\x01\0\x01", wrong(400, "bad request", included)),
        ("GET /livez\r\n\r\n", wrong(400, "bad request", included)),
        ("PRI * HTTP/2.0\r\n\r\n", wrong(400, "bad request", included)),
        (&long(MAX_HEAD), wrong(431, "too large", included)),
        (&(long(MAX_HEAD) + "\r\n\r\n"), wrong(431, "too large", included)),
        (&headers(MAX_HEADERS + 1), wrong(431, "too large", included)),
    ] {
        assert_eq!(parse(bytes), expected, "{bytes:.40}");
    }
}

#[test]
fn a_response_has_the_length_that_it_says() {
    let head = "HTTP/1.1 503 stopping\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\
                 Cache-Control: no-store\r\nConnection: close\r\n\r\n";
    assert_eq!(Response(503, "stopping").text(Body::Included), format!("{head}stopping"));
    assert_eq!(Response(503, "stopping").text(Body::Omitted), head);
    assert!(Response(405, "").text(Body::Included).contains("\r\nAllow: GET, HEAD, OPTIONS\r\n"));
    assert!(!Response(204, "").text(Body::Included).contains("Content-Length"));
}

proptest! {
    #[test]
    fn any_bytes_are_a_probe_or_refused(
        start in prop::sample::select(vec!["", "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"]),
        changes in vec((0..36usize, any::<u8>()), 0..4),
        rest in vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = start.as_bytes().to_vec();
        bytes.extend(rest);
        for (at, byte) in changes {
            bytes.get_mut(at).into_iter().for_each(|changed| *changed = byte);
        }
        let found = ProbeRequest::parse(&bytes);
        let first = (0..=bytes.len()).find_map(|end| ProbeRequest::parse(&bytes[..end]));
        prop_assert_eq!(first, found);
    }
}
