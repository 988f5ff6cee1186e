//! What header fields mean: those that frame messages, and those that real-time feeds live on.

use tidewire_grammar::{eq_ignore_case, list};

use crate::direction::Direction;
use crate::media_type::{EVENT_STREAM, JSON_LINES, essence};
use crate::text::byte_count;

/// What follows from a field, and where it is defined. A field that is not in the table has no
/// meaning here.
pub(crate) fn meaning(direction: Direction, name: &[u8], value: &[u8]) -> (String, &'static str) {
    let is = |other: &str| eq_ignore_case(name, other.as_bytes());
    // Of a list, empty elements aside.
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
            (true, _) => "this is the last message of its sender on this connection",
            (false, true) => "Upgrade is meant for the next recipient, and for nobody behind it",
            (false, false) if has("keep-alive") => {
                "the connection shall stay open, which HTTP/1.1 does anyhow"
            }
            (false, false) => "fields with these names are for the next recipient only",
        };
        return (text.into(), "RFC 9110 §7.6.1");
    }
    if is("transfer-encoding") && says("chunked") {
        return (
            "the body comes in chunks, each with its size; nobody needs to know the length beforehand".into(),
            "RFC 9112 §6.1",
        );
    }
    if is("upgrade") && says("websocket") {
        let text = match direction {
            Direction::Up => "the client would like to speak WebSocket from here on",
            Direction::Down => "from the next byte on it is WebSocket",
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
        "a stream of JSON objects, one a line"
    } else if is(b"application/json") {
        "the body is JSON"
    } else if is(b"application/problem+json") {
        "the body says in JSON what went wrong (RFC 9457)"
    } else if is(b"multipart/mixed") || is(b"multipart/x-mixed-replace") {
        "the body is a row of parts with a boundary between them"
    } else {
        "what the body is"
    }
}

/// Name, meaning, section.
const TABLE: &[(&str, &str, &str)] = &[
    // Framing and the connection.
    ("host", "whom the request is for: one address serves many names", "RFC 9112 §3.2"),
    ("transfer-encoding", "how the body was changed for its transfer", "RFC 9112 §6.1"),
    ("te", "which codings of the answer the client takes", "RFC 9110 §10.1.4"),
    ("trailer", "which fields will follow the body", "RFC 9110 §6.6.2"),
    ("upgrade", "another protocol that the sender would like, or has changed to", "RFC 9110 §7.8"),
    ("expect", "the client waits for a 100 before it sends the body", "RFC 9110 §10.1.1"),
    ("keep-alive", "how long the connection may stay idle", "RFC 9112, C.2.2"),
    // WebSocket.
    ("sec-websocket-key", "16 random bytes; the answer must be made of them", "RFC 6455 §11.3.1"),
    (
        "sec-websocket-accept",
        "made of the client's key: proves that the server speaks WebSocket",
        "RFC 6455 §11.3.3",
    ),
    ("sec-websocket-version", "the version of WebSocket: there is only 13", "RFC 6455 §11.3.5"),
    ("sec-websocket-protocol", "what the messages mean: offered, or chosen", "RFC 6455 §11.3.4"),
    ("sec-websocket-extensions", "what may be done to frames: offered, or chosen", "RFC 6455 §11.3.2"),
    // Cursors and feeds.
    ("last-event-id", "the last event that the client has: go on after it", "HTML §9.2.4"),
    ("tidewire-cursor", "the place in the channel: pass it as since= to go on after it", "HTTP API"),
    ("idempotency-key", "the same key again publishes nothing", "HTTP API"),
    ("prefer", "what the client would like, such as wait=N for a long poll", "RFC 7240 §2"),
    ("x-accel-buffering", "asks nginx not to hold the stream back", "nginx proxy module"),
    ("retry-after", "when to come back", "RFC 9110 §10.2.3"),
    // Caching and conditions.
    ("cache-control", "who may keep the answer, and for how long", "RFC 9111 §5.2"),
    ("etag", "names this state of the resource", "RFC 9110 §8.8.3"),
    ("if-none-match", "answer 304 if the client has this state already", "RFC 9110 §13.1.2"),
    ("if-match", "do it only if the resource is in this state", "RFC 9110 §13.1.1"),
    ("if-modified-since", "answer 304 if nothing has changed since", "RFC 9110 §13.1.3"),
    ("if-range", "the range only if the resource is in this state, else all of it", "RFC 9110 §13.1.5"),
    ("last-modified", "when the resource changed last", "RFC 9110 §8.8.2"),
    ("expires", "when the answer grows stale", "RFC 9111 §5.3"),
    ("pragma", "an old way to say no-cache", "RFC 9111 §5.4"),
    ("age", "seconds that the answer has been in a cache", "RFC 9111 §5.1"),
    ("vary", "which fields of the request the answer depends on", "RFC 9110 §12.5.5"),
    // Content.
    ("accept", "the media types that the client takes", "RFC 9110 §12.5.1"),
    ("accept-encoding", "the compressions that the client takes", "RFC 9110 §12.5.3"),
    ("accept-language", "the languages that the client prefers", "RFC 9110 §12.5.4"),
    ("content-encoding", "the content is compressed", "RFC 9110 §8.4"),
    ("content-language", "the language of the content", "RFC 9110 §8.5"),
    ("content-disposition", "whether to show or to save it, and under which name", "RFC 6266 §4"),
    ("content-range", "which part of the resource this is", "RFC 9110 §14.4"),
    ("range", "asks for a part of the resource", "RFC 9110 §14.2"),
    ("accept-ranges", "parts of the resource can be asked for", "RFC 9110 §14.3"),
    ("location", "where to look", "RFC 9110 §10.2.2"),
    ("allow", "the methods that the target takes", "RFC 9110 §10.2.1"),
    ("link", "where related things are", "RFC 8288 §3"),
    // Who speaks, and when.
    ("date", "when the message was made", "RFC 9110 §6.6.1"),
    ("server", "the software of the server", "RFC 9110 §10.2.4"),
    ("user-agent", "the software of the client", "RFC 9110 §10.1.5"),
    ("referer", "the page that the request came from", "RFC 9110 §10.1.3"),
    ("via", "the proxies on the way", "RFC 9110 §7.6.3"),
    ("authorization", "who the client is", "RFC 9110 §11.6.2"),
    ("www-authenticate", "how the client can say who it is", "RFC 9110 §11.6.1"),
    ("cookie", "what the server asked the client to remember", "RFC 6265 §5.4"),
    ("set-cookie", "asks the client to remember this", "RFC 6265 §4.1"),
    // Browsers.
    ("origin", "the site of the page that asks", "RFC 6454 §7"),
    ("access-control-allow-origin", "pages of this site may read the answer", "Fetch, CORS protocol"),
    ("access-control-allow-credentials", "also with cookies", "Fetch, CORS protocol"),
    ("access-control-allow-methods", "pages may use these methods", "Fetch, CORS protocol"),
    ("access-control-allow-headers", "pages may send these fields", "Fetch, CORS protocol"),
    ("access-control-expose-headers", "pages may read these fields", "Fetch, CORS protocol"),
    ("access-control-max-age", "how long this permission may be remembered", "Fetch, CORS protocol"),
    ("access-control-request-method", "asks whether a page may use this method", "Fetch, CORS protocol"),
    ("access-control-request-headers", "asks whether a page may send these fields", "Fetch, CORS protocol"),
    ("x-content-type-options", "the media type is meant: do not guess another", "Fetch, nosniff"),
    ("content-security-policy", "what a page of this may do", "CSP Level 3"),
    ("sec-fetch-site", "how the page that asks is related to the target", "Fetch Metadata"),
    ("sec-fetch-mode", "how the page asks", "Fetch Metadata"),
    ("sec-fetch-dest", "what the page wants it for", "Fetch Metadata"),
];
