//! The socket that follows a 101.

use super::pending::{UpgradeError, Upgrading};
use super::upgraded::Upgraded;
#[cfg(feature = "deflate")]
use crate::deflate;
use crate::handshake::server::{Accept, Options};
use crate::tokio::WhenFull;
use crate::{Connection, Limits, Server};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

/// The WebSocket of a server, on an upgraded connection.
pub type WebSocket = crate::tokio::WebSocket<Upgraded, Server>;

/// A future of the [`WebSocket`]. It resolves when the server has sent the 101, so await it in a
/// task of its own, not before you return the response.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use tidewire_ws::upgrade::{PendingUpgrade, upgrade};
/// use tidewire_ws::{Limits, handshake::server::Options};
///
/// # let (_client, stream) = tokio::io::duplex(64);
/// let mut request = http::Request::get("/")
///     .header("host", "example.com")
///     .header("upgrade", "websocket")
///     .header("connection", "Upgrade")
///     .header("sec-websocket-version", "13")
///     .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
///     // A server puts the connection there. hyper and axum do it in their own way.
///     .extension(PendingUpgrade::new(async { Ok::<_, std::io::Error>(stream) }))
///     .body(())
///     .unwrap();
/// let (response, socket): (http::Response<()>, _) = upgrade(&mut request, &Options::DEFAULT).unwrap();
/// assert_eq!(response.status(), 101);
/// let mut socket = socket.with_limits(Limits::DEFAULT.with_max_message(4096)).await?;
/// socket.send("Hello".into()).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[must_use = "the connection closes if nobody waits for it"]
pub struct PendingSocket {
    upgrading: Upgrading,
    limits: Limits,
    write_limit: Option<(usize, WhenFull)>,
    #[cfg(feature = "deflate")]
    pub(super) deflate: Option<(deflate::Params, deflate::Config)>,
}

impl PendingSocket {
    #[cfg_attr(not(feature = "deflate"), allow(unused_variables))]
    pub(super) fn new(upgrading: Upgrading, accept: &Accept<'_>, options: &Options<'_>) -> Self {
        Self {
            upgrading,
            limits: Limits::DEFAULT,
            write_limit: None,
            #[cfg(feature = "deflate")]
            deflate: accept.deflate().zip(options.deflate_config()),
        }
    }

    /// The same with other limits of frames and messages. Default [`Limits::DEFAULT`].
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same with another bound of what waits to be written: see
    /// [`WebSocket::with_write_limit`](crate::tokio::WebSocket::with_write_limit).
    pub const fn with_write_limit(mut self, bytes: usize, when_full: WhenFull) -> Self {
        self.write_limit = Some((bytes, when_full));
        self
    }

    fn open(&self, io: Upgraded) -> WebSocket {
        let connection = Connection::new(self.limits);
        #[cfg(feature = "deflate")]
        let connection = match &self.deflate {
            Some((params, config)) => connection.with_deflate(*params, config),
            None => connection,
        };
        let socket = WebSocket::new(io, connection);
        match self.write_limit {
            Some((bytes, when_full)) => socket.with_write_limit(bytes, when_full),
            None => socket,
        }
    }
}

/// # Errors
/// [`UpgradeError`] if the server does not hand its connection over.
impl Future for PendingSocket {
    type Output = Result<WebSocket, UpgradeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let upgraded = ready!(self.upgrading.as_mut().poll(cx));
        Poll::Ready(upgraded.map(|io| self.open(io)))
    }
}

impl fmt::Debug for PendingSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingSocket").field("limits", &self.limits).finish_non_exhaustive()
    }
}
