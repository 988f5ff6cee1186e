//! The part that reads.

use super::super::payload::Incoming;
use super::super::piece::Piece;
use super::super::websocket::WebSocket;
use super::shared::Shared;
use crate::socket::Error;
use crate::{Message, Role};
use ::tokio::io::{AsyncRead, AsyncWrite};
use alloc::sync::Arc;
use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures_core::Stream;

/// Reads the messages of a WebSocket, after [`WebSocket::split`].
///
/// While it waits in [`next`](Self::next), it answers pings and closes, and it writes what the
/// writers have queued.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// # let (server, client) = tokio::io::duplex(1024);
/// # let mut client = tidewire_ws::tokio::WebSocket::client(client, tidewire_ws::Limits::DEFAULT);
/// use tidewire_ws::{Limits, tokio::WebSocket};
/// let (mut reader, writer) = WebSocket::server(server, Limits::DEFAULT).split();
/// let reading = tokio::spawn(async move {
///     while let Some(message) = reader.next().await {
///         println!("{:?}", message?);
///     }
///     // The stream, to look at: here nothing waits to be written any more.
///     assert_eq!(reader.with_ref(WebSocket::unwritten), 0);
///     Ok::<(), tidewire_ws::tokio::Error>(())
/// });
/// client.send("Hello".into()).await?;
/// client.close(Some(1000), "").await?;
/// while client.next().await.is_some() {}
/// reading.await.unwrap()?;
/// drop(writer);
/// # Ok::<(), tidewire_ws::tokio::Error>(()) }).unwrap();
/// ```
pub struct Reader<IO: AsyncWrite + Unpin, R: Role> {
    pub(super) shared: Arc<Shared<IO, R>>,
    /// The stream has panicked, and the error was returned.
    over: bool,
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> Reader<IO, R> {
    pub(super) const fn new(shared: Arc<Shared<IO, R>>) -> Self {
        Self { shared, over: false }
    }

    /// Returns the next message, as [`WebSocket::next`] does. Cancel-safe.
    ///
    /// # Errors
    /// As [`WebSocket::next`].
    pub async fn next(&mut self) -> Option<Result<Message, Error>> {
        poll_fn(|cx| self.poll_item(cx)).await
    }

    /// Returns the next piece of a message, as [`WebSocket::next_piece`] does. Cancel-safe. Call
    /// [`WebSocket::in_pieces`] before the split.
    ///
    /// # Errors
    /// As [`WebSocket::next_piece`].
    pub async fn next_piece(&mut self) -> Option<Result<Piece, Error>> {
        poll_fn(|cx| self.poll_item(cx)).await
    }

    /// As [`next_piece`](Self::next_piece), to build a stream of pieces.
    pub fn poll_next_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, Error>>> {
        self.poll_item(cx)
    }

    /// Looks at the WebSocket: at [`connection`](WebSocket::connection), for deadlines, or at
    /// [`get_ref`](WebSocket::get_ref), the stream. Inside, do not use a part of this WebSocket: it
    /// would wait forever.
    pub fn with_ref<T>(&self, look: impl FnOnce(&WebSocket<IO, R>) -> T) -> T {
        self.shared.look(look)
    }

    fn poll_item<T: Incoming<R>>(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Error>>> {
        if self.over {
            return Poll::Ready(None);
        }
        self.shared.with(|state| state.poll_item(cx)).unwrap_or_else(|error| {
            self.over = true;
            Poll::Ready(Some(Err(error)))
        })
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> Stream for Reader<IO, R> {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(cx)
    }
}

impl<IO: AsyncWrite + Unpin, R: Role> fmt::Debug for Reader<IO, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}
