//! The handshake on a tokio stream.

use super::error::Error;
use super::handshake::{Found, Handshake, Reader};
use crate::Server;
use crate::handshake::server::{self, Options};
use crate::tokio::WebSocket;
use ::tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use ::tokio::time::{Duration, timeout};
use alloc::vec::Vec;
use std::io;

/// Reads a request for a WebSocket from a stream that is open, such as a `TcpStream` or a TLS
/// stream, and answers it with [`Options::DEFAULT`].
///
/// A request that is not a valid handshake, or comes from a page of another site, is refused with
/// its status before this returns.
///
/// # Errors
/// [`Error`].
///
/// # Panics
/// As [`Handshake::accept`].
pub async fn accept<IO: AsyncRead + AsyncWrite + Unpin>(io: IO) -> Result<WebSocket<IO, Server>, Error> {
    Handshake::read(io).await?.accept(&Options::DEFAULT).await.map(|(socket, _)| socket)
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Handshake<IO> {
    /// Reads the request, up to the end of its head. The limits of the head are
    /// [`tidewire_http1::Limits::DEFAULT`]: 16 KiB and 100 fields.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Closed`] and [`Error::Http`]. The last one was answered.
    ///
    /// # Panics
    /// As [`accept`](Self::accept).
    pub async fn read(mut io: IO) -> Result<Self, Error> {
        let mut reader = Reader::new();
        loop {
            reader = match reader.decode() {
                Ok(Found::Request(request)) => return Ok(Self { io, request }),
                Ok(Found::Nothing(reader)) => reader,
                Err((error, answer)) => {
                    finish(&mut io, &answer).await?;
                    return Err(error);
                }
            };
            if io.read_buf(reader.room()).await.map_err(Error::Io)? == 0 {
                return Err(Error::Closed);
            }
        }
    }

    /// Answers with the 101. Returns the socket, and what was agreed on. A request that is not a
    /// valid handshake, or that the options do not allow, is refused.
    ///
    /// # Errors
    /// [`Error::Refused`] after the refusal was sent, [`Error::Io`].
    ///
    /// # Panics
    /// On a refusal, if the tokio runtime has no timer.
    pub async fn accept<'o>(
        mut self,
        options: &Options<'o>,
    ) -> Result<(WebSocket<IO, Server>, server::Accept<'o>), Error> {
        let mut out = Vec::new();
        let accept = match self.request.accept(options, &mut out)? {
            Ok(accept) => accept,
            Err(refusal) => {
                finish(&mut self.io, &out).await?;
                return Err(Error::Refused(refusal));
            }
        };
        write(&mut self.io, &out).await.map_err(Error::Io)?;
        let (connection, rest) = self.request.opened(&accept, options);
        Ok((WebSocket::new(self.io, connection).with_read_ahead(rest), accept))
    }

    /// Answers with a status other than 101, these fields, and a text as the body, and closes the
    /// stream.
    ///
    /// # Errors
    /// [`Error::Answer`] for a status or a field that cannot be sent, [`Error::Io`].
    ///
    /// # Panics
    /// If the tokio runtime has no timer.
    pub async fn refuse(mut self, status: u16, fields: &[(&str, &str)], body: &str) -> Result<(), Error> {
        let mut out = Vec::new();
        self.request.refuse(status, fields, body, &mut out)?;
        finish(&mut self.io, &out).await
    }
}

/// Sends an answer that ends the connection.
async fn finish<IO: AsyncRead + AsyncWrite + Unpin>(io: &mut IO, answer: &[u8]) -> Result<(), Error> {
    write(io, answer).await.map_err(Error::Io)?;
    io.shutdown().await.map_err(Error::Io)?;
    // A stream that is dropped with unread bytes resets the connection, and the client may lose the
    // answer.
    let drain = async {
        let mut waste = [0; 1024];
        for _ in 0..MAX_DRAIN_READS {
            if !matches!(io.read(&mut waste).await, Ok(1..)) {
                break;
            }
        }
    };
    let _ = timeout(DRAIN_WAIT, drain).await;
    Ok(())
}

async fn write<IO: AsyncWrite + Unpin>(io: &mut IO, bytes: &[u8]) -> io::Result<()> {
    io.write_all(bytes).await?;
    io.flush().await
}

/// How often after a refusal up to 1 KiB is read and dropped, and for how long.
const MAX_DRAIN_READS: usize = 64;
const DRAIN_WAIT: Duration = Duration::from_secs(1);
