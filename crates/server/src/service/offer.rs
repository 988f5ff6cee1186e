//! The offer of a connection to a service, and the hint for a service that looks elsewhere.

use std::sync::{Arc, Mutex};

use http::{Extensions, Response as HttpResponse, StatusCode, header};
use tidewire_grammar::eq_ignore_case;
use tidewire_http1::RequestHead;
use tokio::sync::oneshot;

use crate::{LogLimit, Problem, Response, Upgraded};

/// Yields the upgraded connection when the service's 101 has been sent. Take it from the request's
/// extensions before you answer.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::extract::Extension;
/// use axum::http::StatusCode;
/// use axum::response::IntoResponse;
/// use tidewire_server::OnUpgrade;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// async fn greet(Extension(upgrade): Extension<OnUpgrade>) -> impl IntoResponse {
///     tokio::spawn(async move {
///         if let Ok(mut stream) = upgrade.upgraded().await {
///             let _ = stream.write_all(b"hello").await;
///         }
///     });
///     (StatusCode::SWITCHING_PROTOCOLS, [("Connection", "upgrade"), ("Upgrade", "greeting")])
/// }
/// # use tidewire_server::{Peer, Server, ServiceHandler};
/// # let service = ServiceHandler::new(axum::Router::new().route("/", axum::routing::get(greet)));
/// # let running = Server::builder().threads(1).without_listener().serve(move |_| service.clone())?;
/// # let (mut client, stream) = tokio::io::duplex(1024);
/// # running.connection_sender().send(stream, Peer::Other)?;
/// # let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: greeting\r\n\r\n";
/// # client.write_all(request.as_bytes()).await?;
/// # let mut answer = String::new();
/// # client.read_to_string(&mut answer).await?;
/// # assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\nhello"), "{answer}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OnUpgrade(Arc<Mutex<Option<oneshot::Receiver<Upgraded>>>>);

/// The connection was not upgraded: the answer was not a 101, the connection ended first, or it was
/// taken before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection was not upgraded")]
pub struct NotUpgraded;

impl OnUpgrade {
    fn new() -> (Self, oneshot::Sender<Upgraded>) {
        let (send, receive) = oneshot::channel();
        (OnUpgrade(Arc::new(Mutex::new(Some(receive)))), send)
    }

    fn is_taken(&self) -> bool {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).is_none()
    }

    /// Waits for the upgraded connection.
    ///
    /// # Errors
    /// [`NotUpgraded`].
    pub async fn upgraded(self) -> Result<Upgraded, NotUpgraded> {
        let receiver = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        receiver.ok_or(NotUpgraded)?.await.map_err(|_| NotUpgraded)
    }
}

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
    tidewire_ws::upgrade::WebSocketUpgrade instead of axum's (feature `axum` of tidewire-ws, and feature \
    `ws` of tidewire-server).";
