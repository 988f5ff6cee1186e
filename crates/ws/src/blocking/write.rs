//! The writing half: from messages to the queue, and from the queue to the stream.

use super::io::flush;
use super::websocket::WebSocket;
use crate::socket::{CONTROL_ROOM, Error, MAX_BATCH, MAX_SLICES};
use crate::{Message, PreparedMessage, Role, Server};
use bytes::Buf as _;
use std::io::{self, IoSlice, Read, Write};

impl<S: Read + Write, R: Role> WebSocket<S, R> {
    /// Sends a message. When this returns, the stream has taken every byte of it.
    ///
    /// After an error with [`can_retry`](Error::can_retry) the message is in the queue: do not send
    /// it again. Call [`flush`](Self::flush) or [`next`](Iterator::next).
    ///
    /// # Errors
    /// [`Error::Encode`] and [`Error::Full`]: the message was not queued. [`Error::Io`].
    pub fn send(&mut self, message: Message) -> Result<(), Error> {
        self.enqueue(message)?;
        self.flush()
    }

    /// Queues a message. The queue is written by the next [`send`](Self::send) or
    /// [`flush`](Self::flush), when [`next`](Iterator::next) would wait, or as soon as it has 64
    /// KiB. It is not written on drop.
    ///
    /// For a loop that answers the messages that it reads: all answers to one read leave in one
    /// write. Call [`flush`](Self::flush) before you wait for anything other than
    /// [`next`](Iterator::next).
    ///
    /// # Errors
    /// As [`send`](Self::send). An error with [`can_retry`](Error::can_retry) is not reported: the
    /// queue is kept for the next write.
    pub fn queue(&mut self, message: Message) -> Result<(), Error> {
        self.enqueue(message)?;
        self.write_batch()
    }

    /// Writes the queue. When this returns, the stream has taken every byte.
    ///
    /// # Errors
    /// [`Error::Io`]. If it has [`can_retry`](Error::can_retry), a part is written, and the rest
    /// waits in the queue: call again.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.write_out()
    }

    /// Sends a close frame, unless one was sent, and writes the queue. [`next`](Iterator::next)
    /// returns the peer's reply.
    ///
    /// # Errors
    /// [`Error::Encode`] for a code or reason that cannot be sent, [`Error::Io`] as
    /// [`flush`](Self::flush).
    pub fn close(&mut self, code: Option<u16>, reason: &str) -> Result<(), Error> {
        self.not_lost()?;
        if self.connection.is_open() {
            self.queue_replies()?;
            let key = self.key()?;
            self.connection.put_own_close(code, reason, key, self.outbox.tail())?;
        }
        self.flush()
    }
}

impl<S: Read + Write> WebSocket<S, Server> {
    /// Sends a prepared message, as [`send`](Self::send) does.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        self.put_prepared(message)?;
        self.flush()
    }

    /// Queues a prepared message, as [`queue`](Self::queue) does. A frame of 4 KiB or more is
    /// shared, not copied.
    ///
    /// # Errors
    /// As [`queue`](Self::queue).
    pub fn queue_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        self.put_prepared(message)?;
        self.write_batch()
    }

    fn put_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        self.not_lost()?;
        self.make_room()?;
        self.queue_replies()?;
        let frame = self.connection.send_prepared(message)?.clone();
        self.outbox.push(frame);
        Ok(())
    }
}

impl<S: Read + Write, R: Role> WebSocket<S, R> {
    /// Writes the queue, then the replies that are owed. While the queue is long, a pong stays in
    /// the connection, where the next one replaces it. So a peer that sends pings and never reads
    /// takes no memory.
    pub(super) fn write_out(&mut self) -> Result<(), Error> {
        loop {
            self.not_lost()?;
            if self.outbox.is_empty() {
                self.outbox.release();
                if self.connection.has_output() {
                    self.queue_replies()?;
                } else if !self.unflushed {
                    return Ok(());
                }
            }
            if let Err(error) = self.write_queue() {
                if Error::is_not_ready(&error) {
                    self.outbox.shrink();
                } else {
                    self.lose(error.kind());
                }
                return Err(error.into());
            }
        }
    }

    fn write_queue(&mut self) -> io::Result<()> {
        while self.outbox.has_remaining() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            // One slice is the usual case, and a plain write costs the kernel less than a vectored
            // one.
            let written = match self.outbox.chunks_vectored(&mut slices) {
                1 => self.stream.write(self.outbox.chunk()),
                n => self.stream.write_vectored(&slices[..n]),
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    self.unflushed = true;
                    self.outbox.advance(n);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        flush(&mut self.stream)?;
        self.unflushed = false;
        Ok(())
    }

    /// Writes a queue of 64 KiB, as far as the stream takes it.
    fn write_batch(&mut self) -> Result<(), Error> {
        if self.outbox.len() < MAX_BATCH {
            return Ok(());
        }
        match self.write_out() {
            Err(error) if error.can_retry() => Ok(()),
            written => written,
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.outbox.len() < self.write_limit
    }

    /// Fails if the stream has failed in the middle of the queue.
    fn not_lost(&self) -> Result<(), Error> {
        self.lost.map_or(Ok(()), |kind| Err(io::Error::from(kind).into()))
    }

    /// Tries to write a full queue.
    fn make_room(&mut self) -> Result<(), Error> {
        if self.has_room() {
            return Ok(());
        }
        match self.write_out() {
            Err(error) if !error.can_retry() => Err(error),
            _ if self.has_room() => Ok(()),
            _ => Err(Error::Full),
        }
    }

    fn enqueue(&mut self, message: Message) -> Result<(), Error> {
        self.not_lost()?;
        let control_limit = self.write_limit.saturating_add(CONTROL_ROOM);
        match message {
            Message::Close { .. } => {}
            Message::Ping(_) | Message::Pong(_) if self.outbox.len() < control_limit => {}
            _ => self.make_room()?,
        }
        // Replies to earlier frames are sent first.
        self.queue_replies()?;
        let key = self.key()?;
        Ok(self.connection.put_owned(message, key, &mut self.outbox)?)
    }

    /// Queues the pong or the close that the protocol owes.
    pub(super) fn queue_replies(&mut self) -> Result<(), Error> {
        let keys = &mut self.keys;
        let mut key = || R::key(|| keys.get_or_insert_default().next());
        Ok(self.connection.put_replies(&mut key, self.outbox.tail())?)
    }

    fn key(&mut self) -> Result<R::Key, Error> {
        Ok(R::key(|| self.keys.get_or_insert_default().next())?)
    }

    /// Drops the queue, since the stream has failed. Another write would continue in the middle of
    /// a frame.
    pub(super) fn lose(&mut self, kind: io::ErrorKind) {
        if !self.outbox.is_empty() || self.unflushed {
            self.lost.get_or_insert(kind);
        }
        self.outbox.clear();
        self.unflushed = false;
    }
}
