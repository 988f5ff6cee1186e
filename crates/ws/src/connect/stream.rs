//! The stream that [`Connect::open`](super::Connect::open) opens.

use super::error::Error;
use super::target::Target;
use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use ::tokio::net::{TcpStream, lookup_host};
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSlice};

/// A TCP connection, with TLS if the URL asks for it.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let socket = tidewire_ws::connect("ws://127.0.0.1:8080/").await?;
/// println!("connected to {}", socket.get_ref().tcp().peer_addr()?);
/// # Ok(()) }
/// ```
pub struct Stream(pub(super) Inner);

pub(super) enum Inner {
    Tcp(TcpStream),
    #[cfg(feature = "rustls")]
    Tls(alloc::boxed::Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl Stream {
    /// The TCP connection, for its addresses and options.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        match &self.0 {
            Inner::Tcp(tcp) => tcp,
            #[cfg(feature = "rustls")]
            Inner::Tls(tls) => tls.get_ref().0,
        }
    }
}

/// Tries all addresses of the host in the order of the resolver.
pub(super) async fn open_tcp(target: &Target) -> Result<TcpStream, Error> {
    let (host, port) = (target.host.as_str(), target.port);
    let addresses =
        lookup_host((host, port)).await.map_err(|source| Error::Lookup { host: host.into(), source })?;
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(tcp) => {
                // Each write is a whole frame, so Nagle's algorithm would only delay it. If the
                // option cannot be set, the connection works all the same.
                let _ = tcp.set_nodelay(true);
                return Ok(tcp);
            }
            Err(source) => last = Some(Error::Connect { address, source }),
        }
    }
    let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    Err(last.unwrap_or_else(|| Error::Lookup { host: host.into(), source: none() }))
}

/// Calls the stream inside.
macro_rules! inside {
    ($self:ident, $io:ident => $call:expr) => {
        match &mut $self.0 {
            Inner::Tcp($io) => $call,
            #[cfg(feature = "rustls")]
            Inner::Tls($io) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        inside!(self, io => Pin::new(io).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
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
            Inner::Tcp(tcp) => tcp.is_write_vectored(),
            #[cfg(feature = "rustls")]
            Inner::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inside!(self, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inside!(self, io => Pin::new(io).poll_shutdown(cx))
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stream").field(self.tcp()).finish()
    }
}
