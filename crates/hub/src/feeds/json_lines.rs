//! HTTP streaming: newline-delimited JSON over the chunked coding. Each message is one line and one
//! chunk.

use tidewire_server::Response;

use super::feed::{ChannelEnd, Discontinuity, Ending, Envelope, Feed, Flow, StreamStart};
use crate::json_text::Place;
use crate::object::{Object, write_message};
use crate::out::Out;

/// `application/x-ndjson`.
pub(crate) struct JsonLines;

impl Feed for JsonLines {
    fn head(&self, response: Response) -> Response {
        response.with("Content-Type", "application/x-ndjson")
    }

    fn start(&self, out: &mut Vec<u8>, start: &StreamStart<'_>) {
        line(out, &Object::Hello { cursor: start.cursor, channel: None });
    }

    fn message(&self, out: &mut Out<'_>, envelope: &Envelope<'_>) {
        write_message(envelope.message, envelope.cursor, envelope.channel, Place::Line, out);
        out.own().push(b'\n');
    }

    fn discontinuity(&self, out: &mut Vec<u8>, what: &Discontinuity<'_>, cursor: &str) -> Flow {
        line(out, &what.object(cursor));
        Flow::Continue
    }

    fn end_of_channel(&self, out: &mut Vec<u8>, end: &ChannelEnd<'_>) {
        line(out, &end.object());
    }

    /// Writes an empty line, which readers of lines skip.
    fn heartbeat(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
    }

    /// Writes nothing more for a stop: a complete body is the sign of the end.
    fn end(&self, out: &mut Vec<u8>, ending: &Ending<'_>) {
        if let Some(object) = ending.object() {
            line(out, &object);
        }
    }
}

fn line(out: &mut Vec<u8>, object: &Object<'_>) {
    object.write(out);
    out.push(b'\n');
}
