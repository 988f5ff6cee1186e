//! Origins: one allow-list for CORS and for the WebSocket handshake.
//!
//! A browser names the page's origin in `Origin`. Who sends none is no browser, and this check is not made for it.

use tidewire_http1::RequestHead;
use tidewire_server::{Problem, Response};

/// The origins whose pages may read and publish, beside the server's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    any: bool,
    list: Vec<Box<str>>,
    local: bool,
}

/// The text is not an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not an origin: write SCHEME://HOST[:PORT] without a path, as in https://example.org, or * for any"
)]
pub struct OriginError(String);

impl Origins {
    /// Only the server's own origin.
    pub fn same() -> Self {
        Self::default()
    }

    /// Allows one more origin, or every one with `*`.
    ///
    /// # Errors
    /// [`OriginError`].
    pub fn allow(mut self, origin: &str) -> Result<Self, OriginError> {
        if origin == "*" {
            self.any = true;
            return Ok(self);
        }
        let authority = origin.split_once("://").map(|(scheme, authority)| (!scheme.is_empty(), authority));
        let good = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"/?#@,".contains(&b))
        };
        match authority {
            Some((true, authority)) if good(authority) => {
                self.list.push(origin.to_ascii_lowercase().into());
                Ok(self)
            }
            _ => Err(OriginError(origin.to_owned())),
        }
    }

    /// For a server that only this machine reaches: its own pages are those of `localhost`, of names without a dot and of IP addresses. A name that its
    /// owner points at 127.0.0.1 (DNS rebinding) makes a foreign page look like one of the server's.
    #[must_use]
    pub fn local(mut self) -> Self {
        self.local = true;
        self
    }

    /// What a request may.
    pub(crate) fn check(&self, head: &RequestHead<'_>) -> Access {
        let Some(origin) = head.get("origin") else { return Access::NotCrossed };
        let Ok(origin) = std::str::from_utf8(origin) else { return Access::Denied };
        // Browsers write origins in lower case and without a default port.
        if self.list.iter().any(|one| **one == *origin) {
            return Access::Listed(origin.into());
        }
        if is_own(origin, head.host()) && (!self.local || is_local(origin)) {
            return Access::NotCrossed;
        }
        if self.any { Access::Anybody } else { Access::Denied }
    }
}

/// The page is the server's own if its authority is the one that the request was sent to. The scheme is not
/// compared: behind a proxy that ends TLS the server cannot know it.
fn is_own(origin: &str, host: Option<&[u8]>) -> bool {
    let (Some((_, authority)), Some(host)) = (origin.split_once("://"), host) else { return false };
    authority.as_bytes().eq_ignore_ascii_case(host)
}

/// Whether an origin's host is one that no stranger can point here: a name without a dot (`localhost`, a machine of the local network), one
/// below `localhost`, or an IP address.
fn is_local(origin: &str) -> bool {
    let authority = origin.split_once("://").map_or(origin, |(_, authority)| authority);
    if authority.starts_with('[') {
        return true;
    }
    let host = authority.split_once(':').map_or(authority, |(host, _)| host);
    !host.contains('.')
        || host.to_ascii_lowercase().ends_with(".localhost")
        || host.parse::<std::net::Ipv4Addr>().is_ok()
}

/// What the origin of a request allows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    /// No browser, or a page of our own.
    NotCrossed,
    /// An origin of the list: may read, with credentials.
    Listed(Box<str>),
    /// Any origin may read, without credentials.
    Anybody,
    /// A foreign origin.
    Denied,
}

/// What a page may read beside the body.
const EXPOSED: &str = "Tidewire-Cursor, Accept-Ranges, Content-Range, ETag, Preference-Applied, Retry-After";

impl Access {
    /// Refuses what would change something, or opens a WebSocket, for a foreign page. Reading needs no refusal: without the
    /// fields of [`apply`](Self::apply) the browser keeps the answer from the page.
    pub(crate) fn require(&self) -> Result<(), Problem> {
        match self {
            Access::Denied => Err(Problem::new(
                403,
                "Pages of this origin may not use this server; allow it with --allow-origin ORIGIN.",
            )),
            _ => Ok(()),
        }
    }

    /// Adds the CORS fields.
    pub(crate) fn apply(&self, response: Response) -> Response {
        match self {
            Access::NotCrossed | Access::Denied => response,
            Access::Anybody => response
                .with("Access-Control-Allow-Origin", "*")
                .with("Access-Control-Expose-Headers", EXPOSED),
            Access::Listed(origin) => response
                .with("Access-Control-Allow-Origin", origin.as_bytes())
                .with("Access-Control-Allow-Credentials", "true")
                .with("Access-Control-Expose-Headers", EXPOSED),
        }
    }

    /// The answer to a preflight, or to a plain OPTIONS, for a resource that knows these methods.
    pub(crate) fn preflight(&self, methods: &str) -> Response {
        let response = Response::new(204).with("Allow", methods).with("Vary", "Origin");
        match self {
            Access::Listed(_) | Access::Anybody => self
                .apply(response)
                .with("Access-Control-Allow-Methods", methods)
                .with(
                    "Access-Control-Allow-Headers",
                    "Authorization, Content-Type, Idempotency-Key, If-None-Match, If-Range, Last-Event-ID, Prefer, Range",
                )
                .with("Access-Control-Max-Age", "600"),
            _ => response,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_origins_are_allowed_on_the_list() {
        assert!(Origins::same().allow("https://example.org").is_ok());
        assert!(Origins::same().allow("http://[::1]:8080").is_ok());
        assert!(Origins::same().allow("*").unwrap().any);
        for bad in ["", "example.org", "https://", "https://a/b", "https://a b", "://a", "null"] {
            assert!(Origins::same().allow(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_is_not_local_because_it_points_here() {
        for local in
            ["http://localhost:8080", "http://app.localhost", "http://127.0.0.1:8080", "http://[::1]:8080"]
        {
            assert!(is_local(local), "{local}");
        }
        for name in [
            "http://evil.example:8080",
            "http://localhost.evil.example",
            "http://127.0.0.1.nip.io",
            "http://not.localhost.example",
        ] {
            assert!(!is_local(name), "{name}");
        }
    }

    #[test]
    fn own_pages_are_known_by_their_authority() {
        assert!(is_own("http://localhost:8080", Some(b"localhost:8080")));
        assert!(is_own("https://Example.org", Some(b"example.org")));
        for foreign in
            ["http://localhost:8081", "http://localhost:8080.evil.example", "http://evil.example", "null", ""]
        {
            assert!(!is_own(foreign, Some(b"localhost:8080")), "{foreign}");
        }
    }
}
