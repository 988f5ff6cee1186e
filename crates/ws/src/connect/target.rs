//! Where a URL leads.

use super::error::RequestError;
use alloc::format;
use alloc::string::{String, ToString as _};
use tidewire_grammar::{Url, eq_ignore_case};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) is_secure: bool,
    /// A name, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// The value of `Host`.
    pub(super) authority: String,
    pub(super) path_and_query: String,
}

impl Target {
    pub(super) fn parse(text: &str) -> Result<Self, RequestError> {
        let url = Url::parse(text).map_err(RequestError::Url)?;
        let is = |scheme: &str| eq_ignore_case(url.scheme().as_bytes(), scheme.as_bytes());
        let is_secure = match () {
            () if is("ws") || is("http") => false,
            () if is("wss") || is("https") => true,
            () => return Err(RequestError::Scheme),
        };
        let (host, port) = url.host_and_port().map_err(RequestError::Url)?;
        let default = if is_secure { 443 } else { 80 };
        // RFC 6455 §4.1 (4): the port only if it is not the default.
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_string() };
        let authority = match port.filter(|&port| port != default) {
            Some(port) => format!("{bracketed}:{port}"),
            None => bracketed,
        };
        // RFC 6455 §3: an empty path means "/".
        let path = if url.path().is_empty() { "/" } else { url.path() };
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        Ok(Self {
            is_secure,
            host: host.to_string(),
            port: port.unwrap_or(default),
            authority,
            path_and_query: format!("{path}{query}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewire_grammar::UrlError;

    #[test]
    fn a_url_names_a_server_and_a_target() {
        for (url, is_secure, host, port, authority, target) in [
            ("ws://h", false, "h", 80, "h", "/"),
            ("WS://h:80?a=b", false, "h", 80, "h", "/?a=b"),
            ("http://h:8080/x", false, "h", 8080, "h:8080", "/x"),
            ("wss://h.example/x?y?z", true, "h.example", 443, "h.example", "/x?y?z"),
            ("https://h:80/", true, "h", 80, "h:80", "/"),
            ("wss://[2001:db8::1]:443/", true, "2001:db8::1", 443, "[2001:db8::1]", "/"),
            ("ws://[::1]:9/a", false, "::1", 9, "[::1]:9", "/a"),
        ] {
            let (host, authority, path_and_query) = (host.into(), authority.into(), target.into());
            let target = Target { is_secure, host, port, authority, path_and_query };
            assert_eq!(Target::parse(url), Ok(target), "{url}");
        }
        assert_eq!(Target::parse("ftp://h/"), Err(RequestError::Scheme));
        assert_eq!(Target::parse("ws://h/#a"), Err(RequestError::Url(UrlError::Fragment)));
        assert_eq!(Target::parse("ws://u:p@h/"), Err(RequestError::Url(UrlError::User)));
    }
}
