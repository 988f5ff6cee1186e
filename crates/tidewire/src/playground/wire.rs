//! One wire: it relays between a WebSocket to the page and a TCP connection to this server.
//!
//! ```text
//!   page                                          wire                           this server's
//!    ── binary: bytes to send ──────────────────► unsent ──► write ────────────►   listener
//!    ── {"type":"read","max":N} ────────────────► credit
//!    ◄─ {"type":"down","data_b64":…,"notes":…} ── one read of at most N bytes ◄──
//!    ── {"type":"cut"} ─────────────────────────► RST ─────────────────────────►
//! ```
//!
//! The page must permit each read. A new permission replaces the one before, and `max` 0 withdraws
//! it. Bytes that the page did not permit stay in the kernel, and the server notices that it
//! cannot send. So a page that pauses, steps or reads slowly is a slow reader for the server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use socket2::SockRef;
use tidewire_explain::{Annotator, Direction, Note};
use tidewire_hub::{CloseCode, Hub, Settings, Site, TOO_SLOW, json};
use tidewire_server::{LocalFuture, LogLimit, Parked, Upgraded};
use tidewire_ws::tokio::WebSocket;
use tidewire_ws::{Limits, Message, Server};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::sleep_until;

use super::deadlines::{Deadlines, Expired, running_timeout};
use super::messages::{EndReason, PageMessage, WireMessage};
use super::wire_limit::WirePermit;

/// The most bytes of one read: as much as a page can show.
pub(crate) const MAX_READ: usize = 16 * 1024;

/// The most bytes from the page that the connection has not accepted yet.
pub(crate) const MAX_UNSENT: usize = 256 * 1024;

/// Limits of the WebSocket to the page.
const LIMITS: Limits = Limits::DEFAULT.with_max_frame(64 * 1024).with_max_message(64 * 1024);

/// The size of the connection's receive buffer in the kernel. It is small, so that the server
/// notices a slow reader after some messages and not after megabytes.
const RECEIVE_BUFFER: u32 = 8 * 1024;

/// The largest TCP segment: about that of Ethernet. On the loopback interface it would be 64 KiB,
/// and the sender's buffer grows with it.
#[cfg(unix)]
const MAX_SEGMENT: u32 = 1400;

/// The time limit for a connection attempt, for sending a message to the page, and for the page's
/// answer to a close.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The most notes on the bytes of one read or message. Frames of one byte would make eight
/// thousand, more than anyone reads.
const MAX_NOTES: usize = 2_000;

/// The most messages that the wire skips while it waits for the page's close frame.
const MAX_MESSAGES_BEFORE_CLOSE: usize = 64;

/// How a wire ends.
enum End {
    /// The connection ended. A message tells the page why.
    Connection(EndReason),
    /// The page has closed the WebSocket or disappeared.
    PageGone,
    /// The wire closes the WebSocket, with this code and reason.
    Close(CloseCode, &'static str),
}

/// How all wires end when the server stops.
const STOPPED: End = End::Close(CloseCode::Restart, "the server stops");

/// The parts of the server that a wire needs.
pub(super) struct ServerContext {
    hub: Arc<Hub>,
    settings: Arc<Settings>,
    /// Resolves when the server stops.
    stopping: LocalFuture<()>,
}

impl ServerContext {
    pub(super) fn of(site: &Site) -> Self {
        ServerContext {
            hub: site.hub().clone(),
            settings: site.settings().clone(),
            stopping: site.stopping(),
        }
    }
}

/// Relays between a page and this server until one of them ends the connection.
pub(super) async fn run(
    mut server: ServerContext,
    connection: Parked,
    mut permit: WirePermit,
    idle: Duration,
) {
    // A connection over a Unix socket was refused at the handshake.
    let Some(address) = connection.local_addr() else { return };
    let page = WebSocket::server(connection.into_io(), LIMITS);
    let mut wire = match connect(address).await {
        Ok((connection, own_address)) => {
            permit.set_address(own_address);
            Wire { page, connection, credit: 0, unsent: Vec::new(), annotator: Annotator::new() }
        }
        Err(error) => {
            static FAILED: LogLimit = LogLimit::new();
            if let Some(more) = FAILED.admit() {
                tracing::warn!(%error, %address, more, "a playground wire cannot connect to this server");
            }
            return close(page, CloseCode::InternalError, "the server cannot reach itself").await;
        }
    };
    let retain_messages = server.hub.config().retention.max_messages;
    let open = WireMessage::Open { address, comet: server.settings.comet, retain_messages };
    let end = match wire.tell_page(&open).await {
        Ok(()) => wire.relay(&mut server, idle).await,
        Err(end) => end,
    };
    // The other end of the connection may belong to another worker. That worker may stop first and
    // end the connection.
    let end = match end {
        End::Connection(EndReason::Closed | EndReason::Reset) if server.hub.is_stopped() => STOPPED,
        end => end,
    };
    let Wire { mut page, connection, .. } = wire;
    if let End::Connection(EndReason::Cut) = end {
        // With a linger time of zero, closing sends a reset and drops bytes that are not delivered.
        let _ = SockRef::from(&connection).set_linger(Some(Duration::ZERO));
    }
    drop(connection);
    match end {
        End::PageGone => {}
        End::Close(code, reason) => close(page, code, reason).await,
        End::Connection(why) => {
            if send(&mut page, &WireMessage::End { why }).await.is_ok() {
                close(page, CloseCode::Normal, "").await;
            }
        }
    }
}

/// Connects to this server. Also returns the local address of the connection: the server sees it as
/// the address of the peer.
async fn connect(address: SocketAddr) -> io::Result<(TcpStream, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    // Not every kernel has this option.
    #[cfg(unix)]
    let _ = SockRef::from(&socket).set_tcp_mss(MAX_SEGMENT);
    let connection = running_timeout(TIMEOUT, socket.connect(address)).await??;
    connection.set_nodelay(true)?;
    let own_address = connection.local_addr()?;
    Ok((connection, own_address))
}

struct Wire {
    page: WebSocket<Upgraded, Server>,
    connection: TcpStream,
    /// The most bytes of the next read; 0 if the page permits none.
    credit: usize,
    /// Bytes from the page that the connection has not accepted yet.
    unsent: Vec<u8>,
    annotator: Annotator,
}

impl Wire {
    async fn relay(&mut self, server: &mut ServerContext, idle: Duration) -> End {
        let mut buffer = vec![0; MAX_READ];
        let mut deadlines = Deadlines::new(idle);
        loop {
            let step = tokio::select! {
                () = &mut server.stopping => Err(STOPPED),
                () = sleep_until(deadlines.next_check) => {
                    match deadlines.check(&self.page, &server.settings) {
                        Ok(()) => continue,
                        Err(Expired::Idle) => Err(End::Close(CloseCode::Normal, "idle")),
                        Err(Expired::Message) => Err(End::Close(CloseCode::Policy, TOO_SLOW)),
                    }
                }
                message = self.page.next() => match message {
                    Some(Ok(message)) => {
                        deadlines.message_complete();
                        self.receive(message).await
                    }
                    Some(Err(_)) | None => Err(End::PageGone),
                },
                ready = self.connection.readable(), if self.credit > 0 => match ready {
                    Ok(()) => self.read(&mut buffer).await,
                    Err(_) => Err(End::Connection(EndReason::Reset)),
                },
                ready = self.connection.writable(), if !self.unsent.is_empty() => match ready {
                    Ok(()) => self.write(),
                    Err(_) => Err(End::Connection(EndReason::Reset)),
                },
            };
            if let Err(end) = step {
                return end;
            }
            deadlines.active();
        }
    }

    async fn receive(&mut self, message: Message) -> Result<(), End> {
        match message {
            Message::Binary(bytes) => {
                if self.unsent.len() + bytes.len() > MAX_UNSENT {
                    return Err(End::Close(
                        CloseCode::Policy,
                        "the page sent more than the connection accepts",
                    ));
                }
                self.unsent.extend_from_slice(&bytes);
                self.write()?;
                let notes = self.annotator.push(Direction::Up, &bytes);
                self.tell_page(&WireMessage::Up { notes: limit_notes(&notes) }).await
            }
            Message::Text(text) => match serde_json::from_str(&text) {
                Ok(PageMessage::Read { max }) => {
                    self.credit = max.min(MAX_READ);
                    Ok(())
                }
                Ok(PageMessage::Cut) => Err(End::Connection(EndReason::Cut)),
                Err(_) => Err(End::Close(CloseCode::Policy, "the message is neither read with max nor cut")),
            },
            Message::Close { .. } => Err(End::PageGone),
            // Pings and pongs.
            _ => Ok(()),
        }
    }

    async fn read(&mut self, buffer: &mut [u8]) -> Result<(), End> {
        match self.connection.try_read(&mut buffer[..self.credit]) {
            Ok(0) => Err(End::Connection(EndReason::Closed)),
            Ok(n) => {
                self.credit = 0;
                let data_b64 = BASE64_STANDARD.encode(&buffer[..n]);
                let notes = self.annotator.push(Direction::Down, &buffer[..n]);
                self.tell_page(&WireMessage::Down { data_b64: &data_b64, notes: limit_notes(&notes) }).await
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(_) => Err(End::Connection(EndReason::Reset)),
        }
    }

    fn write(&mut self) -> Result<(), End> {
        match self.connection.try_write(&self.unsent) {
            Ok(n) => {
                self.unsent.drain(..n);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(_) => Err(End::Connection(EndReason::Reset)),
        }
    }

    async fn tell_page(&mut self, message: &WireMessage<'_>) -> Result<(), End> {
        send(&mut self.page, message).await
    }
}

/// Returns the first [`MAX_NOTES`] notes.
fn limit_notes(notes: &[Note]) -> &[Note] {
    &notes[..notes.len().min(MAX_NOTES)]
}

/// Sends a message to the page. If the page does not receive it in time, the wire ends.
async fn send(page: &mut WebSocket<Upgraded, Server>, message: &WireMessage<'_>) -> Result<(), End> {
    let mut json = Vec::new();
    json::write(message, &mut json);
    let text = String::from_utf8(json).expect("JSON is UTF-8");
    match running_timeout(TIMEOUT, page.send(Message::text(text))).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(End::PageGone),
    }
}

/// Closes the WebSocket, and waits for the page's close frame.
async fn close(mut page: WebSocket<Upgraded, Server>, code: CloseCode, reason: &str) {
    let handshake = async {
        if page.close(Some(code.code()), reason).await.is_ok() {
            for _ in 0..MAX_MESSAGES_BEFORE_CLOSE {
                if !matches!(page.next().await, Some(Ok(_))) {
                    break;
                }
            }
        }
    };
    // If this times out, the connection is dropped.
    let _ = running_timeout(TIMEOUT, handshake).await;
}
