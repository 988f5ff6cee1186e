//! The reading half: from the stream to messages.

use super::websocket::WebSocket;
use crate::role::Side;
use crate::socket::{Error, MAX_DRAIN, MAX_PONGS, Phase, payload_room, took_payload};
use crate::{ErrorKind, Message, Role};
use std::io::{self, Read, Write};

/// The messages of a WebSocket.
///
/// A `for` loop borrows the WebSocket, so it cannot send in its body. For that, write
/// `while let Some(message) = socket.next()`.
impl<S: Read + Write, R: Role> Iterator for WebSocket<S, R> {
    type Item = Result<Message, Error>;

    /// Waits for the next message. Returns `None` at the end, after a close handshake. Before it
    /// waits, it writes what is queued.
    ///
    /// If the stream has a time-out or is non-blocking, an error with
    /// [`can_retry`](Error::can_retry) says that no message has arrived in time. Nothing is lost,
    /// also in the middle of a frame: call again. After any other error the stream of messages
    /// ends. Then one more call of a client waits until the server has closed the connection, so
    /// that the server can read the close frame.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Protocol`]. An end of the stream without a close frame is a
    /// [`NoClose`](crate::ErrorKind::NoClose). A reset after both close frames is not an error.
    /// [`Error::InPieces`] if the connection returns messages
    /// [in pieces](crate::Connection::in_pieces).
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.phase {
                Phase::Reading => {}
                Phase::Failing(error) => return Some(Err(self.fail(error))),
                Phase::Draining(rest) => match self.drain(rest) {
                    Ok(()) => continue,
                    Err(error) => return Some(Err(error)),
                },
                Phase::Over => return None,
            }
            match self.take_message() {
                Ok(None) if self.phase == Phase::Reading => {}
                Ok(None) => continue,
                Ok(Some(message)) => return Some(Ok(message)),
                Err(error) => {
                    self.phase = Phase::Over;
                    return Some(Err(error));
                }
            }
            // Nothing is left to decode, so it is time to write.
            if let Err(error) = self.write_out() {
                if !error.can_retry() {
                    return self.stopped(error);
                }
                // After the peer's close, the replies come first. And a loop that answers each
                // message goes at the pace of its peer.
                if self.connection.state.drops_input() || !self.has_room() {
                    return Some(Err(error));
                }
            }
            if self.connection.is_closed() {
                // RFC 6455 §5.5.1 (7), RFC 6455 §5.5.1 (8): the server closes the TCP connection,
                // which its caller does, and the client waits for it.
                self.phase = Self::after_close();
                continue;
            }
            let (read, message) = self.read();
            let stopped = match read {
                Ok(1..) => None,
                Ok(0) => {
                    self.phase = Phase::Over;
                    return self.connection.finish().err().map(|error| Err(error.into()));
                }
                Err(error) => Some(Error::Io(error)),
            };
            match (message, stopped) {
                (Some(message), _) => return Some(Ok(message)),
                (None, Some(error)) if error.can_retry() => return Some(Err(error)),
                (None, Some(error)) => return self.stopped(error),
                (None, None) => {}
            }
        }
    }
}

impl<S: Read + Write, R: Role> WebSocket<S, R> {
    /// Reads once into the buffer. Or reads the payload of a large message straight into the
    /// message, and returns it when it is whole.
    fn read(&mut self) -> (io::Result<usize>, Option<Message>) {
        let due = self.connection.frames.payload_due().unwrap_or(0);
        if !self.input.unread().is_empty() {
            return (self.input.read(&mut self.stream, due), None);
        }
        let Some(mut room) = payload_room(&mut self.connection) else {
            return (self.input.read(&mut self.stream, due), None);
        };
        let limit = room.limit() as u64;
        let message = room.get_mut();
        let before = message.len();
        // Into memory that is not zeroed before. What came before an error is kept.
        let read = (&mut self.stream).take(limit).read_to_end(message);
        let n = message.len().saturating_sub(before);
        (read, took_payload(&mut self.connection, n))
    }

    /// Returns the next message of the bytes that were read. After an error of the peer, prepares
    /// the close.
    fn take_message(&mut self) -> Result<Option<Message>, Error> {
        let input = self.input.unread();
        if input.is_empty() {
            return Ok(None);
        }
        let (n, message) = match self.connection.decode_owned(input) {
            Ok(decoded) => decoded,
            Err(error) if error.kind() == ErrorKind::InPieces => return Err(Error::InPieces),
            Err(error) => {
                self.input.take(usize::MAX);
                self.phase = Phase::Failing(error);
                return Ok(None);
            }
        };
        self.input.take(n);
        // While the peer reads the pongs, each ping gets one. Otherwise only the latest ping is
        // answered (RFC 6455 §5.5.3 (2)).
        if self.connection.has_output() && self.outbox.len() < MAX_PONGS {
            // If there is no randomness for a masking key, the next write reports it.
            let _ = self.queue_replies();
        }
        Ok(message)
    }

    /// RFC 6455 §7.1.7 (2): writes the close, after the replies that are owed. If the write fails,
    /// there is no peer left to tell.
    #[cold]
    fn fail(&mut self, error: crate::Error) -> Error {
        match self.write_out() {
            Err(not_ready) if not_ready.can_retry() => return not_ready,
            _ => {}
        }
        self.phase = Self::after_close();
        error.into()
    }

    /// A client that closed at once would reset the connection if bytes of the server still arrive,
    /// and the server might lose the close. A server cannot wait: its client waits for it.
    const fn after_close() -> Phase {
        match R::SIDE {
            Side::Client => Phase::Draining(MAX_DRAIN),
            Side::Server => Phase::Over,
        }
    }

    /// Drops what arrives until the peer closes.
    fn drain(&mut self, mut rest: usize) -> Result<(), Error> {
        let mut waste = [0; 4096];
        while rest > 0 {
            match self.stream.read(&mut waste) {
                Ok(n @ 1..) => rest = rest.saturating_sub(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if Error::is_not_ready(&error) => {
                    self.phase = Phase::Draining(rest);
                    return Err(error.into());
                }
                Ok(0) | Err(_) => break,
            }
        }
        self.phase = Phase::Over;
        Ok(())
    }

    /// An I/O error ends the messages. After both close frames it is not reported.
    fn stopped(&mut self, error: Error) -> Option<Result<Message, Error>> {
        self.phase = Phase::Over;
        if let Error::Io(error) = &error {
            self.lose(error.kind());
            if self.connection.is_closed() {
                return None;
            }
        }
        Some(Err(error))
    }
}
