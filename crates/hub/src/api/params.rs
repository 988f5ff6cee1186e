//! What a GET asks for: the query, the fields that say the same, and the choice of a feed.

use std::time::Duration;

use tidewire_channel::{Cursor, Cursors};
use tidewire_grammar::{eq_ignore_case, list, weight};
use tidewire_http1::{Method, RequestHead};
use tidewire_server::Problem;

use crate::feeds::{iframe, jsonp, longpoll, script};

/// Most messages of one poll answer.
const MAX_LIMIT: usize = 10_000;

/// Messages of one poll answer where the client does not say.
const DEFAULT_LIMIT: usize = 1_000;

/// A way of delivery, as a client names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FeedName {
    Poll,
    LongPoll,
    Sse,
    SseObjects,
    Stream,
    Xhr,
    Mixed,
    Replace,
    Iframe,
    Jsonp,
    Raw,
    WebSocket,
}

/// Where a client wants to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Earliest,
    Now,
    /// Before the newest there is: a message, or, for raw bytes, an upload.
    Newest,
    After(Vec<Cursor>),
}

/// A GET on channels, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Params {
    pub(crate) feed: FeedName,
    pub(crate) since: From,
    pub(crate) limit: usize,
    pub(crate) wait: Duration,
    /// The wait is that of a `Prefer` field.
    pub(crate) preferred: bool,
    /// The function that a script is to call, a checked name.
    pub(crate) callback: String,
}

impl Params {
    /// Reads a request for `channels` channels.
    pub(crate) fn parse(head: &RequestHead<'_>, channels: usize) -> Result<Self, Problem> {
        let query = Query::parse(head.query().unwrap_or_default())?;
        let named = match query.wait.as_deref() {
            Some(text) => Some(seconds(text).ok_or_else(|| {
                bad("the parameter wait is a number of seconds, such as wait=25 or wait=0.5; it is cut to 55")
            })?),
            None => None,
        };
        let wait = named.or_else(|| prefer_wait(head));
        let preferred = named.is_none() && wait.is_some();
        let objects = match query.objects.as_deref() {
            None | Some("0") => false,
            Some("1") => true,
            Some(_) => return Err(bad("the parameter objects is 0 or 1")),
        };
        let feed = match feed(head, query.feed.as_deref(), wait)? {
            FeedName::Sse if objects => FeedName::SseObjects,
            feed => feed,
        };
        let limit = limit(query.limit.as_deref())?;
        // The URL of an EventSource that reconnects still has the first `since`; its id is newer.
        // An empty id is none.
        let kept = [head.get("last-event-id"), query.last_event_id.as_deref()];
        let last_event_id = kept.into_iter().flatten().find(|id| !id.is_empty());
        let since = match (last_event_id, query.since.as_deref()) {
            (Some(id), _) => after_event(id, channels),
            (None, Some(text)) => since(text.as_bytes(), channels)?,
            // Who waits wants what comes; who asks once wants what is there.
            (None, None) if feed == FeedName::Poll => From::Earliest,
            // Who looks at a picture wants to see one, and who plays a film wants it from the beginning.
            (None, None) if matches!(feed, FeedName::Replace | FeedName::Raw) => From::Newest,
            (None, None) => From::Now,
        };
        let points = if feed == FeedName::Iframe { iframe::MAX_POINTS } else { jsonp::MAX_POINTS };
        let callback = match query.callback {
            Some(name) if script::is_callback(&name, points) => name,
            Some(_) => {
                return Err(bad(
                    "callback is the name of a function that the page has made, or OBJECT.FUNCTION: \
                     at most 64 letters, digits, _ and $, and nothing that every window has",
                ));
            }
            None if feed == FeedName::Jsonp => {
                return Err(bad(
                    "to read with feed=jsonp, name callback=NAME: the function that the answer calls",
                ));
            }
            None => script::DEFAULT_CALLBACK.to_owned(),
        };
        let wait = wait.unwrap_or(longpoll::DEFAULT_WAIT);
        Ok(Params { feed, since, limit, wait, preferred, callback })
    }
}

/// Whether the target alone decides the answer: a GET without any field that could change it.
pub(crate) fn depends_on_target_only(head: &RequestHead<'_>) -> bool {
    head.method() == Method::Get && !head.fields().any(|(name, value)| decides(name, value))
}

fn decides(name: &[u8], value: &[u8]) -> bool {
    // The length tells most fields apart before any byte is compared.
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    match name.len() {
        6 => is(b"origin") || is(b"prefer") || (is(b"accept") && value != b"*/*"),
        7 => is(b"upgrade"),
        13 => is(b"if-none-match") || is(b"last-event-id"),
        _ => false,
    }
}

/// The feed: the query, else an upgrade, else `Accept`, else a poll, long if there is a wait.
fn feed(head: &RequestHead<'_>, named: Option<&str>, wait: Option<Duration>) -> Result<FeedName, Problem> {
    Ok(match named {
        Some("poll") => FeedName::Poll,
        Some("longpoll") => FeedName::LongPoll,
        Some("sse") => FeedName::Sse,
        Some("stream") => FeedName::Stream,
        Some("xhr") => FeedName::Xhr,
        Some("multipart") => FeedName::Mixed,
        Some("replace") => FeedName::Replace,
        Some("iframe") => FeedName::Iframe,
        Some("jsonp") => FeedName::Jsonp,
        Some("raw") => FeedName::Raw,
        Some(_) => {
            return Err(bad(
                "feed is one of poll, longpoll, sse, stream, xhr, multipart, replace, iframe, jsonp, raw; \
                 a WebSocket is asked for by an Upgrade",
            ));
        }
        None if wants_websocket(head) => FeedName::WebSocket,
        None => match accepted(head) {
            Some(feed) => feed,
            None if wait.is_some_and(|wait| !wait.is_zero()) => FeedName::LongPoll,
            None => FeedName::Poll,
        },
    })
}

/// Whether the request asks for a WebSocket, well or badly; the handshake says which.
pub(crate) fn wants_websocket(head: &RequestHead<'_>) -> bool {
    head.get_all("upgrade").any(|value| list(value).any(|protocol| eq_ignore_case(protocol, b"websocket")))
}

/// The streaming feed that `Accept` prefers, if it prefers one to JSON.
fn accepted(head: &RequestHead<'_>) -> Option<FeedName> {
    let mut best: Option<(u16, FeedName)> = None;
    for range in head.get_all("accept").flat_map(list) {
        let mut parts = range.split(|&b| b == b';');
        let media = parts.next().unwrap_or_default().trim_ascii();
        let feed = match media {
            m if eq_ignore_case(m, b"text/event-stream") => FeedName::Sse,
            m if eq_ignore_case(m, b"application/x-ndjson") => FeedName::Stream,
            m if eq_ignore_case(m, b"multipart/mixed") => FeedName::Mixed,
            m if eq_ignore_case(m, b"multipart/x-mixed-replace") => FeedName::Replace,
            m if eq_ignore_case(m, b"application/json") => FeedName::Poll,
            _ => continue,
        };
        let weight = parts.find_map(weight).unwrap_or(1000);
        if weight > 0 && best.is_none_or(|(known, _)| weight > known) {
            best = Some((weight, feed));
        }
    }
    best.map(|(_, feed)| feed).filter(|&feed| feed != FeedName::Poll)
}

/// Whether the client takes gzip (RFC 9110 §12.5.3), and not rather the bytes as they are.
pub(crate) fn accepts_gzip(head: &RequestHead<'_>) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for coding in head.get_all("accept-encoding").flat_map(list) {
        let mut parts = coding.split(|&b| b == b';');
        let slot = match parts.next().unwrap_or_default().trim_ascii() {
            b"*" => &mut any,
            name if eq_ignore_case(name, b"gzip") || eq_ignore_case(name, b"x-gzip") => &mut gzip,
            name if eq_ignore_case(name, b"identity") => &mut identity,
            _ => continue,
        };
        *slot = Some(parts.find_map(weight).unwrap_or(1000));
    }
    let gzip = gzip.or(any).unwrap_or(0);
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

/// `Prefer: wait=N` (RFC 7240 §4.3): a name in any case, blanks around the `=`, the value as it is or quoted.
fn prefer_wait(head: &RequestHead<'_>) -> Option<Duration> {
    head.get_all("prefer").flat_map(list).find_map(|preference| {
        let first = preference.split(|&b| b == b';').next()?;
        let (name, value) = first.split_at_checked(first.iter().position(|&b| b == b'=')?)?;
        let value = value[1..].trim_ascii();
        let value = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
        let is_wait = eq_ignore_case(name.trim_ascii(), b"wait");
        if is_wait { seconds(std::str::from_utf8(value).ok()?) } else { None }
    })
}

/// `25`, `0.5`: digits with at most one point, no sign, no exponent. Cut to the longest hold,
/// however many digits there are.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let seconds = if is_digits(whole) && is_digits(part) { text.parse::<f64>().ok()? } else { return None };
    Some(Duration::from_secs_f64(seconds.min(longpoll::MAX_WAIT.as_secs_f64())))
}

fn limit(text: Option<&str>) -> Result<usize, Problem> {
    match text.map(count) {
        None => Ok(DEFAULT_LIMIT),
        Some(Some(n @ 1..)) => Ok(n.min(MAX_LIMIT)),
        Some(_) => Err(bad("the parameter limit is a number of messages, 1 or more; it is cut to 10000")),
    }
}

/// Digits and nothing else. More of them than a number can hold are the largest one.
fn count(text: &str) -> Option<usize> {
    if is_digits(text) { Some(text.parse().unwrap_or(usize::MAX)) } else { None }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Reads a context to go on from, for so many channels.
pub(crate) fn since(text: &[u8], channels: usize) -> Result<From, Problem> {
    match text {
        b"earliest" => return Ok(From::Earliest),
        b"now" => return Ok(From::Now),
        _ => {}
    }
    let cursors = Cursors::parse(text).map_err(|_| {
        bad("the cursor is not one of this server's; use one as it came, or since=earliest, or since=now")
    })?;
    let cursors = cursors.as_slice();
    if cursors.len() != channels {
        return Err(bad(
            "the cursor is for another number of channels; use it with the channels that it came from",
        ));
    }
    Ok(From::After(cursors.to_vec()))
}

/// The position after the event that a client remembers. A text that is no cursor for these
/// channels is the id of another server, or of a page that stored something else. A refusal would
/// stop an `EventSource` for good, so it becomes a position in no log, which is told as a reset.
fn after_event(id: &[u8], channels: usize) -> From {
    since(id, channels).unwrap_or_else(|_| From::After(vec![Cursor::FOREIGN; channels]))
}

fn bad(detail: &str) -> Problem {
    let mut detail = detail.to_owned();
    detail[..1].make_ascii_uppercase();
    detail.push('.');
    Problem::new(400, detail)
}

/// Parameters in which polyfills send the last event id, because they cannot send the field
/// `Last-Event-ID` to another origin. In upper or lower case:
///
/// - `lastEventId`: event-source-polyfill (Yaffle), and in upper case the Mercure protocol
/// - `Last-Event-ID`: the same polyfill as it was configured for Mercure
/// - `evs_last_event_id`: eventsource-polyfill (amvtek)
/// - `last_event_id`: clients that were written for Nchan
const LAST_EVENT_ID: [&[u8]; 4] = [b"lasteventid", b"last-event-id", b"last_event_id", b"evs_last_event_id"];

/// The parameters of a query. Unknown ones are left alone; a known one twice is refused, since two parties could take
/// different ones for the truth.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pub(crate) since: Option<String>,
    /// What a polyfill sends in context of the field: any bytes, because another server may have made
    /// the id.
    pub(crate) last_event_id: Option<Vec<u8>>,
    pub(crate) limit: Option<String>,
    pub(crate) wait: Option<String>,
    pub(crate) feed: Option<String>,
    pub(crate) event: Option<String>,
    pub(crate) objects: Option<String>,
    pub(crate) callback: Option<String>,
    pub(crate) pace: Option<String>,
}

impl Query {
    pub(crate) fn parse(query: &[u8]) -> Result<Self, Problem> {
        let mut known = Query::default();
        for pair in query.split(|&b| b == b'&').filter(|pair| !pair.is_empty()) {
            let at = pair.iter().position(|&b| b == b'=').unwrap_or(pair.len());
            let (name, value) = (&pair[..at], pair.get(at + 1..).unwrap_or_default());
            let slot = match name {
                b"since" => &mut known.since,
                b"limit" => &mut known.limit,
                b"wait" => &mut known.wait,
                b"feed" => &mut known.feed,
                b"event" => &mut known.event,
                b"objects" => &mut known.objects,
                b"callback" => &mut known.callback,
                b"pace" => &mut known.pace,
                name if LAST_EVENT_ID.iter().any(|known| eq_ignore_case(name, known)) => {
                    once(&mut known.last_event_id, decoded(value))?;
                    continue;
                }
                _ => continue,
            };
            let value = String::from_utf8(decoded(value)).map_err(|_| bad("the query is not UTF-8"))?;
            once(slot, value)?;
        }
        Ok(known)
    }
}

/// The value of a parameter, as forms write it.
fn decoded(value: &[u8]) -> Vec<u8> {
    let value: Vec<u8> = value.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
    percent_encoding::percent_decode(&value).collect()
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Problem> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(bad("the query names a parameter twice; name each once")),
    }
}
