//! The streams of a worker. TCP and Unix sockets are behind one type without a vtable. Any other
//! stream is boxed.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::any_stream::AnyStream;

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// A TCP peer and its address.
    Tcp(SocketAddr),
    /// A process on this machine, over a Unix socket.
    Unix,
    /// The other end of a stream that has no such address: vsock, a pipe in memory. Limits by
    /// address do not count it.
    Other,
}

impl Peer {
    /// The address of a TCP peer.
    #[must_use]
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Peer::Tcp(address) => Some(address),
            Peer::Unix | Peer::Other => None,
        }
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Peer::Tcp(address) => address.fmt(f),
            Peer::Unix => f.write_str("unix"),
            Peer::Other => f.write_str("other"),
        }
    }
}

#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    Any(Box<AnyStream>),
}

macro_rules! socket_or_any {
    ($self:expr, $s:ident => $socket:expr, $a:ident => $any:expr) => {
        match $self {
            Stream::Tcp($s) => $socket,
            #[cfg(unix)]
            Stream::Unix($s) => $socket,
            Stream::Any($a) => $any,
        }
    };
}

impl Stream {
    /// Reads the bytes that have arrived. If there are none, registers the waker.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        let read = self.poll_read_buf(cx, &mut buf);
        read.map_ok(|()| buf.filled().len())
    }

    pub(crate) fn poll_read_buf(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        socket_or_any!(self, s => Pin::new(s).poll_read(cx, buf), any => any.poll_read(cx, buf))
    }

    /// The address that the peer connected to, or `None` if the stream is not a TCP socket.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Stream::Tcp(s) => s.local_addr().ok(),
            #[cfg(unix)]
            Stream::Unix(_) => None,
            Stream::Any(_) => None,
        }
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        socket_or_any!(
            self,
            s => Pin::new(s).poll_write(cx, buf),
            any => any.poll_write(cx, &[IoSlice::new(buf)])
        )
    }

    pub(crate) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        socket_or_any!(self, s => Pin::new(s).poll_write_vectored(cx, bufs), any => any.poll_write(cx, bufs))
    }

    /// Passes on what the stream has taken. A socket keeps nothing back.
    #[inline]
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        socket_or_any!(self, _s => Poll::Ready(Ok(())), any => any.poll_flush(cx))
    }

    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        socket_or_any!(self, s => s.poll_read_ready(cx), any => any.poll_read_ready(cx))
    }

    pub(crate) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        socket_or_any!(self, s => s.poll_write_ready(cx), any => any.poll_write_ready(cx))
    }

    pub(crate) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        socket_or_any!(self, s => s.try_write(buf), any => any.try_write(&[IoSlice::new(buf)]))
    }

    pub(crate) fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        socket_or_any!(self, s => s.try_write_vectored(bufs), any => any.try_write(bufs))
    }

    /// Writes to a socket that was just accepted. The runtime does not know yet that it is
    /// writable, so [`try_write`](Self::try_write) would not ask the kernel.
    pub(crate) fn send(&self, buf: &[u8]) -> io::Result<usize> {
        socket_or_any!(
            self,
            s => socket2::SockRef::from(s).send(buf),
            any => any.try_write(&[IoSlice::new(buf)])
        )
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        socket_or_any!(self, s => Pin::new(s).poll_shutdown(cx), any => any.poll_shutdown(cx))
    }
}
