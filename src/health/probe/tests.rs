use std::io::Read;
use std::net::TcpListener;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn question(bytes: &str) -> Option<Question> {
    Question::read(bytes.as_bytes())
}

#[test]
fn what_a_request_asks() {
    let asks = |probe, form| Some(Question { probe: Ok(probe), form });
    let wrong = |status, text, form| Some(Question { probe: Err(Answer(status, text)), form });
    let headers = |count| format!("GET /livez HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(count));
    let long = |length| format!("GET /livez HTTP/1.1\r\nX: {}", "y".repeat(length));
    let (whole, head) = (Form::Whole, Form::Head);
    for (bytes, expected) in [
        ("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", asks(Probe::Ready, whole)),
        ("GET /livez HTTP/1.0\r\n\r\n", asks(Probe::Live, whole)),
        ("HEAD /readyz?a=b?c HTTP/1.1\r\n\r\nrest", asks(Probe::Ready, head)),
        ("GET /livez HTTP/1.1\n\n", asks(Probe::Live, whole)),
        (&headers(MOST_HEADERS), asks(Probe::Live, whole)),
        ("", None),
        ("GET /livez HTTP/1.1\r\n", None),
        (&long(100), None),
        ("GET / HTTP/1.1\r\n\r\n", wrong(404, "not found", whole)),
        ("GET /readyz/ HTTP/1.1\r\n\r\n", wrong(404, "not found", whole)),
        ("HEAD /x HTTP/1.1\r\n\r\n", wrong(404, "not found", head)),
        ("POST /livez HTTP/1.1\r\n\r\n", wrong(405, "GET or HEAD only", whole)),
        ("get /livez HTTP/1.1\r\n\r\n", wrong(405, "GET or HEAD only", whole)),
        ("\x16\x03\x01\x02\0\x01\0\x01", wrong(400, "bad request", whole)),
        ("GET /livez\r\n\r\n", wrong(400, "bad request", whole)),
        ("PRI * HTTP/2.0\r\n\r\n", wrong(400, "bad request", whole)),
        (&long(LONGEST_HEAD), wrong(431, "too large", whole)),
        (&(long(LONGEST_HEAD) + "\r\n\r\n"), wrong(431, "too large", whole)),
        (&headers(MOST_HEADERS + 1), wrong(431, "too large", whole)),
    ] {
        assert_eq!(question(bytes), expected, "{bytes:.40}");
    }
}

#[test]
fn an_answer_has_the_length_that_it_tells() {
    let whole = "HTTP/1.1 503 stopping\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\
                 Cache-Control: no-store\r\nConnection: close\r\n\r\n";
    assert_eq!(Answer(503, "stopping").text(Form::Whole), format!("{whole}stopping"));
    assert_eq!(Answer(503, "stopping").text(Form::Head), whole);
    assert!(Answer(405, "").text(Form::Whole).contains("\r\nAllow: GET, HEAD\r\n"));
    assert!(!Answer(204, "").text(Form::Whole).contains("Content-Length"));
}

#[test]
fn nobody_waits_when_too_many_ask_the_app() {
    let upstream = Request::get("http://127.0.0.1:1/".parse().unwrap());
    let (stopping, ended) = Default::default();
    let upstream = Some(&upstream);
    let mut probes = Probes { stopping, ended, upstream, askers: MOST_ASKERS };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    assert!(probes.answer(b"GET /readyz HTTP/1.1\r\n\r\n", &listener.accept().unwrap().0));
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 busy\r\n"), "{answer}");
    assert_eq!(probes.askers, MOST_ASKERS);
}

proptest! {
    #[test]
    fn any_bytes_are_a_question_or_refused(
        start in prop::sample::select(vec!["", "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"]),
        changes in vec((0..36usize, any::<u8>()), 0..4),
        rest in vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = start.as_bytes().to_vec();
        bytes.extend(rest);
        for (at, byte) in changes {
            bytes.get_mut(at).into_iter().for_each(|changed| *changed = byte);
        }
        let found = Question::read(&bytes);
        let first = (0..=bytes.len()).find_map(|end| Question::read(&bytes[..end]));
        prop_assert_eq!(first, found);
    }
}
