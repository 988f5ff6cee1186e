//! The extractor of axum.

use super::http::{check, switch, take};
use super::pending::UpgradeError;
use super::socket::{PendingSocket, WebSocket};
use crate::Limits;
#[cfg(feature = "deflate")]
use crate::deflate;
use crate::handshake::Origins;
use crate::handshake::server::{Accept, Options, Refusal};
use crate::tokio::WhenFull;
use ::http::{HeaderMap, Method, Version, request::Parts};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use core::fmt;
use core::future::Future;

/// An extractor of axum: a request that asks for a WebSocket.
///
/// It works on `axum::serve`, on hyper with upgrades, and on tidewire-server. A request that is not
/// a valid handshake is refused before the handler runs, with a [`Refusal`] as the response.
///
/// ```
/// use axum::{Router, response::IntoResponse, routing::any};
/// use tidewire_ws::upgrade::WebSocketUpgrade;
///
/// async fn echo(upgrade: WebSocketUpgrade) -> impl IntoResponse {
///     upgrade.on_upgrade(|mut socket| async move {
///         while let Some(Ok(message)) = socket.next().await {
///             if message.is_data() && socket.send(message).await.is_err() {
///                 break;
///             }
///         }
///     })
/// }
/// let router: Router = Router::new().route("/echo", any(echo));
/// ```
///
/// **Origin.** By default a page of another site is refused with 403, when
/// [`on_upgrade`](Self::on_upgrade) makes the response: see [`Origins`].
#[must_use = "call `on_upgrade`, and return the response"]
pub struct WebSocketUpgrade {
    headers: HeaderMap,
    socket: PendingSocket,
    accept: Accept<'static>,
    subprotocol: Option<String>,
    /// The page's origin is not allowed.
    refusal: Option<Refusal>,
    on_failed: Option<Box<dyn FnOnce(UpgradeError) + Send>>,
}

impl WebSocketUpgrade {
    /// The same with other limits of frames and messages. Default [`Limits::DEFAULT`].
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.socket = self.socket.with_limits(limits);
        self
    }

    /// The same with another bound of what waits to be written: see
    /// [`WebSocket::with_write_limit`](crate::tokio::WebSocket::with_write_limit).
    pub fn with_write_limit(mut self, bytes: usize, when_full: WhenFull) -> Self {
        self.socket = self.socket.with_write_limit(bytes, when_full);
        self
    }

    /// The same with these subprotocols, the best first. The server selects the first one that the
    /// client offers; [`subprotocol`](Self::subprotocol) returns it. Default: none.
    pub fn with_subprotocols<S: AsRef<str>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        let names: Vec<S> = names.into_iter().collect();
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let options = ANY_ORIGIN.with_subprotocols(&names);
        let chosen = self.check(&options).ok().and_then(|accept| accept.subprotocol().map(String::from));
        self.subprotocol = chosen;
        self
    }

    /// The same with other web pages from which browsers may connect. Default: pages of the
    /// server's own origin.
    pub fn with_origins(mut self, origins: Origins<'_>) -> Self {
        self.refusal = self.check(&Options::DEFAULT.with_origins(origins)).err();
        self
    }

    /// The same with permessage-deflate, if the client offers it. Default: none.
    #[cfg(feature = "deflate")]
    pub fn with_deflate(mut self, config: deflate::Config) -> Self {
        if let Ok(accept) = self.check(&ANY_ORIGIN.with_deflate(config)) {
            self.socket.deflate = accept.deflate().map(|params| (params, config));
            self.accept = accept;
        }
        self
    }

    /// The same with a function that is called if the server does not hand the connection over.
    /// Default: nothing happens then.
    pub fn on_failed_upgrade(mut self, callback: impl FnOnce(UpgradeError) + Send + 'static) -> Self {
        self.on_failed = Some(Box::new(callback));
        self
    }

    /// The subprotocol that was agreed on.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Returns the response, and runs `callback` with the socket in a task of its own when the
    /// response has been sent.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use = "return this response from the handler"]
    pub fn on_upgrade<C, F>(self, callback: C) -> Response
    where
        C: FnOnce(WebSocket) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        if let Some(refusal) = self.refusal {
            return refusal.into_response();
        }
        let response = switch(&self.accept.with_subprotocol(self.subprotocol.as_deref()));
        let (socket, on_failed) = (self.socket, self.on_failed);
        ::tokio::spawn(async move {
            match (socket.await, on_failed) {
                (Ok(socket), _) => callback(socket).await,
                (Err(error), Some(on_failed)) => on_failed(error),
                (Err(_), None) => {}
            }
        });
        response
    }

    /// Repeats the handshake, which is valid, with other options.
    fn check<'o>(&self, options: &Options<'o>) -> Result<Accept<'o>, Refusal> {
        check(&Method::GET, Version::HTTP_11, &self.headers, options)
    }
}

impl<S: Sync> FromRequestParts<S> for WebSocketUpgrade {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let accept = check(&parts.method, parts.version, &parts.headers, &ANY_ORIGIN)?;
        let socket = PendingSocket::new(take(&mut parts.extensions)?, &accept, &ANY_ORIGIN);
        let headers = parts.headers.clone();
        let upgrade = Self { headers, socket, accept, subprotocol: None, refusal: None, on_failed: None };
        Ok(upgrade.with_origins(Origins::Same))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.to_response()
    }
}

impl fmt::Debug for WebSocketUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketUpgrade")
            .field("socket", &self.socket)
            .field("subprotocol", &self.subprotocol)
            .field("refusal", &self.refusal)
            .finish_non_exhaustive()
    }
}

const ANY_ORIGIN: Options<'static> = Options::DEFAULT.with_origins(Origins::Any);
