//! The address of the server and the channels to use.

use std::fmt;
use std::str::FromStr;

/// A channel's URL, split into the parts that a client needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) address: Address,
    /// The value of the `Host` field.
    pub(crate) host: String,
    path: String,
    query: String,
}

/// The address to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp {
        /// Without the brackets of an IPv6 literal.
        host: String,
        port: u16,
    },
    Unix(std::path::PathBuf),
}

/// A URL that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// No scheme, or an unknown scheme.
    #[error("a URL starts with http://, ws:// or http+unix://")]
    Scheme,
    /// `https://` or `wss://`.
    #[error("TLS is not supported: run a proxy on this machine that speaks TLS, and use its http:// address")]
    Tls,
    /// No host, or an invalid host.
    #[error("the URL has no valid host")]
    Host,
    /// A name or a password before the host.
    #[error("a URL with a user name is refused: send credentials in a header field, which is not logged")]
    UserInfo,
    /// Not a port number from 1 to 65535.
    #[error("the URL has no valid port")]
    Port,
    /// The path is not `/…/NAME`.
    #[error(
        "the URL does not name a channel: write http://host:8080/c/NAME, or /c/NAME,NAME for several channels"
    )]
    Channel,
    /// A byte that no URL may have, for example a space. It must be percent-encoded.
    #[error("the URL has a byte that must be percent-encoded")]
    Byte,
    /// The query has a parameter that the client sets itself.
    #[error(
        "the URL sets since, feed, limit, wait, event, close, objects or a last event id: remove it, because \
         the client sets these parameters itself"
    )]
    Parameter,
}

impl Url {
    /// The request target with more parameters. The values must not have `&` or bytes that are
    /// invalid in a target.
    pub(crate) fn target(&self, parameters: &[(&str, &str)]) -> String {
        let mut target = self.path.clone();
        let mut separator = '?';
        if !self.query.is_empty() {
            target.push(separator);
            target.push_str(&self.query);
            separator = '&';
        }
        for (name, value) in parameters {
            target.push(separator);
            target.push_str(name);
            target.push('=');
            target.push_str(value);
            separator = '&';
        }
        target
    }
}

impl Url {
    /// The names of the channels, in the order of a cursor.
    pub(crate) fn channels(&self) -> Vec<String> {
        let names = self.path.split_once("/c/").map_or("", |(_, names)| names);
        let decode = |name| percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned();
        names.split(',').map(decode).collect()
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let url = tidewire_grammar::Url::parse(text)?;
        let (address, host) = match url.scheme().to_ascii_lowercase().as_str() {
            "http" | "ws" => {
                let (host, port) = url.host_and_port()?;
                let address = Address::Tcp { host: host.to_owned(), port: port.unwrap_or(80) };
                (address, url.authority().to_owned())
            }
            "http+unix" => unix(url.authority())?,
            "https" | "wss" => return Err(UrlError::Tls),
            _ => return Err(UrlError::Scheme),
        };
        let (path, query) = (url.path(), url.query().unwrap_or_default());
        if path.len() < 2 || path.ends_with('/') {
            return Err(UrlError::Channel);
        }
        let names = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
        let is_reserved =
            |name: &str| RESERVED_PARAMETERS.iter().any(|reserved| name.eq_ignore_ascii_case(reserved));
        if names.into_iter().any(is_reserved) {
            return Err(UrlError::Parameter);
        }
        Ok(Self { address, host, path: path.to_owned(), query: query.to_owned() })
    }
}

/// The parameters that the client sets itself. The server refuses a parameter that comes twice, and
/// a last event id in the URL would override the cursor of each attempt.
const RESERVED_PARAMETERS: [&str; 11] = [
    "since",
    "feed",
    "limit",
    "wait",
    "event",
    "close",
    "objects",
    "lastEventId",
    "last-event-id",
    "last_event_id",
    "evs_last_event_id",
];

/// The percent-encoded path of a socket, in the place of the host.
fn unix(authority: &str) -> Result<(Address, String), UrlError> {
    let path: Vec<u8> = percent_encoding::percent_decode_str(authority).collect();
    let path = String::from_utf8(path).ok().filter(|path| !path.is_empty()).ok_or(UrlError::Host)?;
    Ok((Address::Unix(path.into()), "localhost".to_owned()))
}

impl From<tidewire_grammar::UrlError> for UrlError {
    fn from(error: tidewire_grammar::UrlError) -> Self {
        use tidewire_grammar::UrlError as Grammar;
        match error {
            Grammar::User => Self::UserInfo,
            Grammar::Host => Self::Host,
            Grammar::Port => Self::Port,
            Grammar::Scheme => Self::Scheme,
            _ => Self::Byte,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_split_into_address_and_target() {
        let url: Url = "http://example.org:8080/c/demo?token=x".parse().unwrap();
        assert_eq!(url.address, Address::Tcp { host: "example.org".into(), port: 8080 });
        assert_eq!(url.host, "example.org:8080");
        assert_eq!(url.target(&[("since", "now")]), "/c/demo?token=x&since=now");
        let url: Url = "WS://[::1]/c/a,b".parse().unwrap();
        assert_eq!(url.address, Address::Tcp { host: "::1".into(), port: 80 });
        assert_eq!(url.target(&[("since", "now"), ("wait", "5")]), "/c/a,b?since=now&wait=5");
        let url: Url = "http+unix://%2Frun%2Ftidewire.sock/c/demo".parse().unwrap();
        assert_eq!(url.address, Address::Unix("/run/tidewire.sock".into()));
    }

    #[test]
    fn a_path_with_segments_is_sent_as_it_is() {
        let url: Url = "http://h/c/a/b,c/d/e%3A1,~x:@".parse().unwrap();
        assert_eq!(url.target(&[("since", "now")]), "/c/a/b,c/d/e%3A1,~x:@?since=now");
        assert_eq!(url.channels(), ["a/b", "c/d/e:1", "~x:@"]);
        let url: Url = "http://h/proxy/c/a/c/b".parse().unwrap();
        assert_eq!(url.channels(), ["a/c/b"]);
    }

    #[test]
    fn each_mistake_in_a_url_has_its_own_error() {
        for (text, error) in [
            ("demo", UrlError::Scheme),
            ("ftp://h/c/demo", UrlError::Scheme),
            ("https://h/c/demo", UrlError::Tls),
            ("wss://h/c/demo", UrlError::Tls),
            ("http:///c/demo", UrlError::Host),
            ("http://[::1/c/demo", UrlError::Host),
            ("http://[::1]x/c/demo", UrlError::Port),
            ("http://me:secret@h/c/demo", UrlError::UserInfo),
            ("http://h:/c/demo", UrlError::Port),
            ("http://h:+80/c/demo", UrlError::Port),
            ("http://h:65536/c/demo", UrlError::Port),
            ("http://h", UrlError::Channel),
            ("http://h/c/", UrlError::Channel),
            ("http://h/c/a b", UrlError::Byte),
            ("http://h/c/a#b", UrlError::Byte),
            ("http://h/c/a\r\nX: y", UrlError::Byte),
            ("http://h/c/demo?since=now", UrlError::Parameter),
            ("http://h/c/demo?objects=1", UrlError::Parameter),
            ("http://h/c/demo?close=1", UrlError::Parameter),
            ("http://h/c/demo?a=b&lastEventID=e-1", UrlError::Parameter),
            ("http://h/c/demo?Last-Event-Id=", UrlError::Parameter),
            ("http://h/c/demo?last_event_id=e-1", UrlError::Parameter),
            ("http://h/c/demo?evs_last_event_id=e-1", UrlError::Parameter),
            ("http://[:::::]/c/demo", UrlError::Host),
            ("http://[1]:80/c/demo", UrlError::Host),
            ("http://[fe80::1%25eth0]/c/demo", UrlError::Host),
            ("http://a[b]/c/demo", UrlError::Host),
            ("http://b]/c/demo", UrlError::Host),
        ] {
            assert_eq!(text.parse::<Url>(), Err(error), "{text}");
        }
    }
}
