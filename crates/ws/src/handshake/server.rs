//! The server's side: checks the request and prepares the answer.

use super::fields::{has_token, is_field, is_subprotocol, upgrade_fields};
use super::key::{accept_key, is_key};
use super::origin::Origins;
pub use super::refusal::{Refusal, RefusalKind};
#[cfg(feature = "deflate")]
use crate::deflate;
#[cfg(feature = "deflate")]
use alloc::string::String;
use tidewire_grammar::list;

/// What a server offers and allows.
///
/// ```
/// use tidewire_ws::handshake::{Origins, server::Options};
/// let options = Options::DEFAULT
///     .with_subprotocols(&["chat.v2", "chat.v1"])
///     .with_origins(Origins::Listed(&["https://example.com"]));
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Options<'a> {
    subprotocols: &'a [&'a str],
    origins: Origins<'a>,
    #[cfg(feature = "deflate")]
    deflate: Option<deflate::Config>,
}

impl<'a> Options<'a> {
    /// No subprotocol, pages of the server's own origin only, no compression.
    pub const DEFAULT: Self = Self {
        subprotocols: &[],
        origins: Origins::Same,
        #[cfg(feature = "deflate")]
        deflate: None,
    };

    /// The same with these subprotocols, the best first. The server selects the first one that the
    /// client offers. A client that offers none of them is accepted without a subprotocol.
    #[must_use]
    pub const fn with_subprotocols(mut self, names: &'a [&'a str]) -> Self {
        self.subprotocols = names;
        self
    }

    /// The same with other web pages from which browsers may connect. Default: pages of the
    /// server's own origin.
    #[must_use]
    pub const fn with_origins(mut self, origins: Origins<'a>) -> Self {
        self.origins = origins;
        self
    }

    /// The same with permessage-deflate for clients that offer it. Default: none.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub const fn with_deflate(mut self, config: deflate::Config) -> Self {
        self.deflate = Some(config);
        self
    }

    #[cfg(all(feature = "deflate", any(feature = "accept", feature = "blocking", feature = "hyper")))]
    pub(crate) const fn deflate_config(&self) -> Option<deflate::Config> {
        self.deflate
    }
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A handshake to answer with `101 Switching Protocols`.
///
/// Bytes that the client sent after its request belong to the connection. Decode them as frames
/// only after the 101 is written.
///
/// ```
/// use tidewire_ws::handshake::server::{Options, accept};
/// let fields = [
///     ("Host", "example.com"),
///     ("Upgrade", "websocket"),
///     ("Connection", "Upgrade"),
///     ("Sec-WebSocket-Version", "13"),
///     ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
///     ("Sec-WebSocket-Protocol", "chat.v1, chat.v2"),
/// ];
/// let options = Options::DEFAULT.with_subprotocols(&["chat.v2"]);
/// let accept = accept("GET", (1, 1), fields, &options).unwrap();
/// assert_eq!(accept.subprotocol(), Some("chat.v2"));
/// let mut response = String::from("HTTP/1.1 101 Switching Protocols\r\n");
/// for (name, value) in accept.response_fields() {
///     response += &format!("{name}: {value}\r\n");
/// }
/// assert!(response.ends_with("Sec-WebSocket-Protocol: chat.v2\r\n"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept<'a> {
    key: [u8; 28],
    subprotocol: Option<&'a str>,
    #[cfg(feature = "deflate")]
    deflate: Option<(deflate::Params, String)>,
}

/// Checks a request (RFC 6455 §4.2.1) and prepares the answer (§4.2.2).
///
/// `version` is the HTTP version, such as `(1, 1)`. `fields` are the header fields in their order:
/// pairs of name and value, borrowed or owned. A `&http::HeaderMap` is such pairs.
///
/// ```
/// use tidewire_ws::handshake::server::{Options, RefusalKind, accept};
/// let fields: Vec<(String, String)> = vec![("Host".into(), "example.org".into())];
/// let refusal = accept("GET", (1, 1), fields, &Options::DEFAULT).unwrap_err();
/// assert_eq!((refusal.kind(), refusal.status()), (RefusalKind::NoUpgrade, 426));
/// ```
///
/// # Errors
/// The first requirement in the order of [`RefusalKind`] that is not met.
pub fn accept<'o, N: AsRef<[u8]>, V: AsRef<[u8]>>(
    method: impl AsRef<[u8]>,
    version: (u8, u8),
    fields: impl IntoIterator<Item = (N, V)>,
    options: &Options<'o>,
) -> Result<Accept<'o>, Refusal> {
    let mut request = RequestFields::new();
    for (name, value) in fields {
        request.field(name.as_ref(), value, options);
    }
    let require = |good: bool, kind| if good { Ok(()) } else { Err(Refusal { kind }) };
    // RFC 6455 §4.2.1 (1), and on to RFC 6455 §4.2.1 (6)
    require(method.as_ref() == b"GET", RefusalKind::Method)?;
    require(version.0 == 1 && version.1 >= 1, RefusalKind::HttpVersion)?;
    require(request.host.single().is_some(), RefusalKind::Host)?;
    require(request.upgrade, RefusalKind::NoUpgrade)?;
    require(request.connection, RefusalKind::NoConnection)?;
    require(request.version.single() == Some(b"13"), RefusalKind::Version)?;
    let key = request.key.single().filter(|key| is_key(key)).ok_or(Refusal { kind: RefusalKind::Key })?;
    require(!request.has_body, RefusalKind::Body)?;
    require(!request.bad_subprotocol, RefusalKind::Subprotocol)?;
    // RFC 6455 §4.2.2 (2)
    let (origin, host) = (&request.origin, request.host.single().unwrap_or_default());
    require(
        !matches!(origin, SingleField::Repeated) && options.origins.allow(origin.single(), host),
        RefusalKind::Origin,
    )?;
    let subprotocol = request.subprotocol.and_then(|rank| options.subprotocols.get(rank)).copied();
    Ok(Accept {
        key: accept_key(key),
        subprotocol,
        #[cfg(feature = "deflate")]
        deflate: request.deflate,
    })
}

impl<'a> Accept<'a> {
    /// The value of `Sec-WebSocket-Accept`.
    #[must_use]
    pub fn accept_key(&self) -> &str {
        // Base64 is ASCII.
        core::str::from_utf8(&self.key).unwrap_or_default()
    }

    #[cfg(feature = "axum")]
    pub(crate) fn with_subprotocol<'b>(self, subprotocol: Option<&'b str>) -> Accept<'b>
    where
        'a: 'b,
    {
        Accept { subprotocol, ..self }
    }

    /// The subprotocol that the server chose.
    #[must_use]
    pub const fn subprotocol(&self) -> Option<&'a str> {
        self.subprotocol
    }

    /// The agreed parameters of permessage-deflate, for
    /// [`Connection::with_deflate`](crate::Connection::with_deflate).
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(&self) -> Option<deflate::Params> {
        self.deflate.as_ref().map(|(params, _)| *params)
    }

    /// The fields of the 101, including `Upgrade` and `Connection`.
    pub fn response_fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        #[cfg(feature = "deflate")]
        let extensions = self.deflate.as_ref().map(|(_, text)| text.as_str());
        #[cfg(not(feature = "deflate"))]
        let extensions = None;
        upgrade_fields([("Sec-WebSocket-Accept", self.accept_key())], self.subprotocol, extensions)
    }
}

/// The results of one pass over the fields. Their size does not depend on the number of fields.
struct RequestFields<V> {
    host: SingleField<V>,
    version: SingleField<V>,
    key: SingleField<V>,
    origin: SingleField<V>,
    upgrade: bool,
    connection: bool,
    has_body: bool,
    has_content_length: bool,
    bad_subprotocol: bool,
    /// The index, in the server's list, of the best subprotocol offered.
    subprotocol: Option<usize>,
    #[cfg(feature = "deflate")]
    deflate: Option<(deflate::Params, String)>,
    /// The number of extension offers that may still be read.
    #[cfg(feature = "deflate")]
    offers: usize,
}

impl<V: AsRef<[u8]>> RequestFields<V> {
    const fn new() -> Self {
        Self {
            host: SingleField::Absent,
            version: SingleField::Absent,
            key: SingleField::Absent,
            origin: SingleField::Absent,
            upgrade: false,
            connection: false,
            has_body: false,
            has_content_length: false,
            bad_subprotocol: false,
            subprotocol: None,
            #[cfg(feature = "deflate")]
            deflate: None,
            #[cfg(feature = "deflate")]
            offers: deflate::MAX_OFFERS,
        }
    }

    fn field(&mut self, name: &[u8], value: V, options: &Options<'_>) {
        let single = match name.len() {
            4 if is_field(name, "host") => &mut self.host,
            6 if is_field(name, "origin") => &mut self.origin,
            17 if is_field(name, "sec-websocket-key") => &mut self.key,
            21 if is_field(name, "sec-websocket-version") => &mut self.version,
            _ => return self.list_field(name, value.as_ref(), options),
        };
        single.add(value);
    }

    /// A field that is a list, or that only says whether the request has a body.
    fn list_field(&mut self, name: &[u8], value: &[u8], options: &Options<'_>) {
        if is_field(name, "upgrade") {
            self.upgrade |= has_token(value, b"websocket");
        } else if is_field(name, "connection") {
            self.connection |= has_token(value, b"upgrade");
        } else if is_field(name, "transfer-encoding") {
            self.has_body = true;
        } else if is_field(name, "content-length") {
            // A single field whose digits are all zeros means no body. Zeros are zero in every
            // number base.
            self.has_body |=
                self.has_content_length || value.is_empty() || value.iter().any(|&digit| digit != b'0');
            self.has_content_length = true;
        } else if is_field(name, "sec-websocket-protocol") {
            for offered in list(value) {
                self.bad_subprotocol |= !is_subprotocol(offered);
                let rank = options.subprotocols.iter().position(|name| name.as_bytes() == offered);
                self.subprotocol = match (self.subprotocol, rank) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
            }
        }
        #[cfg(feature = "deflate")]
        if self.deflate.is_none() && is_field(name, "sec-websocket-extensions") {
            if let Some(config) = &options.deflate {
                self.deflate = deflate::choose(value, config, &mut self.offers);
            }
        }
    }
}

/// A field that may appear only once. It keeps the value as the caller gave it, so that nothing is
/// copied.
enum SingleField<V> {
    Absent,
    Present(V),
    Repeated,
}

impl<V: AsRef<[u8]>> SingleField<V> {
    fn add(&mut self, value: V) {
        *self = match self {
            Self::Absent => Self::Present(value),
            _ => Self::Repeated,
        };
    }

    fn single(&self) -> Option<&[u8]> {
        match self {
            Self::Present(value) => Some(value.as_ref()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    type Field = (&'static str, &'static str);

    const GOOD: &[Field] = &[
        ("Host", "server.example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Origin", "http://server.example.com"),
        ("Sec-WebSocket-Protocol", "chat, superchat"),
        ("Sec-WebSocket-Version", "13"),
    ];

    fn run(fields: &[Field], options: &Options<'static>) -> Result<Accept<'static>, RefusalKind> {
        let fields = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
        accept(b"GET", (1, 1), fields, options).map_err(|r| r.kind())
    }

    /// The valid request with this field replaced, or without it if `value` is `None`.
    fn with(name: &'static str, value: Option<&'static str>) -> Vec<Field> {
        let others = GOOD.iter().copied().filter(|(n, _)| !n.eq_ignore_ascii_case(name));
        others.chain(value.map(|v| (name, v))).collect()
    }

    #[test]
    fn the_request_of_the_rfc_is_accepted() {
        let options = Options::DEFAULT.with_subprotocols(&["superchat", "chat"]);
        let accept = run(GOOD, &options).unwrap();
        assert_eq!(accept.subprotocol(), Some("superchat"), "the server's preference counts");
        let fields: Vec<_> = accept.response_fields().collect();
        assert_eq!(
            fields,
            [
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
                ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
                ("Sec-WebSocket-Protocol", "superchat"),
            ]
        );
        assert_eq!(run(GOOD, &Options::default()).unwrap().subprotocol(), None);
    }

    #[test]
    fn each_requirement_has_its_refusal() {
        let cases = [
            ("Host", None, RefusalKind::Host),
            ("Upgrade", None, RefusalKind::NoUpgrade),
            ("Upgrade", Some("h2c"), RefusalKind::NoUpgrade),
            ("Upgrade", Some("websockets"), RefusalKind::NoUpgrade),
            ("Connection", None, RefusalKind::NoConnection),
            ("Connection", Some("keep-alive"), RefusalKind::NoConnection),
            ("Sec-WebSocket-Version", None, RefusalKind::Version),
            ("Sec-WebSocket-Version", Some("8"), RefusalKind::Version),
            ("Sec-WebSocket-Version", Some("13, 8"), RefusalKind::Version),
            ("Sec-WebSocket-Version", Some("+13"), RefusalKind::Version),
            ("Sec-WebSocket-Key", None, RefusalKind::Key),
            ("Sec-WebSocket-Key", Some("c2hvcnQ="), RefusalKind::Key),
            ("Content-Length", Some("5"), RefusalKind::Body),
            ("Content-Length", Some("+0"), RefusalKind::Body),
            ("Content-Length", Some("-0"), RefusalKind::Body),
            ("Content-Length", Some("0x0"), RefusalKind::Body),
            ("Content-Length", Some("0, 0"), RefusalKind::Body),
            ("Content-Length", Some("0,"), RefusalKind::Body),
            ("Content-Length", Some(""), RefusalKind::Body),
            ("Content-Length", Some("01"), RefusalKind::Body),
            ("Transfer-Encoding", Some("chunked"), RefusalKind::Body),
            ("Sec-WebSocket-Protocol", Some("a b"), RefusalKind::Subprotocol),
            ("Origin", Some("http://evil.example.org"), RefusalKind::Origin),
            ("Origin", Some("null"), RefusalKind::Origin),
        ];
        for (name, value, kind) in cases {
            assert_eq!(run(&with(name, value), &Options::default()).unwrap_err(), kind, "{name}: {value:?}");
        }
        // Zeros are zero in every number base, so no two parties disagree about the body.
        for zero in ["0", "00"] {
            assert!(run(&with("Content-Length", Some(zero)), &Options::default()).is_ok(), "{zero}");
            for other in [("Content-Length", zero), ("Transfer-Encoding", "chunked")] {
                let mut fields = with("Content-Length", Some(zero));
                fields.push(other);
                assert_eq!(run(&fields, &Options::default()).unwrap_err(), RefusalKind::Body, "{other:?}");
            }
        }
        assert!(run(&with("Upgrade", Some("h2c, WebSocket")), &Options::default()).is_ok());
    }

    #[test]
    fn a_repeated_single_field_is_refused() {
        for (name, kind) in [
            ("Host", RefusalKind::Host),
            ("Sec-WebSocket-Version", RefusalKind::Version),
            ("Sec-WebSocket-Key", RefusalKind::Key),
            ("Origin", RefusalKind::Origin),
        ] {
            let twice: Vec<Field> =
                GOOD.iter().copied().chain(GOOD.iter().copied().filter(|(n, _)| *n == name)).collect();
            assert_eq!(run(&twice, &Options::default()).unwrap_err(), kind);
        }
    }

    #[test]
    fn methods_and_versions() {
        let fields = || GOOD.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
        let refuse =
            |method: &[u8], version| accept(method, version, fields(), &Options::default()).unwrap_err();
        assert_eq!((refuse(b"POST", (1, 1)).status(), refuse(b"get", (1, 1)).status()), (405, 405));
        assert_eq!((refuse(b"GET", (1, 0)).status(), refuse(b"GET", (0, 9)).status()), (400, 400));
        let old = run(&with("Sec-WebSocket-Version", Some("8")), &Options::default()).unwrap_err();
        let old = Refusal { kind: old };
        assert_eq!(old.status(), 426);
        assert!(old.fields().contains(&("Sec-WebSocket-Version", "13")));
        assert!(old.fields().contains(&("Upgrade", "websocket")));
    }
}
