//! A message that one writer sends in pieces.

use super::operation::{After, Before};
use super::shared::Shared;
use crate::socket::Error;
use crate::{Kind, Role, close};
use ::tokio::io::{AsyncRead, AsyncWrite};
use bytes::Bytes;
use core::fmt;

#[cfg(doc)]
use crate::EncodeErrorKind;

/// A message that is being sent in pieces, from
/// [`Writer::message`](super::super::Writer::message). Each piece is a fragment, which
/// is not compressed.
///
/// Finish it: if it is dropped after its first piece, the peer cannot get a whole message any more,
/// and the connection is closed with 1011 (internal error). If it is dropped before, nothing was
/// sent.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let (server, client) = tokio::io::duplex(1024);
/// # let mut client = tidewire_ws::tokio::WebSocket::client(client, tidewire_ws::Limits::DEFAULT);
/// use tidewire_ws::{Kind, Limits, Message, tokio::WebSocket};
/// let (_reader, writer) = WebSocket::server(server, Limits::DEFAULT).split();
/// let mut message = writer.message(Kind::Text).await?;
/// message.send("one, ").await?;
/// message.send("two, ").await?;
/// message.finish("three").await?;
/// assert_eq!(client.next().await.unwrap()?, Message::text("one, two, three"));
/// # Ok::<(), tidewire_ws::tokio::Error>(()) }).unwrap();
/// ```
#[must_use = "a message that is dropped is not sent"]
pub struct MessageWriter<'a, IO: AsyncRead + AsyncWrite + Unpin, R: Role> {
    shared: &'a Shared<IO, R>,
    kind: Kind,
    queued: u64,
    finished: bool,
}

impl<'a, IO: AsyncRead + AsyncWrite + Unpin, R: Role> MessageWriter<'a, IO, R> {
    /// The caller has noted in the state that a message was begun.
    pub(super) const fn new(shared: &'a Shared<IO, R>, kind: Kind) -> Self {
        Self { shared, kind, queued: 0, finished: false }
    }

    /// Sends a piece. When this returns, the stream has taken every byte of it. A piece of a text
    /// may end inside a character.
    ///
    /// If the future is dropped before it is ready, [`queued`](Self::queued) says whether the piece
    /// is in the queue.
    ///
    /// # Errors
    /// As [`Writer::queue`](super::super::Writer::queue). [`EncodeErrorKind::InvalidUtf8`] if the
    /// piece of a text is not UTF-8: nothing was queued, and another piece may be sent.
    pub async fn send(&mut self, piece: impl Into<Bytes>) -> Result<(), Error> {
        self.put(piece.into(), false).await
    }

    /// Sends the last piece, which may be empty.
    ///
    /// # Errors
    /// As [`send`](Self::send). If it was not queued, the connection is closed.
    pub async fn finish(mut self, piece: impl Into<Bytes>) -> Result<(), Error> {
        self.put(piece.into(), true).await
    }

    /// How many bytes of the message were queued, or sent.
    #[must_use]
    pub const fn queued(&self) -> u64 {
        self.queued
    }

    async fn put(&mut self, piece: Bytes, last: bool) -> Result<(), Error> {
        let (kind, len) = (self.kind, piece.len() as u64);
        let (queued, finished) = (&mut self.queued, &mut self.finished);
        let put = move |state: &mut super::shared::State<IO, R>| {
            state.put(|socket| socket.enqueue_piece(kind, piece, last))?;
            *queued = queued.saturating_add(len);
            if last {
                *finished = true;
                state.message_begun = false;
            }
            Ok(())
        };
        self.shared.send(Before::PieceRoom, After::Flushed, put).await
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> Drop for MessageWriter<'_, IO, R> {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // After a panic, the connection is lost anyway. If there is no randomness for the masking
        // key of a close, the next write of a client reports it.
        let _ = self.shared.with(|state| {
            state.message_begun = false;
            if state.socket.connection.sending.is_some() {
                let _ = state.socket.queue_close(Some(close::INTERNAL_ERROR), "the message was given up");
            }
        });
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> fmt::Debug for MessageWriter<'_, IO, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageWriter")
            .field("kind", &self.kind)
            .field("queued", &self.queued)
            .finish_non_exhaustive()
    }
}
