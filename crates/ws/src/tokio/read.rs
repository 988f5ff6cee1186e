//! The reading half: from the stream to messages.

use super::error::Error;
use super::wakers::Half;
use super::websocket::{Phase, WebSocket};
use crate::role::Side;
use crate::{Message, Role, thread_buffer};
use ::tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use alloc::vec::Vec;
use bytes::BufMut as _;
use core::cell::Cell;
use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, ready};
use futures_core::Stream;

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> WebSocket<IO, R> {
    /// Returns the next message, or `None` at the end, after a close handshake.
    ///
    /// After an error the stream of messages ends. One more call waits until the peer has closed
    /// the connection, so that it can read the close frame. Cancel-safe.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Protocol`], both final. An end of the stream without a close
    /// frame is a [`NoClose`](crate::ErrorKind::NoClose). A reset after both close frames is not an
    /// error.
    pub async fn next(&mut self) -> Option<Result<Message, Error>> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    /// Most messages of a batch are in bytes that were read already.
    #[inline]
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        if let Some(message) = self.take_message() {
            return Poll::Ready(Some(Ok(message)));
        }
        self.poll_next_read(cx)
    }

    /// Returns the next message of the bytes that were read already.
    #[inline]
    fn take_message(&mut self) -> Option<Message> {
        if self.decoded == self.input.len() || !matches!(self.phase, Phase::Reading) {
            return None;
        }
        let input = &mut self.input[self.decoded..];
        let available = input.len();
        let decoded = self.connection.decode_owned(input);
        let (n, message) = self.on_decoded(decoded, available);
        self.decoded = self.decoded.saturating_add(n);
        if self.decoded == self.input.len() {
            // The caller may take long to handle the last message.
            self.keep_input();
        }
        message
    }

    fn poll_next_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        loop {
            match self.phase {
                Phase::Reading => {}
                Phase::Failing(error) => {
                    // RFC 6455 §7.1.7 (2): the close, after the replies that are owed. If the write
                    // fails, there is no peer left to tell.
                    if let Ok(()) = ready!(self.poll_write_out(cx, Half::Reader)) {
                        let _ = ready!(Pin::new(&mut self.io).poll_shutdown(cx));
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
                // If the peer does not read, do not read from it: its pings and requests would add
                // to the queue.
                Poll::Pending if self.outbox.len() >= self.write_limit => return Poll::Pending,
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
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(self.stopped(error)),
            }
            if let Some(message) = self.take_message() {
                return Poll::Ready(Some(Ok(message)));
            }
        }
    }

    /// Reads once into the thread's buffer and decodes the first message there. Usually no bytes
    /// follow this message. A few are copied to a buffer of the connection. If they are many, the
    /// connection borrows the thread's buffer instead.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        if self.input.is_empty()
            && let Some(mut room) = self.connection.payload_room()
        {
            // The payload of a large message is read straight into the message.
            let n = ready!(pin!(self.io.read_buf(&mut room)).poll(cx))?;
            return Poll::Ready(if n == 0 { self.ended() } else { Ok(self.connection.took_payload(n)) });
        }
        let mut buffer = thread_buffer::take(&BUFFER);
        buffer.reserve_exact(READ);
        // The rest is a part of a header or of a control frame. The payload of a message is always
        // consumed.
        buffer.extend_from_slice(&self.input);
        let mut room = (&mut buffer).limit(READ.saturating_sub(self.input.len()));
        let read = pin!(self.io.read_buf(&mut room)).poll(cx);
        if !matches!(read, Poll::Ready(Ok(1..))) {
            give_back(buffer);
            return Poll::Ready(ready!(read).map_err(Error::from).and_then(|_| self.ended()));
        }
        let decoded = self.connection.decode_owned(&mut buffer);
        let (n, message) = self.on_decoded(decoded, buffer.len());
        let rest = buffer[n..].len();
        if message.is_some() && rest >= WORTH_KEEPING {
            (self.input, self.decoded) = (buffer, n);
        } else {
            self.input = buffer[n..].into();
            give_back(buffer);
        }
        Poll::Ready(Ok(message))
    }

    /// Frees the part of the input that was decoded.
    fn keep_input(&mut self) {
        if self.decoded > 0 {
            let rest = self.input[self.decoded..].into();
            self.decoded = 0;
            give_back(core::mem::replace(&mut self.input, rest));
        }
    }

    /// Returns how many of `len` bytes were decoded, and the message. After an error, prepares the
    /// close.
    #[inline]
    fn on_decoded(
        &mut self,
        decoded: Result<(usize, Option<Message>), crate::Error>,
        len: usize,
    ) -> (usize, Option<Message>) {
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
    fn ended(&mut self) -> Result<Option<Message>, Error> {
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
            let _ = ready!(Pin::new(&mut self.io).poll_shutdown(cx));
            self.phase = Phase::Over;
        }
        Poll::Ready(())
    }

    /// Drops what arrives until the peer closes.
    fn poll_drain(&mut self, cx: &mut Context<'_>, mut rest: usize) -> Poll<()> {
        let mut waste = [0; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut waste);
            let ended = match Pin::new(&mut self.io).poll_read(cx, &mut buf) {
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
    fn stopped(&mut self, error: Error) -> Option<Result<Message, Error>> {
        self.phase = Phase::Over;
        if !self.outbox.is_empty() || self.unflushed {
            self.lost = true;
            self.outbox.clear();
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
        self.poll_message(cx)
    }
}

/// The most bytes of one read.
const READ: usize = 64 * 1024;
/// If this many bytes are not decoded yet, the connection keeps the read buffer instead of a copy.
const WORTH_KEEPING: usize = READ / 8;
/// If this many bytes wait to be written, pongs are not added.
const MAX_PONGS: usize = 4 * 1024;
/// How many bytes after a peer's close, or after its error, are read and dropped.
const MAX_DRAIN: usize = 1 << 20;

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
