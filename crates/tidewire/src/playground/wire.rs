//! One wire: a WebSocket to the page, a TCP connection to this server, and what passes between them.
//!
//! ```text
//!   page                                          wire                                    this server
//!    ── binary: bytes to send ──────────────────► unsent ──► write ──────────────────────►
//!    ── {"type":"read","max":N} ────────────────► credit                                   (its own listener)
//!    ◄─ {"type":"down","data_b64":…,"notes":…} ── one read of at most N bytes ◄────────────
//!    ── {"type":"cut"} ─────────────────────────► RST ───────────────────────────────────►
//! ```
//!
//! Each read is granted by the page, and the newest grant stands for all: `max` 0 takes it back. What was not granted stays in the kernel, where
//! it holds the server up. So a page that pauses, steps or reads slowly is a reader that does.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use socket2::SockRef;
use tidewire_explain::{Annotator, Direction, Note};
use tidewire_hub::{Hub, Settings, Site, TOO_SLOW, json};
use tidewire_server::{LocalFuture, LogLimit, Parked, Upgraded};
use tidewire_ws::tokio::WebSocket;
use tidewire_ws::{Limits, Message};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep_until, timeout};

use super::Seat;

/// Bytes that one read may bring: what a page can show.
pub(crate) const MAX_READ: usize = 16 * 1024;

/// Bytes that a page may have sent and the server not taken.
pub(crate) const MAX_UNSENT: usize = 256 * 1024;

/// One message of a page.
const LIMITS: Limits = Limits { max_frame: 64 * 1024, max_message: 64 * 1024, ..Limits::DEFAULT };

/// Room of the connection in the kernel, on the reading side. Small, so that a slow reader is felt after some messages and not after megabytes.
const WINDOW: u32 = 8 * 1024;

/// The size of a segment, as on an Ethernet. The loopback's is 64 KiB, and the sender's buffer grows with it.
#[cfg(unix)]
const SEGMENT: u32 = 1400;

/// How long the page may take for one message, or for its part of the close.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a wire looks at its deadlines.
const LOOK: Duration = Duration::from_secs(1);

/// Notes on the bytes of one read or message.
const MAX_NOTES: usize = 2_000;

/// Messages that a page may have sent before it learns of the close.
const UNDER_WAY: usize = 64;

/// What a page says in text.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Order {
    /// One read, of at most so many bytes.
    Read {
        #[serde(deserialize_with = "whole")]
        max: usize,
    },
    /// The cable breaks.
    Cut,
}

/// A whole number of any size. A script has floating point: it writes the large ones as `1e+21`.
fn whole<'de, D: Deserializer<'de>>(number: D) -> Result<usize, D::Error> {
    let number = f64::deserialize(number)?;
    if number < 0.0 || number.fract() != 0.0 {
        return Err(D::Error::custom("not a whole number"));
    }
    // Cut to the largest one by the conversion.
    Ok(number as usize)
}

/// What a page is told.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Said<'a> {
    /// The connection stands.
    Open { address: SocketAddr, comet: bool, retain_messages: usize },
    /// What the bytes are that the page sent.
    Up { notes: &'a [Note] },
    /// The bytes of one read, and what they are. Notes count from the first byte of the connection in their direction.
    Down { data_b64: &'a str, notes: &'a [Note] },
    /// The connection is no more.
    End { why: Why },
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Why {
    /// The server closed it, in good order.
    Closed,
    /// It failed, or was reset.
    Reset,
    /// The page cut it.
    Cut,
}

/// How a wire ends.
enum End {
    /// The connection ended; the page is told why.
    Cable(Why),
    /// The page closed, or is gone.
    Page,
    /// The page is told in the close.
    Close(u16, &'static str),
}

/// The end of all wires when the server stops.
const STOP: End = End::Close(1012, "the server stops");

/// What a wire has to know of its server.
pub(super) struct Home {
    hub: Arc<Hub>,
    settings: Arc<Settings>,
    /// Resolves when the server stops.
    stopping: LocalFuture<()>,
}

impl Home {
    pub(super) fn of(site: &Site) -> Self {
        Home { hub: site.hub().clone(), settings: site.settings().clone(), stopping: site.stopping() }
    }
}

pub(super) async fn run(mut home: Home, connection: Parked, mut seat: Seat, idle: Duration) {
    // A Unix socket was refused before.
    let Some(address) = connection.local_addr() else { return };
    let page = WebSocket::server(connection.into_io(), LIMITS).without_batching();
    let mut wire = match connect(address).await {
        Ok((cable, near)) => {
            seat.known_as(near);
            Wire { page, cable, credit: 0, unsent: Vec::new(), annotator: Annotator::new() }
        }
        Err(error) => {
            static FAILED: LogLimit = LogLimit::new();
            if let Some(more) = FAILED.admit() {
                tracing::warn!(%error, %address, more, "a wire of the playground cannot reach its own server");
            }
            return close(page, 1011, "the server cannot reach itself").await;
        }
    };
    let retain_messages = home.hub.config().retention.max_messages;
    let open = Said::Open { address, comet: home.settings.comet, retain_messages };
    let end = match wire.say(&open).await {
        Ok(()) => wire.relay(&mut home, idle).await,
        Err(end) => end,
    };
    // The connection may belong to another worker. That one may stop first, and end it.
    let end = match end {
        End::Cable(Why::Closed | Why::Reset) if home.hub.is_stopped() => STOP,
        end => end,
    };
    let Wire { mut page, cable, .. } = wire;
    if let End::Cable(Why::Cut) = end {
        // Without a wait for what is under way, which makes the kernel send a reset.
        let _ = SockRef::from(&cable).set_linger(Some(Duration::ZERO));
    }
    drop(cable);
    match end {
        End::Page => {}
        End::Close(code, reason) => close(page, code, reason).await,
        End::Cable(why) => {
            if say(&mut page, &Said::End { why }).await.is_ok() {
                close(page, 1000, "").await;
            }
        }
    }
}

/// Connects to this server. Also says by which address the server knows the connection.
async fn connect(address: SocketAddr) -> io::Result<(TcpStream, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_recv_buffer_size(WINDOW)?;
    // A kernel that does not know it does without.
    #[cfg(unix)]
    let _ = SockRef::from(&socket).set_tcp_mss(SEGMENT);
    let cable = within(PATIENCE, socket.connect(address)).await??;
    cable.set_nodelay(true)?;
    let near = cable.local_addr()?;
    Ok((cable, near))
}

struct Wire {
    page: WebSocket<Upgraded>,
    cable: TcpStream,
    /// Bytes that the next read may bring; 0 if none is granted.
    credit: usize,
    /// Bytes of the page that the connection did not take yet.
    unsent: Vec<u8>,
    annotator: Annotator,
}

impl Wire {
    async fn relay(&mut self, home: &mut Home, idle: Duration) -> End {
        let mut buffer = vec![0; MAX_READ];
        let mut clock = Clock::start();
        loop {
            let step = tokio::select! {
                () = &mut home.stopping => Err(STOP),
                () = sleep_until(clock.look) => match clock.judge(&self.page, home, idle) {
                    Ok(()) => continue,
                    Err(end) => Err(end),
                },
                message = self.page.next() => match message {
                    Some(Ok(message)) => {
                        clock.begun = None;
                        self.obey(message).await
                    }
                    Some(Err(_)) | None => Err(End::Page),
                },
                ready = self.cable.readable(), if self.credit > 0 => match ready {
                    Ok(()) => self.read(&mut buffer).await,
                    Err(_) => Err(End::Cable(Why::Reset)),
                },
                ready = self.cable.writable(), if !self.unsent.is_empty() => match ready {
                    Ok(()) => self.write(),
                    Err(_) => Err(End::Cable(Why::Reset)),
                },
            };
            if let Err(end) = step {
                return end;
            }
            clock.moved = Instant::now();
        }
    }

    async fn obey(&mut self, message: Message) -> Result<(), End> {
        match message {
            Message::Binary(bytes) => {
                if self.unsent.len() + bytes.len() > MAX_UNSENT {
                    return Err(End::Close(1008, "more was sent than the connection takes"));
                }
                self.unsent.extend_from_slice(&bytes);
                self.write()?;
                let notes = self.annotator.push(Direction::Up, &bytes);
                self.say(&Said::Up { notes: few(&notes) }).await
            }
            Message::Text(text) => match serde_json::from_str(&text) {
                Ok(Order::Read { max }) => {
                    self.credit = max.min(MAX_READ);
                    Ok(())
                }
                Ok(Order::Cut) => Err(End::Cable(Why::Cut)),
                Err(_) => Err(End::Close(1008, "not an order: read with max, or cut")),
            },
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Close { .. } => Err(End::Page),
        }
    }

    async fn read(&mut self, buffer: &mut [u8]) -> Result<(), End> {
        match self.cable.try_read(&mut buffer[..self.credit]) {
            Ok(0) => Err(End::Cable(Why::Closed)),
            Ok(n) => {
                self.credit = 0;
                let data_b64 = BASE64_STANDARD.encode(&buffer[..n]);
                let notes = self.annotator.push(Direction::Down, &buffer[..n]);
                self.say(&Said::Down { data_b64: &data_b64, notes: few(&notes) }).await
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(_) => Err(End::Cable(Why::Reset)),
        }
    }

    fn write(&mut self) -> Result<(), End> {
        match self.cable.try_write(&self.unsent) {
            Ok(n) => {
                self.unsent.drain(..n);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(_) => Err(End::Cable(Why::Reset)),
        }
    }

    async fn say(&mut self, said: &Said<'_>) -> Result<(), End> {
        say(&mut self.page, said).await
    }
}

/// The deadlines of a wire.
struct Clock {
    /// When something moved last, in either direction.
    moved: Instant,
    /// When a message of the page was seen that is not complete.
    begun: Option<Instant>,
    /// Time that was taken away from that message, because a burst of bytes had earned too much.
    lost_ms: u64,
    /// When to look next.
    look: Instant,
}

impl Clock {
    fn start() -> Self {
        let now = Instant::now();
        Clock { moved: now, begun: None, lost_ms: 0, look: now + LOOK }
    }

    /// Whether the wire may go on. A late look means that the process did not run; that time does
    /// not count.
    fn judge(&mut self, page: &WebSocket<Upgraded>, home: &Home, idle: Duration) -> Result<(), End> {
        let now = Instant::now();
        let late = now.saturating_duration_since(self.look);
        self.moved += late;
        self.look = now + LOOK;
        if now.saturating_duration_since(self.moved) >= idle {
            return Err(End::Close(1000, "idle"));
        }
        if !page.connection().message_unfinished() {
            self.begun = None;
            return Ok(());
        }
        if self.begun.is_none() {
            self.lost_ms = 0;
        }
        let begun = self.begun.map_or(now, |begun| begun + late);
        self.begun = Some(begun);
        let came = page.connection().unfinished_len();
        let took = now.saturating_duration_since(begun).as_millis() as u64 + self.lost_ms;
        if took >= home.settings.message_ms(came) {
            return Err(End::Close(1008, TOO_SLOW));
        }
        self.lost_ms += home.settings.excess_message_ms(came, took);
        Ok(())
    }
}

/// As many notes as are worth a message: frames of a byte each would have eight thousand times more than anybody reads.
fn few(notes: &[Note]) -> &[Note] {
    &notes[..notes.len().min(MAX_NOTES)]
}

/// Tells the page; one that does not take it is gone.
async fn say(page: &mut WebSocket<Upgraded>, said: &Said<'_>) -> Result<(), End> {
    let mut json = Vec::new();
    json::write(said, &mut json);
    let text = String::from_utf8(json).expect("JSON is UTF-8");
    match within(PATIENCE, page.send(Message::Text(text))).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(End::Page),
    }
}

/// Closes, and waits for the page to do the same.
async fn close(mut page: WebSocket<Upgraded>, code: u16, reason: &str) {
    let farewell = async {
        if page.close(Some(code), reason).await.is_ok() {
            for _ in 0..UNDER_WAY {
                if !matches!(page.next().await, Some(Ok(_))) {
                    break;
                }
            }
        }
    };
    // One that does not is closed on.
    let _ = within(PATIENCE, farewell).await;
}

/// A time-out that counts the time in which the process runs: a stop counts as one look at most,
/// however long it is.
async fn within<T>(mut time: Duration, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut future = pin!(future);
    loop {
        let step = time.min(LOOK);
        time -= step;
        match timeout(step, future.as_mut()).await {
            Err(_) if !time.is_zero() => {}
            done => return done,
        }
    }
}
