//! A WebSocket: the handshake, and frames until one side closes.

use std::error::Error;
use std::time::Duration;

use tidewire_http1::{BodyLength, Client, Connection, Event, FieldBlock, Fields, Limits, Request};
use tidewire_ws::deflate::{Config, Params};
use tidewire_ws::handshake::client;
use tidewire_ws::{self as ws, close};

use super::args::LiveArgs;
use super::endpoint::Endpoint;
use super::session::{End, Session};

/// Opens a WebSocket, sends --data, and reads messages until one side closes.
pub(super) async fn run(
    session: &mut Session,
    endpoint: &Endpoint,
    args: &LiveArgs,
) -> Result<End, Box<dyn Error>> {
    let mut input = Vec::new();
    let deflate = match open(session, endpoint, args, &mut input).await? {
        Ok(deflate) => deflate,
        Err(end) => return Ok(end),
    };
    let limits = ws::Limits::DEFAULT.with_max_frame(u64::MAX).with_max_message(u64::MAX);
    let mut socket = ws::Connection::<ws::Client>::new(limits).in_pieces();
    if let Some(params) = deflate {
        socket = socket.with_deflate(params, &DEFLATE);
    }
    if let Some(text) = &args.data {
        let mut out = Vec::new();
        socket.send_text(text, random()?, &mut out)?;
        session.send(&out).await?;
    }
    frames(session, socket, input, args.messages.unwrap_or(u64::MAX)).await
}

/// Does the opening handshake. Returns the compression that was agreed on, or why there is no
/// WebSocket. Bytes after the handshake are left in `input`.
async fn open(
    session: &mut Session,
    endpoint: &Endpoint,
    args: &LiveArgs,
    input: &mut Vec<u8>,
) -> Result<Result<Option<Params>, End>, Box<dyn Error>> {
    let names: Vec<&str> = args.subprotocol.iter().map(String::as_str).collect();
    let mut handshake = client::Request::new(random()?, &names);
    if args.deflate {
        handshake = handshake.with_deflate(DEFLATE);
    }
    let fields = args.fields()?;
    let upgrade = FieldBlock::from_pairs(handshake.fields())?;
    let blocks = [&fields, &upgrade];
    let request = Request::new("GET", &endpoint.target, &endpoint.authority).with_fields(&blocks);
    let mut connection = Connection::<Client>::new(Limits::DEFAULT);
    session.send_request(&mut connection, &request, BodyLength::Empty, "").await?;

    let mut fields = Fields::new();
    loop {
        if let Err(end) = session.receive(input).await? {
            return Ok(Err(end));
        }
        let mut at = 0;
        let mut verified = None;
        while let Ok((used, event)) = connection.decode(&input[at..], &mut fields) {
            at += used;
            match event {
                Some(Event::Response(head)) if head.status() == 101 => {
                    let agreed = handshake.verify(head.status(), head.fields());
                    verified = Some(agreed.map(|agreed| agreed.deflate()));
                    break;
                }
                Some(Event::End) => return Ok(Err(End::Server)),
                Some(_) => {}
                None => break,
            }
        }
        input.drain(..at);
        match verified {
            Some(Ok(deflate)) => return Ok(Ok(deflate)),
            // The dump already shows why.
            Some(Err(_)) => return Ok(Err(End::Server)),
            None if connection.error().is_some() => return Ok(Err(End::Server)),
            None => {}
        }
    }
}

/// Reads frames until one side closes. This side closes after `wanted` messages.
async fn frames(
    session: &mut Session,
    mut socket: ws::Connection<ws::Client>,
    mut input: Vec<u8>,
    mut wanted: u64,
) -> Result<End, Box<dyn Error>> {
    let mut reason = None;
    loop {
        let mut at = 0;
        // The dump already shows a refusal. The close frame that answers it follows.
        while let Ok((used, event)) = socket.decode(&mut input[at..]) {
            at += used;
            let Some(event) = event else { break };
            wanted -= u64::from(matches!(event, ws::Event::Piece { last: true, .. }));
            if wanted == 0 {
                reason = reason.or(Some(End::EnoughMessages));
                wanted = u64::MAX;
            }
        }
        input.drain(..at);
        let mut out = output(&mut socket)?;
        if reason.is_some() && socket.is_open() {
            socket.send_close(Some(close::NORMAL), "", random()?, &mut out)?;
            session.end_within(CLOSE_TIMEOUT);
        }
        if !out.is_empty() {
            session.send(&out).await?;
        }
        if socket.is_closed() {
            return Ok(reason.unwrap_or(End::Server));
        }
        match session.receive(&mut input).await? {
            Ok(_) => {}
            Err(end) if end == End::Server || reason.is_some() => return Ok(reason.unwrap_or(end)),
            Err(end) => reason = Some(end),
        }
    }
}

/// Returns the frames that the connection sends by itself: pongs, and the answer to a close frame.
fn output(socket: &mut ws::Connection<ws::Client>) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut out = Vec::new();
    let mut keys = Ok(());
    let key = || {
        random().unwrap_or_else(|error| {
            keys = Err(error);
            [0; 4]
        })
    };
    socket.take_output(key, &mut out);
    keys.map(|()| out)
}

/// Returns random bytes from the system: nobody may be able to guess masking keys.
fn random<const N: usize>() -> Result<[u8; N], Box<dyn Error>> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| format!("the system gives no random bytes: {error}"))?;
    Ok(bytes)
}

/// Compresses every message, however short, so that the dump shows compression.
const DEFLATE: Config = Config::DEFAULT.with_context_takeover(true).with_threshold(0);
/// How long to wait for the server's close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
