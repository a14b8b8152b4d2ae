use super::*;

#[track_caller]
fn head(text: &str) -> Head {
    Head::parse(text.as_bytes()).expect("HTTP").expect("a whole head")
}

#[test]
fn the_body_ends_as_the_head_says() {
    let of = |lines: &str| {
        let Head { body, keeps, .. } = head(&format!("HTTP/1.1 200 OK\r\n{lines}\r\nrest"));
        (body, keeps)
    };
    assert_eq!(of("content-length: 12\r\n"), (Body::Length(12), true));
    assert_eq!(of("Content-Length: 0\r\nConnection: Close\r\n"), (Body::Length(0), false));
    assert_eq!(of("Connection: x, close\r\nContent-Length: 5\r\n"), (Body::Length(5), false));
    assert_eq!(of("Transfer-Encoding: gzip, Chunked\r\n"), (Body::Chunked, true));
    assert_eq!(of("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"), (Body::Chunked, true));
    assert_eq!(of(""), (Body::UntilEnd, false));
    assert_eq!(of("Content-Length: many\r\n"), (Body::UntilEnd, false));
}

#[test]
fn some_statuses_have_no_body() {
    assert_eq!(head("HTTP/1.1 204 No Content\r\n\r\n").body, Body::Length(0));
    assert_eq!(
        head("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n").body,
        Body::Length(0)
    );
    assert_eq!(head("HTTP/1.1 101 Switching\r\nContent-Length: 9\r\n\r\n").body, Body::UntilEnd);
}

#[test]
fn an_old_version_keeps_a_connection_only_where_it_says_so() {
    assert!(!head("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n").keeps);
    assert!(head("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n").keeps);
}

#[test]
fn interim_answers_stand_before_the_head() {
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    let final_ = "HTTP/1.1 503 Busy\r\nContent-Length: 1\r\n\r\n";
    let both = head(&format!("{interim}{final_}x"));
    assert_eq!((both.status, both.length), (503, interim.len() + final_.len()));
    assert_eq!(Head::parse(interim.as_bytes()), Ok(None));
}

#[test]
fn what_is_no_answer_is_refused() {
    assert_eq!(Head::parse(b"HTTP/1.1 20"), Ok(None));
    assert_eq!(Head::parse(b"SSH-2.0-x\r\n"), Err(NotHttp));
    assert_eq!(Head::parse(b"HTTP/1.1 999 x\r\n\r\n"), Err(NotHttp));
}

#[test]
fn chunks_have_their_length_before_them() {
    assert_eq!(chunk(b"5\r\nhello\r\n"), Ok(Some((10, false))));
    assert_eq!(chunk(b"A;name=value\r\n"), Ok(Some((14 + 10 + 2, false))));
    assert_eq!(chunk(b"0\r\n\r\n"), Ok(Some((3, true))));
    assert_eq!(chunk(b"1"), Ok(None));
    assert_eq!(chunk(b"no\r\n"), Err(NotHttp));
    assert_eq!(chunk(b"FFFFFFFFFFFFFFFF\r\n"), Ok(Some((u64::MAX, false))));
}
