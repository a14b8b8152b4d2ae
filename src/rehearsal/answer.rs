//! An answer over HTTP/1: where its head ends, and where its body does (RFC 9112, 6.3).

/// How many bytes may come until a head is complete.
pub const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 100;

/// What is no answer.
#[derive(Debug, PartialEq, Eq)]
pub struct NotHttp;

/// The head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    /// How many bytes it has, with the heads of interim answers before it.
    pub length: usize,
    pub body: Body,
    /// The server keeps the connection open after it.
    pub keeps: bool,
}

/// Where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// So many bytes come.
    Length(u64),
    /// Chunks come, and the last is empty.
    Chunked,
    /// With the connection.
    UntilEnd,
}

impl Head {
    /// Parses what has come so far of an answer to a GET; None until its head is complete.
    pub fn parse(bytes: &[u8]) -> Result<Option<Head>, NotHttp> {
        let mut before = 0;
        loop {
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut response = httparse::Response::new(&mut headers);
            let length = match response.parse(&bytes[before..]) {
                Ok(httparse::Status::Complete(length)) => length,
                Ok(httparse::Status::Partial) => return Ok(None),
                Err(_) => return Err(NotHttp),
            };
            before += length;
            match response.code {
                Some(100 | 102..=199) => {}
                Some(status @ (101 | 200..=599)) => {
                    return Ok(Some(Head::of(&response, status, before)));
                }
                _ => return Err(NotHttp),
            }
        }
    }

    fn of(response: &httparse::Response, status: u16, length: usize) -> Head {
        let values = |name: &'static str| {
            let of_name = response
                .headers
                .iter()
                .filter(move |header| header.name.eq_ignore_ascii_case(name));
            of_name.filter_map(|header| str::from_utf8(header.value).ok())
        };
        let has = |name, token: &str| {
            let mut tokens = values(name).flat_map(|value| value.split(','));
            tokens.any(|word| word.trim().eq_ignore_ascii_case(token))
        };
        let given = values("content-length").next().and_then(|length| length.trim().parse().ok());
        let body = match status {
            204 | 304 => Body::Length(0),
            101 => Body::UntilEnd,
            _ if has("transfer-encoding", "chunked") => Body::Chunked,
            _ => given.map_or(Body::UntilEnd, Body::Length),
        };
        let is_new = response.version == Some(1);
        let keeps = match is_new {
            true => !has("connection", "close"),
            false => has("connection", "keep-alive"),
        };
        Head { status, length, body, keeps: keeps && body != Body::UntilEnd }
    }
}

/// How many bytes a chunk at the beginning of these has, with its size before it and its line break
/// after it, and whether it is the last; None until its size is complete.
pub fn chunk(bytes: &[u8]) -> Result<Option<(u64, bool)>, NotHttp> {
    match httparse::parse_chunk_size(bytes) {
        Ok(httparse::Status::Complete((before, 0))) => Ok(Some((before as u64, true))),
        Ok(httparse::Status::Complete((before, size))) => {
            Ok(Some(((before as u64).saturating_add(size).saturating_add(2), false)))
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(NotHttp),
    }
}

#[cfg(test)]
mod tests;
