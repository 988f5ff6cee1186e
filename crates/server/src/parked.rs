//! A connection outside the request cycle: a socket and nothing else.
//!
//! ```text
//!   request ──► Handler::handle ──► Reply::Detach ──► head and first bytes written ──► Handler::detached(Parked, ticket)
//!                                                                                            │
//!        request cycle ◄── resume() ◄────────────── Parked ──────────────► into_io() ──► Upgraded: AsyncRead + AsyncWrite
//! ```
//!
//! The buffers and the task of the connection are gone by then. What is left costs no memory but
//! the socket's own: a handler holds thousands of these in a table, watches them through one
//! [`Inbox`](crate::Inbox) and writes one shared slice to all of them.

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
pub struct Parked {
    pub(crate) stream: Stream,
    pub(crate) permit: Permit,
    pub(crate) rest: Vec<u8>,
    pub(crate) worker: Rc<dyn Resume>,
}

/// A worker, which a parked connection goes back to.
pub(crate) trait Resume {
    fn resume(self: Rc<Self>, stream: Stream, permit: Permit, rest: Vec<u8>);
}

impl Parked {
    /// Who is at the other end.
    pub fn peer(&self) -> Peer {
        self.permit.peer()
    }

    /// The address of this server that the peer connected to; none for a Unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.stream.local_addr()
    }

    /// Bytes that the peer sent after the request and that were read already. Process them before
    /// reading.
    pub fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.rest)
    }

    /// Keeps bytes for later, after those that are kept already: for
    /// [`take_rest`](Self::take_rest), or for the request cycle. Put a bound to
    /// [`unread_len`](Self::unread_len).
    pub fn unread(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
    }

    /// How many bytes are kept for later. Who has enough of them stops reading, and the peer has to
    /// wait.
    pub fn unread_len(&self) -> usize {
        self.rest.len()
    }

    /// Reads what is there; 0 is the end of input. Registers the waker of `cx` when nothing is
    /// there, in place of the waker of an earlier read.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_read(cx, buf)
    }

    /// Waits for something to read without a buffer.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_read_ready(cx)
    }

    /// Waits for room to write. Register after [`try_write`](Self::try_write) said `WouldBlock` or
    /// took less than all.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_write_ready(cx)
    }

    /// Writes what the socket takes now.
    ///
    /// # Errors
    /// `WouldBlock` if that is nothing; any other error means that the connection is dead.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.stream.try_write(buf)
    }

    /// The same for bytes in several places. The kernel takes 1,024 slices at most.
    ///
    /// # Errors
    /// As [`try_write`](Self::try_write).
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.try_write_vectored(bufs)
    }

    /// Ends the output (FIN), after which the peer may still send.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }

    /// Gives the connection back to the request cycle. `rest` are bytes that were read since and
    /// are part of the next request. Only right where the last answer was framed by a length or by
    /// chunks, and is complete.
    pub fn resume(mut self, rest: &[u8]) {
        self.rest.extend_from_slice(rest);
        let Parked { stream, permit, rest, worker } = self;
        worker.resume(stream, permit, rest);
    }

    /// Makes an async stream of it, which may move to another thread of the same process.
    pub fn into_io(self) -> Upgraded {
        Upgraded { stream: self.stream, rest: self.rest, at: 0, _permit: self.permit }
    }
}

impl fmt::Debug for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parked").field("peer", &self.peer()).finish_non_exhaustive()
    }
}

/// An upgraded connection as an async stream: what the peer sent right after its request is read
/// first.
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

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }
}
