//! Sockets. Only this file opens them. All other files read and write an [`Io`], so TLS would be
//! one more match arm here.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::Error;
use crate::error::Awaited;
use crate::url::Address;

/// The bytes of a connection.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Connects before `deadline`.
pub(crate) async fn connect(address: &Address, deadline: Instant) -> Result<Box<dyn Io>, Error> {
    match timeout_at(deadline, open(address)).await {
        Ok(Ok(io)) => Ok(io),
        Ok(Err(source)) => Err(Error::Connect { address: address.to_string(), source: Arc::new(source) }),
        Err(_) => Err(Error::Timeout(Awaited::Connection)),
    }
}

async fn open(address: &Address) -> io::Result<Box<dyn Io>> {
    match address {
        Address::Tcp { host, port } => {
            let socket = TcpStream::connect((host.as_str(), *port)).await?;
            // Each write is a whole frame or request, so Nagle's algorithm would only delay it.
            socket.set_nodelay(true)?;
            Ok(Box::new(socket))
        }
        #[cfg(unix)]
        Address::Unix(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
        #[cfg(not(unix))]
        Address::Unix(_) => Err(io::Error::from(io::ErrorKind::Unsupported)),
    }
}
