//! What people write as a URL or a request, and what servers get as a target.

use crate::http::client::known_addresses;
use crate::http::url::{Authority, MAX_URL, Request, Url, path_of_target};

pub fn url(bytes: &[u8]) {
    let text = &*String::from_utf8_lossy(bytes);
    if let Ok(url) = text.parse::<Url>() {
        let shown = url.to_string();
        assert!(shown.len() > MAX_URL || shown.parse() == Ok(url.clone()), "{shown} is another");
        let port = url.authority().port();
        let addresses = known_addresses(url.authority()).unwrap_or_default();
        assert!(addresses.iter().all(|address| address.port() == port));
    }
    if let Ok(request) = text.parse::<Request>() {
        let Request { method, url } = &request;
        let shown = format!("{method}={url}");
        let is_too_long = url.to_string().len() > MAX_URL;
        assert!(is_too_long || shown.parse() == Ok(request.clone()), "{shown} is another");
        one_head(&request);
    }
    if let Ok(authority) = text.parse::<Authority>() {
        let Authority { host, port } = &authority;
        assert_eq!(format!("{host}:{port}").parse(), Ok(authority.clone()));
    }
    if let Some(path) = path_of_target(text) {
        assert!(path.starts_with('/') && !path.contains('?') && text.contains(path), "{path}");
    }
}

/// A server reads one request of this method and path, with the headers that we meant, and no more.
fn one_head(request: &Request) {
    let head = request.head();
    let mut headers = [httparse::EMPTY_HEADER; 8];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = parsed.parse(head.as_bytes());
    assert_eq!(length, Ok(httparse::Status::Complete(head.len())), "{head:?}");
    assert_eq!(parsed.method, Some(&*request.method));
    assert_eq!(parsed.path, Some(&*request.url.path));
    let names: Vec<_> = parsed.headers.iter().map(|header| header.name).collect();
    assert!(
        names == ["Host", "User-Agent", "Connection"]
            || names == ["Host", "User-Agent", "Content-Length", "Connection"],
        "{head:?}"
    );
}
