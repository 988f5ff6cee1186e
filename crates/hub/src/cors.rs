//! Origins: one allow-list for CORS and for the WebSocket handshake.
//!
//! A browser sends the origin of the page in the field `Origin`. Other clients send no such field,
//! and nothing is checked for them.

use tidewire_grammar::{Host, Origin, OriginError as Fault, eq_ignore_case};
use tidewire_http1::RequestHead;
use tidewire_server::{Problem, Response};

use crate::request_fields::RequestField;

/// The origins whose pages may read and publish, besides the origin of the server itself.
///
/// ```
/// use tidewire_hub::{Origins, Settings};
///
/// let origins = Origins::same().allow("https://example.org")?.allow("https://app.example.org")?;
/// let settings = Settings::DEFAULT.with_origins(origins);
///
/// let error = Origins::same().allow("example.org/chat").unwrap_err();
/// println!("{error}"); // says what to write instead
/// # Ok::<(), tidewire_hub::OriginError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    any: bool,
    /// Each was parsed successfully when it was added.
    list: Vec<Box<str>>,
    local: bool,
}

/// The text is not an origin that a page can have. Displays as a clause that says what to write
/// instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{origin}' is not an origin that a page can have: {advice}")]
pub struct OriginError {
    origin: String,
    advice: String,
}

impl Origins {
    /// Only the origin of the server itself.
    pub const fn same() -> Self {
        Origins { any: false, list: Vec::new(), local: false }
    }

    /// Allows one more origin. `*` allows every origin.
    ///
    /// # Errors
    /// [`OriginError`].
    pub fn allow(mut self, origin: &str) -> Result<Self, OriginError> {
        if origin == "*" {
            self.any = true;
            return Ok(self);
        }
        match Origin::parse(origin.as_bytes()) {
            Ok(parsed) if !is_websocket_scheme(&parsed) => {
                self.list.push(origin.into());
                Ok(self)
            }
            outcome => Err(OriginError { origin: origin.to_owned(), advice: advice(origin, outcome.err()) }),
        }
    }

    /// For a server that only this machine can reach. Then an origin counts as that of the server
    /// only if its host is `localhost`, a name without a dot, or an IP address. Otherwise an
    /// attacker could point a domain at 127.0.0.1 (DNS rebinding), and its pages would look like
    /// pages of this server.
    #[must_use]
    pub fn local(mut self) -> Self {
        self.local = true;
        self
    }

    /// Returns what the origin of a request allows. A request counts as foreign if it has several
    /// `Origin` lines, or one that is not an origin, such as `null`.
    pub fn check(&self, head: &RequestHead<'_>) -> Access {
        let mut lines = RequestField::Origin.get_all(head);
        let Some(text) = lines.next() else { return Access::SameOrigin };
        let (Ok(origin), None) = (Origin::parse(text), lines.next()) else {
            // `null`, or something that no browser sends.
            return if self.any { Access::AnyOrigin } else { Access::Denied };
        };
        if self.list.iter().any(|listed| Origin::parse(listed.as_bytes()) == Ok(origin)) {
            // The browser compares the response with what it sent, byte by byte.
            return Access::Listed(String::from_utf8_lossy(text).into());
        }
        let is_own = head.host().is_some_and(|host| origin.is_of_host(host));
        if is_own && (!self.local || is_local(origin.host())) {
            return Access::SameOrigin;
        }
        if self.any { Access::AnyOrigin } else { Access::Denied }
    }
}

/// Whether the scheme is that of a WebSocket URL. No page has such an origin: `Origin` names the
/// page, not the address that the page connects to.
fn is_websocket_scheme(origin: &Origin<'_>) -> bool {
    [&b"ws"[..], b"wss"].iter().any(|scheme| eq_ignore_case(origin.scheme(), scheme))
}

/// Says what to write instead of a text that could never match.
fn advice(text: &str, fault: Option<Fault>) -> String {
    if let Some(origin) = probable_origin(text) {
        return format!("write {origin}");
    }
    match fault {
        _ if text == "null" => {
            "null stands for all pages without an origin (files, sandboxes), and cannot be listed".into()
        }
        _ if text.contains('*') => "write each origin in full, or * alone for any".into(),
        _ if !text.is_ascii() => "write the name in ASCII, as browsers send it (xn--…)".into(),
        Some(Fault::Ipv4) => "write the address as browsers send it, as in http://127.0.0.1".into(),
        Some(Fault::Ipv6) => {
            "write the address in brackets and without a zone, as in http://[::1]:8080".into()
        }
        Some(Fault::Port) => "write a port from 1 to 65535, as in http://localhost:8080".into(),
        _ => "write SCHEME://HOST[:PORT], as in https://example.org, or * for any".into(),
    }
}

/// The origin that was probably meant by a URL, a host, or a WebSocket address.
fn probable_origin(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "ws" => "http".to_owned(),
        "wss" => "https".to_owned(),
        other => other.to_owned(),
    };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let origin = format!("{scheme}://{host}");
    // A single word, such as `foo`, was probably not meant as a host name.
    let is_word = !text.contains("://") && !host.contains(['.', ':']) && host != "localhost";
    (!is_word && Origin::parse(origin.as_bytes()).is_ok()).then_some(origin)
}

/// Whether nobody else can make this host point to this machine: a name without a dot (`localhost`,
/// a machine of the local network), a name below `localhost`, or an IP address. A trailing dot
/// makes a name absolute: `ai.` belongs to the public DNS.
fn is_local(host: Host<'_>) -> bool {
    match host {
        Host::V4(_) | Host::V6(_) => true,
        Host::Name(name) => {
            let relative = name.strip_suffix(b".").unwrap_or(name);
            let last = relative.rsplit(|&b| b == b'.').next().unwrap_or_default();
            !name.contains(&b'.') || eq_ignore_case(last, b"localhost")
        }
        _ => false,
    }
}

/// What the origin of a request allows. [`Origins::check`] returns it.
///
/// | | read | publish, WebSocket |
/// |---|---|---|
/// | `SameOrigin` | yes; the browser does not ask | yes |
/// | `Listed` | yes, also with credentials | yes |
/// | `AnyOrigin` | yes, without credentials | yes |
/// | `Denied` | the browser hides the response from the page | 403 |
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// The request has no `Origin`, so CORS does not apply to it; or the origin is that of the
    /// server.
    SameOrigin,
    /// An origin of the list, as the browser spelled it.
    Listed(Box<str>),
    /// An origin that is not in the list, while all origins are allowed.
    AnyOrigin,
    /// An origin that is not in the list.
    Denied,
}

impl Access {
    /// Checks a request that changes something or opens a WebSocket. A request that only reads
    /// needs no check: without the fields of [`apply`](Self::apply) the browser hides the response
    /// from the page.
    ///
    /// # Errors
    /// 403 for a page of a foreign origin.
    pub fn require(&self) -> Result<(), Problem> {
        match self {
            Access::Denied => Err(Problem::new(
                403,
                "Pages of this origin may not use this server; allow it with --allow-origin ORIGIN.",
            )),
            _ => Ok(()),
        }
    }

    /// Adds the CORS fields (WHATWG Fetch, §3.3) that let the page read the response. Adds none for
    /// `SameOrigin` and `Denied`. The caller adds `Vary: Origin`.
    pub fn apply(&self, response: Response) -> Response {
        match self {
            Access::SameOrigin | Access::Denied => response,
            Access::AnyOrigin => response
                .with("Access-Control-Allow-Origin", "*")
                .with("Access-Control-Expose-Headers", EXPOSED),
            Access::Listed(origin) => response
                .with("Access-Control-Allow-Origin", origin.as_bytes())
                .with("Access-Control-Allow-Credentials", "true")
                .with("Access-Control-Expose-Headers", EXPOSED),
        }
    }

    /// The response to a preflight or to a plain OPTIONS: 204. `methods` are the methods of the
    /// resource, spelled as in `Allow` (`GET, HEAD`). A browser may cache it for 600 s.
    pub fn preflight(&self, methods: &str) -> Response {
        let response = Response::new(204).with("Allow", methods).with("Vary", "Origin");
        match self {
            Access::Listed(_) | Access::AnyOrigin => self
                .apply(response)
                .with("Access-Control-Allow-Methods", methods)
                .with("Access-Control-Allow-Headers", ALLOWED)
                .with("Access-Control-Max-Age", "600"),
            _ => response,
        }
    }
}

/// Response fields that a page may read.
const EXPOSED: &str = "Tidewire-Cursor, Tidewire-Earliest, Tidewire-Closed, Tidewire-Content-Type, \
                       Accept-Ranges, Content-Range, ETag, Preference-Applied, Retry-After";

/// Request fields that a page may send.
const ALLOWED: &str = "Authorization, Content-Type, Idempotency-Key, If-None-Match, If-Range, Last-Event-ID, \
                       Prefer, Producer-Epoch, Producer-Id, Producer-Seq, Range";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_origins_that_a_page_can_have_are_listed() {
        for good in ["https://example.org", "http://[::1]:8080", "file://", "app://-", "tauri://localhost"] {
            assert!(Origins::same().allow(good).is_ok(), "{good}");
        }
        assert!(Origins::same().allow("*").unwrap().any);
        for (bad, write) in [
            ("", "SCHEME://HOST"),
            ("nonsense", "SCHEME://HOST"),
            ("example.org", "write https://example.org"),
            ("localhost", "write https://localhost"),
            ("https://a/b?c", "write https://a"),
            ("https://u:p@a:1/", "write https://a:1"),
            ("wss://a", "write https://a"),
            ("ws://a:1", "write http://a:1"),
            ("file:///x", "write file://"),
            ("https://", "SCHEME://HOST"),
            ("https://*.a", "each"),
            ("http://b\u{fc}cher", "xn--"),
            ("http://127.1", "http://127.0.0.1"),
            ("http://::1", "http://[::1]"),
            ("http://a:0x50", "65535"),
            ("null", "cannot be listed"),
        ] {
            let error = Origins::same().allow(bad).expect_err(bad).to_string();
            assert!(error.contains(write), "{bad}: {error}");
        }
    }

    #[test]
    fn a_domain_name_is_not_local() {
        let is_local = |origin: &str| is_local(Origin::parse(origin.as_bytes()).unwrap().host());
        for local in [
            "http://localhost:8080",
            "http://localhost.",
            "http://app.LocalHost",
            "http://app.localhost.",
            "http://nas",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
        ] {
            assert!(is_local(local), "{local}");
        }
        for name in [
            "http://evil.example:8080",
            "http://localhost.evil.example",
            "http://127.0.0.1.nip.io",
            "http://not.localhost.example",
            "http://notlocalhost.example",
            "http://ai.",
            "file://",
        ] {
            assert!(!is_local(name), "{name}");
        }
    }
}
