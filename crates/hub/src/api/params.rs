//! What a GET asks for: its query, the request fields with the same meaning, and the choice of a
//! feed.

use std::time::Duration;

use tidewire_grammar::{eq_ignore_case, list, weight};
use tidewire_http1::RequestHead;
use tidewire_server::Problem;

use super::query::{Query, flag};
use crate::feeds::{Delivery, FeedName, HttpFormat, jsonp, longpoll, script};
use crate::positions::Start;
use crate::refusal::bad_request;
use crate::request_fields::RequestField;

/// The largest number of messages in one answer to a poll.
const MAX_LIMIT: usize = 10_000;

/// Messages in one answer to a poll, if the client sets no limit.
const DEFAULT_LIMIT: usize = 1_000;

/// What a GET on channels asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Params {
    pub(crate) delivery: Delivery,
    pub(crate) start: Start,
    pub(crate) limit: usize,
    pub(crate) wait: Duration,
    /// Whether the wait comes from a `Prefer` field.
    pub(crate) preferred: bool,
    /// The function that a script is to call. The name was checked.
    pub(crate) callback: String,
}

impl Params {
    /// Reads a request for `channels` channels.
    pub(crate) fn parse(head: &RequestHead<'_>, channels: usize) -> Result<Self, Problem> {
        let query = Query::parse(head.query().unwrap_or_default())?;
        let named = match query.wait.as_deref() {
            Some(text) => Some(seconds(text).ok_or_else(|| {
                bad_request(
                    "the parameter wait is a number of seconds, such as wait=25 or wait=0.5; \
                     above 55 it is 55",
                )
            })?),
            None => None,
        };
        let wait = named.or_else(|| prefer_wait(head));
        let preferred = named.is_none() && wait.is_some();
        let objects = flag("objects", query.objects.as_deref())?;
        let delivery = delivery(head, query.feed.as_deref(), wait, objects)?;
        let limit = limit(query.limit.as_deref())?;
        // When an EventSource reconnects, its URL still has the first `since`, and its id is newer.
        // An empty id counts as none.
        let ids = [RequestField::LastEventId.get(head), query.last_event_id.as_deref()];
        let last_event_id = ids.into_iter().flatten().find(|id| !id.is_empty());
        let start = match (last_event_id, query.since.as_deref()) {
            (Some(id), _) => Start::after_event(id, channels),
            (None, Some(text)) => Start::parse(text.as_bytes(), channels).map_err(bad_request)?,
            (None, None) => default_start(delivery),
        };
        let callback = callback(query.callback, delivery)?;
        let wait = wait.unwrap_or(longpoll::DEFAULT_WAIT);
        Ok(Params { delivery, start, limit, wait, preferred, callback })
    }
}

/// The start for a client that sends none. `docs/http-api.md` says it too. Short polls start at the
/// oldest kept message. Long polls and streams start now. Pictures (`multipart/x-mixed-replace`)
/// start with the newest message. Raw bytes start at the first piece of the newest upload.
fn default_start(delivery: Delivery) -> Start {
    match delivery {
        Delivery::Poll => Start::Earliest,
        Delivery::Raw | Delivery::Stream(HttpFormat::MultipartReplace) => Start::Newest,
        Delivery::LongPoll | Delivery::Jsonp | Delivery::WebSocket => Start::Now,
        Delivery::Stream(
            HttpFormat::Sse
            | HttpFormat::SseObjects
            | HttpFormat::JsonLines
            | HttpFormat::Xhr
            | HttpFormat::MultipartMixed
            | HttpFormat::Iframe,
        ) => Start::Now,
    }
}

/// The name of the function that a script is to call.
fn callback(named: Option<String>, delivery: Delivery) -> Result<String, Problem> {
    // Other feeds call nothing. But a name that no feed accepts is a mistake there too.
    let max_points = delivery.callback_points().unwrap_or(jsonp::MAX_POINTS);
    match named {
        Some(name) if script::is_callback(&name, max_points) => Ok(name),
        Some(_) => Err(bad_request(
            "callback is the name of a function that the page has defined, or OBJECT.FUNCTION: \
             at most 64 letters, digits, _ and $, and no name that every window has",
        )),
        None if delivery == Delivery::Jsonp => {
            Err(bad_request("feed=jsonp needs callback=NAME: the function that the answer calls"))
        }
        None => Ok(script::DEFAULT_CALLBACK.to_owned()),
    }
}

/// Chooses the delivery: first by the query, then by `Upgrade`, then by `Accept`. Otherwise a poll,
/// which is long if it has a wait.
fn delivery(
    head: &RequestHead<'_>,
    named: Option<&str>,
    wait: Option<Duration>,
    objects: bool,
) -> Result<Delivery, Problem> {
    if let Some(name) = named {
        return match FeedName::parse(name.as_bytes()) {
            Some(feed) => Ok(feed.delivery(objects)),
            None => Err(bad_request(format_args!(
                "feed is one of {}; a WebSocket is asked for by an Upgrade",
                FeedName::NAMES.join(", ")
            ))),
        };
    }
    if wants_websocket(head) {
        return Ok(Delivery::WebSocket);
    }
    let feed = accepted(head).unwrap_or_else(|| match wait {
        Some(wait) if !wait.is_zero() => FeedName::LongPoll,
        _ => FeedName::Poll,
    });
    Ok(feed.delivery(objects))
}

/// Whether the request asks for a WebSocket. The handshake checks later whether it does so
/// correctly.
pub(crate) fn wants_websocket(head: &RequestHead<'_>) -> bool {
    RequestField::Upgrade
        .get_all(head)
        .any(|value| list(value).any(|protocol| eq_ignore_case(protocol, b"websocket")))
}

/// The stream that `Accept` prefers, if it prefers one to JSON.
fn accepted(head: &RequestHead<'_>) -> Option<FeedName> {
    let mut best: Option<(u16, FeedName)> = None;
    for range in RequestField::Accept.get_all(head).flat_map(list) {
        let mut parts = range.split(|&b| b == b';');
        let media = parts.next().unwrap_or_default().trim_ascii();
        let is_named = |feed: &&FeedName| {
            feed.accepted_as().is_some_and(|known| eq_ignore_case(media, known.as_bytes()))
        };
        let Some(&feed) = FeedName::ALL.iter().find(is_named) else { continue };
        let weight = parts.find_map(weight).unwrap_or(1000);
        if weight > 0 && best.is_none_or(|(known, _)| weight > known) {
            best = Some((weight, feed));
        }
    }
    best.map(|(_, feed)| feed).filter(|&feed| feed != FeedName::Poll)
}

/// Whether the client accepts gzip (RFC 9110 §12.5.3) and does not prefer the plain bytes.
pub(crate) fn accepts_gzip(head: &RequestHead<'_>) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for coding in RequestField::AcceptEncoding.get_all(head).flat_map(list) {
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

/// The time of `Prefer: wait=N` (RFC 7240 §4.3). The name may be in any case, there may be blanks
/// around the `=`, and the value may be quoted.
fn prefer_wait(head: &RequestHead<'_>) -> Option<Duration> {
    RequestField::Prefer.get_all(head).flat_map(list).find_map(|preference| {
        let first = preference.split(|&b| b == b';').next()?;
        let (name, value) = first.split_at_checked(first.iter().position(|&b| b == b'=')?)?;
        let value = value[1..].trim_ascii();
        let value = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
        let is_wait = eq_ignore_case(name.trim_ascii(), b"wait");
        if is_wait { seconds(std::str::from_utf8(value).ok()?) } else { None }
    })
}

/// Parses `25` or `0.5`: digits with at most one point, no sign and no exponent. A longer time is
/// cut to the longest wait, however many digits it has.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let seconds = if is_digits(whole) && is_digits(part) { text.parse::<f64>().ok()? } else { return None };
    Some(Duration::from_secs_f64(seconds.min(longpoll::MAX_WAIT.as_secs_f64())))
}

fn limit(text: Option<&str>) -> Result<usize, Problem> {
    match text.map(count) {
        None => Ok(DEFAULT_LIMIT),
        Some(Some(n @ 1..)) => Ok(n.min(MAX_LIMIT)),
        Some(_) => Err(bad_request(
            "the parameter limit is a number of messages, 1 or more; above 10000 it is 10000",
        )),
    }
}

/// Parses digits only. A number that is too large becomes the largest one.
fn count(text: &str) -> Option<usize> {
    if is_digits(text) { Some(text.parse().unwrap_or(usize::MAX)) } else { None }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
