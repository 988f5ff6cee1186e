//! Web origins (RFC 6454): the scheme, host and port of a page, as a browser sends them.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

use crate::class::is_reg_name;
use crate::{IpLiteral, dec_u64, eq_ignore_case, ip_literal, ipv4_address};

/// An origin: scheme, host and port. Two origins are equal if these three are equal. The case of
/// letters, a default port, a dot after the name and the spelling of an IPv6 address do not matter.
///
/// ```
/// use tidewire_grammar::Origin;
///
/// let page = Origin::parse(b"http://example.org")?;
/// assert_eq!(page, Origin::parse(b"HTTP://Example.org.:80")?);
/// assert_ne!(page, Origin::parse(b"https://example.org")?);
/// assert!(page.is_of_host(b"example.org:80"));
/// # Ok::<(), tidewire_grammar::OriginError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    scheme: &'a [u8],
    host: Host<'a>,
    port: Option<u16>,
}

/// The host of an origin.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Host<'a> {
    /// None, as in `file://`.
    None,
    /// A name as it is spelled. It may end in a dot.
    Name(&'a [u8]),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
}

/// Why a text is not an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OriginError {
    /// The text does not begin with a scheme and `://`.
    Scheme,
    /// A path, a query or a fragment follows the host and port.
    Path,
    /// There is a user name before the host.
    User,
    /// The host is missing, or has a character that is not allowed in a host.
    Host,
    /// The host is an IPv4 address in a form that no browser sends.
    Ipv4,
    /// The host is a malformed IPv6 address, or an IPv6 address without brackets.
    Ipv6,
    /// The port is not a number up to 65535.
    Port,
}

impl<'a> Origin<'a> {
    /// Reads an origin, such as the value of an `Origin` field.
    ///
    /// # Errors
    /// [`OriginError`]. `null` is an error too: every page without an origin sends it.
    pub fn parse(text: &'a [u8]) -> Result<Self, OriginError> {
        let at = text.windows(3).position(|three| three == b"://").ok_or(OriginError::Scheme)?;
        let (scheme, rest) = (&text[..at], &text[at.saturating_add(3)..]);
        let is_scheme = |b: &u8| b.is_ascii_alphanumeric() || b"+-.".contains(b);
        if !scheme.first().is_some_and(u8::is_ascii_alphabetic) || !scheme.iter().all(is_scheme) {
            return Err(OriginError::Scheme);
        }
        if rest.iter().any(|b| b"/?#\\".contains(b)) {
            return Err(OriginError::Path);
        }
        if rest.contains(&b'@') {
            return Err(OriginError::User);
        }
        let default = default_port(scheme);
        if rest.is_empty() {
            // A web scheme needs a host. `file` and the schemes of applications do not.
            return if default.is_some() {
                Err(OriginError::Host)
            } else {
                Ok(Self { scheme, host: Host::None, port: None })
            };
        }
        let (host, port) = authority(rest)?;
        Ok(Self { scheme, host, port: port.or(default) })
    }

    /// The scheme, as it is spelled.
    #[must_use]
    pub const fn scheme(&self) -> &'a [u8] {
        self.scheme
    }

    /// The host.
    #[must_use]
    pub const fn host(&self) -> Host<'a> {
        self.host
    }

    /// The port, or the default port of the scheme. `None` if there is neither.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether a server that got this value of `Host` is at this origin.
    ///
    /// The scheme may be `http` or `https`: behind a proxy that terminates TLS, a server does not
    /// know which of the two the browser used. A `Host` without a port has the default port of the
    /// origin's scheme.
    #[must_use]
    pub fn is_of_host(&self, host: &[u8]) -> bool {
        let is_web = eq_ignore_case(self.scheme, b"http") || eq_ignore_case(self.scheme, b"https");
        is_web
            && authority(host).is_ok_and(|(host, port)| {
                host == self.host && port.or_else(|| default_port(self.scheme)) == self.port
            })
    }
}

impl PartialEq for Origin<'_> {
    fn eq(&self, other: &Self) -> bool {
        eq_ignore_case(self.scheme, other.scheme) && self.host == other.host && self.port == other.port
    }
}

impl Eq for Origin<'_> {}

impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Name(a), Self::Name(b)) => eq_ignore_case(relative(a), relative(b)),
            (Self::V4(a), Self::V4(b)) => a == b,
            (Self::V6(a), Self::V6(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Host<'_> {}

/// Reads a host, and a port if there is one.
fn authority(text: &[u8]) -> Result<(Host<'_>, Option<u16>), OriginError> {
    if text.starts_with(b"[") {
        let Ok((IpLiteral::V6(groups), len)) = ip_literal(text) else { return Err(OriginError::Ipv6) };
        let host = Host::V6(groups.into());
        return match text[len..].split_first() {
            None => Ok((host, None)),
            Some((b':', digits)) => Ok((host, port(digits)?)),
            Some(_) => Err(OriginError::Ipv6),
        };
    }
    let colon = text.iter().position(|&b| b == b':').unwrap_or(text.len());
    let (host, rest) = text.split_at(colon);
    let digits = rest.get(1..).unwrap_or_default();
    if digits.contains(&b':') {
        return Err(OriginError::Ipv6);
    }
    Ok((name(host)?, port(digits)?))
}

/// Reads a name or an IPv4 address.
fn name(text: &[u8]) -> Result<Host<'_>, OriginError> {
    let mut labels = relative(text).split(|&b| b == b'.');
    if labels.clone().any(|label| label.is_empty() || !label.iter().all(is_host)) {
        return Err(OriginError::Host);
    }
    // Browsers take a host whose last label is a number for an IPv4 address (WHATWG URL, §3.5).
    let last = labels.next_back().unwrap_or_default();
    let hex = last.strip_prefix(b"0x").or_else(|| last.strip_prefix(b"0X"));
    let is_number = last.iter().all(u8::is_ascii_digit)
        || hex.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if is_number {
        let octets = ipv4_address(relative(text)).map_err(|_| OriginError::Ipv4)?;
        return Ok(Host::V4(octets.into()));
    }
    Ok(Host::Name(text))
}

/// Whether a byte is allowed in a name. The star and the comma are not: people write them for
/// patterns and lists.
fn is_host(b: &u8) -> bool {
    is_reg_name(*b) && !b"*,".contains(b)
}

/// Reads a port. No digits mean the default port (RFC 3986 §3.2.3).
fn port(digits: &[u8]) -> Result<Option<u16>, OriginError> {
    if digits.is_empty() {
        return Ok(None);
    }
    let number = dec_u64(digits).map_err(|_| OriginError::Port)?;
    u16::try_from(number).map(Some).map_err(|_| OriginError::Port)
}

/// The name without a dot at its end.
fn relative(name: &[u8]) -> &[u8] {
    name.strip_suffix(b".").unwrap_or(name)
}

fn default_port(scheme: &[u8]) -> Option<u16> {
    const DEFAULT: [(&[u8], u16); 5] =
        [(b"http", 80), (b"https", 443), (b"ws", 80), (b"wss", 443), (b"ftp", 21)];
    DEFAULT.iter().find(|(known, _)| eq_ignore_case(scheme, known)).map(|&(_, port)| port)
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "an origin begins with a scheme and ://",
            Self::Path => "an origin has no path",
            Self::User => "an origin has no user name",
            Self::Host => {
                "the host of the origin is missing, or has a character that is not allowed in a host"
            }
            Self::Ipv4 => "an IPv4 address has four decimal numbers",
            Self::Ipv6 => "an IPv6 address needs brackets, and has no zone",
            Self::Port => "a port is a number up to 65535",
        })
    }
}

impl core::error::Error for OriginError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    /// Each row is one origin in all its spellings.
    const TABLE: &[&[&str]] = &[
        &[
            "http://example.org",
            "http://example.org:80",
            "HTTP://EXAMPLE.ORG",
            "http://example.org.",
            "http://example.org:",
        ],
        &["https://example.org", "https://example.org:443", "https://Example.Org.:00443"],
        &["http://example.org:443", "http://example.org.:443"],
        &["https://example.org:80"],
        &["ws://example.org", "ws://example.org:80"],
        &["http://www.example.org"],
        &["http://localhost", "http://localhost.", "http://LOCALHOST:80"],
        &["http://127.0.0.1", "http://127.0.0.1:80", "http://127.0.0.1."],
        &["http://[::1]", "http://[0:0:0:0:0:0:0:1]", "http://[::0001]:80", "http://[0::1]:"],
        &["http://[::1]:8080", "http://[0:0::1]:8080"],
        &["http://[::ffff:127.0.0.1]", "http://[::ffff:7f00:1]"],
        &["file://", "FILE://"],
        &["app://-", "app://-."],
        &["capacitor://localhost", "Capacitor://localhost"],
        &["chrome-extension://abcdefgh"],
        &["http://under_score"],
        &["http://1.example", "http://1.EXAMPLE"],
    ];

    #[test]
    fn two_spellings_are_equal_if_they_are_the_same_origin() {
        let all: Vec<_> = TABLE
            .iter()
            .enumerate()
            .flat_map(|(row, spellings)| spellings.iter().map(move |spelling| (row, spelling)))
            .collect();
        for (row, one) in &all {
            for (other_row, other) in &all {
                let same = Origin::parse(one.as_bytes()).unwrap() == Origin::parse(other.as_bytes()).unwrap();
                assert_eq!(same, row == other_row, "{one} and {other}");
            }
        }
    }

    #[test]
    fn a_text_that_is_not_an_origin_has_an_error() {
        use OriginError::{Host, Ipv4, Ipv6, Path, Port, Scheme, User};
        for (text, why) in [
            ("", Scheme),
            ("null", Scheme),
            ("example.org", Scheme),
            ("://example.org", Scheme),
            ("1http://a", Scheme),
            ("blob:http://a", Scheme),
            ("http://a/", Path),
            ("http://a\\b", Path),
            ("http://a?b", Path),
            ("http://a#b", Path),
            ("file:///", Path),
            ("http://u@a", User),
            ("http://u:p@a:1", User),
            ("http://", Host),
            ("WSS://", Host),
            ("http://.", Host),
            ("http://:80", Host),
            ("app://:80", Host),
            ("http://.a", Host),
            ("http://a..b", Host),
            ("http://a..", Host),
            ("http://*.a", Host),
            ("http://a,b", Host),
            ("http://a b", Host),
            ("http://a%62", Host),
            ("http://b\u{fc}cher", Host),
            ("http://a\0", Host),
            ("http://127.1", Ipv4),
            ("http://2130706433", Ipv4),
            ("http://0x7f.1", Ipv4),
            ("http://a.0x", Ipv4),
            ("http://127.0.0.01", Ipv4),
            ("http://127.0.0.256", Ipv4),
            ("http://[", Ipv6),
            ("http://[]", Ipv6),
            ("http://[::1", Ipv6),
            ("http://[::1]x", Ipv6),
            ("http://[zz]", Ipv6),
            ("http://[fe80::1%25e]", Ipv6),
            ("http://[1.2.3.4]", Ipv6),
            ("http://::1", Ipv6),
            ("http://a:1:2", Ipv6),
            ("http://a:x", Port),
            ("http://a:-1", Port),
            ("http://a:65536", Port),
            ("http://[::1]:99999999999999999999999", Port),
        ] {
            let error = Origin::parse(text.as_bytes()).expect_err(text);
            assert_eq!(error, why, "{text}");
            assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn an_origin_is_compared_with_a_host() {
        let is_own =
            |origin: &str, host: &str| Origin::parse(origin.as_bytes()).unwrap().is_of_host(host.as_bytes());
        for (origin, host) in [
            ("http://a", "a"),
            ("http://a", "A:80"),
            ("http://a", "a."),
            ("http://a", "a:"),
            ("https://a", "a"),
            ("https://a", "a:443"),
            ("http://a:8080", "a:8080"),
            ("http://[::1]", "[0::1]:80"),
            ("http://127.0.0.1:1", "127.0.0.1:1"),
        ] {
            assert!(is_own(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("http://a", "b"),
            ("http://a", "a:443"),
            ("https://a", "a:80"),
            ("https://a:80", "a"),
            ("http://a", ""),
            ("http://a", "a:x"),
            ("http://a", "a b"),
            ("http://a", "u@a"),
            ("app://a", "a"),
            ("ws://a", "a"),
            ("file://", ""),
            ("http://127.0.0.1", "[::ffff:127.0.0.1]"),
        ] {
            assert!(!is_own(origin, host), "{origin} {host}");
        }
    }
}
