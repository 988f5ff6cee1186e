//! HTTP streaming: newline-delimited JSON over the chunked coding, one message a line, one line a chunk.

use tidewire_server::Response;

use super::{Break, Envelope, Feed, Flow, Greeting};
use crate::message::Object;

/// `application/x-ndjson`.
pub(crate) struct Stream;

impl Feed for Stream {
    fn head(&self, response: Response) -> Response {
        response.with("Content-Type", "application/x-ndjson")
    }

    fn hello(&self, out: &mut Vec<u8>, greeting: &Greeting<'_>) {
        line(out, &Object::Hello { cursor: greeting.cursor, channel: None });
    }

    fn message(&self, out: &mut Vec<u8>, envelope: &Envelope<'_>) {
        line(out, &Object::message(envelope.message, envelope.cursor, envelope.channel));
    }

    fn discontinuity(&self, out: &mut Vec<u8>, what: &Break<'_>, cursor: &str) -> Flow {
        line(out, &what.object(cursor));
        Flow::Continue
    }

    /// An empty line, which a reader of lines skips.
    fn heartbeat(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
    }

    /// Nothing to say: the end of the body in good order is the sign.
    fn goodbye(&self, _out: &mut Vec<u8>, _retry_ms: u32) {}
}

fn line(out: &mut Vec<u8>, object: &Object<'_>) {
    object.write(out);
    out.push(b'\n');
}
