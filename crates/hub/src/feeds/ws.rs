//! WebSocket (RFC 6455), in two spellings: bare payloads, and the JSON objects of subprotocol
//! `tidewire.v1`.

use tidewire_server::Response;
use tidewire_ws::frame::{Header, Opcode};
use tidewire_ws::{Kind, deflate, encode_close, encode_message};

use super::feed::{Discontinuity, Envelope, Feed, Flow, StreamStart};
use crate::json_text::Place;
use crate::object::{Object, write_message};
use crate::out::Out;

/// The subprotocol that speaks JSON objects both ways.
pub(crate) const SUBPROTOCOL: &str = "tidewire.v1";

/// Close code of a bare connection that would otherwise lose messages in silence: the reason is the
/// cursor to go on from. From the range for applications (RFC 6455 §7.4.2), after HTTP's 410.
pub(crate) const CLOSE_GONE: u16 = 4410;

/// A ping without payload (RFC 6455 §5.5.2): FIN and opcode 9, no mask, length 0.
const PING: [u8; 2] = [0x89, 0];

/// Payloads alone.
pub(crate) struct Bare {
    /// Messages are compressed where that is worth it: the connections have agreed on
    /// permessage-deflate.
    pub(crate) deflate: bool,
}

impl Feed for Bare {
    /// The handshake says all.
    fn head(&self, response: Response) -> Response {
        response
    }

    /// A bare connection has no place to say it.
    fn start(&self, _out: &mut Vec<u8>, _start: &StreamStart<'_>) {}

    fn message(&self, out: &mut Out, envelope: &Envelope<'_>) {
        let kind = if envelope.message.text().is_some() { Kind::Text } else { Kind::Binary };
        let payload = envelope.message.data();
        if self.deflate {
            put_deflated(kind, payload, out);
        } else {
            put_head(kind, payload.len(), out.own());
            out.push(payload);
        }
    }

    /// Between bare payloads there is no place to report it, so the connection ends with a code for
    /// it.
    fn discontinuity(&self, out: &mut Vec<u8>, _what: &Discontinuity<'_>, cursor: &str) -> Flow {
        close(out, CLOSE_GONE, cursor);
        Flow::End
    }

    fn heartbeat(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&PING);
    }

    fn end(&self, out: &mut Vec<u8>, _retry_ms: u32) {
        restart(out);
    }
}

/// JSON objects.
pub(crate) struct V1 {
    /// As for [`Bare`].
    pub(crate) deflate: bool,
}

impl Feed for V1 {
    fn head(&self, response: Response) -> Response {
        response
    }

    fn start(&self, out: &mut Vec<u8>, start: &StreamStart<'_>) {
        object(out, &Object::Hello { cursor: start.cursor, channel: None });
    }

    fn message(&self, out: &mut Out, envelope: &Envelope<'_>) {
        let mut json = Vec::new();
        write_message(envelope.message, envelope.cursor, envelope.channel, Place::Line, &mut json);
        if self.deflate {
            put_deflated(Kind::Text, &json, out);
        } else {
            encode_message(Kind::Text, &json, out.own());
        }
    }

    fn discontinuity(&self, out: &mut Vec<u8>, what: &Discontinuity<'_>, cursor: &str) -> Flow {
        object(out, &what.object(cursor));
        Flow::Continue
    }

    fn heartbeat(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&PING);
        // A browser answers pings behind the page's back: this one the page sees.
        object(out, &Object::Heartbeat);
    }

    fn end(&self, out: &mut Vec<u8>, _retry_ms: u32) {
        restart(out);
    }
}

/// How messages are compressed (RFC 7692): each alone and with the full window, so that the same
/// bytes fit everybody. What is short stays as it is.
pub(crate) const DEFLATE: deflate::Config = deflate::Config::DEFAULT;

/// Writes a message, compressed if that makes it shorter. Says whether it was.
fn put_deflated(kind: Kind, payload: &[u8], out: &mut Out) -> bool {
    let compressed = deflate::encode_message(kind, payload, &DEFLATE, out.own());
    if compressed {
        out.count_compression();
    }
    compressed
}

/// Writes the head of a message of so many bytes.
fn put_head(kind: Kind, len: usize, out: &mut Vec<u8>) {
    let opcode = if kind == Kind::Text { Opcode::Text } else { Opcode::Binary };
    let header = Header { fin: true, rsv1: false, opcode, masking_key: None, len: len as u64 };
    header.encode_to(out).expect("no payload has 2^63 bytes");
}

/// Writes an object as one text message.
pub(crate) fn object(out: &mut Vec<u8>, object: &Object<'_>) {
    let mut json = Vec::new();
    object.write(&mut json);
    encode_message(Kind::Text, &json, out);
}

/// Writes a close frame; the reason is cut to what one can hold.
pub(crate) fn close(out: &mut Vec<u8>, code: u16, reason: &str) {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    encode_close(Some(code), &reason[..end], None, out).expect("the code is one of ours and the reason fits");
}

fn restart(out: &mut Vec<u8>) {
    close(out, 1012, "the server restarts");
}

/// RFC 6455 §5.5: a control frame has at most 125 bytes, two of which are the code.
const MAX_REASON: usize = 123;
