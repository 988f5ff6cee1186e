//! A WebSocket whose handler decides when to read and when to close.
//!
//! `tidewire_ws::tokio::WebSocket` answers a close by itself. Some of the tests need a late answer,
//! or none.

use std::io;
use std::time::Duration;

use tidewire_server::Upgraded;
use tidewire_ws::{Connection, Event, Server, close};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// How long to wait for the peer's close after ours.
const PATIENCE: Duration = Duration::from_secs(10);

pub enum Message {
    Text(String),
    Binary(Vec<u8>),
}

pub struct Socket {
    pub io: Upgraded,
    connection: Connection<Server>,
    /// Bytes that were read. The first `used` bytes are decoded.
    input: Vec<u8>,
    used: usize,
    output: Vec<u8>,
    /// The code and reason of the peer's close.
    closed: Option<(Option<u16>, String)>,
}

impl Socket {
    pub fn new(io: Upgraded, connection: Connection<Server>) -> Self {
        Socket { io, connection, input: Vec::new(), used: 0, output: Vec::new(), closed: None }
    }

    /// Returns the next message, and answers pings meanwhile. Returns `None` after a close, which
    /// [`finish`](Self::finish) answers, and after a protocol error. Cancel-safe.
    pub async fn receive(&mut self) -> io::Result<Option<Message>> {
        loop {
            self.flush().await?;
            if self.closed.is_some() {
                return Ok(None);
            }
            match self.connection.decode(&mut self.input[self.used..]) {
                Ok((used, event)) => {
                    let message = match event {
                        Some(Event::Text(text)) => Some(Message::Text(text.to_owned())),
                        Some(Event::Binary(data)) => Some(Message::Binary(data.to_vec())),
                        Some(Event::Close { code, reason }) => {
                            self.closed = Some((code, reason.to_owned()));
                            return Ok(None);
                        }
                        Some(_) => None,
                        None => {
                            self.input.drain(..self.used + used);
                            self.used = 0;
                            if self.io.read_buf(&mut self.input).await? == 0 {
                                return Err(io::ErrorKind::UnexpectedEof.into());
                            }
                            continue;
                        }
                    };
                    self.used += used;
                    self.connection.take_output(&mut self.output);
                    if message.is_some() {
                        return Ok(message);
                    }
                }
                Err(_) => {
                    // The close with the reason of the error.
                    self.connection.take_output(&mut self.output);
                    self.flush().await?;
                    return Ok(None);
                }
            }
        }
    }

    pub async fn send(&mut self, message: &Message) -> io::Result<()> {
        let sent = match message {
            Message::Text(text) => self.connection.send_text(text, &mut self.output),
            Message::Binary(data) => self.connection.send_binary(data, &mut self.output),
        };
        sent.map_err(io::Error::other)?;
        self.flush().await
    }

    pub async fn ping(&mut self, payload: &[u8]) -> io::Result<()> {
        self.connection.send_ping(payload, &mut self.output).map_err(io::Error::other)?;
        self.flush().await
    }

    pub async fn close(&mut self, code: Option<u16>, reason: &str) -> io::Result<()> {
        self.connection.send_close(code, reason, &mut self.output).map_err(io::Error::other)?;
        self.flush().await
    }

    /// Ends a handler: echoes the peer's close, or closes with 1000 and waits for the echo.
    pub async fn finish(mut self) -> io::Result<()> {
        match self.closed.take() {
            // We closed first, so there is nothing to send.
            Some(_) if self.connection.is_closed() => {}
            Some((code, reason)) => self.close(code, &reason).await?,
            None => {
                if self.connection.is_open() {
                    self.close(Some(close::NORMAL), "").await?;
                }
                let echo = async {
                    while self.connection.awaiting_close() && self.receive().await?.is_some() {}
                    Ok::<_, io::Error>(())
                };
                timeout(PATIENCE, echo).await??;
            }
        }
        self.io.shutdown().await?;
        // Closing with unread bytes would reset the connection, and the close frame might be lost.
        // So the client gets a second to close first.
        let leave = async { while matches!(self.io.read_buf(&mut self.input).await, Ok(1..)) {} };
        let _ = timeout(Duration::from_secs(1), leave).await;
        Ok(())
    }

    /// Cancel-safe: written bytes are removed at once.
    async fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            let written = self.io.write(&self.output).await?;
            self.output.drain(..written);
        }
        Ok(())
    }
}
