//! The change to another protocol: what a request offers, and what its response decides.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tidewire_grammar::{eq_ignore_case, list};
use tidewire_http1::{BodyLength, RequestHead, ResponseHead};
use tidewire_ws::deflate::Config;
use tidewire_ws::handshake::client::{Request, VerifyError};
use tidewire_ws::handshake::{Origins, accept_key, server};

use crate::frames::Negotiated;
use crate::text::brief;

/// The protocol that a request offers to change to.
#[derive(Clone, Debug)]
pub(crate) enum UpgradeOffer {
    /// `key` is `None` if it cannot be decoded.
    WebSocket {
        key: Option<[u8; 16]>,
        subprotocols: Vec<String>,
    },
    Other,
    /// The request was not seen. It is assumed to have offered what the response chooses.
    Unseen,
}

/// The protocol of the connection after a 101, or after a 2xx to CONNECT.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NewProtocol {
    WebSocket(Negotiated),
    Other,
}

impl UpgradeOffer {
    /// Returns what this request offers, if anything. The offer of a request with a body is
    /// ignored: the client sends the body before the answer, and so before the change.
    pub(crate) fn new(head: &RequestHead<'_>) -> Option<Self> {
        let has_no_body = matches!(head.body(), BodyLength::Empty | BodyLength::Length(0));
        head.upgrade().filter(|_| has_no_body).map(|_| {
            if !names_websocket(head.get_all("Upgrade")) {
                return Self::Other;
            }
            let key = head.get("Sec-WebSocket-Key").and_then(|key| STANDARD.decode(key).ok());
            let names = head.get_all("Sec-WebSocket-Protocol").flat_map(list);
            let subprotocols = names.take(MAX_SUBPROTOCOLS).map(|name| brief(name, 128)).collect();
            Self::WebSocket { key: key.and_then(|key| key.try_into().ok()), subprotocols }
        })
    }

    /// Returns what a 101 with this head agrees on.
    pub(crate) fn accepted(&self, head: &ResponseHead<'_>) -> Result<NewProtocol, VerifyError> {
        let chosen = head.get("Sec-WebSocket-Protocol").map(|name| brief(name, 128));
        let (key, subprotocols) = match self {
            Self::Other => return Ok(NewProtocol::Other),
            Self::Unseen if !names_websocket(head.get_all("Upgrade")) => return Ok(NewProtocol::Other),
            Self::WebSocket { key: Some(key), subprotocols } => (Some(*key), subprotocols.as_slice()),
            // The key was not seen or cannot be decoded. It may have been correct, so accept any
            // subprotocol.
            Self::WebSocket { key: None, .. } | Self::Unseen => (None, chosen.as_slice()),
        };
        let names: Vec<&str> = subprotocols.iter().map(String::as_str).collect();
        let request = Request::new(key.unwrap_or_default(), &names)
            .with_deflate(Config::DEFAULT.with_context_takeover(true));
        // Without the key, `Sec-WebSocket-Accept` cannot be checked. So replace its value with the
        // correct one before `verify`.
        let proof = accept_key(request.key().as_bytes());
        let fields = head.fields().map(|(name, value)| {
            let is_proof = key.is_none() && eq_ignore_case(name, b"sec-websocket-accept");
            (name, if is_proof { &proof[..] } else { value })
        });
        let agreed = request.verify(head.status(), fields)?;
        let tidewire_v1 = agreed.subprotocol() == Some("tidewire.v1");
        Ok(NewProtocol::WebSocket(Negotiated { deflate: agreed.deflate(), tidewire_v1 }))
    }
}

/// Returns how a WebSocket server refuses this request, if it asks for a WebSocket and is not a
/// valid handshake.
pub(crate) fn handshake_refusal(head: &RequestHead<'_>) -> Option<server::Refusal> {
    let asks = head.upgrade().is_some() && names_websocket(head.get_all("Upgrade"));
    let options = server::Options::DEFAULT.with_origins(Origins::Any);
    let method = head.method();
    asks.then(|| server::accept(method.as_str().as_bytes(), (1, 1), head.fields(), &options).err()).flatten()
}

/// Several field lines form one list.
fn names_websocket<'a>(lines: impl Iterator<Item = &'a [u8]>) -> bool {
    lines.flat_map(list).any(|protocol| eq_ignore_case(protocol, b"websocket"))
}

/// The number of subprotocols of an offer that are kept. Clients send one or two.
const MAX_SUBPROTOCOLS: usize = 16;
