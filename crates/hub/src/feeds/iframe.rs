//! The forever frame: a page in an invisible `<iframe>` that never finishes loading. It consists of
//! script elements that call a function of the parent page.
//!
//! Quirks: browsers show nothing of a page before its first kilobyte, so padding is sent first.
//! Each script would stay in the document for ever, so the next script removes it. The frame counts
//! as loading all the time, and some browsers show that. When the server ends the page, the frame
//! fires `load`. Then the parent page comes back with its cursor.
//!
//! Safety: published data becomes part of a page of this origin. It is data in a script, and is
//! escaped for that (`script.rs`). The policy in the head allows the page no other resource and no
//! connection. Only pages of this origin may frame it.
//!
//! The URL names the function, and an attacker may choose the URL. So the frame calls only
//! functions that its parent page has defined:
//!
//! - It must be a frame. As a page or popup it calls nothing. If the browser sends
//!   `Sec-Fetch-Dest`, the server refuses other uses. `Cross-Origin-Opener-Policy` takes the opener
//!   from a popup.
//! - A page of this origin must have opened it. If a foreign frame within such a page navigates to
//!   this URL, the server refuses it (`Sec-Fetch-Site`).
//! - Each name must be an own property of the object before it, and the first name must not exist
//!   in a new window. This excludes methods of elements, elements by their ids, and names that
//!   browsers add to windows later.

use tidewire_http1::RequestHead;
use tidewire_server::{Problem, Response};

use super::feed::{ChannelEnd, Discontinuity, Ending, Envelope, Feed, Flow, StreamStart};
use super::{script, xhr};
use crate::json_text::Place;
use crate::object::{Object, write_message};
use crate::out::Out;
use crate::request_fields::RequestField;

/// The largest number of points in the name of a callback: an object of the page and its function.
pub(crate) const MAX_POINTS: usize = 1;

/// Refuses a request that is not for a frame in a page of this origin. Browsers send the purpose of
/// a request only to servers that they trust (HTTPS and localhost). For other servers the page
/// checks by itself.
pub(crate) fn require_frame(head: &RequestHead<'_>) -> Result<(), Problem> {
    let refuse = |detail| Err(Problem::new(403, detail));
    match RequestField::SecFetchDest.get(head) {
        // A script may read the text, because reading does not execute it.
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
        // The names were checked: they contain nothing that ends a string.
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

    fn end_of_channel(&self, out: &mut Vec<u8>, end: &ChannelEnd<'_>) {
        call(out, &end.object());
    }

    /// Writes white space, which a page ignores.
    fn heartbeat(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
    }

    /// Writes nothing more for a stop: the end of the page fires `load`.
    fn end(&self, out: &mut Vec<u8>, ending: &Ending<'_>) {
        if let Some(object) = ending.object() {
            call(out, &object);
        }
    }
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

/// Allows inline scripts and nothing else. Hashes or nonces of the scripts would have to be in the
/// head, before there is a message.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; frame-ancestors 'self'";

/// `t` removes the scripts that have run, except itself and the running one, and calls the parent
/// page. The page checks whether a new window has the first name. It does so before it defines `t`,
/// because from then on `t` is a name of the window too.
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
