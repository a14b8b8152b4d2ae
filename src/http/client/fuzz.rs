//! A response, as it may come in parts.

use crate::http::client::status;

/// The status, or why there is none, in words.
fn outcome(bytes: &[u8]) -> Result<Option<u16>, String> {
    status(bytes).map_err(|error| error.to_string())
}

pub fn response(bytes: &[u8]) {
    let whole = outcome(bytes);
    if let Ok(Some(status)) = whole {
        assert!(matches!(status, 101 | 200..=599), "{status} is not final");
    }
    for length in [bytes.len() / 4, bytes.len() / 2, bytes.len().saturating_sub(1)] {
        let part = outcome(&bytes[..length]);
        assert!(part == Ok(None) || part == whole, "{length} bytes were another response");
    }
    let after_interim = [b"HTTP/1.1 103 Early Hints\r\nLink: </style>\r\n\r\n", bytes].concat();
    assert_eq!(outcome(&after_interim), whole, "an interim response changed it");
}
