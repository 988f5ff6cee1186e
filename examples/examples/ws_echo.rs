//! A WebSocket echo server for other projects' test suites. `websocat` is one of many clients.
//!
//! ```text
//! cargo run --release -p tidewire-examples --example ws_echo -- 127.0.0.1:9001
//! websocat ws://127.0.0.1:9001/
//! ```
//! It echoes text as text and binary as binary on any path. A message may have up to 16 MiB and any
//! number of fragments. It answers pings, echoes a close, and uses permessage-deflate where it is
//! offered. A request without an upgrade gets a 426.
//!
//! The answers to one read are sent in one write, so sixteen messages that arrive together cost as
//! many system calls as one. The loop works on borrowed messages. This costs less than
//! `tidewire_ws::tokio::WebSocket`, with which the same loop has five lines.

use tidewire_server::{
    DetachHead, Handler, Listen, Parked, Problem, Reply, Request, Response, Server, Signals, Upgraded,
};
use tidewire_ws::deflate::{Config, Params};
use tidewire_ws::frame::Header;
use tidewire_ws::handshake::Origins;
use tidewire_ws::handshake::server::{Options, accept};
use tidewire_ws::{Connection, Event, Kind, Limits, PreparedMessage, encode_message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Duration, timeout};

const MESSAGE: u64 = 16 * 1024 * 1024;
const LIMITS: Limits =
    Limits::DEFAULT.with_max_frame(MESSAGE).with_max_message(MESSAGE).with_max_empty_fragments(65_536);
const DEFLATE: Config = Config::DEFAULT;

/// Bytes per read. The system does not allocate pages that were never written, so an idle
/// connection costs less.
const READ: usize = 64 * 1024;

/// Payloads of at least this size are not copied into the output.
const LARGE: usize = 64 * 1024;

/// The output buffer shrinks to this size after a write. Otherwise one large message would hold its
/// memory until the connection ends.
const KEEP: usize = 256 * 1024;

struct Echo {
    /// Becomes true when the server stops.
    stop: watch::Sender<bool>,
}

impl Handler for Echo {
    /// The agreed compression.
    type Ticket = Option<Params>;

    fn handle(&self, request: Request<'_>) -> Reply<Self::Ticket> {
        let head = request.head;
        let version = if head.version() == tidewire_server::http1::Version::Http11 { (1, 1) } else { (1, 0) };
        // The server trusts no cookie and no address, so it accepts pages of any origin.
        let options = Options::DEFAULT.with_origins(Origins::Any).with_deflate(DEFLATE);
        match accept(head.method().as_str().as_bytes(), version, head.fields(), &options) {
            Ok(accepted) => {
                let response = accepted.response_fields().fold(Response::new(101), |r, (n, v)| r.with(n, v));
                let head = Some(DetachHead { response, chunked: false });
                Reply::Detach { head, first: Vec::new(), ticket: accepted.deflate() }
            }
            Err(refusal) => {
                let problem = Problem::new(refusal.status(), refusal.detail()).into_response();
                refusal.fields().iter().fold(problem, |r, (n, v)| r.with(n, v)).into()
            }
        }
    }

    /// Starts a task for each connection, on the worker that accepted it.
    fn detached(&self, connection: Parked, ticket: Self::Ticket) {
        let stop = self.stop.subscribe();
        tokio::task::spawn_local(async move {
            // An error means that the client is gone.
            let _ = serve(connection.into_io(), ticket, stop).await;
        });
    }

    fn drain(&self) {
        self.stop.send_replace(true);
    }
}

async fn serve(
    mut io: Upgraded,
    deflate: Option<Params>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut websocket = Connection::<tidewire_ws::Server>::new(LIMITS);
    if let Some(params) = deflate {
        websocket = websocket.with_deflate(params, &DEFLATE);
    }
    let (mut input, mut output) = (Vec::with_capacity(READ), Vec::new());
    while !websocket.is_closed() {
        tokio::select! {
            biased;
            read = io.read_buf(&mut input) => if read? == 0 {
                return Ok(());
            },
            _ = stop.wait_for(|stop| *stop), if websocket.is_open() => {
                websocket.send_close(Some(1001), "the server stops", &mut output)?;
            }
        }
        // After our own close, messages may still arrive, but none may be sent.
        let is_open = websocket.is_open();
        let mut used = 0;
        // After an error, the output has a close frame with the reason.
        while let Ok((n, event)) = websocket.decode(&mut input[used..]) {
            used += n;
            let (kind, payload) = match event {
                Some(Event::Text(text)) if is_open => (Kind::Text, text.as_bytes()),
                Some(Event::Binary(data)) if is_open => (Kind::Binary, data),
                Some(_) => {
                    // The pong is sent in its place among the messages.
                    websocket.take_output(&mut output);
                    continue;
                }
                None => break,
            };
            if payload.len() >= LARGE && deflate.is_none() {
                // Written without a copy: a copy would cost as much as the write.
                let len = payload.len() as u64;
                Header { fin: true, rsv1: false, opcode: kind.opcode(), masking_key: None, len }
                    .encode_to(&mut output)?;
                io.write_all(&output).await?;
                output.clear();
                io.write_all(payload).await?;
            } else if deflate.is_some() {
                let message = PreparedMessage::new(kind, payload);
                output.extend_from_slice(websocket.send_prepared(&message)?);
            } else {
                encode_message(kind, payload, &mut output);
            }
        }
        input.drain(..used);
        websocket.take_output(&mut output);
        io.write_all(&output).await?;
        output.clear();
        output.shrink_to(KEEP);
    }
    // The close frame is sent. Closing with unread bytes would reset the connection, and the frame
    // might be lost. So the server first gives the client a second to close.
    io.shutdown().await?;
    let leave = async {
        while matches!(io.read_buf(&mut input).await, Ok(1..)) {
            input.clear()
        }
    };
    let _ = timeout(Duration::from_secs(1), leave).await;
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen: Listen = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:9001").parse()?;
    let server = Server::builder().listen(listen).bind()?;
    let signals = Signals::catch()?;
    println!("ws_echo on ws://{}", server.addresses()[0]);
    server.serve(|_| Echo { stop: watch::Sender::new(false) })?.join_until(signals)?;
    Ok(())
}
