//! The offer of a connection to a service, and the hint for a service that looks elsewhere.

use http::{Extensions, Response as HttpResponse, StatusCode, header};
use tidewire_grammar::eq_ignore_case;
use tidewire_http1::RequestHead;
use tokio::sync::oneshot;

use super::OnUpgrade;
use crate::{LogLimit, Problem, Response, Upgraded};

/// The connection of a request that asks for an upgrade.
pub(super) struct Offer {
    own: OnUpgrade,
    #[cfg(feature = "ws")]
    ws: tidewire_ws::upgrade::PendingUpgrade,
    is_websocket: bool,
    pub(super) ticket: oneshot::Sender<Upgraded>,
}

impl Offer {
    /// Puts the connection into the extensions of the request, if it asks for an upgrade.
    pub(super) fn new(head: &RequestHead<'_>, extensions: &mut Extensions) -> Option<Self> {
        let protocol = head.upgrade()?;
        let (own, ticket) = OnUpgrade::new();
        extensions.insert(own.clone());
        #[cfg(feature = "ws")]
        let ws = tidewire_ws::upgrade::PendingUpgrade::new(own.clone().upgraded());
        #[cfg(feature = "ws")]
        extensions.insert(ws.clone());
        let is_websocket = eq_ignore_case(protocol, b"websocket");
        Some(Offer {
            own,
            #[cfg(feature = "ws")]
            ws,
            is_websocket,
            ticket,
        })
    }

    /// Returns a better answer if the service refused a WebSocket request with a 426 and did not
    /// look at the offer. axum's own extractor does so, because it knows only hyper's connections.
    /// RFC 9110 §15.5.22: a 426 has an `Upgrade` field.
    pub(super) fn missed<B>(&self, response: &HttpResponse<B>) -> Option<Response> {
        let is_bare = response.status() == StatusCode::UPGRADE_REQUIRED
            && !response.headers().contains_key(header::UPGRADE);
        if !is_bare || !self.is_websocket || self.is_taken() {
            return None;
        }
        static MISSED: LogLimit = LogLimit::new();
        if let Some(more) = MISSED.admit() {
            tracing::error!(more, "a WebSocket request was answered with 426: {HINT}");
        }
        Some(Problem::new(426, HINT).into_response().with("Upgrade", "websocket"))
    }

    fn is_taken(&self) -> bool {
        #[cfg(feature = "ws")]
        if self.ws.is_taken() {
            return true;
        }
        self.own.is_taken()
    }
}

const HINT: &str = "The service's WebSocket extractor works only on hyper, and this is tidewire-server. Use \
    tidewire_ws::upgrade::WebSocketUpgrade instead of axum's (feature `axum` of tidewire-ws, and feature `ws` \
    of tidewire-server).";
