//! A connection outside the request cycle: a socket and nothing else.
//!
//! ```text
//!   request ──► Handler::handle ──► Reply::Detach ──► head and first bytes are written
//!                                                          │
//!                                                          ▼
//!                                          Handler::detached(Parked, ticket)
//!                                                          │
//!   request cycle ◄── resume() ◄───────── Parked ──────────┴──► into_io()
//!                                                                  │
//!                                                                  ▼
//!                                              Upgraded: AsyncRead + AsyncWrite
//! ```
//!
//! By then the buffers and the task of the connection are freed, and it costs no memory except that
//! of its socket. A handler holds thousands of parked connections in a table, watches them through
//! one [`Inbox`](crate::Inbox) and writes one shared slice to all of them.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::Peer;
use crate::connection_limits::Permit;
use crate::stream::Stream;

/// A detached connection. Dropping it closes the socket.
///
/// ```
/// use tidewire_server::{DetachHead, Handler, Parked, Reply, Request, Response, Server};
///
/// struct Feed;
///
/// impl Handler for Feed {
///     type Ticket = &'static str;
///
///     fn handle(&self, _: Request<'_>) -> Reply<Self::Ticket> {
///         let response = Response::new(200).with("Content-Type", "text/plain");
///         let head = Some(DetachHead { response, chunked: false });
///         Reply::Detach { head, first: vec!["first\n".into()], ticket: "second\n" }
///     }
///
///     fn detached(&self, connection: Parked, ticket: Self::Ticket) {
///         // A real feed keeps the connection in a table. Here it closes at the end.
///         let _ = connection.try_write(ticket.as_bytes());
///     }
/// }
///
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let running = Server::builder().listener(listener).threads(1).bind()?.serve(|_worker| Feed)?;
/// # use std::io::{Read, Write};
/// # let mut client = std::net::TcpStream::connect(running.addresses()[0].to_string())?;
/// # client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
/// # let mut answer = String::new();
/// # client.read_to_string(&mut answer)?;
/// # assert!(answer.ends_with("\r\n\r\nfirst\nsecond\n"), "{answer}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Parked {
    pub(crate) stream: Stream,
    pub(crate) permit: Permit,
    pub(crate) rest: Vec<u8>,
    pub(crate) worker: Rc<dyn Resume>,
}

/// A worker that a parked connection can return to.
pub(crate) trait Resume {
    fn resume(self: Rc<Self>, stream: Stream, permit: Permit, rest: Vec<u8>);
}

impl Parked {
    /// The other end of the connection.
    pub fn peer(&self) -> Peer {
        self.permit.peer()
    }

    /// The address of this server that the peer connected to, or `None` if the connection is not a
    /// TCP socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.stream.local_addr()
    }

    /// Takes the bytes that the peer sent after the request and that were read already. Process
    /// them before you read.
    pub fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.rest)
    }

    /// Keeps bytes for later, after the bytes that are kept already. [`take_rest`](Self::take_rest)
    /// or the request cycle gets them. The caller should bound [`unread_len`](Self::unread_len).
    pub fn unread(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
    }

    /// How many bytes are kept for later. If there are enough, stop reading; then the peer waits.
    pub fn unread_len(&self) -> usize {
        self.rest.len()
    }

    /// Reads the bytes that have arrived. 0 is the end of input. If nothing has arrived, registers
    /// the waker of `cx` in place of the waker of an earlier read.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_read(cx, buf)
    }

    /// Waits, without a buffer, until there is something to read. A stream that is not a socket
    /// must read to know that: it keeps up to 1 KiB for the next read.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_read_ready(cx)
    }

    /// Waits for room to write. Call it after [`try_write`](Self::try_write) returned `WouldBlock`
    /// or wrote only a part.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_write_ready(cx)
    }

    /// Writes as much as the socket takes now. If that is only a part, the next write must begin
    /// with the rest.
    ///
    /// # Errors
    /// `WouldBlock` if the socket takes nothing now. Any other error means that the connection is
    /// broken.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.stream.try_write(buf)
    }

    /// Writes bytes from several slices. The kernel takes 1,024 slices at most.
    ///
    /// # Errors
    /// As [`try_write`](Self::try_write).
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.try_write_vectored(bufs)
    }

    /// Ends the output (FIN). The peer may still send.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }

    /// Gives the connection back to the request cycle. `rest` are bytes that the handler has read
    /// and that belong to the next request. This is correct only if the last answer is complete and
    /// was framed by a length or by chunks.
    pub fn resume(mut self, rest: &[u8]) {
        self.rest.extend_from_slice(rest);
        let Parked { stream, permit, rest, worker } = self;
        worker.resume(stream, permit, rest);
    }

    /// Converts the connection to an async stream, which may move to another thread of the process.
    /// Flush it after you write: a stream that is not a socket may keep bytes back.
    pub fn into_io(self) -> Upgraded {
        Upgraded { stream: self.stream, rest: self.rest, at: 0, _permit: self.permit }
    }
}

impl fmt::Debug for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parked").field("peer", &self.peer()).finish_non_exhaustive()
    }
}

/// An upgraded connection as an async stream. It first yields the bytes that the peer sent right
/// after its request.
#[derive(Debug)]
pub struct Upgraded {
    stream: Stream,
    rest: Vec<u8>,
    at: usize,
    _permit: Permit,
}

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.at < this.rest.len() {
            let n = buf.remaining().min(this.rest.len() - this.at);
            buf.put_slice(&this.rest[this.at..this.at + n]);
            this.at += n;
            if this.at == this.rest.len() {
                this.rest = Vec::new();
                this.at = 0;
            }
            return Poll::Ready(Ok(()));
        }
        this.stream.poll_read_buf(cx, buf)
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }
}
