//! Multipart streams (RFC 2046 §5.1): one body that consists of parts. There are two forms.
//! `multipart/mixed` has the JSON objects, for programs. `multipart/x-mixed-replace` has the
//! payloads, each with its own media type, for an `<img>` that shows the newest.
//!
//! ```text
//!   --tidewire CRLF                                                              the stream begins
//!   Content-Type: image/jpeg CRLF CRLF  ···payload···   CRLF --tidewire CRLF     each part
//! ```
//!
//! The stream begins with a delimiter, and each part ends with one. So a reader that waits for the
//! end of a part sees it at once.
//!
//! Quirks: no browser gives the parts to scripts (Firefox once did), so a page reads
//! `multipart/mixed` with `fetch` and splits it itself. Chromium shows a picture only when the
//! fields of the *next* part arrive, so a publisher that pauses should publish its last picture
//! twice. Browsers look for the delimiter; the length of a part is for other readers.

use tidewire_server::Response;

use super::boundary;
use super::feed::{ChannelEnd, Discontinuity, Ending, Envelope, Feed, Flow, StreamStart};
use crate::form::FormKind;
use crate::json_text::Place;
use crate::object::{Object, write_message};
use crate::out::Out;

/// `multipart/mixed`.
pub(crate) struct Mixed;

impl Feed for Mixed {
    fn head(&self, response: Response) -> Response {
        response.with("Content-Type", "multipart/mixed; boundary=tidewire")
    }

    fn start(&self, out: &mut Vec<u8>, start: &StreamStart<'_>) {
        out.extend_from_slice(FIRST);
        json_part(out, &Object::Hello { cursor: start.cursor, channel: None });
    }

    fn message(&self, out: &mut Out<'_>, envelope: &Envelope<'_>) {
        let Envelope { cursor, channel, message } = *envelope;
        json_field(out.own());
        write_message(message, cursor, channel, Place::Part, out);
        out.own().extend_from_slice(DELIMITER);
    }

    fn discontinuity(&self, out: &mut Vec<u8>, what: &Discontinuity<'_>, cursor: &str) -> Flow {
        json_part(out, &what.object(cursor));
        Flow::Continue
    }

    fn end_of_channel(&self, out: &mut Vec<u8>, end: &ChannelEnd<'_>) {
        json_part(out, &end.object());
    }

    /// Writes a part without fields and without content.
    fn heartbeat(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(DELIMITER);
    }

    /// The part that has begun stays empty.
    fn end(&self, out: &mut Vec<u8>, ending: &Ending<'_>) {
        if let Some(object) = ending.object() {
            json_part(out, &object);
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(CLOSE);
    }
}

/// `multipart/x-mixed-replace`.
pub(crate) struct Replace;

impl Feed for Replace {
    /// Publishers choose the media types of the payloads. With `sandbox`, no payload can act for
    /// this origin if it is opened as a document.
    fn head(&self, response: Response) -> Response {
        response
            .with("Content-Type", "multipart/x-mixed-replace; boundary=tidewire")
            .with("Content-Security-Policy", "sandbox")
    }

    /// Writes no part: there is nothing to show yet. `Tidewire-Cursor` in the head is the start.
    fn start(&self, out: &mut Vec<u8>, _start: &StreamStart<'_>) {
        out.extend_from_slice(FIRST);
    }

    /// Writes the payload. An empty payload, or one that contains the delimiter, is sent as a JSON
    /// object in a field, which is not shown. (A page of Chromium 156 crashes on an empty part
    /// before another.)
    fn message(&self, out: &mut Out<'_>, envelope: &Envelope<'_>) {
        let Envelope { cursor, channel, message } = *envelope;
        let media = message.content_type().unwrap_or("application/octet-stream");
        if message.data().is_empty() || boundary::is_in(message.data()) || boundary::is_in(media.as_bytes()) {
            out.own().extend_from_slice(b"Tidewire-Message: ");
            write_message(message, cursor, channel, Place::Part, out);
            return out.own().extend_from_slice(b"\r\n");
        }
        let own = out.own();
        field(own, "Tidewire-Cursor", cursor);
        if let Some(channel) = channel {
            field(own, "Tidewire-Channel", channel);
        }
        field(own, "Content-Type", media);
        field(own, "Content-Length", &message.data().len().to_string());
        own.extend_from_slice(b"\r\n");
        out.form(FormKind::Payload, message);
        out.own().extend_from_slice(DELIMITER);
    }

    /// A part would replace the picture, so a field of the next part reports the discontinuity.
    fn discontinuity(&self, out: &mut Vec<u8>, what: &Discontinuity<'_>, cursor: &str) -> Flow {
        field_object(out, "Tidewire-Gap", &what.object(cursor));
        Flow::Continue
    }

    /// Writes nothing: an `<img>` shows the last picture, and sees only whether the body is whole.
    fn end_of_channel(&self, _out: &mut Vec<u8>, _end: &ChannelEnd<'_>) {}

    /// Writes a field of the next part. RFC 2046 §5.1 gives it no meaning, since its name does not
    /// begin with `Content-`.
    fn heartbeat(&self, out: &mut Vec<u8>) {
        field(out, "Tidewire-Beat", "1");
    }

    /// Nothing but the delimiter that ends the body. A part would replace the picture.
    fn end(&self, out: &mut Vec<u8>, _ending: &Ending<'_>) {
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(CLOSE);
    }
}

/// Writes a part with an object.
fn json_part(out: &mut Vec<u8>, object: &Object<'_>) {
    json_field(out);
    push_json(out, object);
    out.extend_from_slice(DELIMITER);
}

/// Writes the head of a part with an object.
fn json_field(out: &mut Vec<u8>) {
    field(out, "Content-Type", "application/json");
    out.extend_from_slice(b"\r\n");
}

/// Writes an object as a field of the next part.
fn field_object(out: &mut Vec<u8>, name: &str, object: &Object<'_>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    push_json(out, object);
    out.extend_from_slice(b"\r\n");
}

fn push_json(out: &mut Vec<u8>, object: &Object<'_>) {
    let start = out.len();
    object.write(out);
    boundary::escape(out, start);
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

const FIRST: &[u8] = b"--tidewire\r\n";
const DELIMITER: &[u8] = b"\r\n--tidewire\r\n";
const CLOSE: &[u8] = b"\r\n--tidewire--\r\n";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidewire_store::Message;

    use super::*;
    use crate::form_cache::FormCache;

    fn written(feed: &dyn Feed, data: &[u8], media: &str) -> String {
        let message = Message::new(data.to_vec().into(), 1).with_content_type(media).unwrap();
        let forms = FormCache::new(Arc::default());
        let mut out = Out::new(&forms, false);
        feed.message(&mut out, &Envelope { cursor: "e-1", channel: None, message: &message });
        String::from_utf8(out.finish().to_vec()).unwrap()
    }

    #[test]
    fn a_part_ends_with_the_delimiter() {
        assert_eq!(
            written(&Replace, b"jpeg", "image/jpeg"),
            "Tidewire-Cursor: e-1\r\nContent-Type: image/jpeg\r\nContent-Length: 4\r\n\r\n\
             jpeg\r\n--tidewire\r\n"
        );
        assert_eq!(
            written(&Mixed, b"x", "a/b"),
            "Content-Type: application/json\r\n\r\n\
             {\"type\":\"message\",\"cursor\":\"e-1\",\"time\":1,\"content_type\":\"a/b\",\"data\":\"x\"}\r\n\
             --tidewire\r\n"
        );
    }

    #[test]
    fn no_payload_can_end_its_part_or_vanish() {
        for payload in
            ["", "--tidewire", "a\r\n--tidewire\r\nContent-Type: text/html\r\n\r\n<script>", "x--tidewire--"]
        {
            let (mixed, replace) =
                (written(&Mixed, payload.as_bytes(), "a/b"), written(&Replace, payload.as_bytes(), "a/b"));
            assert_eq!((mixed.matches("--tidewire").count(), replace.matches("--tidewire").count()), (1, 0));
            let part = mixed.split("\r\n\r\n").nth(1).unwrap().split("\r\n").next().unwrap();
            let field = replace.strip_prefix("Tidewire-Message: ").unwrap().strip_suffix("\r\n").unwrap();
            assert_eq!(part, field);
            let object: serde_json::Value = serde_json::from_str(field).unwrap();
            assert_eq!(object["data"], payload);
        }
        assert!(written(&Replace, b"x", "a/b; --tidewire").starts_with("Tidewire-Message: "));
    }
}
