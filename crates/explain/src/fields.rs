//! The meaning of header fields: those that frame messages, and those that real-time feeds use.

use tidewire_grammar::{eq_ignore_case, list};

use crate::direction::Direction;
use crate::media_type::{EVENT_STREAM, JSON_LINES, essence};
use crate::text::byte_count;

/// Returns what follows from a field, and where it is defined. The meaning is empty for a field
/// that is not in the table.
pub(crate) fn meaning(direction: Direction, name: &[u8], value: &[u8]) -> (String, &'static str) {
    let is = |other: &str| eq_ignore_case(name, other.as_bytes());
    // Whether this word is the only element of the list. Empty elements do not count.
    let says = |word: &str| {
        let mut elements = list(value);
        elements.next().is_some_and(|one| eq_ignore_case(one, word.as_bytes())) && elements.next().is_none()
    };
    if is("content-length") {
        let length = tidewire_grammar::dec_u64(value);
        let text =
            length.map_or("not a number".into(), |length| format!("the body is {}", byte_count(length)));
        return (text, "RFC 9110 §8.6");
    }
    if is("content-type") {
        return (media_type(value).into(), "RFC 9110 §8.3");
    }
    if is("connection") {
        let lower = value.to_ascii_lowercase();
        let has = |word: &str| list(&lower).any(|option| option == word.as_bytes());
        let text = match (has("close"), has("upgrade")) {
            (true, _) => "this is the sender's last message on this connection",
            (false, true) => "the Upgrade field is for the next recipient only",
            (false, false) if has("keep-alive") => {
                "keep the connection open, which is the default in HTTP/1.1"
            }
            (false, false) => "fields with these names are for the next recipient only",
        };
        return (text.into(), "RFC 9110 §7.6.1");
    }
    if is("transfer-encoding") && says("chunked") {
        return (
            "the body comes in chunks, each with its size; its length need not be known in advance".into(),
            "RFC 9112 §6.1",
        );
    }
    if is("upgrade") && says("websocket") {
        let text = match direction {
            Direction::Up => "the client asks to change to WebSocket",
            Direction::Down => "after this head, the connection is a WebSocket",
        };
        return (text.into(), "RFC 9110 §7.8");
    }
    let row = TABLE.iter().find(|row| is(row.0));
    row.map_or(("".into(), "RFC 9110 §5"), |row| (row.1.into(), row.2))
}

fn media_type(value: &[u8]) -> &'static str {
    let is = |other: &[u8]| eq_ignore_case(essence(value), other);
    if is(EVENT_STREAM) {
        "Server-Sent Events: the body is a stream that a browser's EventSource reads"
    } else if is(JSON_LINES) {
        "a stream of JSON objects, one per line"
    } else if is(b"application/json") {
        "the body is JSON"
    } else if is(b"application/problem+json") {
        "the body says in JSON what went wrong (RFC 9457)"
    } else if is(b"multipart/mixed") || is(b"multipart/x-mixed-replace") {
        "the body is a sequence of parts with a boundary between them"
    } else {
        "the media type of the body"
    }
}

/// Name, meaning, section.
const TABLE: &[(&str, &str, &str)] = &[
    // Framing and the connection.
    ("host", "which site the request is for: one address can serve many names", "RFC 9112 §3.2"),
    ("transfer-encoding", "how the body is encoded for its transfer", "RFC 9112 §6.1"),
    ("te", "which transfer codings the client accepts", "RFC 9110 §10.1.4"),
    ("trailer", "which fields will follow the body", "RFC 9110 §6.6.2"),
    ("upgrade", "another protocol: the client asks for it, or the server changes to it", "RFC 9110 §7.8"),
    ("expect", "the client waits for a 100 response before it sends the body", "RFC 9110 §10.1.1"),
    ("keep-alive", "how long the connection may stay idle", "RFC 9112, C.2.2"),
    // WebSocket.
    ("sec-websocket-key", "16 random bytes; the server computes its answer from them", "RFC 6455 §11.3.1"),
    (
        "sec-websocket-accept",
        "computed from the client's key: proves that the server speaks WebSocket",
        "RFC 6455 §11.3.3",
    ),
    ("sec-websocket-version", "the version of WebSocket: 13 is the only one", "RFC 6455 §11.3.5"),
    (
        "sec-websocket-protocol",
        "the subprotocols that the client offers, or the one that the server chooses",
        "RFC 6455 §11.3.4",
    ),
    (
        "sec-websocket-extensions",
        "the extensions that the client offers, or that the server chooses",
        "RFC 6455 §11.3.2",
    ),
    // Cursors and feeds.
    ("last-event-id", "the last event that the client has: continue after it", "HTML §9.2.4"),
    ("tidewire-cursor", "the position in the channel: pass it as since= to continue after it", "HTTP API"),
    ("idempotency-key", "a retry with the same key does not publish again", "HTTP API"),
    ("prefer", "what the client prefers, such as wait=N for a long poll", "RFC 7240 §2"),
    ("x-accel-buffering", "asks nginx not to buffer the stream", "nginx proxy module"),
    ("retry-after", "when to try again", "RFC 9110 §10.2.3"),
    // Caching and conditions.
    ("cache-control", "who may store the answer, and for how long", "RFC 9111 §5.2"),
    ("etag", "identifies this version of the resource", "RFC 9110 §8.8.3"),
    ("if-none-match", "answer 304 if the client already has this version", "RFC 9110 §13.1.2"),
    ("if-match", "act only if the resource has this version", "RFC 9110 §13.1.1"),
    ("if-modified-since", "answer 304 if nothing has changed since", "RFC 9110 §13.1.3"),
    ("if-range", "send the range only if the resource has this version, else all of it", "RFC 9110 §13.1.5"),
    ("last-modified", "when the resource last changed", "RFC 9110 §8.8.2"),
    ("expires", "when the answer becomes stale", "RFC 9111 §5.3"),
    ("pragma", "an old way to say no-cache", "RFC 9111 §5.4"),
    ("age", "how many seconds the answer has been in a cache", "RFC 9111 §5.1"),
    ("vary", "which fields of the request the answer depends on", "RFC 9110 §12.5.5"),
    // Content.
    ("accept", "the media types that the client accepts", "RFC 9110 §12.5.1"),
    ("accept-encoding", "the compressions that the client accepts", "RFC 9110 §12.5.3"),
    ("accept-language", "the languages that the client prefers", "RFC 9110 §12.5.4"),
    ("content-encoding", "the content is compressed", "RFC 9110 §8.4"),
    ("content-language", "the language of the content", "RFC 9110 §8.5"),
    ("content-disposition", "whether to show or to save the content, and under which name", "RFC 6266 §4"),
    ("content-range", "which part of the resource this is", "RFC 9110 §14.4"),
    ("range", "asks for a part of the resource", "RFC 9110 §14.2"),
    ("accept-ranges", "parts of the resource can be asked for", "RFC 9110 §14.3"),
    ("location", "where to go next, or where the new resource is", "RFC 9110 §10.2.2"),
    ("allow", "the methods that the target supports", "RFC 9110 §10.2.1"),
    ("link", "where related things are", "RFC 8288 §3"),
    // Who speaks, and when.
    ("date", "when the message was made", "RFC 9110 §6.6.1"),
    ("server", "the software of the server", "RFC 9110 §10.2.4"),
    ("user-agent", "the software of the client", "RFC 9110 §10.1.5"),
    ("referer", "the page that the request came from", "RFC 9110 §10.1.3"),
    ("via", "the proxies on the way", "RFC 9110 §7.6.3"),
    ("authorization", "who the client is", "RFC 9110 §11.6.2"),
    ("www-authenticate", "how the client can authenticate itself", "RFC 9110 §11.6.1"),
    ("cookie", "cookies that the server has set before", "RFC 6265 §5.4"),
    ("set-cookie", "asks the client to store a cookie", "RFC 6265 §4.1"),
    // Browsers.
    ("origin", "the origin of the page that sends the request", "RFC 6454 §7"),
    ("access-control-allow-origin", "pages of this site may read the answer", "Fetch, CORS protocol"),
    ("access-control-allow-credentials", "pages may also send cookies", "Fetch, CORS protocol"),
    ("access-control-allow-methods", "pages may use these methods", "Fetch, CORS protocol"),
    ("access-control-allow-headers", "pages may send these fields", "Fetch, CORS protocol"),
    ("access-control-expose-headers", "pages may read these fields", "Fetch, CORS protocol"),
    ("access-control-max-age", "how long this permission may be remembered", "Fetch, CORS protocol"),
    ("access-control-request-method", "asks whether a page may use this method", "Fetch, CORS protocol"),
    ("access-control-request-headers", "asks whether a page may send these fields", "Fetch, CORS protocol"),
    ("x-content-type-options", "use the given media type: do not guess another", "Fetch, nosniff"),
    ("content-security-policy", "what this page may load and run", "CSP Level 3"),
    ("sec-fetch-site", "how the requesting site is related to the target", "Fetch Metadata"),
    ("sec-fetch-mode", "the mode of the page's request", "Fetch Metadata"),
    ("sec-fetch-dest", "what the page will use the answer for", "Fetch Metadata"),
];
