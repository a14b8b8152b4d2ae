//! A request, as it may come in parts.

use crate::health::probe::{Body, MAX_HEAD, ProbeRequest};

pub fn request(bytes: &[u8]) {
    let whole = ProbeRequest::parse(bytes);
    assert!(whole.is_some() || bytes.len() < MAX_HEAD, "a client could send for ever");
    for length in [bytes.len() / 4, bytes.len() / 2, bytes.len().saturating_sub(1)] {
        let part = ProbeRequest::parse(&bytes[..length]);
        assert!(part.is_none() || part == whole, "{length} bytes were another request");
    }
    if let Some(request) = whole {
        let of_head = bytes.windows(5).any(|word| word == b"HEAD ");
        assert!(request.body == Body::Included || of_head, "only the response to a HEAD is empty");
    }
}
