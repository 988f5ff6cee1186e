//! `serve(listener, service).await`, as in axum.

use std::error::Error as StdError;
use std::future::{Future, IntoFuture, Pending, pending};
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use tidewire_http1::RequestHead;
use tower_service::Service;

use crate::{Body, BodyLimits, Limits, Listener, OnRuntime, Peer, Server, ServiceHandler};

/// Serves an axum `Router`, or another service, until the future is dropped. `.await` it in any
/// runtime.
///
/// The requests run on the worker threads of the server, each with its own current-thread runtime,
/// and not on the runtime that awaits. What a handler spawns with `tokio::spawn` runs on its
/// worker, and is dropped when the server has stopped. See [`Serve::on_runtime`] to change that.
///
/// # Errors
/// The future resolves with an error if the listener cannot be used, or if a worker fails.
///
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// use axum::{Router, routing::get};
///
/// let router = Router::new().route("/", get(|| async { "hello" }));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
/// tidewire_server::serve(listener, router)
///     .with_graceful_shutdown(tidewire_server::shutdown_signal())
///     .await
/// # }
/// ```
pub fn serve<S>(listener: impl Into<Listener>, service: S) -> Serve<S> {
    Serve {
        listener: listener.into(),
        handler: ServiceHandler::new(service),
        threads: 0,
        limits: Limits::DEFAULT,
        signal: pending(),
    }
}

/// A server that starts when it is awaited: see [`serve`].
#[derive(Debug)]
#[must_use = "a server does nothing until it is awaited"]
pub struct Serve<S, F = Pending<()>> {
    listener: Listener,
    handler: ServiceHandler<S>,
    threads: usize,
    limits: Limits,
    signal: F,
}

impl<S, F> Serve<S, F> {
    /// Sets the number of worker threads. 0 (the default) means one for each core.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Replaces the default [`Limits`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Adds a value to the extensions of each request: see [`ServiceHandler::with_extension`].
    /// `.with_extension(|peer| peer.address().map(ConnectInfo))` makes axum's
    /// `ConnectInfo<SocketAddr>` work.
    pub fn with_extension<T>(self, make: impl Fn(Peer) -> Option<T> + Send + Sync + 'static) -> Self
    where
        T: Clone + Send + Sync + 'static,
    {
        Serve { handler: self.handler.with_extension(make), ..self }
    }

    /// Chooses the limits of a request's body: see [`ServiceHandler::with_body_limits`].
    pub fn with_body_limits(
        self,
        choose: impl Fn(&RequestHead<'_>, BodyLimits) -> BodyLimits + Send + Sync + 'static,
    ) -> Self {
        Serve { handler: self.handler.with_body_limits(choose), ..self }
    }

    /// Sets whether a client may close its sending side: see [`ServiceHandler::with_half_close`].
    pub fn with_half_close(self, allowed: bool) -> Self {
        Serve { handler: self.handler.with_half_close(allowed), ..self }
    }

    /// Stops when `signal` resolves: no new connections, and the open ones finish within
    /// [`Limits::drain_timeout`]. WebSockets and other upgraded connections are among them, so tell
    /// them to close at the same signal. [`shutdown_signal`](crate::shutdown_signal) waits for
    /// SIGTERM and ctrl-c.
    pub fn with_graceful_shutdown<G: Future<Output = ()>>(self, signal: G) -> Serve<S, G> {
        let Serve { listener, handler, threads, limits, signal: _ } = self;
        Serve { listener, handler, threads, limits, signal }
    }

    /// Runs the service on another runtime, usually `Handle::current()`: see
    /// [`ServiceHandler::on_runtime`].
    pub fn on_runtime(self, runtime: tokio::runtime::Handle) -> Serve<OnRuntime<S>, F> {
        let Serve { listener, handler, threads, limits, signal } = self;
        Serve { listener, handler: handler.on_runtime(runtime), threads, limits, signal }
    }
}

impl<S, F, B> IntoFuture for Serve<S, F>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    B: http_body::Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
    F: Future<Output = ()> + Send + 'static,
{
    type Output = io::Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Serve { listener, handler, threads, limits, signal } = self;
        Box::pin(async move {
            let server = Server::builder().listener(listener).threads(threads).limits(limits).bind();
            let server = server.map_err(|error| io::Error::new(error.source.kind(), error))?;
            // A service need not be `Sync`: each worker has its own clone.
            let handler = Mutex::new(handler);
            let make = move |_| handler.lock().unwrap_or_else(PoisonError::into_inner).clone();
            server.serve(make)?.ended_after(signal).await
        })
    }
}
