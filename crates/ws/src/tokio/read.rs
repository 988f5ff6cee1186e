//! The reading half: messages out of the stream.

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
    /// The next message. `None` at the end, after a close handshake.
    ///
    /// After an error the stream ends: one more call waits until the peer has closed, which lets it
    /// read why. Cancel-safe.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Protocol`], both final. An end of the stream without a close
    /// frame is a [`NoClose`](crate::ErrorKind::NoClose); a reset after both close frames is no
    /// error.
    pub async fn next(&mut self) -> Option<Result<Message, Error>> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    /// Most messages of a batch are taken right here, from what was read.
    #[inline]
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        if let Some(message) = self.take_message() {
            return Poll::Ready(Some(Ok(message)));
        }
        self.poll_next_read(cx)
    }

    /// The next message of what was read already.
    #[inline]
    fn take_message(&mut self) -> Option<Message> {
        if self.decoded == self.input.len() || !matches!(self.phase, Phase::Reading) {
            return None;
        }
        let decoded = self.connection.decode_owned(&mut self.input[self.decoded..]);
        let (n, message) = self.on_decoded(decoded, self.input.len() - self.decoded);
        self.decoded += n;
        if self.decoded == self.input.len() {
            // Whoever handles the last message may be long about it.
            self.keep_input();
        }
        message
    }

    fn poll_next_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        loop {
            match self.phase {
                Phase::Reading => {}
                Phase::Failing(error) => {
                    // RFC 6455 §7.1.7 (2): the close, behind the replies that were owed before. If
                    // that fails, there is nobody to tell.
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

            // Nothing left to decode: the time to write.
            match self.poll_write_out(cx, Half::Reader) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(self.stopped(error)),
                // A peer that does not read is not read from either: its pings and requests would
                // only add to the queue.
                Poll::Pending if self.outbox.len() >= self.write_limit => return Poll::Pending,
                // Behind its close nothing is read, not even the end of the stream: what it is owed
                // comes first.
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

    /// Reads once, into the thread's buffer, and decodes the first message where it lies. What is
    /// behind it is copied to a buffer of this connection, which mostly is nothing; where it is
    /// much, the connection borrows the thread's.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        if self.input.is_empty()
            && let Some(mut room) = self.connection.payload_room()
        {
            // A large message's payload has its place already.
            let n = ready!(pin!(self.io.read_buf(&mut room)).poll(cx))?;
            return Poll::Ready(if n == 0 { self.ended() } else { Ok(self.connection.took_payload(n)) });
        }
        let mut buffer = thread_buffer::take(&BUFFER);
        buffer.reserve_exact(READ);
        // What is left is a part of a header or of a control frame: of a message's payload all is
        // taken.
        buffer.extend_from_slice(&self.input);
        let mut room = (&mut buffer).limit(READ - self.input.len());
        let read = pin!(self.io.read_buf(&mut room)).poll(cx);
        if !matches!(read, Poll::Ready(Ok(1..))) {
            give_back(buffer);
            return Poll::Ready(ready!(read).map_err(Error::from).and_then(|_| self.ended()));
        }
        let decoded = self.connection.decode_owned(&mut buffer);
        let (n, message) = self.on_decoded(decoded, buffer.len());
        let rest = buffer.len() - n;
        if message.is_some() && rest >= WORTH_KEEPING {
            (self.input, self.decoded) = (buffer, n);
        } else {
            self.input = buffer[n..].into();
            give_back(buffer);
        }
        Poll::Ready(Ok(message))
    }

    /// Keeps no more of what was read than what is yet to be decoded.
    fn keep_input(&mut self) {
        if self.decoded > 0 {
            let rest = self.input[self.decoded..].into();
            self.decoded = 0;
            give_back(core::mem::replace(&mut self.input, rest));
        }
    }

    /// How many bytes of `len` were decoded, and to what.
    #[inline]
    fn on_decoded(
        &mut self,
        decoded: Result<(usize, Option<Message>), crate::Error>,
        len: usize,
    ) -> (usize, Option<Message>) {
        match decoded {
            Ok(decoded) => {
                // Each ping its own pong, as long as they leave; the latest one's only, once they
                // do not (RFC 6455 §5.5.3 (2)).
                if self.connection.has_output() && self.outbox.len() < MAX_PONGS {
                    // Without randomness for a mask the next write fails, and tells.
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

    /// The stream ended.
    fn ended(&mut self) -> Result<Option<Message>, Error> {
        self.phase = Phase::Over;
        match self.connection.finish() {
            Ok(_) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// After the close handshake the server closes first, the client waits for that:
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

    /// An error of the stream ends everything; after both close frames it is not even one.
    fn stopped(&mut self, error: Error) -> Option<Result<Message, Error>> {
        self.phase = Phase::Over;
        self.outbox.clear();
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

/// How much is read at a time.
const READ: usize = 64 * 1024;
/// With so much of it yet to be decoded, a connection keeps the buffer it was read to, in place of
/// a copy.
const WORTH_KEEPING: usize = READ / 8;
/// With so many bytes waiting, pongs do not join them.
const MAX_PONGS: usize = 4 * 1024;
/// How much of what a peer sends behind its own close, or behind its fault, is read and dropped.
const MAX_DRAIN: usize = 1 << 20;

std::thread_local! {
    /// Shared by the connections of the thread, which read one after the other. Taken while in use,
    /// so that a stream that is itself made of WebSockets finds none and makes its own.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Smaller ones are a connection's own.
fn give_back(buffer: Vec<u8>) {
    if buffer.capacity() >= READ {
        thread_buffer::put(&BUFFER, buffer, READ);
    }
}
