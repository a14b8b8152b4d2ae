//! URLs and requests as people write them: only `http://` is accepted, and a request has a method.
//! Each error says what would have been right. And the targets of requests, as servers get them.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The length that RFC 9110 (4.1) recommends that all support.
const MAX_URL: usize = 8000;

/// Where a server is: a host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// As the Host header has it: an IPv6 address in brackets.
    host: String,
    port: u16,
}

/// An `http://` URL. Nothing in it can end the line of a request or of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    authority: Authority,
    /// With the query.
    path: String,
}

/// Why a text cannot be used as a URL or a request.
#[derive(Debug, PartialEq, Eq)]
pub enum ParseUrlError {
    Scheme,
    Tls,
    User,
    Host,
    Port,
    Fragment,
    Character,
    Length,
    Method,
}

impl fmt::Display for ParseUrlError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            ParseUrlError::Scheme => {
                "write http://HOST:PORT/PATH, such as http://localhost:8080/ready"
            }
            ParseUrlError::Tls => {
                "there is no TLS here: write an http:// URL that answers without it"
            }
            ParseUrlError::User => "leave the user before the @ out: no credentials are sent",
            ParseUrlError::Host => {
                "write a host: a name such as localhost, 127.0.0.1, or an IPv6 address as [::1]"
            }
            ParseUrlError::Port => {
                "write a port, 1 to 65535, after the host: http://localhost:8080/ready"
            }
            ParseUrlError::Fragment => {
                "leave the # and what follows out: no server sees that (a # is %23)"
            }
            ParseUrlError::Character => {
                "only printable ASCII without spaces can be in a URL; write the rest as %20"
            }
            ParseUrlError::Length => "a URL can have 8000 characters at most",
            ParseUrlError::Method => {
                "a method is upper-case letters, as in POST=http://localhost:8080/quit"
            }
        })
    }
}

impl std::error::Error for ParseUrlError {}

impl FromStr for Url {
    type Err = ParseUrlError;

    fn from_str(text: &str) -> Result<Url, ParseUrlError> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").ok_or(ParseUrlError::Scheme)?;
        match scheme.to_ascii_lowercase().as_str() {
            "http" => {}
            "https" => return Err(ParseUrlError::Tls),
            _ => return Err(ParseUrlError::Scheme),
        }
        if text.len() > MAX_URL {
            return Err(ParseUrlError::Length);
        }
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ParseUrlError::Character);
        }
        if rest.contains('#') {
            return Err(ParseUrlError::Fragment);
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(ParseUrlError::User);
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Url { authority: Authority::parse(authority, Some(80))?, path })
    }
}

fn is_host(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    // Underscores are in the names of Compose's services.
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=253).contains(&host.len()) && host.bytes().all(is_part)
}

impl Authority {
    /// Parses `HOST:PORT`; without the colon the port is the default, if there is one.
    fn parse(text: &str, default_port: Option<u16>) -> Result<Authority, ParseUrlError> {
        // The colons of an IPv6 address are inside of its brackets.
        let start = text.find(']').unwrap_or(0);
        let end = text[start..].find(':').map_or(text.len(), |colon| start + colon);
        let (host, port) = text.split_at(end);
        if !is_host(host) {
            return Err(ParseUrlError::Host);
        }
        let port = match port.strip_prefix(':') {
            None => default_port,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
            Some(_) => None,
        };
        let port = port.filter(|port| *port > 0).ok_or(ParseUrlError::Port)?;
        Ok(Authority { host: host.to_owned(), port })
    }

    /// A name, or an address; an IPv6 address is in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Authority {
    type Err = ParseUrlError;

    /// Takes `HOST:PORT`.
    fn from_str(text: &str) -> Result<Authority, ParseUrlError> {
        Authority::parse(text, None)
    }
}

impl Url {
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Host and port as the Host header has them: without port 80.
    fn host_header(&self) -> String {
        match &self.authority {
            Authority { host, port: 80 } => host.clone(),
            Authority { host, port } => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "http://{}{}", self.host_header(), self.path)
    }
}

/// A request without a body: a method and a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Upper-case letters.
    method: String,
    url: Url,
}

impl Request {
    pub fn get(url: Url) -> Request {
        Request { method: "GET".into(), url }
    }

    pub fn url(&self) -> &Url {
        &self.url
    }

    /// All that is sent: the request line and the headers. The server is to close the connection.
    pub fn head(&self) -> String {
        self.head_with("Connection: close\r\n")
    }

    /// The same, where the connection is to be kept.
    pub fn kept_head(&self) -> String {
        self.head_with("")
    }

    fn head_with(&self, connection: &str) -> String {
        let Request { method, url } = self;
        // A server may wait for a body, or refuse a POST without its length.
        let length = match method.as_str() {
            "GET" | "HEAD" => "",
            _ => "Content-Length: 0\r\n",
        };
        format!(
            "{method} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}\r\n{length}{connection}\r\n",
            url.path,
            url.host_header(),
            concat!("reprieve/", env!("CARGO_PKG_VERSION")),
        )
    }
}

impl FromStr for Request {
    type Err = ParseUrlError;

    /// Takes `[METHOD=]URL`; it is a POST unless said otherwise.
    fn from_str(text: &str) -> Result<Request, ParseUrlError> {
        let (method, url) = match text.trim().split_once('=') {
            // An equals sign after a colon is in the query.
            Some((method, url)) if !method.contains(':') => (method, url),
            _ => ("POST", text),
        };
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(ParseUrlError::Method);
        }
        Ok(Request { method: method.to_owned(), url: url.parse()? })
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)
    }
}

/// The path that the target of a request names, without its query: of `/path?query` as of
/// `http://host/path?query`, which any server has to accept (RFC 9112, 3.2.2). None of what names no
/// path, such as `*`.
pub fn path_of_target(target: &str) -> Option<&str> {
    let target = target.split('?').next()?;
    if target.starts_with('/') {
        return Some(target);
    }
    let (scheme, rest) = target.split_once("://")?;
    let is_http = ["http", "https"].iter().any(|http| scheme.eq_ignore_ascii_case(http));
    let (authority, path) = rest.split_at(rest.find('/')?);
    (is_http && !authority.is_empty()).then_some(path)
}

#[cfg(any(fuzzing, test))]
pub mod fuzz;

#[cfg(test)]
mod tests;
