//! The right to queue one message at once.

use super::split::Shared;
use super::websocket::WebSocket;
use crate::socket::Error;
use crate::{Message, PreparedMessage, Role, Server};
use ::tokio::io::{AsyncRead, AsyncWrite};
use core::fmt;
use core::future::poll_fn;

/// The right to queue one message now, from [`WebSocket::reserve`] or
/// [`Writer::reserve`](super::Writer::reserve). If it is dropped, nothing was queued.
///
/// Until it is used, a permit of a `Writer` takes 4 KiB of the [write
/// limit](WebSocket::with_write_limit), and no message in pieces can begin. So do not keep it for
/// long.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// # let (server, client) = tokio::io::duplex(1024);
/// # let mut client = tidewire_ws::tokio::WebSocket::client(client, tidewire_ws::Limits::DEFAULT);
/// use tidewire_ws::{Limits, tokio::WebSocket};
/// let mut socket = WebSocket::server(server, Limits::DEFAULT);
/// drop(socket.reserve().await?);
/// assert_eq!(socket.unwritten(), 0);
/// socket.reserve().await?.send("Hello".into())?; // no await between the permit and the queue
/// socket.flush().await?;
/// assert_eq!(client.next().await.unwrap()?, "Hello".into());
/// # Ok::<(), tidewire_ws::tokio::Error>(()) }).unwrap();
/// ```
#[must_use = "a permit that is dropped sends nothing"]
pub struct Permit<'a, IO: AsyncRead + AsyncWrite + Unpin, R: Role>(Option<Target<'a, IO, R>>);

enum Target<'a, IO: AsyncWrite + Unpin, R: Role> {
    Whole(&'a mut WebSocket<IO, R>),
    Split(&'a Shared<IO, R>),
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> WebSocket<IO, R> {
    /// Waits until a message may be queued. [`Permit::send`] then queues it at once.
    ///
    /// If this future is dropped, nothing was queued. So after a time-out the caller knows what was
    /// sent: what it gave to a permit, and nothing else.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tokio::{net::TcpStream, time::timeout};
    /// # use tidewire_ws::{Message, Server, tokio::{Error, WebSocket}};
    /// async fn send_soon(
    ///     socket: &mut WebSocket<TcpStream, Server>,
    ///     message: Message,
    /// ) -> Result<Option<Message>, Error> {
    ///     let Ok(permit) = timeout(Duration::from_secs(1), socket.reserve()).await else {
    ///         return Ok(Some(message)); // not sent: send it later, or elsewhere
    ///     };
    ///     permit?.send(message)?;
    ///     socket.flush().await?; // may be cancelled too: the message stays in the queue
    ///     Ok(None)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Full`] according to [`WhenFull`](super::WhenFull), [`Error::Io`] of a write.
    pub async fn reserve(&mut self) -> Result<Permit<'_, IO, R>, Error> {
        poll_fn(|cx| self.poll_room(cx)).await?;
        self.make_room()?;
        Ok(Permit(Some(Target::Whole(self))))
    }
}

impl<'a, IO: AsyncRead + AsyncWrite + Unpin, R: Role> Permit<'a, IO, R> {
    /// The caller has counted this permit in the state.
    pub(super) const fn of_split(shared: &'a Shared<IO, R>) -> Self {
        Self(Some(Target::Split(shared)))
    }

    /// Queues the message, without an await. It is written as after
    /// [`queue`](WebSocket::queue): call `flush` to wait for it.
    ///
    /// # Errors
    /// The message was not queued. [`Error::Encode`]: it cannot be sent, or the connection has
    /// begun to close since the permit was given. [`Error::Io`]: the stream has failed.
    pub fn send(self, message: Message) -> Result<(), Error> {
        self.put(|socket| socket.put(message))
    }

    fn put(mut self, put: impl FnOnce(&mut WebSocket<IO, R>) -> Result<(), Error>) -> Result<(), Error> {
        match self.0.take() {
            Some(Target::Whole(socket)) => put(socket),
            Some(Target::Split(shared)) => shared.with(|state| {
                state.permits = state.permits.saturating_sub(1);
                state.put(put)?;
                state.write_batch()
            })?,
            None => Ok(()),
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Permit<'_, IO, Server> {
    /// Queues a prepared message, as [`send`](Self::send) does.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_prepared(self, message: &PreparedMessage) -> Result<(), Error> {
        self.put(|socket| socket.put_prepared(message))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> Drop for Permit<'_, IO, R> {
    fn drop(&mut self) {
        if let Some(Target::Split(shared)) = self.0.take() {
            // After a panic, permits do not matter.
            let _ = shared.with(|state| state.permits = state.permits.saturating_sub(1));
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> fmt::Debug for Permit<'_, IO, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}
