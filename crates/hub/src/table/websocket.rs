//! The protocol state of one WebSocket. It takes the bytes of the client and returns messages, and
//! limits the time for one message.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tidewire_ws::deflate::Params;
use tidewire_ws::frame::Header;
use tidewire_ws::{Connection, Event, Limits, Server};

use super::incoming::Incoming;
use super::stalled::Stalled;
use crate::close_code::CloseCode;
use crate::feeds::{StreamFormat, ws};
use crate::object::Object;
use crate::settings::Settings;

/// Bytes waiting to be written to a client. Above this, nothing more is read from it.
const MAX_OUTPUT: usize = 64 * 1024;

/// Number of heartbeat intervals without any input after which a connection is dropped.
const SILENT_BEATS: u32 = 3;

/// Compressed messages in several frames that a worker inflates at one time. Each may occupy as
/// much memory as the longest message.
const MAX_INFLATING: usize = 32;

/// Bytes of messages that are handled in one turn, or one longer message. One read may inflate to a
/// thousand times its length, and other connections must have their turn.
const MAX_LEN_PER_TURN: usize = 64 * 1024;

/// Messages that are handled in one turn. Each may be a command that causes work for others.
const MAX_MESSAGES_PER_TURN: usize = 64;

/// The protocol state of one WebSocket.
pub(crate) struct WebSocket {
    protocol: Connection<Server>,
    format: StreamFormat,
    /// Input that waits for the rest of its frame, or for the next turn.
    partial: Vec<u8>,
    /// Whether `partial` has whole frames, which only wait for the next turn.
    has_more: bool,
    /// Frames to be written: pongs, a close, answers to commands.
    output: Vec<u8>,
    received_ms: u64,
    closing: bool,
    /// Messages that wait until a channel has room for the first of them.
    stalled: Option<Box<Stalled>>,
    /// Whether the client may compress.
    deflates: bool,
    /// A message or frame that is incomplete. Most arrive whole, so most connections have none.
    unfinished: Option<Box<Unfinished>>,
}

/// An incomplete message.
struct Unfinished {
    /// The time at which it began, measured in the time in which the worker ran.
    since_ms: u64,
    /// Time that was taken away, because a burst of bytes had earned too much.
    lost_ms: u64,
    /// Held while this message inflates. The number of such references is limited
    /// ([`MAX_INFLATING`]).
    context: Option<Rc<()>>,
}

/// The result of decoding input.
struct Taken {
    incoming: Vec<Incoming>,
    /// Bytes of the input that were decoded.
    used: usize,
    /// Whether a message or frame ended, so that the remaining bytes belong to the next one.
    ended: bool,
}

impl WebSocket {
    pub(crate) fn new(format: StreamFormat, deflate: Option<Params>, max_message: usize) -> Self {
        let max = longest(format, max_message);
        let limits = Limits::DEFAULT.with_max_message(max).with_max_frame(max);
        let mut protocol = Connection::new(limits);
        if let Some(params) = deflate {
            protocol = protocol.with_deflate(params, &ws::DEFLATE);
        }
        WebSocket {
            protocol,
            format,
            partial: Vec::new(),
            has_more: false,
            output: Vec::new(),
            received_ms: 0,
            closing: false,
            stalled: None,
            deflates: deflate.is_some(),
            unfinished: None,
        }
    }

    /// Notes the time at which the connection enters the table.
    pub(super) fn enter(&mut self, now_ms: u64) {
        self.received_ms = now_ms;
    }

    pub(super) fn format(&self) -> StreamFormat {
        self.format
    }

    pub(super) fn is_v1(&self) -> bool {
        matches!(self.format, StreamFormat::WsV1 { .. })
    }

    pub(super) fn is_full(&self) -> bool {
        self.output.len() > MAX_OUTPUT
    }

    /// Stores messages until there is room for the first. Until then nothing is read.
    pub(super) fn stall(&mut self, stalled: Stalled) {
        self.stalled = Some(Box::new(stalled));
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.is_some()
    }

    /// The messages that wait, to be tried again.
    pub(super) fn take_stalled(&mut self, now_ms: u64) -> Option<Vec<Incoming>> {
        let stalled = self.stalled.take()?;
        // It was silent because nothing was read from it.
        self.received_ms = now_ms;
        Some(stalled.into_messages())
    }

    /// Whether there is input left that can be handled without a read.
    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Whether it has sent nothing for several heartbeat intervals, although each heartbeat was a
    /// ping. `moved_ms` is the last time at which the socket accepted bytes: a client that is
    /// behind gets no pings.
    pub(super) fn is_silent(&self, now_ms: u64, moved_ms: u64, heartbeat: Duration) -> bool {
        if self.is_stalled() {
            return false;
        }
        let silence = now_ms.saturating_sub(self.received_ms.max(moved_ms));
        silence > heartbeat.as_millis() as u64 * u64::from(SILENT_BEATS)
    }

    /// Whether the client takes too long over a message: slower than the lowest rate plus a time of
    /// grace, as for the body of a request. A compressed message in several frames has a fixed
    /// time, because it keeps a place from others.
    pub(super) fn is_late(&self, now_ms: u64, settings: &Settings) -> bool {
        self.unfinished.as_ref().is_some_and(|one| {
            let took = now_ms.saturating_sub(one.since_ms);
            let received = self.received_len();
            // The server stops reading from a client that accepts no answers or publishes too fast.
            // Then the message is late because of the server, so it has more time. But this time is
            // for the whole message. If the clock stood still instead, a client could hold a
            // message for ever by accepting a byte now and then.
            let least = if self.is_full() || self.is_stalled() { settings.stall_ms() } else { 0 };
            took + one.lost_ms >= settings.message_ms(received).max(least)
                || (one.context.is_some() && took >= settings.stall_ms())
        })
    }

    /// Limits the time that is left for a message. Called in every tick.
    pub(super) fn bound_time(&mut self, now_ms: u64, settings: &Settings) {
        let received = self.received_len();
        if let Some(one) = &mut self.unfinished {
            let took = now_ms.saturating_sub(one.since_ms) + one.lost_ms;
            one.lost_ms += settings.excess_message_ms(received, took);
        }
    }

    /// Bytes received of the incomplete message.
    fn received_len(&self) -> u64 {
        self.protocol.unfinished_len() + self.partial.len() as u64
    }

    /// Queues a close frame, unless one was queued before.
    pub(super) fn close(&mut self, code: CloseCode, reason: &str) {
        if !self.closing {
            ws::close(&mut self.output, code, reason);
            self.closing = true;
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing
    }

    /// Accepts no more messages, and discards those that wait.
    pub(super) fn stop_receiving(&mut self) {
        self.has_more = false;
        self.stalled = None;
    }

    /// Queues an object to be written.
    pub(super) fn enqueue(&mut self, object: &Object<'_>) {
        ws::object(&mut self.output, object);
    }

    pub(super) fn take_output(&mut self) -> Option<Bytes> {
        if self.output.is_empty() { None } else { Some(std::mem::take(&mut self.output).into()) }
    }

    /// Handles input. Returns data messages, and adds control frames to the output. The reply to a
    /// close stays in the protocol until the answers to these messages are queued.
    pub(super) fn receive(&mut self, read: &mut [u8], now_ms: u64, max_message: usize) -> Vec<Incoming> {
        self.received_ms = now_ms;
        // In the usual case a read has whole frames, which are unmasked in place.
        let mut gathered = std::mem::take(&mut self.partial);
        let is_gathered = !gathered.is_empty();
        let bytes = if is_gathered {
            gathered.extend_from_slice(read);
            &mut gathered[..]
        } else {
            read
        };
        let Taken { incoming, used, ended } = self.take(bytes, longest(self.format, max_message));
        if !self.closing {
            self.protocol.take_output(&mut self.output);
        }
        if !self.closing && used < bytes.len() {
            self.partial = if is_gathered {
                gathered.drain(..used);
                gathered
            } else {
                bytes[used..].to_vec()
            };
        }
        self.note_unfinished(ended, now_ms);
        incoming
    }

    /// Decodes the messages of one turn from `bytes`.
    fn take(&mut self, bytes: &mut [u8], max: u64) -> Taken {
        let mut taken = Taken { incoming: Vec::new(), used: 0, ended: false };
        let (mut len, mut count) = (0, 0);
        self.has_more = false;
        while !self.closing {
            let rest = &bytes[taken.used..];
            let is_enough = len >= MAX_LEN_PER_TURN || count >= MAX_MESSAGES_PER_TURN;
            self.has_more = is_enough && !rest.is_empty();
            if self.has_more || self.waits_for_more(rest, max) {
                // A call without input frees the buffer of the last message. A connection must not
                // hold megabytes for bytes that may never arrive.
                let _ = self.protocol.decode(&mut []);
                break;
            }
            let Ok((n, event)) = self.protocol.decode(&mut bytes[taken.used..]) else {
                self.closing = true;
                break;
            };
            taken.used += n;
            count += 1;
            match event {
                None => break,
                Some(Event::Text(text)) => {
                    len += text.len();
                    taken.incoming.push(Incoming::Text(text.to_owned()));
                }
                Some(Event::Binary(data)) => {
                    len += data.len();
                    taken.incoming.push(Incoming::Binary(Bytes::copy_from_slice(data)));
                }
                Some(Event::Close { .. }) => self.closing = true,
                Some(_) => {
                    taken.ended |= !self.protocol.message_unfinished();
                    continue;
                }
            }
            taken.ended = true;
        }
        taken
    }

    /// Starts to measure the time of an incomplete message, or stops if the message is complete.
    fn note_unfinished(&mut self, ended: bool, now_ms: u64) {
        if ended || self.closing {
            self.unfinished = None;
        }
        let begun = self.protocol.message_unfinished() || !self.partial.is_empty();
        if !begun || self.closing || self.has_more {
            self.unfinished = None;
        } else if self.unfinished.is_none() {
            self.unfinished = Some(Box::new(Unfinished { since_ms: now_ms, lost_ms: 0, context: None }));
        }
    }

    /// Whether to wait until the first frame of a compressed message is complete. Until then it is
    /// stored compressed; inflated it could be a thousand times as long.
    fn waits_for_more(&self, bytes: &[u8], max: u64) -> bool {
        if !self.deflates || self.protocol.message_unfinished() {
            return false;
        }
        match Header::parse(bytes) {
            Ok(Some((header, n))) => {
                header.rsv1 && header.len <= max && ((bytes.len() - n) as u64) < header.len
            }
            _ => false,
        }
    }

    /// Ends a turn: queues the reply to a close after everything else. A message in several frames
    /// is inflated frame by frame, so only some of them are allowed at one time. A client with one
    /// more is closed with 1013.
    pub(super) fn end_turn(&mut self, places: &Rc<()>) {
        if !self.is_stalled() {
            self.protocol.take_output(&mut self.output);
        }
        let is_inflating = self.protocol.is_inflating();
        let Some(one) = &mut self.unfinished else { return };
        if !is_inflating {
            one.context = None;
        } else if one.context.is_none() {
            if Rc::strong_count(places) > MAX_INFLATING {
                self.close(CloseCode::TryAgainLater, "too many unfinished messages, try again later");
            } else {
                one.context = Some(places.clone());
            }
        }
    }
}

/// The longest message that is read at all. In JSON a control character takes six bytes. A message
/// slightly over the limit is read and refused with an explanation. A much longer one is not read.
fn longest(format: StreamFormat, max_message: usize) -> u64 {
    let spelled = if matches!(format, StreamFormat::WsV1 { .. }) { 6 } else { 1 };
    (max_message as u64).saturating_mul(spelled).saturating_add(4096)
}

#[cfg(test)]
mod tests {
    use tidewire_ws::{Kind as MessageKind, deflate};

    use super::*;

    /// Frames as a client sends them.
    fn masked(count: usize, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        deflate::encode_message(MessageKind::Binary, payload, &ws::DEFLATE, &mut frame);
        let (header, n) = Header::parse(&frame).unwrap().unwrap();
        let masked = Header { masking_key: Some([0; 4]), ..header };
        let mut bytes = [0; Header::MAX_LEN];
        let len = masked.encode(&mut bytes).unwrap();
        [&bytes[..len], &frame[n..]].concat().repeat(count)
    }

    #[test]
    fn a_client_that_is_not_read_from_has_more_time_but_not_for_ever() {
        let settings = Settings::default();
        let (grace, stall) = (settings.message_ms(1), settings.stall_ms());
        let mut websocket = WebSocket::new(StreamFormat::WsV1 { deflate: false }, None, 1024);
        websocket.receive(&mut [0x81], 0, 1024);
        let is_late = |websocket: &WebSocket, now_ms| websocket.is_late(now_ms, &settings);
        assert!(!is_late(&websocket, grace - 1) && is_late(&websocket, grace));
        let detail = "x".repeat(MAX_OUTPUT);
        websocket.enqueue(&Object::Error {
            id: None,
            status: 400,
            title: "",
            detail: &detail,
            problem: None,
        });
        assert!(websocket.is_full());
        assert!(!is_late(&websocket, stall - 1) && is_late(&websocket, stall));
        websocket.take_output();
        assert!(
            is_late(&websocket, grace),
            "the client accepted its answers, so the server reads from it again"
        );
    }

    #[test]
    fn a_burst_earns_no_more_than_the_stall_timeout() {
        let settings = Settings::default();
        let (stall, max) = (settings.stall_ms(), 8 << 20);
        let mut websocket = WebSocket::new(StreamFormat::WsBare { deflate: false }, None, max);
        // A frame of 8 MiB, of which 5.6 MiB arrive at once. By the rate alone, that allows more
        // than three hours.
        let mut burst = vec![0; 14 + 5_600 * 1024];
        burst[..10].copy_from_slice(&[0x82, 0x80 | 127, 0, 0, 0, 0, 0, 0x80, 0, 0]);
        websocket.receive(&mut burst, 0, max);
        let mut now = 0;
        while !websocket.is_late(now, &settings) {
            websocket.bound_time(now, &settings);
            now += 1_000;
            if now % 20_000 == 0 {
                websocket.receive(&mut [0], now, max);
            }
        }
        assert!((stall..=stall + 5_000).contains(&now), "{now} ms");
    }

    #[test]
    fn a_steady_client_at_the_lowest_rate_is_never_late() {
        let settings = Settings::default();
        let max = 1 << 20;
        let mut websocket = WebSocket::new(StreamFormat::WsBare { deflate: false }, None, max);
        websocket.receive(&mut [0x82, 0x80 | 127, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0], 0, max);
        for second in 1..2_000 {
            websocket.receive(&mut [0; 512], second * 1_000, max);
            websocket.bound_time(second * 1_000, &settings);
            assert!(!websocket.is_late(second * 1_000, &settings), "after {second} s");
        }
    }

    #[test]
    fn messages_that_inflate_a_lot_are_handled_one_per_turn() {
        let payload = vec![0; 600 * 1024];
        let mut read = masked(10, &payload);
        assert!(read.len() < 64 * 1024, "one read: {}", read.len());
        let params = Params {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        };
        let mut websocket = WebSocket::new(StreamFormat::WsBare { deflate: true }, Some(params), 1024 * 1024);
        let mut incoming = websocket.receive(&mut read, 0, 1024 * 1024);
        let mut all = incoming.len();
        while websocket.has_more() {
            assert_eq!(incoming.len(), 1, "a turn handles one message of this length");
            incoming = websocket.receive(&mut [], 0, 1024 * 1024);
            all += incoming.len();
        }
        assert_eq!((all, websocket.partial.len(), websocket.closing), (10, 0, false));
    }

    #[test]
    fn a_turn_handles_a_limited_number_of_tiny_messages() {
        let mut read = [0x82, 0x81, 0, 0, 0, 0, b'x'].repeat(1_000);
        let mut websocket = WebSocket::new(StreamFormat::WsBare { deflate: false }, None, 1024);
        let mut incoming = websocket.receive(&mut read, 0, 1024);
        let mut all = incoming.len();
        while websocket.has_more() {
            assert_eq!(incoming.len(), MAX_MESSAGES_PER_TURN);
            incoming = websocket.receive(&mut [], 0, 1024);
            all += incoming.len();
        }
        assert_eq!((all, websocket.partial.len(), websocket.closing), (1_000, 0, false));
    }
}
