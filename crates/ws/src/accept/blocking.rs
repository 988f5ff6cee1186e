//! The handshake on a blocking stream.

use super::error::Error;
use super::handshake::{Found, Handshake, Reader};
use crate::Server;
use crate::blocking::WebSocket;
use crate::blocking::io::{read_some, write_all};
use crate::handshake::server::{self, Options};
use alloc::vec::Vec;
use std::io::{self, Read, Write};

/// The handshake on a blocking stream. A read time-out of the stream is an [`Error::Io`].
///
/// ```
/// use std::net::TcpStream;
/// use tidewire_ws::accept::{Error, Handshake};
/// use tidewire_ws::{Server, blocking::WebSocket, handshake::server::Options};
///
/// fn open(stream: TcpStream) -> Result<Option<WebSocket<TcpStream, Server>>, Error> {
///     let handshake = Handshake::read_blocking(stream)?;
///     if handshake.get("authorization") != Some(b"Bearer secret") {
///         handshake.refuse_blocking(401, &[("WWW-Authenticate", "Bearer")], "who are you?")?;
///         return Ok(None);
///     }
///     let (socket, _) = handshake.accept_blocking(&Options::DEFAULT)?;
///     Ok(Some(socket))
/// }
/// ```
impl<S: Read + Write> Handshake<S> {
    /// Reads the request, up to the end of its head. The limits of the head are
    /// [`tidewire_http1::Limits::DEFAULT`]: 16 KiB and 100 fields.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Closed`] and [`Error::Http`]. The last one was answered.
    pub fn read_blocking(mut stream: S) -> Result<Self, Error> {
        let mut reader = Reader::new();
        loop {
            reader = match reader.decode() {
                Ok(Found::Request(request)) => return Ok(Self { io: stream, request }),
                Ok(Found::Nothing(reader)) => reader,
                Err((error, answer)) => {
                    write_all(&mut stream, &answer).map_err(Error::Io)?;
                    return Err(error);
                }
            };
            if read_some(&mut stream, reader.room()).map_err(Error::Io)? == 0 {
                return Err(Error::Closed);
            }
        }
    }

    /// Answers with the 101. Returns the socket, and what was agreed on. A request that is not a
    /// valid handshake, or that the options do not allow, is refused.
    ///
    /// # Errors
    /// [`Error::Refused`] after the refusal was sent, [`Error::Io`].
    pub fn accept_blocking<'o>(
        mut self,
        options: &Options<'o>,
    ) -> Result<(WebSocket<S, Server>, server::Accept<'o>), Error> {
        let mut out = Vec::new();
        let accept = match self.request.accept(options, &mut out)? {
            Ok(accept) => accept,
            Err(refusal) => {
                self.finish(&out)?;
                return Err(Error::Refused(refusal));
            }
        };
        write_all(&mut self.io, &out).map_err(Error::Io)?;
        let (connection, rest) = self.request.opened(&accept, options);
        Ok((WebSocket::new(self.io, connection).with_read_ahead(rest), accept))
    }

    /// Answers with a status other than 101, these fields, and a text as the body, and drops the
    /// stream. If the request has a body, its first 64 KiB are read and dropped before.
    ///
    /// # Errors
    /// [`Error::Answer`] for a status or a field that cannot be sent, [`Error::Io`].
    pub fn refuse_blocking(mut self, status: u16, fields: &[(&str, &str)], body: &str) -> Result<(), Error> {
        let mut out = Vec::new();
        self.request.refuse(status, fields, body, &mut out)?;
        self.finish(&out)
    }

    /// Sends an answer that ends the connection.
    fn finish(&mut self, answer: &[u8]) -> Result<(), Error> {
        write_all(&mut self.io, answer).map_err(Error::Io)?;
        // A stream that is dropped with unread bytes resets the connection, and the client may lose
        // the answer.
        let due = self.request.body_due().min(MAX_DRAIN);
        let _ = io::copy(&mut (&mut self.io).take(due), &mut io::sink());
        Ok(())
    }
}

/// How many bytes after a refusal are read and dropped.
const MAX_DRAIN: u64 = 64 * 1024;
