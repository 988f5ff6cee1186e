//! The client's side: builds the fields of the request and checks the answer.

use super::fields::{has_token, is_field, is_subprotocol, upgrade_fields};
use super::key::{accept_key, encode_key};
#[cfg(feature = "deflate")]
use crate::deflate;
use alloc::string::String;
use core::fmt;
use tidewire_grammar::{eq_ignore_case, list};

/// A client's handshake: the fields to send, and the check of the answer.
///
/// ```
/// use tidewire_ws::handshake::client::Request;
/// let request = Request::new(*b"the sample nonce", &["chat"]);
/// let fields: Vec<_> = request.fields().collect();
/// assert_eq!(fields[2], ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="));
/// let answer = [
///     ("Upgrade", "websocket"),
///     ("Connection", "Upgrade"),
///     ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
///     ("Sec-WebSocket-Protocol", "chat"),
/// ];
/// assert_eq!(request.verify(101, answer).unwrap().subprotocol(), Some("chat"));
/// ```
#[derive(Clone, Debug)]
pub struct Request<'a> {
    key: [u8; 24],
    subprotocols: &'a [&'a str],
    subprotocol_list: String,
    #[cfg(feature = "deflate")]
    deflate: Option<(deflate::Config, String)>,
}

/// What the client and the server agreed on.
///
/// See [`Request`], whose [`verify`](Request::verify) returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed<'a> {
    subprotocol: Option<&'a str>,
    #[cfg(feature = "deflate")]
    deflate: Option<deflate::Params>,
}

/// Why an answer does not open a WebSocket connection. The TCP connection has to be closed.
///
/// ```
/// use tidewire_ws::handshake::client::{Request, VerifyError};
/// let request = Request::new(*b"the sample nonce", &[]);
/// assert_eq!(request.verify(302, [("Location", "/new")]).unwrap_err(), VerifyError::Status(302));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// The status is this one instead of 101. Treat it as an ordinary answer: a redirect, a 401, or
    /// a 426 with the versions that the server speaks.
    Status(u16),
    /// `Upgrade` is not `websocket`.
    Upgrade,
    /// `Connection` does not contain `upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` is missing, repeated, or does not match the key. The server or an
    /// intermediary does not speak WebSocket.
    Accept,
    /// The server chose a subprotocol that was not offered, or more than one.
    Subprotocol,
    /// The server chose an extension that was not offered, or parameters that do not fit the offer.
    Extension,
}

impl<'a> Request<'a> {
    /// A handshake that offers these subprotocols, best first. `nonce` is 16 random bytes, fresh
    /// for each connection.
    ///
    /// A name that is not a token cannot be sent and is left out.
    #[must_use]
    pub fn new(nonce: [u8; 16], subprotocols: &'a [&'a str]) -> Self {
        let mut subprotocol_list = String::new();
        for name in subprotocols.iter().filter(|name| is_subprotocol(name.as_bytes())) {
            if !subprotocol_list.is_empty() {
                subprotocol_list.push_str(", ");
            }
            subprotocol_list.push_str(name);
        }
        Self {
            key: encode_key(nonce),
            subprotocols,
            subprotocol_list,
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }

    /// The same with an offer of permessage-deflate.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(mut self, config: deflate::Config) -> Self {
        self.deflate = Some((config, deflate::offer(&config)));
        self
    }

    /// The value of `Sec-WebSocket-Key`.
    #[must_use]
    pub fn key(&self) -> &str {
        // Base64 is ASCII.
        core::str::from_utf8(&self.key).unwrap_or_default()
    }

    /// Returns the fields to send in an HTTP/1.1 GET request. The caller adds `Host` and its own
    /// fields.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let list = self.subprotocol_list.as_str();
        #[cfg(feature = "deflate")]
        let extensions = self.deflate.as_ref().map(|(_, text)| text.as_str());
        #[cfg(not(feature = "deflate"))]
        let extensions = None;
        let own = [("Sec-WebSocket-Key", self.key()), ("Sec-WebSocket-Version", "13")];
        upgrade_fields(own, (!list.is_empty()).then_some(list), extensions)
    }

    /// Checks the answer (RFC 6455 §4.1): its status and its header fields in their order. The
    /// fields are pairs of name and value, borrowed or owned. A `&http::HeaderMap` is such pairs.
    ///
    /// # Errors
    /// The first requirement in the order of [`VerifyError`] that is not met.
    pub fn verify<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        status: u16,
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Agreed<'a>, VerifyError> {
        if status != 101 {
            return Err(VerifyError::Status(status));
        }
        let (mut websockets, mut others, mut connection) = (false, false, false);
        let (mut accepts, mut good) = (0_usize, false);
        let (mut chosen, mut subprotocol) = (0_usize, None);
        let mut extensions = None;
        #[cfg(feature = "deflate")]
        let mut deflate = None;
        let expected = accept_key(&self.key);
        for (name, value) in fields {
            let (name, value) = (name.as_ref(), value.as_ref());
            if is_field(name, "upgrade") {
                let websocket = |protocol: &&[u8]| eq_ignore_case(protocol, b"websocket");
                websockets |= list(value).any(|protocol| websocket(&protocol));
                others |= !list(value).all(|protocol| websocket(&protocol));
            } else if is_field(name, "connection") {
                connection |= has_token(value, b"upgrade");
            } else if is_field(name, "sec-websocket-accept") {
                accepts = accepts.saturating_add(1);
                good = value == expected;
            } else if is_field(name, "sec-websocket-protocol") {
                chosen = chosen.saturating_add(1);
                subprotocol = self.subprotocols.iter().find(|name| name.as_bytes() == value).copied();
            } else if is_field(name, "sec-websocket-extensions") {
                extensions = Some(extensions.unwrap_or(0_usize).saturating_add(list(value).count()));
                #[cfg(feature = "deflate")]
                if let (Some((config, _)), Some(chosen)) = (&self.deflate, list(value).last()) {
                    deflate = deflate::agree(chosen, config);
                }
            }
        }
        let require = |good: bool, error| if good { Ok(()) } else { Err(error) };
        // RFC 6455 §4.1 (12), and on to RFC 6455 §4.1 (17)
        require(websockets && !others, VerifyError::Upgrade)?;
        require(connection, VerifyError::Connection)?;
        require(accepts == 1 && good, VerifyError::Accept)?;
        require(chosen == 0 || (chosen == 1 && subprotocol.is_some()), VerifyError::Subprotocol)?;
        #[cfg(feature = "deflate")]
        {
            let deflate = deflate.filter(|_| extensions == Some(1));
            require(extensions.is_none() || deflate.is_some(), VerifyError::Extension)?;
            Ok(Agreed { subprotocol, deflate })
        }
        #[cfg(not(feature = "deflate"))]
        {
            require(extensions.is_none(), VerifyError::Extension)?;
            Ok(Agreed { subprotocol })
        }
    }
}

impl<'a> Agreed<'a> {
    /// The subprotocol that the server chose.
    #[must_use]
    pub const fn subprotocol(&self) -> Option<&'a str> {
        self.subprotocol
    }

    /// The agreed parameters of permessage-deflate, for
    /// [`Connection::with_deflate`](crate::Connection::with_deflate).
    #[cfg(feature = "deflate")]
    #[must_use]
    pub const fn deflate(&self) -> Option<deflate::Params> {
        self.deflate
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the server answered with status {status} instead of 101"),
            Self::Upgrade => f.write_str("the answer does not upgrade to websocket"),
            Self::Connection => f.write_str("the answer has no Connection: Upgrade"),
            Self::Accept => f.write_str("the answer's Sec-WebSocket-Accept does not belong to the key"),
            Self::Subprotocol => f.write_str("the server chose a subprotocol that was not offered"),
            Self::Extension => f.write_str("the server chose an extension that was not offered"),
        }
    }
}

impl core::error::Error for VerifyError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const GOOD: &[(&str, &str)] = &[
        ("Upgrade", "WebSocket"),
        ("Connection", "upgrade"),
        ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ];

    fn run(
        status: u16,
        change: Option<(&str, &str)>,
        more: Option<(&str, &str)>,
    ) -> Result<Option<&'static str>, VerifyError> {
        let mut fields: Vec<(&str, &str)> = GOOD.to_vec();
        if let Some((name, value)) = change {
            fields.retain(|(n, _)| *n != name);
            fields.push((name, value));
        }
        fields.extend(more);
        let request = Request::new(*b"the sample nonce", &["chat", "superchat"]);
        let pairs = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
        request.verify(status, pairs).map(|agreed| agreed.subprotocol())
    }

    #[test]
    fn a_valid_answer_opens_the_connection() {
        assert_eq!(run(101, None, None), Ok(None));
        assert_eq!(run(101, None, Some(("sec-websocket-protocol", "superchat"))), Ok(Some("superchat")));
    }

    /// RFC 9110 §5.6.1.2: empty elements of a list are ignored. A list with only empty elements is
    /// refused.
    #[test]
    fn empty_list_elements_are_ignored() {
        use VerifyError as E;
        for value in [",websocket", "websocket, ", ", ,\twebsocket,,"] {
            assert_eq!(run(101, Some(("Upgrade", value)), None), Ok(None), "{value}");
            assert_eq!(run(101, Some(("Upgrade", value)), Some(("Upgrade", ","))), Ok(None), "{value}");
            assert_eq!(run(101, Some(("Upgrade", value)), Some(("Upgrade", "h2c"))), Err(E::Upgrade));
        }
        assert_eq!(run(101, Some(("Upgrade", ",")), None), Err(E::Upgrade));
        for value in [",upgrade", "upgrade,", "keep-alive, ,Upgrade"] {
            assert_eq!(run(101, Some(("Connection", value)), None), Ok(None), "{value}");
        }
        // In an answer, `Sec-WebSocket-Protocol` is one name and not a list.
        assert_eq!(run(101, None, Some(("Sec-WebSocket-Protocol", "chat,"))), Err(E::Subprotocol));
        assert_eq!(run(101, None, Some(("Sec-WebSocket-Extensions", ","))), Err(E::Extension));
        #[cfg(feature = "deflate")]
        for value in [
            ",permessage-deflate; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover,",
        ] {
            let request = Request::new(*b"the sample nonce", &[]).with_deflate(deflate::Config::DEFAULT);
            let fields = GOOD.iter().copied().chain([("Sec-WebSocket-Extensions", value)]);
            let agreed = request.verify(101, fields.map(|(n, v)| (n.as_bytes(), v.as_bytes())));
            assert!(agreed.unwrap().deflate().is_some(), "{value}");
        }
    }

    #[test]
    fn an_invalid_answer_is_refused() {
        use VerifyError as E;
        assert_eq!(run(200, None, None), Err(E::Status(200)));
        assert_eq!(run(101, Some(("Upgrade", "websocket, h2c")), None), Err(E::Upgrade));
        assert_eq!(run(101, Some(("Connection", "close")), None), Err(E::Connection));
        assert_eq!(
            run(101, Some(("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOO=")), None),
            Err(E::Accept)
        );
        assert_eq!(run(101, None, Some(GOOD[2])), Err(E::Accept), "twice");
        assert_eq!(run(101, None, Some(("Sec-WebSocket-Protocol", "Chat"))), Err(E::Subprotocol));
        assert_eq!(run(101, None, Some(("Sec-WebSocket-Protocol", "chat, superchat"))), Err(E::Subprotocol));
        assert_eq!(
            run(101, None, Some(("Sec-WebSocket-Extensions", "permessage-deflate"))),
            Err(E::Extension)
        );
    }

    #[test]
    fn a_repeated_field_of_the_answer_is_refused() {
        use VerifyError as E;
        let twice = |name: &'static str, value: &'static str| {
            let fields =
                GOOD.iter().chain([(name, value), (name, value)].iter()).copied().collect::<Vec<_>>();
            let request = Request::new(*b"the sample nonce", &["chat"]);
            #[cfg(feature = "deflate")]
            let request = request.with_deflate(deflate::Config::DEFAULT);
            request.verify(101, fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()))).map(drop)
        };
        assert_eq!(twice("Sec-WebSocket-Accept", GOOD[2].1), Err(E::Accept));
        assert_eq!(twice("Sec-WebSocket-Protocol", "chat"), Err(E::Subprotocol));
        let extension = "permessage-deflate; server_no_context_takeover";
        assert_eq!(twice("Sec-WebSocket-Extensions", extension), Err(E::Extension));
    }

    #[test]
    fn a_request_has_what_a_server_asks_for() {
        use crate::handshake::server;
        let request = Request::new(*b"the sample nonce", &["chat", "superchat"]);
        let fields: Vec<_> = request.fields().collect();
        assert_eq!(
            fields,
            [
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
                ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
                ("Sec-WebSocket-Version", "13"),
                ("Sec-WebSocket-Protocol", "chat, superchat"),
            ]
        );
        // Our server accepts the request, and its answer opens the connection.
        let options = server::Options::DEFAULT.with_subprotocols(&["superchat"]);
        let pairs = [("Host", "h")].into_iter().chain(fields);
        let accept =
            server::accept(b"GET", (1, 1), pairs.map(|(n, v)| (n.as_bytes(), v.as_bytes())), &options)
                .unwrap();
        let answer: Vec<_> = accept.response_fields().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
        assert_eq!(request.verify(101, answer).unwrap().subprotocol(), Some("superchat"));
    }

    /// Owned pairs, and names and values that live for different times.
    #[test]
    fn fields_are_pairs_of_any_bytes() {
        use crate::handshake::server;
        let request = Request::new(*b"the sample nonce", &["chat"]);
        let host = String::from("h");
        let mut owned: Vec<(String, Vec<u8>)> = alloc::vec![("host".into(), host.as_bytes().to_vec())];
        owned.extend(request.fields().map(|(name, value)| (name.into(), value.as_bytes().into())));
        let options = server::Options::DEFAULT.with_subprotocols(&["chat"]);
        let borrowed = owned.iter().map(|(name, value)| (name.as_str(), value));
        let accept = server::accept("GET", (1, 1), borrowed, &options).unwrap();
        assert_eq!(server::accept(String::from("GET"), (1, 1), owned, &options), Ok(accept.clone()));

        let answer: Vec<(Vec<u8>, String)> =
            accept.response_fields().map(|(name, value)| (name.into(), value.into())).collect();
        assert!(request.verify(101, answer.iter().map(|(name, value)| (name, value))).is_ok());
        assert_eq!(request.verify(101, answer).unwrap().subprotocol(), Some("chat"));
    }

    #[test]
    fn a_subprotocol_that_is_not_a_token_is_not_sent() {
        let request = Request::new([0; 16], &["a b", "c", "d\r\nx: y", "e"]);
        assert!(request.fields().any(|f| f == ("Sec-WebSocket-Protocol", "c, e")));
    }
}
