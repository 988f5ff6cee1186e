//! The handshake over the types of the `http` crate.

use super::pending::{PendingUpgrade, UpgradeError, Upgrading};
use super::socket::PendingSocket;
use super::upgraded::Upgraded;
use crate::handshake::server::{Accept, Options, Refusal, RefusalKind, accept};
use ::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use ::http::{Extensions, Method, Request, Response, StatusCode, Version};
use alloc::boxed::Box;

/// Answers a request for a WebSocket: returns the 101 to send, and a future of the socket.
///
/// The request comes from hyper, axum, tidewire-server, or a server that has put a
/// [`PendingUpgrade`] into the extensions. The body of the response is empty, of any type that you
/// answer with. hyper serves the connection with `with_upgrades`.
///
/// ```
/// use http_body_util::Full;
/// use hyper::body::{Bytes, Incoming};
/// use hyper::{Request, Response};
/// use tidewire_ws::handshake::server::Options;
/// use tidewire_ws::upgrade::upgrade;
///
/// async fn serve(mut request: Request<Incoming>) -> Response<Full<Bytes>> {
///     let (response, socket) = match upgrade(&mut request, &Options::DEFAULT) {
///         Ok(upgraded) => upgraded,
///         Err(refusal) => return refusal.to_response(),
///     };
///     tokio::spawn(async move {
///         let mut socket = socket.await?;
///         socket.send("Hello".into()).await?;
///         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
///     });
///     response
/// }
/// ```
///
/// # Errors
/// A [`Refusal`], to be sent as [`to_response`](Refusal::to_response).
pub fn upgrade<B, R: Default>(
    request: &mut Request<B>,
    options: &Options<'_>,
) -> Result<(Response<R>, PendingSocket), Refusal> {
    let accept = check(request.method(), request.version(), request.headers(), options)?;
    let socket = PendingSocket::new(take(request.extensions_mut())?, &accept, options);
    Ok((switch(&accept), socket))
}

impl Refusal {
    /// The response to the request: status, fields, and the sentence as its body.
    #[must_use]
    pub fn to_response<B: From<&'static str>>(&self) -> Response<B> {
        let mut response = Response::new(B::from(self.detail()));
        *response.status_mut() = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::BAD_REQUEST);
        put(response.headers_mut(), self.fields().iter().copied());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    }
}

/// Checks the parts of a request.
pub(super) fn check<'o>(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
    options: &Options<'o>,
) -> Result<Accept<'o>, Refusal> {
    let version = match version {
        Version::HTTP_09 => (0, 9),
        Version::HTTP_10 => (1, 0),
        Version::HTTP_11 => (1, 1),
        Version::HTTP_2 => (2, 0),
        _ => (3, 0),
    };
    accept(method.as_str(), version, headers, options)
}

/// The 101.
pub(super) fn switch<B: Default>(accept: &Accept<'_>) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    put(response.headers_mut(), accept.response_fields());
    response
}

/// Takes the connection that the server will hand over.
pub(super) fn take(extensions: &mut Extensions) -> Result<Upgrading, Refusal> {
    if let Some(upgrading) = extensions.remove::<PendingUpgrade>().and_then(|pending| pending.take_boxed()) {
        return Ok(upgrading);
    }
    let pending = extensions.remove::<hyper::upgrade::OnUpgrade>();
    let pending = pending.ok_or(Refusal::new(RefusalKind::NotUpgradable))?;
    Ok(Box::pin(async { pending.await.map(Upgraded::of_hyper).map_err(UpgradeError::new) }))
}

fn put<'a>(headers: &mut HeaderMap, fields: impl Iterator<Item = (&'static str, &'a str)>) {
    for (name, value) in fields {
        // The handshake writes only valid values.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
}
