//! URLs as people write them: `http://` alone, and with a method for what is to be told. Each error
//! says what would have been right.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The longest that RFC 9110 expects servers to take.
const LONGEST_URL: usize = 8000;

/// An `http://` URL. Nothing in it can end the line of a request or of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// As the Host header has it: an IPv6 address in brackets.
    host: String,
    port: u16,
    /// With the query.
    path: String,
}

/// Why a text is no URL for us.
#[derive(Debug, PartialEq, Eq)]
pub enum NoUrl {
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

impl fmt::Display for NoUrl {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            NoUrl::Scheme => "write http://HOST:PORT/PATH, such as http://localhost:8080/ready",
            NoUrl::Tls => "there is no TLS here: write an http:// URL that answers without it",
            NoUrl::User => "leave the user before the @ out: no credentials are sent",
            NoUrl::Host => {
                "write a host: a name such as localhost, 127.0.0.1, or an IPv6 address as [::1]"
            }
            NoUrl::Port => "write a port, 1 to 65535, after the host: http://localhost:8080/ready",
            NoUrl::Fragment => "leave the # and what follows out: no server sees that (a # is %23)",
            NoUrl::Character => {
                "only printable ASCII without spaces can be in a URL; write the rest as %20"
            }
            NoUrl::Length => "a URL can have 8000 characters",
            NoUrl::Method => {
                "a method is upper-case letters, as in POST=http://localhost:8080/quit"
            }
        })
    }
}

impl std::error::Error for NoUrl {}

impl FromStr for Url {
    type Err = NoUrl;

    fn from_str(text: &str) -> Result<Url, NoUrl> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").ok_or(NoUrl::Scheme)?;
        match scheme.to_ascii_lowercase().as_str() {
            "http" => {}
            "https" => return Err(NoUrl::Tls),
            _ => return Err(NoUrl::Scheme),
        }
        if text.len() > LONGEST_URL {
            return Err(NoUrl::Length);
        }
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NoUrl::Character);
        }
        if rest.contains('#') {
            return Err(NoUrl::Fragment);
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(NoUrl::User);
        }
        // The colons of an IPv6 address are inside of its brackets.
        let end = authority.find(']').map_or(0, |end| end + 1);
        let end = authority[end..].find(':').map_or(authority.len(), |colon| end + colon);
        let (host, port) = authority.split_at(end);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        match is_host(host) {
            true => Ok(Url { host: host.to_owned(), port: port_after_colon(port)?, path }),
            false => Err(NoUrl::Host),
        }
    }
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(rest) => {
            rest.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
        }
        // Underscores are in the names of Compose's services.
        None => {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            (1..=253).contains(&host.len()) && host.bytes().all(is_part)
        }
    }
}

/// With its colon, or nothing.
fn port_after_colon(text: &str) -> Result<u16, NoUrl> {
    let Some(digits) = text.strip_prefix(':') else { return Ok(80) };
    let port = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok());
    port.flatten().filter(|port| *port > 0).ok_or(NoUrl::Port)
}

impl Url {
    /// A name, or an address, which has brackets if it is IPv6's.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// As the Host header has it.
    fn authority(&self) -> String {
        match self.port {
            80 => self.host.clone(),
            port => format!("{}:{port}", self.host),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path)
    }
}

/// What to ask: a method and a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Letters.
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

    /// What is sent.
    pub fn head(&self) -> String {
        let Request { method, url } = self;
        // A server may wait for a body, or refuse a POST that does not tell its length.
        let length = match method.as_str() {
            "GET" | "HEAD" => "",
            _ => "Content-Length: 0\r\n",
        };
        format!(
            "{method} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}\r\n{length}Connection: close\r\n\r\n",
            url.path,
            url.authority(),
            concat!("reprieve/", env!("CARGO_PKG_VERSION")),
        )
    }
}

impl FromStr for Request {
    type Err = NoUrl;

    /// Takes `[METHOD=]URL`; it is a POST unless said otherwise.
    fn from_str(text: &str) -> Result<Request, NoUrl> {
        let (method, url) = match text.trim().split_once('=') {
            // Else it is in the query.
            Some((method, url)) if !method.contains(':') => (method, url),
            _ => ("POST", text),
        };
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(NoUrl::Method);
        }
        Ok(Request { method: method.to_owned(), url: url.parse()? })
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)
    }
}

#[cfg(test)]
mod tests;
