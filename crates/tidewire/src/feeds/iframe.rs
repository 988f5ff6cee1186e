//! The forever frame: a page in an invisible `<iframe>` that never finishes loading, made of script elements that call a function
//! of the page around it.
//!
//! Quirks: browsers show nothing of a page before its first kilobyte, so padding goes first. Each script would stay in the
//! document for ever, so it is removed by the next. The frame counts as loading all the time (some browsers spin); when it has
//! loaded, that is, when the server has ended it, its `load` event is the sign to come back with the cursor.
//!
//! Safety: what is published becomes part of a page of this origin. It is data in a script, escaped for both (`script.rs`); the
//! policy in the head allows the page no other resource and no connection; and only pages of this origin may frame it.

use tidewire_server::Response;

use super::{Break, Envelope, Feed, Flow, Greeting, script, xhr};
use crate::message::Object;

/// `text/html`.
pub(crate) struct Iframe;

impl Feed for Iframe {
    fn head(&self, response: Response) -> Response {
        response
            .with("Content-Type", "text/html; charset=utf-8")
            .with("Content-Security-Policy", POLICY)
            .with("X-Frame-Options", "SAMEORIGIN")
    }

    fn hello(&self, out: &mut Vec<u8>, greeting: &Greeting<'_>) {
        out.extend_from_slice(PAGE_TO_CALLBACK.as_bytes());
        out.extend_from_slice(greeting.callback.as_bytes());
        out.extend_from_slice(PAGE_FROM_CALLBACK.as_bytes());
        xhr::pad(out);
        call(out, &Object::Hello { cursor: greeting.cursor, channel: None });
    }

    fn message(&self, out: &mut Vec<u8>, envelope: &Envelope<'_>) {
        call(out, &Object::message(envelope.message, envelope.cursor, envelope.channel));
    }

    fn discontinuity(&self, out: &mut Vec<u8>, what: &Break<'_>, cursor: &str) -> Flow {
        call(out, &what.object(cursor));
        Flow::Continue
    }

    /// White space, which a page ignores.
    fn heartbeat(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
    }

    /// The end of the page: the frame has loaded.
    fn goodbye(&self, _out: &mut Vec<u8>, _retry_ms: u32) {}
}

fn call(out: &mut Vec<u8>, object: &Object<'_>) {
    let mut json = Vec::new();
    object.write(&mut json);
    out.extend_from_slice(b"<script>t(");
    script::push(out, &json);
    out.extend_from_slice(b")</script>\n");
}

/// Inline scripts and nothing else. A hash or nonce of each script would have to be in the head, before there is a message.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; frame-ancestors 'self'";

/// `t` removes the scripts that have run, but itself and the one that runs, and calls the page around the frame.
const PAGE_TO_CALLBACK: &str = "<!DOCTYPE html><meta charset=utf-8><title>tidewire</title><script>\
function t(o){var s=document.getElementsByTagName('script');\
while(s.length>2)s[1].parentNode.removeChild(s[1]);\
parent.";
const PAGE_FROM_CALLBACK: &str = "(o)}</script>\n";
