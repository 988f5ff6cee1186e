//! WebSocket (RFC 6455), in two spellings: bare payloads, and the JSON objects of subprotocol
//! `tidewire.v1`.

use tidewire_server::Response;
use tidewire_ws::frame::{Header, Opcode};
use tidewire_ws::{Kind, deflate, encode_close, encode_message};

use super::feed::{Discontinuity, Envelope, Feed, Flow, StreamStart};
use crate::form::FormKind;
use crate::gzip;
use crate::json_text::Place;
use crate::message::Message;
use crate::object::{Object, write_message_head};
use crate::out::{DEFLATED_LEN, Mark, Out};

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

    fn message(&self, out: &mut Out<'_>, envelope: &Envelope<'_>) {
        let kind = if envelope.message.text().is_some() { Kind::Text } else { Kind::Binary };
        let put = if self.deflate { put_deflated } else { put };
        put(kind, b"", FormKind::Payload, envelope.message, out);
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

    fn message(&self, out: &mut Out<'_>, envelope: &Envelope<'_>) {
        let mut head = Vec::with_capacity(USUAL_HEAD);
        write_message_head(envelope.message, envelope.cursor, envelope.channel, Place::Line, &mut head);
        // With a short payload, head and payload are compressed together. That is once for each list
        // of channels, so where there may be many lists they stay as they are.
        let is_long = envelope.message.data().len() >= DEFLATED_LEN;
        let put = if self.deflate && (is_long || envelope.channel.is_none()) { put_deflated } else { put };
        put(Kind::Text, &head, FormKind::Json(Place::Line), envelope.message, out);
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

/// Writes a message: `head`, and the payload in this form.
fn put(kind: Kind, head: &[u8], form: FormKind, message: &Message, out: &mut Out<'_>) {
    let start = out.mark();
    out.own().extend_from_slice(head);
    out.form(form, message);
    put_head(kind, false, start, out);
}

/// The same, compressed if it is long enough and becomes shorter.
///
/// The form is compressed once for all who need it, and may follow any block that ends at the end
/// of a byte. So the head stands before it as a block that is not compressed.
fn put_deflated(kind: Kind, head: &[u8], form: FormKind, message: &Message, out: &mut Out<'_>) {
    if message.data().len() < DEFLATED_LEN {
        if head.is_empty() {
            return put(kind, head, form, message, out);
        }
        // With its head it may be long enough.
        let mut payload = head.to_vec();
        form.write(message, &mut payload);
        if deflate::encode_message(kind, &payload, &DEFLATE, out.own()) {
            out.count_compression();
        }
        return;
    }
    let deflated = out.deflated(form, message);
    let (plain_len, compressed) = (deflated.sum.len(), deflated.of_message());
    if compressed.len() as u64 + STORED_HEAD >= plain_len {
        return put(kind, head, form, message, out);
    }
    let start = out.mark();
    gzip::store(head, out.own());
    out.push(compressed);
    put_head(kind, true, start, out);
}

/// Puts the head of a frame before what was written from `start` on.
fn put_head(kind: Kind, rsv1: bool, start: Mark, out: &mut Out<'_>) {
    let opcode = if kind == Kind::Text { Opcode::Text } else { Opcode::Binary };
    let header = Header { fin: true, rsv1, opcode, masking_key: None, len: out.len_since(start) as u64 };
    let mut bytes = [0; Header::MAX_LEN];
    let len =
        header.encode(&mut bytes).expect("the buffer has the longest length, and no payload has 2^63 bytes");
    out.insert(start, &bytes[..len]);
}

/// Bytes of an object before its payload, mostly.
const USUAL_HEAD: usize = 128;

/// What a block has beside its bytes if it is not compressed.
const STORED_HEAD: u64 = 5;

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
    encode_close(Some(code), &reason[..end], out).expect("the code is one of ours and the reason fits");
}

fn restart(out: &mut Vec<u8>) {
    close(out, 1012, "the server restarts");
}

/// RFC 6455 §5.5: a control frame has at most 125 bytes, two of which are the code.
const MAX_REASON: usize = 123;
