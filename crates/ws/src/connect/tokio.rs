//! A client on tokio.

use super::answer::Response;
use super::builder::Connect;
use super::error::Error;
#[cfg(not(feature = "rustls"))]
use super::error::RequestError;
use super::exchange::{BODY_WAIT, Exchange, Opened};
use super::stream::{Inner, Stream, open_tcp};
#[cfg(feature = "rustls")]
use super::tls;
use crate::Client;
use crate::tokio::WhenFull;
use ::tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use ::tokio::time::timeout;
use alloc::boxed::Box;
use std::io;

/// The WebSocket of a client, on a stream that [`Connect::open`] has opened.
pub type WebSocket = crate::tokio::WebSocket<Stream, Client>;

/// Connects to the server of this URL. See [`Connect`] for options.
///
/// # Errors
/// [`Error`].
///
/// # Panics
/// Outside a tokio runtime with IO and time enabled, as `#[tokio::main]` has.
pub async fn connect(url: &str) -> Result<WebSocket, Error> {
    Connect::new(url).open().await.map(|(socket, _)| socket)
}

impl Connect {
    /// The same with another bound of what waits to be written: see
    /// [`WebSocket::with_write_limit`](crate::tokio::WebSocket::with_write_limit).
    pub const fn with_write_limit(mut self, bytes: usize, when_full: WhenFull) -> Self {
        self.write_limit = Some((bytes, when_full));
        self
    }

    /// Connects by TCP, with TLS for `wss`, and makes the handshake. All addresses of the host are
    /// tried, one after another. If the future is dropped, the connection closes.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Panics
    /// Outside a tokio runtime with IO and time enabled, as `#[tokio::main]` has.
    pub async fn open(&self) -> Result<(WebSocket, Response), Error> {
        let target = self.target()?;
        #[cfg(not(feature = "rustls"))]
        if target.is_secure {
            return Err(RequestError::NoTls.into());
        }
        let tcp = open_tcp(target).await?;
        #[cfg(feature = "rustls")]
        if target.is_secure {
            let tls = tls::wrap(tcp, target, self.tls.as_ref()).await?;
            return self.over(tls).await;
        }
        self.over(Stream(Inner::Tcp(tcp))).await
    }

    /// Makes the handshake over a stream that is open, such as a Unix socket or a tunnel. For a
    /// `wss` URL the stream must have TLS already. If the future is dropped, so is the stream.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Panics
    /// If the server refuses, its body has not come with the head, and the tokio runtime has no
    /// timer.
    pub async fn over<IO: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut io: IO,
    ) -> Result<(crate::tokio::WebSocket<IO, Client>, Response), Error> {
        let names = self.names();
        let handshake = self.handshake(&names)?;
        let (exchange, request) = Exchange::new(&self.options()?, &handshake)?;
        let opened = run(&mut io, exchange, &request).await?;
        let (connection, rest, response) = self.opened(opened);
        let socket = crate::tokio::WebSocket::new(io, connection).with_read_ahead(rest);
        let socket = match self.write_limit {
            Some((bytes, when_full)) => socket.with_write_limit(bytes, when_full),
            None => socket,
        };
        Ok((socket, response))
    }
}

/// Sends the request and reads the answer.
async fn run<IO: AsyncRead + AsyncWrite + Unpin>(
    io: &mut IO,
    mut exchange: Exchange<'_>,
    request: &[u8],
) -> Result<Opened, Error> {
    exchange.sent(write(io, request).await);
    let mut response = loop {
        if let Some(response) = exchange.head()? {
            break response;
        }
        let read = io.read_buf(exchange.room()).await;
        exchange.came(read)?;
    };
    if response.status() == 101 {
        return exchange.opened(response);
    }
    if !exchange.body(&mut response) {
        let read = async {
            while let Ok(1..) = io.read_buf(exchange.room()).await {
                if exchange.body(&mut response) {
                    return;
                }
            }
            exchange.body_ended(&mut response);
        };
        // If the time is over, what came is kept.
        let _ = timeout(BODY_WAIT, read).await;
    }
    Err(Error::Refused(Box::new(response)))
}

async fn write<IO: AsyncWrite + Unpin>(io: &mut IO, bytes: &[u8]) -> io::Result<()> {
    io.write_all(bytes).await?;
    io.flush().await
}
