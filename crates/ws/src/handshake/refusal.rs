//! Why a server refuses a request, and what it answers.

use core::fmt;

/// A request that is not a valid handshake. Answer with [`status`](Self::status),
/// [`fields`](Self::fields) and, as the body, [`detail`](Self::detail).
///
/// ```
/// use tidewire_ws::handshake::server::{Options, accept};
/// let fields = [("Host", "example.com"), ("Upgrade", "websocket"), ("Connection", "Upgrade")];
/// let refusal = accept("GET", (1, 1), fields, &Options::DEFAULT).unwrap_err();
/// assert_eq!(refusal.status(), 426);
/// assert!(refusal.fields().contains(&("Sec-WebSocket-Version", "13")));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub(super) kind: RefusalKind,
}

/// Why a request for a handshake was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalKind {
    /// The method is not GET.
    Method,
    /// The request is older than HTTP/1.1.
    HttpVersion,
    /// `Host` is missing or repeated.
    Host,
    /// `Upgrade` does not ask for `websocket`.
    NoUpgrade,
    /// `Connection` does not contain `upgrade`.
    NoConnection,
    /// `Sec-WebSocket-Version` is missing, repeated, or not `13`.
    Version,
    /// `Sec-WebSocket-Key` is missing, repeated, or not base64 of 16 bytes.
    Key,
    /// The request has a body. Its bytes could be read as frames, or frames as the next request.
    /// One `Content-Length: 0` is allowed, because older proxies and clients send it.
    Body,
    /// `Sec-WebSocket-Protocol` is not a list of tokens.
    Subprotocol,
    /// The page's origin is not allowed, or there are several `Origin` fields.
    Origin,
    /// The server does not hand its connection over. This is a fault of the server and not of the
    /// request. `accept` never returns it.
    NotUpgradable,
}

impl Refusal {
    #[cfg(feature = "hyper")]
    pub(crate) const fn new(kind: RefusalKind) -> Self {
        Self { kind }
    }

    /// What was wrong.
    #[must_use]
    pub const fn kind(&self) -> RefusalKind {
        self.kind
    }

    /// The status to answer with: 400, 403, 405 or 426, and 500 for a fault of the server.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self.kind {
            RefusalKind::Method => 405,
            RefusalKind::NoUpgrade | RefusalKind::Version => 426,
            RefusalKind::Origin => 403,
            RefusalKind::NotUpgradable => 500,
            _ => 400,
        }
    }

    /// The fields to send with the status. They include `Connection: close` if the connection must
    /// end.
    #[must_use]
    pub const fn fields(&self) -> &'static [(&'static str, &'static str)] {
        match self.kind {
            RefusalKind::Method => &[("Allow", "GET")],
            // RFC 6455 §4.2.2 (3). RFC 9110 §15.5.22: a 426 says what to upgrade to.
            RefusalKind::NoUpgrade | RefusalKind::Version => {
                &[("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13")]
            }
            // The following bytes may be the body or early frames. They must not be read as a
            // request.
            RefusalKind::Body => &[("Connection", "close")],
            _ => &[],
        }
    }

    /// One sentence that says what to do.
    #[must_use]
    pub const fn detail(&self) -> &'static str {
        match self.kind {
            RefusalKind::Method => "a WebSocket handshake is a GET request",
            RefusalKind::HttpVersion => "a WebSocket handshake needs HTTP/1.1",
            RefusalKind::Host => "send exactly one Host field",
            RefusalKind::NoUpgrade => "this address speaks WebSocket: send Upgrade: websocket",
            RefusalKind::NoConnection => "send Connection: Upgrade",
            RefusalKind::Version => "send exactly one Sec-WebSocket-Version field with the value 13",
            RefusalKind::Key => "send exactly one Sec-WebSocket-Key field: 16 random bytes in base64",
            RefusalKind::Body => "a WebSocket handshake must not have a body",
            RefusalKind::Subprotocol => "Sec-WebSocket-Protocol must be a list of tokens",
            RefusalKind::Origin => "pages of this origin may not connect",
            RefusalKind::NotUpgradable => {
                "this server does not hand its connections over: the request's extensions hold no upgrade, \
                 or something else took it"
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl core::error::Error for Refusal {}
