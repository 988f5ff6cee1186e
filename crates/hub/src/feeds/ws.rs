//! WebSocket (RFC 6455). There are two forms: bare payloads, and the JSON objects of the
//! subprotocol `tidewire.v1`.

use tidewire_server::Response;
use tidewire_store::Message;
use tidewire_ws::frame::{Header, Opcode};
use tidewire_ws::{Kind, deflate, encode_close, encode_message};

use super::feed::{ChannelEnd, Discontinuity, Ending, Envelope, Feed, Flow, StreamStart};
use crate::close_code::CloseCode;
use crate::form::FormKind;
use crate::gzip;
use crate::json_text::Place;
use crate::object::{Object, write_message_head};
use crate::out::{DEFLATED_LEN, Mark, Out};

/// The subprotocol with JSON objects in both directions.
pub(crate) const SUBPROTOCOL: &str = "tidewire.v1";

/// A ping without payload (RFC 6455 §5.5.2): FIN and opcode 9, no mask, length 0.
const PING: [u8; 2] = [0x89, 0];

/// Only payloads.
pub(crate) struct Bare {
    /// Whether messages are compressed if that saves bytes: the connection has agreed on
    /// permessage-deflate.
    pub(crate) deflate: bool,
}

impl Feed for Bare {
    /// Adds nothing: the handshake has everything.
    fn head(&self, response: Response) -> Response {
        response
    }

    /// Writes nothing: a bare connection has no place for a cursor.
    fn start(&self, _out: &mut Vec<u8>, _start: &StreamStart<'_>) {}

    fn message(&self, out: &mut Out<'_>, envelope: &Envelope<'_>) {
        let kind = if envelope.message.text().is_some() { Kind::Text } else { Kind::Binary };
        let put = if self.deflate { put_deflated } else { put };
        put(kind, b"", FormKind::Payload, envelope.message, out);
    }

    /// Closes the connection with a code, because a gap cannot be reported between bare payloads.
    fn discontinuity(&self, out: &mut Vec<u8>, _what: &Discontinuity<'_>, cursor: &str) -> Flow {
        close(out, CloseCode::Gone, cursor);
        Flow::End
    }

    /// Writes nothing: there is no place for it. The close says it when all channels have ended.
    fn end_of_channel(&self, _out: &mut Vec<u8>, _end: &ChannelEnd<'_>) {}

    fn heartbeat(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&PING);
    }

    fn end(&self, out: &mut Vec<u8>, ending: &Ending<'_>) {
        close_for(out, ending);
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
        // For a short payload, head and payload are compressed together, once for each list of
        // channels. There may be many lists, so short messages are not compressed for connections
        // with several channels.
        let is_long = envelope.message.data().len() >= DEFLATED_LEN;
        let put = if self.deflate && (is_long || envelope.channel.is_none()) { put_deflated } else { put };
        put(Kind::Text, &head, FormKind::Json(Place::Line), envelope.message, out);
    }

    fn discontinuity(&self, out: &mut Vec<u8>, what: &Discontinuity<'_>, cursor: &str) -> Flow {
        object(out, &what.object(cursor));
        Flow::Continue
    }

    fn end_of_channel(&self, out: &mut Vec<u8>, end: &ChannelEnd<'_>) {
        object(out, &end.object());
    }

    fn heartbeat(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&PING);
        // A browser answers pings itself and hides them from the page. The page sees this object.
        object(out, &Object::Heartbeat);
    }

    fn end(&self, out: &mut Vec<u8>, ending: &Ending<'_>) {
        if let Some(one) = ending.object() {
            object(out, &one);
        }
        close_for(out, ending);
    }
}

/// Each message is compressed alone and with the full window (RFC 7692), so that the same bytes fit
/// all clients. Short messages are not compressed.
pub(crate) const DEFLATE: deflate::Config = deflate::Config::DEFAULT;

/// Writes a message: `head`, then the payload in this form.
fn put(kind: Kind, head: &[u8], form: FormKind, message: &Message, out: &mut Out<'_>) {
    let start = out.mark();
    out.own().extend_from_slice(head);
    out.form(form, message);
    put_head(kind, false, start, out);
}

/// The same, compressed if the message is long enough and becomes shorter.
///
/// A form is compressed once for all that need it, and may follow any block that ends on a byte
/// boundary. So the head goes before the form, as an uncompressed block.
fn put_deflated(kind: Kind, head: &[u8], form: FormKind, message: &Message, out: &mut Out<'_>) {
    if message.data().len() < DEFLATED_LEN {
        if head.is_empty() {
            return put(kind, head, form, message, out);
        }
        // Together with its head it may be long enough.
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

/// Inserts the head of a frame before everything after `start`.
fn put_head(kind: Kind, rsv1: bool, start: Mark, out: &mut Out<'_>) {
    let opcode = if kind == Kind::Text { Opcode::Text } else { Opcode::Binary };
    let header = Header { fin: true, rsv1, opcode, masking_key: None, len: out.len_since(start) as u64 };
    let mut bytes = [0; Header::MAX_LEN];
    let len =
        header.encode(&mut bytes).expect("the buffer has the longest length, and no payload has 2^63 bytes");
    out.insert(start, &bytes[..len]);
}

/// Usual number of bytes of an object before its payload.
const USUAL_HEAD: usize = 128;

/// Bytes of the head of an uncompressed block.
const STORED_HEAD: u64 = 5;

/// Writes an object as one text message.
pub(crate) fn object(out: &mut Vec<u8>, object: &Object<'_>) {
    let mut json = Vec::new();
    object.write(&mut json);
    encode_message(Kind::Text, &json, out);
}

/// Writes a close frame. The reason is cut to the length that fits.
pub(crate) fn close(out: &mut Vec<u8>, code: CloseCode, reason: &str) {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    encode_close(Some(code.code()), &reason[..end], out)
        .expect("the code is one of ours and the reason fits");
}

/// Writes the close frame of a stream that the server ends.
fn close_for(out: &mut Vec<u8>, ending: &Ending<'_>) {
    match ending {
        Ending::Stop { .. } => close(out, CloseCode::Restart, "the server restarts"),
        Ending::AllEnded => close(out, CloseCode::Normal, "the channel has ended"),
        Ending::Deleted { .. } => close(out, CloseCode::Deleted, "the channel was deleted"),
    }
}

/// RFC 6455 §5.5: a control frame has at most 125 bytes, two of which are the code.
const MAX_REASON: usize = 123;
