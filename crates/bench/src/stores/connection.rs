//! A connection with pipelined requests.

use crate::wire::answer;
use mio::net::TcpStream;
use std::io::{Error, ErrorKind, Read as _, Result, Write as _};

/// A connection that has some requests under way.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// The answers still to come.
    pub(super) left: usize,
}

impl Connection {
    pub(super) const fn new(stream: TcpStream) -> Self {
        Self { stream, input: Vec::new(), output: Vec::new(), left: 0 }
    }

    /// Sends requests.
    pub(super) fn send(&mut self, requests: &[u8], count: usize) -> Result<()> {
        self.output.extend_from_slice(requests);
        self.left += count;
        self.flush()
    }

    /// Writes what the socket takes.
    pub(super) fn flush(&mut self) -> Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(n) => drop(self.output.drain(..n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads answers. Each must have this status.
    pub(super) fn read(&mut self, buffer: &mut [u8], wanted: u16) -> Result<()> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(Error::other("the server has closed the connection")),
                Ok(n) => self.input.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        let mut at = 0;
        while let Some((status, head, end)) = answer(&self.input[at..]) {
            if status != wanted {
                let head = String::from_utf8_lossy(head);
                return Err(Error::other(format!("a request was answered with {status}: {head}")));
            }
            at += end;
            self.left = self.left.saturating_sub(1);
        }
        self.input.drain(..at);
        Ok(())
    }
}
