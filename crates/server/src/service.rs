//! A handler for any `tower_service::Service`: an axum `Router`, a hyper service, a tower stack.

mod offer;

use std::cell::RefCell;
use std::error::Error as StdError;
use std::future::poll_fn;

use bytes::Bytes;
use http::{Request as HttpRequest, Response as HttpResponse};
use tidewire_grammar::dec_u64;
use tidewire_http1::{Method, RequestHead, Version};
use tokio::sync::oneshot;
use tower_service::Service;

use offer::Offer;
pub use offer::{NotUpgraded, OnUpgrade};

use crate::{Body, DetachHead, Handler, LogLimit, Parked, Problem, Reply, Request, Response, Upgraded};

/// Serves every request with a clone of a [`Service`].
///
/// The extensions of a request hold the [`Peer`](crate::Peer). If the request asks for an upgrade,
/// they hold an [`OnUpgrade`] too.
///
/// With the feature `ws` they also hold a `PendingUpgrade` of tidewire-ws, so its extractor
/// `WebSocketUpgrade` works here. axum's own `WebSocketUpgrade` works only on hyper. It answers
/// with 426; the server replaces that answer and logs which extractor to use.
#[derive(Debug)]
pub struct ServiceHandler<S>(RefCell<S>);

impl<S> ServiceHandler<S> {
    /// Wraps a service.
    pub fn new(service: S) -> Self {
        ServiceHandler(RefCell::new(service))
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
        let offer = Offer::new(request.head, &mut parts.extensions);
        let is_head = request.head.method() == Method::Head;
        let http_request = HttpRequest::from_parts(parts, request.body);
        let mut service = self.0.borrow().clone();
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
            answer = answer.with(name.as_str(), value.as_bytes());
        }
    }
    match upgrade {
        Some(ticket) if answer.status() == 101 => {
            let head = Some(DetachHead { response: answer, chunked: false });
            Reply::Detach { head, first: Vec::new(), ticket }
        }
        _ if is_head => answer.without_body(declared(&parts.headers, &body)).into(),
        _ => answer.stream(body).into(),
    }
}

/// The length of the body that a service left out of its answer to a HEAD: the `Content-Length`
/// that the service set, or else the exact size of the body that it returned. An empty body without
/// `Content-Length` means that the length is unknown.
fn declared(headers: &http::HeaderMap, body: &impl http_body::Body) -> Option<u64> {
    let named = headers.get(http::header::CONTENT_LENGTH).and_then(|value| dec_u64(value.as_bytes()).ok());
    named.or(body.size_hint().exact().filter(|&len| len > 0))
}
