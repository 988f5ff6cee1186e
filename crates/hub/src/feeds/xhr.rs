//! XHR streaming: JSON lines for an `XMLHttpRequest`, whose `responseText` grows while the response
//! arrives.
//!
//! Quirks: a browser that guesses the type of a text holds back its first kilobyte, and so do some
//! filters on the way. `nosniff` stops the guessing; for others, two kilobytes of blanks are sent
//! first. `responseText` keeps everything that was received, so a page should sometimes abort and
//! come back with its cursor.

use tidewire_server::Response;

use super::feed::{ChannelEnd, Discontinuity, Ending, Envelope, Feed, Flow, StreamStart};
use super::json_lines::JsonLines;
use crate::out::Out;

/// `text/plain`, which no filter on the way treats specially.
pub(crate) struct Xhr;

impl Feed for Xhr {
    fn head(&self, response: Response) -> Response {
        response.with("Content-Type", "text/plain; charset=utf-8")
    }

    fn start(&self, out: &mut Vec<u8>, start: &StreamStart<'_>) {
        pad(out);
        JsonLines.start(out, start);
    }

    fn message(&self, out: &mut Out<'_>, envelope: &Envelope<'_>) {
        JsonLines.message(out, envelope);
    }

    fn discontinuity(&self, out: &mut Vec<u8>, what: &Discontinuity<'_>, cursor: &str) -> Flow {
        JsonLines.discontinuity(out, what, cursor)
    }

    fn end_of_channel(&self, out: &mut Vec<u8>, end: &ChannelEnd<'_>) {
        JsonLines.end_of_channel(out, end);
    }

    fn heartbeat(&self, out: &mut Vec<u8>) {
        JsonLines.heartbeat(out);
    }

    fn end(&self, out: &mut Vec<u8>, ending: &Ending<'_>) {
        JsonLines.end(out, ending);
    }
}

/// Writes a line of blanks, which a reader of JSON lines skips like an empty line.
pub(crate) fn pad(out: &mut Vec<u8>) {
    out.resize(out.len() + PADDING - 1, b' ');
    out.push(b'\n');
}

/// The most that an old browser wanted before it showed anything: 2 KiB, Internet Explorer.
pub(crate) const PADDING: usize = 2048;
