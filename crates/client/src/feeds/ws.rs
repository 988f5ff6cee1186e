//! WebSocket with the subprotocol `tidewire.v1`: a JSON object in each text message.

use std::io;

use tidewire_http1::{FieldBlock, Request, ResponseHead};
use tidewire_ws::handshake::client;
use tidewire_ws::{Client, Connection, ErrorKind, Event, Limits, close};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::answer::AnswerHead;
use crate::close_code::{DELETED, ENDED};
use crate::error::Protocol;
use crate::http::{Http, READ_SIZE};
use crate::item::Item;
use crate::net::Io;
use crate::random::random;
use crate::settings::Settings;
use crate::{Error, object};

/// The subprotocol that the client asks for.
const SUBPROTOCOL: &str = "tidewire.v1";

/// An open WebSocket.
pub(crate) struct Socket {
    io: Box<dyn Io>,
    machine: Connection<Client>,
    input: Vec<u8>,
    /// Frames to send: pongs and the close.
    output: Vec<u8>,
    /// `input` has bytes that came with the answer to the handshake.
    has_early: bool,
    max: usize,
}

impl Socket {
    /// Makes the handshake (RFC 6455 §4.1).
    pub(crate) async fn open(settings: &Settings, since: &str, deadline: Instant) -> Result<Self, Error> {
        let handshake = client::Request::new(random()?, &[SUBPROTOCOL]);
        let upgrade = FieldBlock::from_pairs(handshake.fields()).map_err(Error::field("Upgrade"))?;
        let target = settings.url.target(&[("since", since)]);
        let fields = [&settings.fields, &upgrade];
        let mut http = Http::connect(&settings.url, settings.max_message, deadline).await?;
        http.send(&Request::new("GET", &target, &settings.url.host).with_fields(&fields), None).await?;
        let verify = |head: &ResponseHead<'_>| {
            let agreed = handshake.verify(head.status(), head.fields());
            (AnswerHead::of(head), agreed.map(|agreed| agreed.subprotocol().is_some()))
        };
        match http.head(verify).await? {
            (head, Err(client::VerifyError::Status(_))) => Err(head.failure(&mut http).await.error),
            (_, Err(error)) => Err(Protocol::Handshake(error).into()),
            (_, Ok(false)) => Err(Protocol::Subprotocol.into()),
            (_, Ok(true)) => {
                let (io, input) = http.into_io();
                let max = settings.max_message;
                let limits = Limits::DEFAULT.with_max_frame(max as u64).with_max_message(max as u64);
                let machine = Connection::new(limits);
                let has_early = !input.is_empty();
                Ok(Self { io, machine, input, output: Vec::new(), has_early, max })
            }
        }
    }

    /// Waits for bytes, appends the items that they complete, and sends the frames that answer
    /// them.
    pub(crate) async fn read(&mut self, items: &mut Vec<Item>) -> Result<(), Error> {
        if !std::mem::take(&mut self.has_early) {
            self.input.reserve(READ_SIZE);
            if self.io.read_buf(&mut self.input).await.map_err(Error::cut)? == 0 {
                return Err(Error::cut(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        let outcome = self.decode(items);
        let mut keys = Ok(());
        let key = || {
            random().unwrap_or_else(|error| {
                keys = Err(error);
                [0; 4]
            })
        };
        self.machine.take_output(key, &mut self.output);
        keys?;
        if !self.output.is_empty() {
            let sent = self.io.write_all(&self.output).await;
            self.output.clear();
            // If the answer to a close cannot be sent, the close is still the reason.
            outcome?;
            return sent.map_err(Error::cut);
        }
        outcome
    }

    fn decode(&mut self, items: &mut Vec<Item>) -> Result<(), Error> {
        let mut at = 0;
        let outcome = loop {
            let (used, event) = match self.machine.decode(&mut self.input[at..]) {
                Ok(decoded) => decoded,
                Err(error) => break Err(ws_error(error, self.max)),
            };
            at += used;
            match event {
                Some(Event::Text(json)) => match object::parse(json.as_bytes()) {
                    Ok(item) => items.extend(item),
                    Err(error) => break Err(error),
                },
                Some(Event::Close { code, reason }) => break Err(closed(code, reason)),
                // The subprotocol does not use binary messages.
                Some(_) => {}
                None => break Ok(()),
            }
        };
        self.input.drain(..at);
        outcome
    }
}

fn closed(code: Option<u16>, reason: &str) -> Error {
    match code {
        // Other servers and proxies use the code for every end, so the reason decides.
        Some(close::NORMAL) if reason == ENDED => Error::Ended,
        Some(DELETED) => Error::Deleted { channel: None },
        _ => Error::Closed { code: code.unwrap_or(close::NO_STATUS), reason: reason.to_owned() },
    }
}

fn ws_error(error: tidewire_ws::Error, max: usize) -> Error {
    match error.kind() {
        ErrorKind::FrameTooLong | ErrorKind::MessageTooLong => Error::TooLarge { limit: max },
        _ => Protocol::WebSocket(error).into(),
    }
}
