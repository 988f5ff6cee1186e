//! Parts of a message: version, method, target form, body length.

use core::fmt;

/// The versions of HTTP that this crate supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// HTTP/1.0: without chunked coding. The connection closes unless both sides ask to keep it
    /// open.
    Http10,
    /// HTTP/1.1.
    Http11,
}

impl Version {
    /// Returns `"HTTP/1.0"` or `"HTTP/1.1"`.
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
///
/// ```
/// use tidewire_http1::Method;
///
/// assert_eq!(Method::new("GET"), Method::Get);
/// assert_eq!(Method::new("PURGE"), Method::Other("PURGE"));
/// assert_eq!(Method::Delete.as_str(), "DELETE");
/// ```
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
    /// Returns the method of this name.
    #[must_use]
    pub const fn new(token: &'a str) -> Self {
        match KnownMethod::new(token.as_bytes()) {
            Some(known) => known.method(),
            None => Self::Other(token),
        }
    }

    /// Returns the method as written in the request line.
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

/// The methods with a variant of their own, as one byte.
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
    /// `/where?q=now`: the form that an origin server gets.
    Origin,
    /// `http://www.example.org/where`: the form that a proxy gets. A server must accept it too.
    Absolute,
    /// `www.example.com:80`: only with CONNECT.
    Authority,
    /// `*`: only with OPTIONS.
    Asterisk,
}

/// How a message's body is delimited (RFC 9112 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyLength {
    /// No body, and no field that delimits one.
    Empty,
    /// `Content-Length`: this many bytes; may be 0.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// All bytes until the connection closes. Only for responses.
    UntilClose,
}

impl BodyLength {
    /// Returns whether the head says that no content follows it: `Empty` or `Length(0)`. Such a
    /// message is complete with its head. A chunked body and one until close may turn out to be
    /// empty too, but a head does not say so.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        matches!(self, Self::Empty | Self::Length(0))
    }
}
