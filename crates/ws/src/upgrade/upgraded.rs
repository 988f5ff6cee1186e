//! The connection after an upgrade, whichever server it comes from.

use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use alloc::boxed::Box;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
#[cfg(feature = "hyper")]
use hyper::rt::{Read as _, Write as _};
use std::io::{self, IoSlice};

/// An upgraded connection as an async stream. It first yields what the client sent right after its
/// request.
///
/// ```
/// use tidewire_ws::{Limits, tokio::WebSocket, upgrade::Upgraded};
/// use tokio::net::TcpStream;
///
/// /// Streams of several kinds in one type.
/// fn server(tcp: TcpStream) -> WebSocket<Upgraded, tidewire_ws::Server> {
///     WebSocket::server(Upgraded::new(tcp), Limits::DEFAULT)
/// }
/// ```
pub struct Upgraded(Io);

enum Io {
    /// hyper has boxed its stream already. A second box would cost a second virtual call.
    #[cfg(feature = "hyper")]
    Hyper(hyper::upgrade::Upgraded),
    Boxed(Box<dyn Stream>),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<IO: AsyncRead + AsyncWrite + Send + Unpin> Stream for IO {}

impl Upgraded {
    /// Wraps the stream of any server.
    pub fn new(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self(Io::Boxed(Box::new(io)))
    }

    #[cfg(feature = "hyper")]
    pub(super) const fn of_hyper(io: hyper::upgrade::Upgraded) -> Self {
        Self(Io::Hyper(io))
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            #[cfg(feature = "hyper")]
            Io::Hyper(io) => {
                // No safe code passes uninitialised memory from a buffer of tokio to a buffer of
                // hyper. So the free part of the buffer is cleared before the read.
                let mut filled = hyper::rt::ReadBuf::new(buf.initialize_unfilled());
                let read = Pin::new(io).poll_read(cx, filled.unfilled());
                let n = filled.filled().len();
                buf.advance(n);
                read
            }
            Io::Boxed(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

/// Calls the stream inside. Both kinds have methods of the same names.
macro_rules! inside {
    ($self:ident, $io:ident => $call:expr) => {
        match &mut $self.0 {
            #[cfg(feature = "hyper")]
            Io::Hyper($io) => $call,
            Io::Boxed($io) => $call,
        }
    };
}

impl AsyncWrite for Upgraded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        inside!(self, io => Pin::new(io).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        inside!(self, io => Pin::new(io).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            #[cfg(feature = "hyper")]
            Io::Hyper(io) => io.is_write_vectored(),
            Io::Boxed(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inside!(self, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inside!(self, io => Pin::new(io).poll_shutdown(cx))
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded").finish_non_exhaustive()
    }
}
