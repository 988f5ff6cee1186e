//! Dividing a WebSocket, and putting it together again.

use super::super::websocket::WebSocket;
use super::reader::Reader;
use super::shared::Shared;
use super::writer::Writer;
use crate::Role;
use ::tokio::io::{AsyncRead, AsyncWrite};
use alloc::sync::Arc;
use core::fmt;

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> WebSocket<IO, R> {
    /// Divides the WebSocket into a reader and a writer, for two tasks or more. The writer can be
    /// cloned.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let (server, client) = tokio::io::duplex(1024);
    /// # let mut client = tidewire_ws::tokio::WebSocket::client(client, tidewire_ws::Limits::DEFAULT);
    /// use tidewire_ws::{Limits, Message, tokio::WebSocket};
    /// let (mut reader, writer) = WebSocket::server(server, Limits::DEFAULT).split();
    /// let ticker = writer.clone();
    /// tokio::spawn(async move { ticker.send("tick".into()).await });
    /// tokio::spawn(async move {
    ///     while let Some(Ok(message)) = reader.next().await {
    ///         if message.is_data() && writer.send(message).await.is_err() {
    ///             break;
    ///         }
    ///     }
    /// });
    /// assert_eq!(client.next().await.unwrap()?, Message::text("tick"));
    /// client.send("echo".into()).await?;
    /// assert_eq!(client.next().await.unwrap()?, Message::text("echo"));
    /// # Ok::<(), tidewire_ws::tokio::Error>(()) }).unwrap();
    /// ```
    ///
    /// What happens at the end:
    ///
    /// | event | the reader | the writers |
    /// |---|---|---|
    /// | the peer closes | returns the close, writes the reply, and then returns `None` | those that wait, and all later messages, fail with [`EncodeErrorKind::Closing`](crate::EncodeErrorKind::Closing) |
    /// | the stream fails, or the peer breaks a rule | returns the error | as above, or [`Error::Io`](super::super::Error::Io) if queued bytes were lost |
    /// | a writer closes | goes on until the peer's close, and then returns it and `None` | as above |
    /// | all writers are dropped | goes on; it still answers pings and closes | |
    /// | the reader is dropped | | go on; nobody answers pings and closes, and what is queued is written by `send` and `flush` only |
    /// | all are dropped | | the stream is dropped, after a last attempt to write the queue |
    /// | the stream, or a closure of `with_ref`, panics in one task | [`Error::Io`](super::super::Error::Io) | [`Error::Io`](super::super::Error::Io) |
    ///
    /// Each call locks a mutex for a moment, and never while it waits. With `futures_util` in
    /// scope, its `split` is `StreamExt::split(socket)`.
    pub fn split(self) -> (Reader<IO, R>, Writer<IO, R>) {
        let shared = Arc::new(Shared::new(self));
        (Reader::new(shared.clone()), Writer::new(shared))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> Reader<IO, R> {
    /// Puts the two parts together again.
    ///
    /// # Errors
    /// Returns both parts if they belong to two WebSockets, or if there are more clones of the
    /// writer.
    pub fn reunite(self, writer: Writer<IO, R>) -> Result<WebSocket<IO, R>, ReuniteError<IO, R>> {
        // Only these two can make more of them.
        if !Arc::ptr_eq(&self.shared, writer.shared()) || Arc::strong_count(&self.shared) != 2 {
            return Err(ReuniteError { reader: self, writer });
        }
        drop(writer);
        match Arc::try_unwrap(self.shared) {
            Ok(shared) => Ok(shared.into_socket()),
            Err(shared) => {
                Err(ReuniteError { reader: Self::new(shared.clone()), writer: Writer::new(shared) })
            }
        }
    }
}

/// Two parts that cannot be put together, from [`Reader::reunite`].
#[non_exhaustive]
pub struct ReuniteError<IO: AsyncRead + AsyncWrite + Unpin, R: Role> {
    /// The reader that was given.
    pub reader: Reader<IO, R>,
    /// The writer that was given.
    pub writer: Writer<IO, R>,
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> fmt::Debug for ReuniteError<IO, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReuniteError").finish_non_exhaustive()
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> fmt::Display for ReuniteError<IO, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reader and the writer are of two WebSockets, or the writer has clones")
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> core::error::Error for ReuniteError<IO, R> {}
