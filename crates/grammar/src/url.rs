//! Absolute URLs of clients: `scheme://authority[/path][?query]` (RFC 3986 §3, RFC 6455 §3).
//!
//! ```text
//! ws://[2001:db8::1]:8080/chat?room=1
//! scheme └── authority ──┘└path┘ └query┘
//! ```
//! Strict: a byte that must be percent-encoded, a fragment, a user name and a zone are refused, not
//! repaired. A browser repairs them, so its address bar is no proof that a URL is valid.

use core::fmt;

use crate::{dec_u64, ip_literal};

/// The parts of a URL that names a server, as they are spelled.
///
/// ```
/// use tidewire_grammar::Url;
///
/// let url = Url::parse("ws://[2001:db8::1]:8080/chat?room=1")?;
/// assert_eq!((url.scheme(), url.authority()), ("ws", "[2001:db8::1]:8080"));
/// assert_eq!((url.path(), url.query()), ("/chat", Some("room=1")));
/// assert_eq!(url.host_and_port()?, ("2001:db8::1", Some(8080)));
/// # Ok::<(), tidewire_grammar::UrlError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Url<'a> {
    scheme: &'a str,
    authority: &'a str,
    path: &'a str,
    query: Option<&'a str>,
}

/// Why a text is not a URL that a client can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UrlError {
    /// A byte that no URL may have, such as a space. It must be percent-encoded. A name outside
    /// ASCII must be written as its A-label (`xn--…`).
    Byte,
    /// The text does not begin with a scheme and `://`.
    Scheme,
    /// The URL has a fragment (`#…`), which is not sent to a server.
    Fragment,
    /// There is a user name before the host.
    User,
    /// The host is missing, or is not a name or an address.
    Host,
    /// The port is not a number from 1 to 65535.
    Port,
}

impl<'a> Url<'a> {
    /// Splits a URL. The authority is not checked: [`host_and_port`](Self::host_and_port) does so.
    ///
    /// # Errors
    /// [`UrlError::Byte`], [`UrlError::Fragment`] and [`UrlError::Scheme`].
    pub fn parse(text: &'a str) -> Result<Self, UrlError> {
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(UrlError::Byte);
        }
        if text.contains('#') {
            return Err(UrlError::Fragment);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let is_scheme = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(is_scheme) {
            return Err(UrlError::Scheme);
        }
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        Ok(Self { scheme, authority, path, query })
    }

    /// The scheme. Compare it without case.
    #[must_use]
    pub const fn scheme(&self) -> &'a str {
        self.scheme
    }

    /// The text between `://` and the path.
    #[must_use]
    pub const fn authority(&self) -> &'a str {
        self.authority
    }

    /// The path: empty, or a text that begins with `/`.
    #[must_use]
    pub const fn path(&self) -> &'a str {
        self.path
    }

    /// The text after the first `?`.
    #[must_use]
    pub const fn query(&self) -> Option<&'a str> {
        self.query
    }

    /// Splits the authority into the host, without the brackets of an IPv6 address, and the port.
    ///
    /// # Errors
    /// [`UrlError::User`], [`UrlError::Host`] and [`UrlError::Port`].
    pub fn host_and_port(&self) -> Result<(&'a str, Option<u16>), UrlError> {
        let authority = self.authority;
        if authority.contains('@') {
            return Err(UrlError::User);
        }
        let is_literal = authority.starts_with('[');
        let len = if is_literal {
            ip_literal(authority.as_bytes()).map_err(|_| UrlError::Host)?.1
        } else {
            authority.find(':').unwrap_or(authority.len())
        };
        let (host, rest) = authority.split_at_checked(len).ok_or(UrlError::Host)?;
        let port = match rest.strip_prefix(':') {
            Some(digits) => {
                let port = dec_u64(digits.as_bytes()).ok().and_then(|port| u16::try_from(port).ok());
                Some(port.filter(|&port| port > 0).ok_or(UrlError::Port)?)
            }
            None if rest.is_empty() => None,
            None => return Err(UrlError::Port),
        };
        let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let name = literal.unwrap_or(host);
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~%".contains(&b);
        if name.is_empty() || !(is_literal || name.bytes().all(allowed)) {
            return Err(UrlError::Host);
        }
        Ok((name, port))
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Byte => "the URL has a byte that must be percent-encoded",
            Self::Scheme => "a URL begins with a scheme and ://",
            Self::Fragment => "the URL has a fragment (#), which no server receives: remove it",
            Self::User => "the URL has a user name: send it in an Authorization field instead",
            Self::Host => "the URL has no valid host",
            Self::Port => "the URL has no valid port: it is a number from 1 to 65535",
        })
    }
}

impl core::error::Error for UrlError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_url_is_split() {
        for (text, scheme, authority, path, query) in [
            ("ws://h", "ws", "h", "", None),
            ("WS://h/", "WS", "h", "/", None),
            ("ws://h?a", "ws", "h", "", Some("a")),
            ("ws://h/a?b?c/d", "ws", "h", "/a", Some("b?c/d")),
            ("ws://h/a://b", "ws", "h", "/a://b", None),
            ("http+unix://%2Frun%2Fs/c", "http+unix", "%2Frun%2Fs", "/c", None),
            ("ws:///a", "ws", "", "/a", None),
        ] {
            let url = Url { scheme, authority, path, query };
            assert_eq!(Url::parse(text), Ok(url), "{text}");
        }
    }

    #[test]
    fn hosts_and_ports() {
        let split = |authority| Url { scheme: "ws", authority, path: "", query: None }.host_and_port();
        for (authority, parts) in [
            ("h", ("h", None)),
            ("h.example.:1", ("h.example.", Some(1))),
            ("127.0.0.1:65535", ("127.0.0.1", Some(65535))),
            ("[::1]", ("::1", None)),
            ("[::1]:080", ("::1", Some(80))),
        ] {
            assert_eq!(split(authority), Ok(parts), "{authority}");
        }
        for (authority, error) in [
            ("", UrlError::Host),
            (":80", UrlError::Host),
            ("a,b", UrlError::Host),
            ("a[b]", UrlError::Host),
            ("[::1", UrlError::Host),
            ("[fe80::1%25e]", UrlError::Host),
            ("[::1]x", UrlError::Port),
            ("h:", UrlError::Port),
            ("h:0", UrlError::Port),
            ("h:+80", UrlError::Port),
            ("h:65536", UrlError::Port),
            ("::1", UrlError::Port),
            ("u@h", UrlError::User),
            ("u:p@h:1", UrlError::User),
        ] {
            assert_eq!(split(authority), Err(error), "{authority}");
        }
    }

    #[test]
    fn a_text_that_is_not_a_url_has_an_error() {
        for (text, error) in [
            ("", UrlError::Scheme),
            ("h/a", UrlError::Scheme),
            ("://h", UrlError::Scheme),
            ("1s://h", UrlError::Scheme),
            ("a b://h", UrlError::Byte),
            ("ws://h/a b", UrlError::Byte),
            ("ws://b\u{fc}cher/", UrlError::Byte),
            ("ws://h/\r\nX: y", UrlError::Byte),
            ("ws://h/#a", UrlError::Fragment),
        ] {
            assert_eq!(Url::parse(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_parts_are_the_url(text in "[a-z:/?#@\\[\\]%.0-9]{0,24}") {
            if let Ok(url) = Url::parse(&text) {
                let query = url.query().map(|query| alloc::format!("?{query}")).unwrap_or_default();
                let whole = alloc::format!("{}://{}{}{query}", url.scheme(), url.authority(), url.path());
                prop_assert_eq!(whole, text.as_str());
                let _ = url.host_and_port();
            }
        }
    }
}
