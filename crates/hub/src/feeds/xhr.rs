//! XHR streaming: the lines of the HTTP stream for an `XMLHttpRequest`, whose `responseText` grows
//! while the answer comes.
//!
//! Quirks: a browser that may guess the type of a text holds back its first bytes, until a kilobyte
//! or all of it has come; so does many a filter on the way. `nosniff` ends the guessing, and two
//! kilobytes of blanks go first for those that do not know it. `responseText` keeps everything that
//! ever came, so a page aborts and comes back with its cursor now and then.

use tidewire_server::Response;

use super::feed::{Discontinuity, Envelope, Feed, Flow, StreamStart};
use super::json_lines::JsonLines;
use crate::out::Out;

/// `text/plain`, which everything on the way takes for harmless.
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

    fn heartbeat(&self, out: &mut Vec<u8>) {
        JsonLines.heartbeat(out);
    }

    fn end(&self, out: &mut Vec<u8>, retry_ms: u32) {
        JsonLines.end(out, retry_ms);
    }
}

/// A line of blanks, which a reader of JSON lines skips like an empty one.
pub(crate) fn pad(out: &mut Vec<u8>) {
    out.resize(out.len() + PADDING - 1, b' ');
    out.push(b'\n');
}

/// What the most patient of the old browsers wanted to see before they showed anything: Internet
/// Explorer, 2 KiB.
pub(crate) const PADDING: usize = 2048;
