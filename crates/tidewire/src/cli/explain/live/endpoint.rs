//! The parts of a URL.

use std::error::Error;

use http::Uri;

/// The server and the request target that a URL names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) is_websocket: bool,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) authority: String,
    pub(super) target: String,
}

impl Endpoint {
    pub(super) fn parse(url: &str) -> Result<Self, Box<dyn Error>> {
        let uri: Uri = url.parse().map_err(|error| format!("{url:?} is not a URL: {error}"))?;
        let is_websocket = match uri.scheme_str() {
            Some("http") => false,
            Some("ws") => true,
            Some("https" | "wss") => {
                return Err("TLS is not supported; use a proxy on this machine that connects with TLS, \
                            and name the proxy's http:// or ws:// address"
                    .into());
            }
            _ => return Err("a URL must start with http:// or ws://".into()),
        };
        let authority = uri.authority().ok_or("the URL has no host")?;
        if authority.as_str().contains('@') {
            return Err("a URL with a user name is not supported; use -H 'Authorization: …'".into());
        }
        Ok(Self {
            is_websocket,
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            authority: authority.as_str().to_owned(),
            target: uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
        })
    }
}
