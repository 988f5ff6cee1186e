//! What was asked for: what a response depends on, and what a handshake agrees on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tidewire_grammar::{eq_ignore_case, list};
use tidewire_http1::{Method, RequestHead, ResponseHead};
use tidewire_ws::deflate::Config;
use tidewire_ws::handshake::client::{Request, VerifyError};
use tidewire_ws::handshake::{Origins, accept_key, server};

use super::frames::Agreed;
use super::note::brief;

/// One request, as far as its response depends on it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// `GET /c/demo`, for people; `None` for a request that nobody saw.
    pub(super) line: Option<String>,
    pub(super) is_head: bool,
    pub(super) is_connect: bool,
    /// It said that it is the last one.
    pub(super) closes: bool,
    /// What it offered to change to.
    pub(super) upgrade: Option<Offer>,
}

/// The other protocol that a request offers.
#[derive(Clone, Debug)]
pub(super) enum Offer {
    WebSocket { key: Option<[u8; 16]>, subprotocols: Vec<String> },
    Other,
}

/// What a 101 has made of the connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Switched {
    WebSocket(Agreed),
    Other,
}

impl Asked {
    /// A request that was not seen: whatever the answer is, it shall be right.
    pub(super) const fn unseen() -> Self {
        let upgrade = Some(Offer::WebSocket { key: None, subprotocols: Vec::new() });
        Self { line: None, is_head: false, is_connect: false, closes: false, upgrade }
    }

    /// A request that was refused, with the start of it.
    pub(super) fn refused(start: &[u8]) -> Self {
        let is_head = start.starts_with(b"HEAD ");
        let line = Some("a refused request".into());
        Self { line, is_head, is_connect: false, closes: true, upgrade: None }
    }

    pub(super) fn new(head: &RequestHead<'_>, waits: bool) -> Self {
        let target = brief(head.target(), 48);
        let upgrade = head.upgrade().filter(|_| waits).map(|_| {
            if !names_websocket(head.get_all("Upgrade")) {
                return Offer::Other;
            }
            let key = head.get("Sec-WebSocket-Key").and_then(|key| STANDARD.decode(key).ok());
            let names = head.get_all("Sec-WebSocket-Protocol").flat_map(list);
            let subprotocols = names.take(MAX_SUBPROTOCOLS).map(|name| brief(name, 128)).collect();
            Offer::WebSocket { key: key.and_then(|key| key.try_into().ok()), subprotocols }
        });
        Self {
            line: Some(format!("{} {target}", head.method())),
            is_head: head.method() == Method::Head,
            is_connect: head.method() == Method::Connect,
            closes: !head.keep_alive(),
            upgrade,
        }
    }

    /// Whether what the client sends next depends on the answer.
    pub(super) const fn decides(&self) -> bool {
        self.is_connect || self.upgrade.is_some()
    }

    /// What a 101 with this head agrees on.
    pub(super) fn switched(&self, head: &ResponseHead<'_>) -> Result<Switched, VerifyError> {
        let Some(Offer::WebSocket { key, subprotocols }) = &self.upgrade else { return Ok(Switched::Other) };
        if !names_websocket(head.get_all("Upgrade")) && self.line.is_none() {
            return Ok(Switched::Other);
        }
        let chosen = head.get("Sec-WebSocket-Protocol").map(|name| brief(name, 128));
        let unseen: Vec<_> = chosen.iter().cloned().collect();
        let names: Vec<&str> = match key {
            Some(_) => subprotocols.iter().map(String::as_str).collect(),
            None => unseen.iter().map(String::as_str).collect(),
        };
        let request = Request::new(key.unwrap_or_default(), &names)
            .with_deflate(Config { context_takeover: true, ..Config::DEFAULT });
        // Without the key there is nothing to compare the proof with: the right one is put in its place.
        let proof = accept_key(request.key().as_bytes());
        let fields = head.fields().map(|(name, value)| {
            let is_proof = key.is_none() && eq_ignore_case(name, b"sec-websocket-accept");
            (name, if is_proof { &proof[..] } else { value })
        });
        let agreed = request.verify(head.status(), fields)?;
        let objects = agreed.subprotocol() == Some("tidewire.v1");
        Ok(Switched::WebSocket(Agreed { deflate: agreed.deflate(), objects }))
    }
}

/// What a WebSocket server would say to an upgrade request that it cannot take.
pub(super) fn handshake_fault(head: &RequestHead<'_>) -> Option<server::Refusal> {
    let asks = head.upgrade().is_some() && names_websocket(head.get_all("Upgrade"));
    let options = server::Options { origins: Origins::Any, ..server::Options::default() };
    let method = head.method();
    asks.then(|| server::accept(method.as_str().as_bytes(), (1, 1), head.fields(), &options).err()).flatten()
}

/// Several lines are one list.
fn names_websocket<'a>(lines: impl Iterator<Item = &'a [u8]>) -> bool {
    lines.flat_map(list).any(|protocol| eq_ignore_case(protocol, b"websocket"))
}

/// Subprotocols of an offer that are kept. Clients send one or two.
const MAX_SUBPROTOCOLS: usize = 16;
