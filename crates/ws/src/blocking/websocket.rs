//! The fields and options of a WebSocket over a blocking stream. `read.rs` and `write.rs` have its
//! actions.

use crate::socket::{MaskingKeys, Parts, Phase, WRITE_LIMIT};
use crate::{Client, Connection, Limits, Outbox, Role, Server};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use std::io::{Read, Write};

/// A WebSocket over a `Read + Write`, after the handshake: a `TcpStream`, a `UnixStream`, rustls'
/// `StreamOwned`, or a type of your own. It is an [`Iterator`] of messages.
///
/// [`next`](Self::next) waits for a message. It answers pings and closes itself. One thread both
/// reads and writes. A waiting WebSocket has a read buffer of 8 KiB, or of 64 KiB after it has
/// received much.
///
/// ```
/// # use std::net::{TcpListener, TcpStream};
/// use tidewire_ws::{Limits, blocking::WebSocket};
/// # let listener = TcpListener::bind("127.0.0.1:0")?;
/// # let client = TcpStream::connect(listener.local_addr()?)?;
/// # let server = listener.accept()?.0;
/// let mut server = WebSocket::server(server, Limits::DEFAULT);
/// let mut client = WebSocket::client(client, Limits::DEFAULT);
///
/// client.send("Hello".into())?;
/// let message = server.next().ok_or("the client is gone")??;
/// server.send(message)?;
/// assert_eq!(client.next().ok_or("the server is gone")??, "Hello".into());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WebSocket<S, R: Role> {
    pub(super) stream: S,
    pub(super) connection: Connection<R>,
    pub(super) input: super::input::Input,
    pub(super) outbox: Outbox,
    /// A client's source of masking keys. It is created with the first frame.
    pub(super) keys: Option<Box<MaskingKeys>>,
    pub(super) write_limit: usize,
    pub(super) phase: Phase,
    /// The stream took bytes, and has not said since that they are flushed. It may be a buffer.
    pub(super) unflushed: bool,
    /// The stream failed before the queue was written. No later flush may succeed.
    pub(super) lost: Option<std::io::ErrorKind>,
}

impl<S: Read + Write> WebSocket<S, Server> {
    /// Returns the server's end of a stream after its handshake. If you read the request yourself,
    /// also pass the bytes that came after it: [`with_read_ahead`](Self::with_read_ahead).
    pub fn server(stream: S, limits: Limits) -> Self {
        Self::new(stream, Connection::new(limits))
    }
}

impl<S: Read + Write> WebSocket<S, Client> {
    /// Returns the client's end of a stream after its handshake. Masking keys come from the
    /// operating system. If you read the answer yourself, also pass the bytes that came after it:
    /// [`with_read_ahead`](Self::with_read_ahead).
    pub fn client(stream: S, limits: Limits) -> Self {
        Self::new(stream, Connection::new(limits))
    }
}

impl<S: Read + Write, R: Role> WebSocket<S, R> {
    /// Returns a WebSocket over an existing connection, such as one with permessage-deflate.
    pub fn new(stream: S, connection: Connection<R>) -> Self {
        Self {
            stream,
            connection,
            input: super::input::Input::default(),
            outbox: Outbox::new(),
            keys: None,
            write_limit: WRITE_LIMIT,
            phase: Phase::Reading,
            unflushed: false,
            lost: None,
        }
    }

    /// Passes bytes that were read together with the handshake, after its head.
    #[must_use]
    pub fn with_read_ahead(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = super::input::Input::new(bytes.into());
        self
    }

    /// Sets how many bytes may wait to be written. Default 1 MiB.
    ///
    /// Bytes wait only if the stream does not take them in time: it is non-blocking, or has a write
    /// time-out. Then a message is refused with [`Error::Full`](super::Error::Full), and
    /// [`next`](Self::next) reads nothing until there is room. One message may exceed the limit,
    /// since messages are not cut. Pings and pongs that you send may exceed it by 4 KiB.
    #[must_use]
    pub fn with_write_limit(mut self, bytes: usize) -> Self {
        self.write_limit = bytes.clamp(1, usize::MAX / 2);
        self
    }
}

impl<S, R: Role> WebSocket<S, R> {
    /// Returns the state of the protocol, for deadlines.
    pub const fn connection(&self) -> &Connection<R> {
        &self.connection
    }

    /// The number of bytes that wait to be written. An event loop waits until it can write while
    /// this is not 0.
    pub fn unwritten(&self) -> usize {
        self.outbox.len()
    }

    /// Returns the underlying stream.
    pub const fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Returns the underlying stream, to set its options. Bytes that you read from it are missing
    /// in the WebSocket, and bytes that you write to it break its frames.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Returns the stream, and everything that the WebSocket holds: bytes that are read but not
    /// decoded, and bytes that are queued but not written. Call [`flush`](Self::flush) first if
    /// they should be written.
    ///
    /// [`WebSocket::new`] with the `io` and the `connection`, and
    /// [`with_read_ahead`](Self::with_read_ahead) with the `unread` bytes, continue where this one
    /// stopped, if nothing is `unwritten`.
    pub fn into_inner(self) -> Parts<S, R> {
        Parts {
            io: self.stream,
            connection: self.connection,
            unread: self.input.into_unread(),
            unwritten: self.outbox,
        }
    }
}

impl<S, R: Role> fmt::Debug for WebSocket<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("connection", &self.connection)
            .field("unwritten", &self.outbox.len())
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}
