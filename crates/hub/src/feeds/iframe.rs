//! The forever frame: a page in an invisible `<iframe>` that never finishes loading, made of script
//! elements that call a function of the page around it.
//!
//! Quirks: browsers show nothing of a page before its first kilobyte, so padding goes first. Each
//! script would stay in the document for ever, so it is removed by the next. The frame counts as
//! loading all the time (some browsers spin); when it has loaded, that is, when the server has
//! ended it, its `load` event is the sign to come back with the cursor.
//!
//! Safety: what is published becomes part of a page of this origin. It is data in a script, escaped
//! for both (`script.rs`); the policy in the head allows the page no other resource and no
//! connection; and only pages of this origin may frame it.
//!
//! The URL names the function. Whoever can send a window to a URL can choose it. So the frame calls
//! only functions that the page around it has defined:
//!
//! - It is a frame. Opened as a page or a popup it calls nothing, is refused where the browser says
//!   so (`Sec-Fetch-Dest`), and has no opener (`Cross-Origin-Opener-Policy`).
//! - A page of this origin has opened it. A stranger's frame within such a page that goes to this
//!   URL is refused (`Sec-Fetch-Site`).
//! - Each name is an own property of the object before it, and the first name is not one of a new
//!   window. That leaves out methods of elements, elements by their ids, and whatever browsers add
//!   to windows later.

use tidewire_http1::RequestHead;
use tidewire_server::{Problem, Response};

use super::feed::{Discontinuity, Envelope, Feed, Flow, StreamStart};
use super::{script, xhr};
use crate::json_text::Place;
use crate::object::{Object, write_message};
use crate::out::Out;
use crate::request_fields::RequestField;

/// Points in the name of a callback. An object of the page and its function are enough.
pub(crate) const MAX_POINTS: usize = 1;

/// Refuses a request that is not for a frame in a page of this origin. Browsers say what it is for
/// to servers that they trust (HTTPS and the local machine). Elsewhere the page checks by itself.
pub(crate) fn require_frame(head: &RequestHead<'_>) -> Result<(), Problem> {
    let refuse = |detail| Err(Problem::new(403, detail));
    match RequestField::SecFetchDest.get(head) {
        // A script that reads the text runs nothing of it.
        None | Some(b"empty") => Ok(()),
        Some(b"iframe" | b"frame") => match RequestField::SecFetchSite.get(head) {
            None | Some(b"same-origin" | b"none") => Ok(()),
            Some(_) => refuse("feed=iframe is for a frame whose address was set by a page of this origin."),
        },
        Some(_) => refuse(
            "feed=iframe is for an <iframe> in a page of this origin; read with feed=stream elsewhere.",
        ),
    }
}

/// `text/html`.
pub(crate) struct Iframe;

impl Feed for Iframe {
    fn head(&self, response: Response) -> Response {
        response
            .with("Content-Type", "text/html; charset=utf-8")
            .with("Content-Security-Policy", POLICY)
            .with("X-Frame-Options", "SAMEORIGIN")
            .with("Cross-Origin-Opener-Policy", "same-origin")
    }

    fn start(&self, out: &mut Vec<u8>, start: &StreamStart<'_>) {
        // The names were checked: they hold nothing that ends a string.
        let names: Vec<_> = start.callback.split('.').map(|name| format!("'{name}'")).collect();
        for part in [PAGE_TO_NAMES, &names.join(","), PAGE_FROM_NAMES] {
            out.extend_from_slice(part.as_bytes());
        }
        xhr::pad(out);
        call(out, &Object::Hello { cursor: start.cursor, channel: None });
    }

    fn message(&self, out: &mut Out<'_>, envelope: &Envelope<'_>) {
        let Envelope { cursor, channel, message } = *envelope;
        out.own().extend_from_slice(CALL);
        write_message(message, cursor, channel, Place::Script, out);
        out.own().extend_from_slice(CALLED);
    }

    fn discontinuity(&self, out: &mut Vec<u8>, what: &Discontinuity<'_>, cursor: &str) -> Flow {
        call(out, &what.object(cursor));
        Flow::Continue
    }

    /// White space, which a page ignores.
    fn heartbeat(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
    }

    /// The end of the page: the frame has loaded.
    fn end(&self, _out: &mut Vec<u8>, _retry_ms: u32) {}
}

fn call(out: &mut Vec<u8>, object: &Object<'_>) {
    let mut json = Vec::new();
    object.write(&mut json);
    out.extend_from_slice(CALL);
    script::push_json(out, &json);
    out.extend_from_slice(CALLED);
}

const CALL: &[u8] = b"<script>t(";
const CALLED: &[u8] = b")</script>\n";

/// Inline scripts and nothing else. A hash or nonce of each script would have to be in the head,
/// before there is a message.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; frame-ancestors 'self'";

/// `t` removes the scripts that have run, except itself and the one that runs, and calls the page
/// around the frame. Whether a new window has the first name is checked before `t` defines a name.
const PAGE_TO_NAMES: &str = "<!DOCTYPE html><meta charset=utf-8><title>tidewire</title><script>\
(function(names){\
var may=parent!==window&&!(names[0] in window),own=Object.prototype.hasOwnProperty;\
window.t=function(o){\
var s=document.getElementsByTagName('script'),f=parent,of,i;\
while(s.length>2)s[1].parentNode.removeChild(s[1]);\
for(i=0;may&&i<names.length;i++){of=f;f=of!=null&&own.call(of,names[i])?of[names[i]]:null}\
if(!may||typeof f!=='function')throw Error('the page around this frame has no function '+names.join('.'));\
f.call(of,o)}\
})([";
const PAGE_FROM_NAMES: &str = "])</script>\n";
