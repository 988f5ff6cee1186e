//! A handler for any `tower_service::Service`: an axum `Router`, a hyper service, a tower stack.

mod offer;
mod on_runtime;

use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use http::{Extensions, Request as HttpRequest, Response as HttpResponse};
use tidewire_grammar::dec_u64;
use tidewire_http1::{Method, RequestHead, Version};
use tokio::sync::oneshot;
use tower_service::Service;

use crate::{
    Body, BodyLimits, DetachHead, Handler, LogLimit, Parked, Peer, Problem, Reply, Request, Response,
    Upgraded,
};
use offer::Offer;
pub use offer::{NotUpgraded, OnUpgrade};
pub use on_runtime::OnRuntime;

/// Serves every request with a clone of a [`Service`].
///
/// The extensions of a request hold the [`Peer`], and what [`with_extension`](Self::with_extension)
/// adds. If the request asks for an upgrade, they hold an [`OnUpgrade`] too.
///
/// With the feature `ws` they also hold a `PendingUpgrade` of tidewire-ws, so its extractor
/// `WebSocketUpgrade` works here. axum's own `WebSocketUpgrade` works only on hyper. It answers
/// with 426; the server replaces that answer and logs which extractor to use.
///
/// If the client closes the connection before it has its answer, the future of the service is
/// dropped, as on hyper's server: see [`with_half_close`](Self::with_half_close).
///
/// The `Content-Length` of an answer is kept. If its body turns out to be shorter, the connection
/// is cut, so the client notices. If it is longer, the declared bytes are sent. Both are logged. An
/// answer with two lengths, or with a length that is not the size of its body, becomes a 500.
///
/// ```
/// use std::net::{SocketAddr, TcpListener};
///
/// use axum::{Router, extract::ConnectInfo, routing::get};
/// use tidewire_server::{Server, ServiceHandler};
///
/// let who = async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.ip().to_string();
/// let router = Router::new().route("/", get(who));
/// let service = ServiceHandler::new(router).with_extension(|peer| peer.address().map(ConnectInfo));
/// let server = Server::builder().listener(TcpListener::bind("127.0.0.1:0")?).threads(1).bind()?;
/// let running = server.serve(move |_worker| service.clone())?;
/// # use std::io::{Read, Write};
/// # let mut client = std::net::TcpStream::connect(running.addresses()[0].to_string())?;
/// # client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
/// # let mut answer = String::new();
/// # client.read_to_string(&mut answer)?;
/// # assert!(answer.ends_with("\r\n\r\n127.0.0.1"), "{answer}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ServiceHandler<S> {
    service: S,
    extensions: Vec<Arc<MakeExtension>>,
    body_limits: Option<Arc<ChooseLimits>>,
    half_close: bool,
}

type MakeExtension = dyn Fn(Peer, &mut Extensions) + Send + Sync;
type ChooseLimits = dyn Fn(&RequestHead<'_>, BodyLimits) -> BodyLimits + Send + Sync;

impl<S> ServiceHandler<S> {
    /// Wraps a service.
    pub fn new(service: S) -> Self {
        ServiceHandler { service, extensions: Vec::new(), body_limits: None, half_close: false }
    }

    /// Adds what `make` returns for the client to the extensions of each of its requests.
    /// `.with_extension(|peer| peer.address().map(ConnectInfo))` makes axum's
    /// `ConnectInfo<SocketAddr>` work.
    #[must_use]
    pub fn with_extension<T>(mut self, make: impl Fn(Peer) -> Option<T> + Send + Sync + 'static) -> Self
    where
        T: Clone + Send + Sync + 'static,
    {
        self.extensions.push(Arc::new(move |peer, extensions| {
            if let Some(value) = make(peer) {
                extensions.insert(value);
            }
        }));
        self
    }

    /// Chooses the limits of a request's body from its head, before any of the body is read. See
    /// [`Handler::body_limits`]. A limit of the service itself, such as axum's `DefaultBodyLimit`,
    /// applies as well.
    #[must_use]
    pub fn with_body_limits(
        mut self,
        choose: impl Fn(&RequestHead<'_>, BodyLimits) -> BodyLimits + Send + Sync + 'static,
    ) -> Self {
        self.body_limits = Some(Arc::new(choose));
        self
    }

    /// Sets whether a client may close its sending side and still get its answer. Default false: a
    /// client that closes has left, and its request is given up.
    #[must_use]
    pub fn with_half_close(mut self, allowed: bool) -> Self {
        self.half_close = allowed;
        self
    }

    /// Runs the service on another runtime. On a multi-threaded runtime, `block_in_place` works in
    /// the service, and `tokio::spawn` spawns there. Each request then changes its thread twice: a
    /// small one takes twice the CPU, and four times that if it is the only one.
    #[must_use]
    pub fn on_runtime(self, runtime: tokio::runtime::Handle) -> ServiceHandler<OnRuntime<S>> {
        let ServiceHandler { service, extensions, body_limits, half_close } = self;
        ServiceHandler { service: OnRuntime::new(service, runtime), extensions, body_limits, half_close }
    }
}

impl<S: fmt::Debug> fmt::Debug for ServiceHandler<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceHandler").field("service", &self.service).finish_non_exhaustive()
    }
}

impl<S, B> Handler for ServiceHandler<S>
where
    S: Service<HttpRequest<Body>, Response = HttpResponse<B>> + Clone + 'static,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    B: http_body::Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Ticket = oneshot::Sender<Upgraded>;

    fn handle(&self, request: Request<'_>) -> Reply<Self::Ticket> {
        let mut parts = match parts(request.head) {
            Ok(parts) => parts,
            // The `http` crate is stricter about some targets than RFC 9112.
            Err(error) => {
                return Problem::new(400, format!("The request cannot be served: {error}."))
                    .into_response()
                    .into();
            }
        };
        parts.extensions.insert(request.peer);
        self.extensions.iter().for_each(|extend| extend(request.peer, &mut parts.extensions));
        let offer = Offer::new(request.head, &mut parts.extensions);
        let is_head = request.head.method() == Method::Head;
        let http_request = HttpRequest::from_parts(parts, request.body);
        let mut service = self.service.clone();
        Reply::Later(Box::pin(async move {
            let answer = async {
                poll_fn(|cx| service.poll_ready(cx)).await?;
                service.call(http_request).await
            };
            match answer.await {
                Ok(response) => match offer.as_ref().and_then(|offer| offer.missed(&response)) {
                    Some(hint) => hint.into(),
                    None => reply(response, is_head, offer.map(|offer| offer.ticket)),
                },
                Err(error) => {
                    static FAILED: LogLimit = LogLimit::new();
                    if let Some(more) = FAILED.admit() {
                        tracing::error!(error = %error.into(), more, "the service failed");
                    }
                    Problem::new(500, "The service failed. This is a fault of the server.")
                        .into_response()
                        .into()
                }
            }
        }))
    }

    fn body_limits(&self, head: &RequestHead<'_>, usual: BodyLimits) -> BodyLimits {
        self.body_limits.as_ref().map_or(usual, |choose| choose(head, usual))
    }

    fn gives_up(&self) -> bool {
        !self.half_close
    }

    fn detached(&self, connection: Parked, ticket: Self::Ticket) {
        // If nobody waits for the connection, it closes here.
        let _ = ticket.send(connection.into_io());
    }
}

/// Converts the head to the type of the `http` crate.
fn parts(head: &RequestHead<'_>) -> Result<http::request::Parts, http::Error> {
    let mut builder = HttpRequest::builder().method(head.method().as_str()).uri(head.target()).version(
        match head.version() {
            Version::Http10 => http::Version::HTTP_10,
            Version::Http11 => http::Version::HTTP_11,
        },
    );
    for (name, value) in head.fields() {
        // RFC 9112 §3.2.2: the host of an absolute target replaces the Host field. A service may
        // read only the field.
        let value = head.host().filter(|_| name.eq_ignore_ascii_case(b"host")).unwrap_or(value);
        builder = builder.header(name, value);
    }
    Ok(builder.body(())?.into_parts().0)
}

fn reply<B>(
    response: HttpResponse<B>,
    is_head: bool,
    upgrade: Option<oneshot::Sender<Upgraded>>,
) -> Reply<oneshot::Sender<Upgraded>>
where
    B: http_body::Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let (parts, body) = response.into_parts();
    let mut answer = Response::new(parts.status.as_u16());
    for (name, value) in &parts.headers {
        // The engine sets the framing fields, so those of the service are left out.
        if *name != http::header::CONTENT_LENGTH
            && *name != http::header::TRANSFER_ENCODING
            && *name != http::header::DATE
            && name.as_str() != "keep-alive"
        {
            // Whitespace around a value does not belong to it (RFC 9110 §5.5).
            answer = answer.with(name.as_str(), value.as_bytes().trim_ascii());
        }
    }
    if answer.status() == 101
        && let Some(ticket) = upgrade
    {
        let head = Some(DetachHead { response: answer, chunked: false });
        return Reply::Detach { head, first: Vec::new(), ticket };
    }
    let exact = body.size_hint().exact();
    let Ok(declared) = declared_length(&parts.headers) else {
        return wrong_length("its Content-Length is not one number");
    };
    match (answer.status(), declared) {
        // The length of a 304 is that of the answer to a GET (RFC 9110 §8.6). axum sets 0 for every
        // empty body, which says nothing about that answer.
        (304, Some(1..)) => answer.without_body(declared),
        (204 | 205 | 304, _) => answer,
        // An empty body without `Content-Length` means that the length is unknown.
        _ if is_head => answer.without_body(declared.or(exact.filter(|&len| len > 0))),
        (_, None) => answer.stream(body),
        (_, Some(_)) if declared == exact => answer.stream(body),
        (_, Some(_)) if exact.is_some() => return wrong_length("its Content-Length is not that of its body"),
        (_, Some(length)) => answer.stream_sized(length, body),
    }
    .into()
}

/// The `Content-Length` of a service. Two of them are an error even if they are equal, because
/// recipients may disagree about such an answer.
fn declared_length(headers: &http::HeaderMap) -> Result<Option<u64>, ()> {
    let mut all = headers.get_all(http::header::CONTENT_LENGTH).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => dec_u64(one.as_bytes().trim_ascii()).map(Some).map_err(drop),
        _ => Err(()),
    }
}

fn wrong_length<T>(why: &str) -> Reply<T> {
    static WRONG: LogLimit = LogLimit::new();
    if let Some(more) = WRONG.admit() {
        tracing::error!(why, more, "an answer of the service was refused");
    }
    let detail = format!("The answer of the service cannot be sent: {why}. This is a fault of the server.");
    Problem::new(500, detail).into_response().into()
}
