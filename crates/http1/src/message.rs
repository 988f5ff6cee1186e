//! The words that heads are made of: version, method, target form, body length.

use core::fmt;

/// The protocol versions that this crate speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// HTTP/1.0: no chunked coding, and the connection closes unless both sides ask to keep it.
    Http10,
    /// HTTP/1.1.
    Http11,
}

impl Version {
    /// `"HTTP/1.0"` or `"HTTP/1.1"`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request method. Methods are case-sensitive: `get` is an [`Other`](Method::Other).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // each variant is the method of its name
pub enum Method<'a> {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
    /// Any other token.
    Other(&'a str),
}

impl<'a> Method<'a> {
    /// The method that `token` names.
    #[must_use]
    pub const fn new(token: &'a str) -> Self {
        match KnownMethod::new(token.as_bytes()) {
            Some(known) => known.method(),
            None => Self::Other(token),
        }
    }

    /// The method as it stands in the request line.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
            Self::Other(token) => token,
        }
    }
}

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The methods with a name of their own, as one byte: what a span table remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KnownMethod {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
}

impl KnownMethod {
    pub(crate) const fn new(token: &[u8]) -> Option<Self> {
        Some(match token {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"CONNECT" => Self::Connect,
            b"OPTIONS" => Self::Options,
            b"TRACE" => Self::Trace,
            b"PATCH" => Self::Patch,
            _ => return None,
        })
    }

    pub(crate) const fn method(self) -> Method<'static> {
        match self {
            Self::Get => Method::Get,
            Self::Head => Method::Head,
            Self::Post => Method::Post,
            Self::Put => Method::Put,
            Self::Delete => Method::Delete,
            Self::Connect => Method::Connect,
            Self::Options => Method::Options,
            Self::Trace => Method::Trace,
            Self::Patch => Method::Patch,
        }
    }
}

/// The four forms of a request target (RFC 9112 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetForm {
    /// `/where?q=now`: what an origin server gets.
    Origin,
    /// `http://www.example.org/where`: what a proxy gets, and what a server must take too.
    Absolute,
    /// `www.example.com:80`: with CONNECT, and only there.
    Authority,
    /// `*`: with OPTIONS, and only there.
    Asterisk,
}

/// How a message's body is delimited (RFC 9112 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyLength {
    /// There is none, and no field says anything about one.
    Empty,
    /// `Content-Length`: that many bytes, which may be 0.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// What comes until the connection closes. Responses only.
    UntilClose,
}
