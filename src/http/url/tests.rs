use proptest::prelude::*;

use super::*;

fn url(text: &str) -> Result<Url, ParseUrlError> {
    text.parse()
}

#[test]
fn a_url_has_a_host_a_port_and_a_path() {
    for (text, host, port, path) in [
        ("http://localhost", "localhost", 80, "/"),
        ("HTTP://localhost:8080", "localhost", 8080, "/"),
        (" http://a.b-c_d:1/x/y ", "a.b-c_d", 1, "/x/y"),
        ("http://10.0.0.1:65535/?a=b:c@d", "10.0.0.1", 65535, "/?a=b:c@d"),
        ("http://[::1]:9901/ready", "[::1]", 9901, "/ready"),
        ("http://[fd00::1]", "[fd00::1]", 80, "/"),
        ("http://[fd00::]:81", "[fd00::]", 81, "/"),
        ("http://a?x=http://b/", "a", 80, "/?x=http://b/"),
        ("http://a:80/%20", "a", 80, "/%20"),
    ] {
        let url = url(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        let server = url.authority();
        let parts = (server.host(), server.port(), url.path.as_str());
        assert_eq!(parts, (host, port, path), "{text}");
        assert_eq!(url.to_string().parse(), Ok(url), "{text}");
    }
    assert_eq!(url("http://a:80/b?c").map(|url| url.to_string()), Ok("http://a/b?c".into()));
}

#[test]
fn what_is_no_url_says_what_would_be_right() {
    let long = format!("http://a/{}", "x".repeat(MAX_URL));
    let long_name = format!("http://{}/", "x".repeat(254));
    for (text, why) in [
        ("", ParseUrlError::Scheme),
        ("localhost:8080/ready", ParseUrlError::Scheme),
        ("ftp://a/", ParseUrlError::Scheme),
        ("http:/a/", ParseUrlError::Scheme),
        ("https://a/", ParseUrlError::Tls),
        ("http://", ParseUrlError::Host),
        ("http://:80/", ParseUrlError::Host),
        ("http:///ready", ParseUrlError::Host),
        ("http://?a", ParseUrlError::Host),
        ("http://a,b/", ParseUrlError::Host),
        ("http://%61/", ParseUrlError::Host),
        ("http://a\\b/", ParseUrlError::Host),
        ("http://::1/", ParseUrlError::Host),
        ("http://[::1/", ParseUrlError::Host),
        ("http://[]/", ParseUrlError::Host),
        ("http://[127.0.0.1]/", ParseUrlError::Host),
        ("http://[fe80::1%25eth0]/", ParseUrlError::Host),
        ("http://[::1]80/", ParseUrlError::Host),
        ("http://a]:80/", ParseUrlError::Host),
        (&long_name, ParseUrlError::Host),
        ("http://a:/", ParseUrlError::Port),
        ("http://a:0/", ParseUrlError::Port),
        ("http://a:65536/", ParseUrlError::Port),
        ("http://a:+80/", ParseUrlError::Port),
        ("http://a:8o/", ParseUrlError::Port),
        ("http://a:1:2/", ParseUrlError::Port),
        ("http://me@a/", ParseUrlError::User),
        ("http://me:secret@a:80/", ParseUrlError::User),
        ("http://a/#top", ParseUrlError::Fragment),
        ("http://a#top", ParseUrlError::Fragment),
        ("http://a/b c", ParseUrlError::Character),
        ("http://a/\r\nX: y", ParseUrlError::Character),
        ("http://a/\0", ParseUrlError::Character),
        ("http://a/\x7f", ParseUrlError::Character),
        ("http://ä/", ParseUrlError::Character),
        (&long, ParseUrlError::Length),
    ] {
        assert_eq!(url(text), Err(why), "{text}");
    }
}

#[test]
fn a_url_has_8000_characters_at_most() {
    let of = |length: usize| format!("http://a/{}", "x".repeat(length - "http://a/".len()));
    assert!(url(&of(MAX_URL)).is_ok());
    let why = url(&of(MAX_URL + 1)).unwrap_err();
    assert_eq!(why.to_string(), "a URL can have 8000 characters at most");
}

#[test]
fn a_request_is_a_post_unless_it_says_otherwise() {
    for (text, shown) in [
        ("http://a:1/quit", "POST http://a:1/quit"),
        ("http://a/?x=y", "POST http://a/?x=y"),
        ("PUT=http://a/", "PUT http://a/"),
        (" GET=http://a/?x=y ", "GET http://a/?x=y"),
    ] {
        let request = text.parse::<Request>().map(|request| request.to_string());
        assert_eq!(request, Ok(shown.into()), "{text}");
    }
    for (text, why) in [
        ("=http://a/", ParseUrlError::Method),
        ("post=http://a/", ParseUrlError::Method),
        ("P T=http://a/", ParseUrlError::Method),
        ("PUT\r\n=http://a/", ParseUrlError::Method),
        ("PUT=", ParseUrlError::Scheme),
        ("PUT=https://a/", ParseUrlError::Tls),
        ("PUT=PUT=http://a/", ParseUrlError::Scheme),
    ] {
        assert_eq!(text.parse::<Request>(), Err(why), "{text}");
    }
}

#[test]
fn only_a_request_that_may_have_a_body_has_a_length() {
    let head = |text: &str| text.parse::<Request>().unwrap().head();
    let version = env!("CARGO_PKG_VERSION");
    let rest = format!("User-Agent: reprieve/{version}\r\nConnection: close\r\n\r\n");
    let expected = format!("GET /b HTTP/1.1\r\nHost: [::1]:81\r\n{rest}");
    assert_eq!(head("GET=http://[::1]:81/b"), expected);
    assert!(head("http://a/").starts_with("POST / HTTP/1.1\r\nHost: a\r\n"));
    assert!(head("http://a/").contains("\r\nContent-Length: 0\r\n"));
}

proptest! {
    #[test]
    fn whatever_is_taken_is_one_request(
        prefix in prop::sample::select(vec!["", "http://", "http://a", "PUT=http://a:1/", "http://["]),
        rest in prop_oneof![any::<String>(), "[ -~]{0,30}", "[a-z/:@?#=\\[\\]\r\n ]{0,30}"],
    ) {
        let text = format!("{prefix}{rest}");
        if let Ok(request) = text.parse::<Request>() {
            let head = request.head();
            let mut headers = [httparse::EMPTY_HEADER; 8];
            let mut parsed = httparse::Request::new(&mut headers);
            prop_assert_eq!(parsed.parse(head.as_bytes()), Ok(httparse::Status::Complete(head.len())));
            prop_assert_eq!(parsed.path, Some(request.url.path.as_str()));
            prop_assert_eq!(parsed.headers.iter().filter(|header| header.name == "Host").count(), 1);
            prop_assert!(parsed.headers.len() <= 4);
            prop_assert_eq!(request.url.to_string().parse(), Ok(request.url));
        }
    }
}

#[test]
fn a_target_names_a_path_in_two_ways() {
    for (target, path) in [
        ("/readyz", Some("/readyz")),
        ("/readyz?a=http://b/c?d", Some("/readyz")),
        ("//a/b", Some("//a/b")),
        ("/a://b", Some("/a://b")),
        ("http://host/readyz", Some("/readyz")),
        ("HTTPS://me:pass@[::1]:8086/readyz?a", Some("/readyz")),
        ("http://host/", Some("/")),
        ("http://host", None),
        ("http://host?a=/readyz", None),
        ("http:///readyz", None),
        ("http:/readyz", None),
        ("ftp://host/readyz", None),
        ("readyz", None),
        ("host:443", None),
        ("*", None),
        ("", None),
    ] {
        assert_eq!(path_of_target(target), path, "{target}");
    }
}
