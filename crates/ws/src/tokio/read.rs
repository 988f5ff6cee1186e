//! The reading half: from the stream to messages.

use super::payload::Incoming;
use super::piece::Piece;
use super::wakers::Half;
use super::websocket::{TAKEN, WebSocket};
use crate::role::Side;
use crate::socket::{Error, MAX_DRAIN, MAX_PONGS, Phase};
use crate::{Message, Role, thread_buffer};
use ::tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use alloc::vec::Vec;
use bytes::BufMut as _;
use core::cell::Cell;
use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, ready};
use futures_core::Stream;
use std::io;

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> WebSocket<IO, R> {
    /// Returns the next message, or `None` at the end, after a close handshake.
    ///
    /// After an error the stream of messages ends. One more call waits until the peer has closed
    /// the connection, so that it can read the close frame. Cancel-safe.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Protocol`], both final. An end of the stream without a close
    /// frame is a [`NoClose`](crate::ErrorKind::NoClose). A reset after both close frames is not an
    /// error. [`Error::InPieces`] if the connection returns messages
    /// [in pieces](Self::in_pieces).
    pub async fn next(&mut self) -> Option<Result<Message, Error>> {
        poll_fn(|cx| self.poll_item(cx)).await
    }

    /// Returns the next piece of a message or a control frame, or `None` at the end, after a close
    /// handshake. A piece is returned as soon as its bytes have arrived, and nothing is collected.
    /// So a message of any length takes little memory.
    ///
    /// The WebSocket must be [`in_pieces`](Self::in_pieces). The limits still apply: raise
    /// [`max_message`](crate::Limits::max_message) and [`max_frame`](crate::Limits::max_frame).
    /// Cancel-safe. As [`next`](Self::next) in everything else.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let (server, client) = tokio::io::duplex(1024);
    /// # let mut client = tidewire_ws::tokio::WebSocket::client(client, tidewire_ws::Limits::DEFAULT);
    /// # client.send("a long message".into()).await?;
    /// use tidewire_ws::{Limits, tokio::{Piece, WebSocket}};
    /// let limits = Limits::DEFAULT.with_max_message(1 << 40).with_max_frame(1 << 40);
    /// let mut server = WebSocket::server(server, limits).in_pieces();
    /// while let Some(piece) = server.next_piece().await {
    ///     match piece? {
    ///         Piece::Data { data, last, .. } => {
    ///             println!("{} bytes", data.len());
    ///             if last {
    ///                 break;
    ///             }
    ///         }
    ///         Piece::Control(_) => {}
    ///         _ => {}
    ///     }
    /// }
    /// # Ok::<(), tidewire_ws::tokio::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`next`](Self::next). [`Error::NotInPieces`] without `in_pieces`.
    pub async fn next_piece(&mut self) -> Option<Result<Piece, Error>> {
        poll_fn(|cx| self.poll_item(cx)).await
    }

    /// As [`next_piece`](Self::next_piece), to build a stream of pieces.
    pub fn poll_next_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, Error>>> {
        self.poll_item(cx)
    }

    /// Returns the next message, or the next piece. Most messages of a batch are in bytes that were
    /// read already.
    #[inline]
    pub(super) fn poll_item<T: Incoming<R>>(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<T, Error>>> {
        if self.connection.in_pieces != T::IN_PIECES {
            return Poll::Ready(self.refused(T::IN_PIECES));
        }
        if let Some(item) = self.take_item() {
            return Poll::Ready(Some(Ok(item)));
        }
        self.poll_next_read(cx)
    }

    /// The caller would get pieces instead of messages, or the other way round. After the error
    /// comes the end, so that a loop that ignores errors ends too.
    #[cold]
    fn refused<T>(&mut self, in_pieces: bool) -> Option<Result<T, Error>> {
        if self.refused {
            return None;
        }
        self.refused = true;
        Some(Err(if in_pieces { Error::NotInPieces } else { Error::InPieces }))
    }

    /// Returns the next item of the bytes that were read already.
    #[inline]
    fn take_item<T: Incoming<R>>(&mut self) -> Option<T> {
        if self.decoded == self.input.len() || !matches!(self.phase, Phase::Reading) {
            return None;
        }
        let input = &mut self.input[self.decoded..];
        let available = input.len();
        let decoded = T::decode(&mut self.connection, input);
        let (n, item) = self.on_decoded(decoded, available);
        self.decoded = self.decoded.saturating_add(n);
        if self.decoded == self.input.len() {
            // The caller may take long to handle the last message.
            self.keep_input();
        }
        item
    }

    fn poll_next_read<T: Incoming<R>>(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Error>>> {
        loop {
            match self.phase {
                Phase::Reading => {}
                Phase::Failing(error) => {
                    // RFC 6455 §7.1.7 (2): the close, after the replies that are owed. If the write
                    // fails, there is no peer left to tell.
                    if let Ok(()) = ready!(self.poll_write_out(cx, Half::Reader)) {
                        let _ = ready!(self.io().poll_shutdown(cx));
                    }
                    self.phase = Phase::Draining(MAX_DRAIN);
                    return Poll::Ready(Some(Err(error.into())));
                }
                Phase::Draining(rest) => {
                    self.keep_input();
                    ready!(self.poll_drain(cx, rest));
                    continue;
                }
                Phase::Over => return Poll::Ready(None),
            }

            self.keep_input();

            // Nothing is left to decode, so it is time to write.
            match self.poll_write_out(cx, Half::Reader) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(self.stopped(error)),
                Poll::Pending if self.waits_for_room() => return Poll::Pending,
                // After the peer's close, the replies come first. Nothing is read, not even the end
                // of the stream.
                Poll::Pending if self.connection.state.drops_input() => return Poll::Pending,
                Poll::Pending => {}
            }
            if self.connection.is_closed() {
                ready!(self.poll_end(cx));
                continue;
            }
            match ready!(self.poll_read(cx)) {
                Ok(Some(item)) => return Poll::Ready(Some(Ok(item))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(self.stopped(error)),
            }
            if let Some(item) = self.take_item() {
                return Poll::Ready(Some(Ok(item)));
            }
        }
    }

    /// Reads once into the thread's buffer and decodes the first item there. Usually no bytes
    /// follow it. A few are copied to a buffer of the connection. If they are many, the
    /// connection borrows the thread's buffer instead.
    fn poll_read<T: Incoming<R>>(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<T>, Error>> {
        let io = self.io.as_mut().expect(TAKEN);
        if self.input.is_empty() {
            if let Some(mut room) = T::payload_room(&mut self.connection) {
                // The payload of a large message is read straight into the message.
                let n = ready!(pin!(io.read_buf(&mut room)).poll(cx))?;
                return Poll::Ready(if n == 0 {
                    self.ended()
                } else {
                    Ok(T::took_payload(&mut self.connection, n))
                });
            }
        }
        let mut buffer = thread_buffer::take(&BUFFER);
        buffer.reserve_exact(READ);
        // The rest is a part of a header or of a control frame. The payload of a message is always
        // consumed.
        buffer.extend_from_slice(&self.input);
        let mut room = (&mut buffer).limit(READ.saturating_sub(self.input.len()));
        let read = pin!(io.read_buf(&mut room)).poll(cx);
        if !matches!(read, Poll::Ready(Ok(1..))) {
            give_back(buffer);
            return Poll::Ready(ready!(read).map_err(Error::from).and_then(|_| self.ended()));
        }
        let decoded = T::decode(&mut self.connection, &mut buffer);
        let (n, item) = self.on_decoded(decoded, buffer.len());
        let rest = buffer[n..].len();
        if item.is_some() && rest >= WORTH_KEEPING {
            (self.input, self.decoded) = (buffer, n);
        } else {
            self.input = buffer[n..].into();
            give_back(buffer);
        }
        Poll::Ready(Ok(item))
    }

    /// Frees the part of the input that was decoded.
    fn keep_input(&mut self) {
        if self.decoded > 0 {
            let rest = self.input[self.decoded..].into();
            self.decoded = 0;
            give_back(core::mem::replace(&mut self.input, rest));
        }
    }

    /// Returns how many of `len` bytes were decoded, and the item. After an error, prepares the
    /// close.
    #[inline]
    fn on_decoded<T>(
        &mut self,
        decoded: Result<(usize, Option<T>), crate::Error>,
        len: usize,
    ) -> (usize, Option<T>) {
        match decoded {
            Ok(decoded) => {
                // While the peer reads the pongs, each ping gets one. Otherwise only the latest
                // ping is answered (RFC 6455 §5.5.3 (2)).
                if self.connection.has_output() && self.outbox.len() < MAX_PONGS {
                    // If there is no randomness for a masking key, the next write reports it.
                    let _ = self.queue_replies();
                }
                decoded
            }
            Err(error) => {
                self.phase = Phase::Failing(error);
                (len, None)
            }
        }
    }

    /// Handles the end of the stream.
    fn ended<T>(&mut self) -> Result<Option<T>, Error> {
        self.phase = Phase::Over;
        match self.connection.finish() {
            Ok(_) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// After the close handshake the server closes the TCP connection, and the client waits for it:
    /// RFC 6455 §5.5.1 (7), RFC 6455 §5.5.1 (8).
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if R::SIDE == Side::Client {
            self.phase = Phase::Draining(MAX_DRAIN);
        } else {
            let _ = ready!(self.io().poll_shutdown(cx));
            self.phase = Phase::Over;
        }
        Poll::Ready(())
    }

    /// Drops what arrives until the peer closes.
    fn poll_drain(&mut self, cx: &mut Context<'_>, mut rest: usize) -> Poll<()> {
        let mut waste = [0; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut waste);
            let ended = match self.io().poll_read(cx, &mut buf) {
                Poll::Pending => {
                    self.phase = Phase::Draining(rest);
                    return Poll::Pending;
                }
                Poll::Ready(read) => read.is_err() || buf.filled().is_empty(),
            };
            rest = rest.saturating_sub(buf.filled().len());
            if ended || rest == 0 {
                self.phase = Phase::Over;
                return Poll::Ready(());
            }
        }
    }

    /// An I/O error ends the stream. After both close frames it is not reported.
    fn stopped<T>(&mut self, error: Error) -> Option<Result<T, Error>> {
        self.phase = Phase::Over;
        if !self.outbox.is_empty() || self.unflushed {
            self.lose(if let Error::Io(error) = &error { error.kind() } else { io::ErrorKind::BrokenPipe });
            self.wakers.wake_all();
        }
        if self.connection.is_closed() && matches!(error, Error::Io(_)) {
            return None;
        }
        Some(Err(error))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> Stream for WebSocket<IO, R> {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(cx)
    }
}

/// The most bytes of one read.
const READ: usize = 64 * 1024;
/// If this many bytes are not decoded yet, the connection keeps the read buffer instead of a copy.
const WORTH_KEEPING: usize = READ / 8;

std::thread_local! {
    /// Shared by the connections of the thread, which read one after the other. A stream that is
    /// itself made of WebSockets finds it in use and allocates its own.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Gives a read buffer back to the thread. Smaller ones belong to a connection.
fn give_back(buffer: Vec<u8>) {
    if buffer.capacity() >= READ {
        thread_buffer::put(&BUFFER, buffer, READ);
    }
}
