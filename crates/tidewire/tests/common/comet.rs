//! Readers for the old Comet feeds. No library reads these any more, so they are written here, from
//! the RFCs and the behaviour of browsers.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, TryStreamExt};

use super::feeds::{Only, client, feed_event, json, stream_of};
use super::polls::{events_of_poll, is_closed};
use super::{Ended, Feed, FeedEvent, Reader, Received};

/// Opens one of these feeds of the channel at `url` after `since`.
pub async fn open(feed: Feed, url: &str, since: &str) -> Result<Box<dyn Reader>, Ended> {
    let (name, media) = match feed {
        Feed::Xhr => ("xhr", "text/plain; charset=utf-8"),
        Feed::Mixed => ("multipart", "multipart/mixed; boundary=tidewire"),
        Feed::Replace => ("replace", "multipart/x-mixed-replace; boundary=tidewire"),
        Feed::Iframe => ("iframe", "text/html; charset=utf-8"),
        Feed::Jsonp => {
            let url = format!("{url}?feed=jsonp&callback=app.on_1&wait=5");
            return Ok(Box::new(Jsonp {
                client: client(),
                url,
                since: since.to_owned(),
                events: VecDeque::new(),
                has_ended: false,
            }));
        }
        other => panic!("{other:?} is read elsewhere"),
    };
    let url = format!("{url}?feed={name}&since={since}");
    let response = client().get(&url).send().await.map_err(Ended::cut)?;
    let response = match stream_of(&url, response).await? {
        Ok(response) => response,
        Err(event) => return Ok(Box::new(Only(Some(event)))),
    };
    assert_eq!(response.headers()["content-type"], media);
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    let body = Body { pieces: response.bytes_stream().map_err(Ended::cut).boxed(), buffer: Vec::new() };
    Ok(match feed {
        Feed::Xhr => Box::new(Xhr { body, padded: false }),
        Feed::Mixed | Feed::Replace => Box::new(Parts { body, begun: false, events: VecDeque::new() }),
        _ => Box::new(Frame { body, begun: false }),
    })
}

/// A body that is read up to a mark.
struct Body {
    pieces: BoxStream<'static, Result<Bytes, Ended>>,
    buffer: Vec<u8>,
}

impl Body {
    /// Returns the bytes before `mark`, and consumes the mark.
    async fn until(&mut self, mark: &[u8]) -> Result<Vec<u8>, Ended> {
        loop {
            if let Some(at) = find(&self.buffer, mark) {
                let before = self.buffer[..at].to_vec();
                self.buffer.drain(..at + mark.len());
                return Ok(before);
            }
            match self.pieces.next().await {
                Some(piece) => self.buffer.extend_from_slice(&piece?),
                None => return Err(Ended::Well),
            }
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

struct Xhr {
    body: Body,
    padded: bool,
}

impl Reader for Xhr {
    fn next(&mut self) -> BoxFuture<'_, Result<FeedEvent, Ended>> {
        async move {
            loop {
                let line = self.body.until(b"\n").await?;
                if !std::mem::replace(&mut self.padded, true) {
                    assert!(line.len() >= 1024 && line.iter().all(|&b| b == b' '), "padding first: {line:?}");
                }
                if !line.trim_ascii().is_empty()
                    && let Some(event) = feed_event(&json(&line))
                {
                    return Ok(event);
                }
            }
        }
        .boxed()
    }
}

/// Both kinds of multipart: parts with objects, and parts with payloads and header fields.
struct Parts {
    body: Body,
    begun: bool,
    events: VecDeque<FeedEvent>,
}

impl Parts {
    fn part(&mut self, part: &[u8]) {
        let (head, content) = match part.strip_prefix(b"\r\n") {
            Some(content) => (&[][..], content),
            None => {
                let at = find(part, b"\r\n\r\n").unwrap_or_else(|| panic!("a part without a head: {part:?}"));
                (&part[..at], &part[at + 4..])
            }
        };
        let head = std::str::from_utf8(head).unwrap();
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        if let Some(length) = field("Content-Length") {
            assert_eq!(length, content.len().to_string(), "the length of a part: {head}");
        }
        for line in head.lines() {
            if let Some(("Tidewire-Gap" | "Tidewire-Message", object)) = line.split_once(": ") {
                self.events.extend(feed_event(&json(object.as_bytes())).map(without_names));
            }
        }
        match field("Tidewire-Cursor") {
            _ if head.is_empty() => assert!(content.is_empty(), "a heartbeat with content: {content:?}"),
            None => self.events.extend(feed_event(&json(content))),
            Some(cursor) => self.events.push_back(FeedEvent::Message(Received {
                cursor: cursor.to_owned(),
                payload: content.to_vec(),
                channel: field("Tidewire-Channel").map(str::to_owned),
                ..Received::default()
            })),
        }
    }
}

/// Removes from a message what `x-mixed-replace` does not send.
fn without_names(event: FeedEvent) -> FeedEvent {
    match event {
        FeedEvent::Message(message) => {
            FeedEvent::Message(Received { event: None, content_type: None, ..message })
        }
        event => event,
    }
}

impl Reader for Parts {
    fn next(&mut self) -> BoxFuture<'_, Result<FeedEvent, Ended>> {
        async move {
            if !std::mem::replace(&mut self.begun, true) {
                assert_eq!(self.body.until(b"--tidewire\r\n").await?, b"", "nothing before the first part");
            }
            loop {
                if let Some(event) = self.events.pop_front() {
                    return Ok(event);
                }
                let part = self.body.until(b"\r\n--tidewire\r\n").await?;
                self.part(&part);
            }
        }
        .boxed()
    }
}

struct Frame {
    body: Body,
    begun: bool,
}

impl Reader for Frame {
    fn next(&mut self) -> BoxFuture<'_, Result<FeedEvent, Ended>> {
        async move {
            if !std::mem::replace(&mut self.begun, true) {
                let page = self.body.until(b"</script>\n").await?;
                assert!(page.starts_with(b"<!DOCTYPE html>") && page.ends_with(b"(['tidewire'])"));
            }
            loop {
                self.body.until(b"<script>t(").await?;
                let script = self.body.until(b")</script>\n").await?;
                assert!(!script.contains(&b'<'), "a script must not hold an element");
                if let Some(event) = feed_event(&json(&script)) {
                    return Ok(event);
                }
            }
        }
        .boxed()
    }
}

struct Jsonp {
    client: reqwest::Client,
    url: String,
    since: String,
    events: VecDeque<FeedEvent>,
    has_ended: bool,
}

impl Reader for Jsonp {
    fn next(&mut self) -> BoxFuture<'_, Result<FeedEvent, Ended>> {
        async move {
            loop {
                if let Some(event) = self.events.pop_front() {
                    return Ok(event);
                }
                if self.has_ended {
                    return Err(Ended::Well);
                }
                let url = format!("{}&since={}", self.url, self.since);
                let response = self.client.get(&url).send().await.map_err(Ended::cut)?;
                let response = match stream_of(&url, response).await? {
                    Ok(response) => response,
                    Err(event) => {
                        self.has_ended = true;
                        return Ok(event);
                    }
                };
                assert_eq!(response.headers()["content-type"], "application/javascript; charset=utf-8");
                assert_eq!(response.headers()["x-content-type-options"], "nosniff");
                let script = response.bytes().await.map_err(Ended::cut)?;
                let call = script.strip_prefix(b"/**/app.on_1(").and_then(|rest| rest.strip_suffix(b");\n"));
                let answer = json(call.unwrap_or_else(|| panic!("not a call: {script:?}")));
                self.events.extend(events_of_poll(&url, &self.since, &answer));
                self.since = answer["cursor"].as_str().expect("always a cursor").to_owned();
                let is_deleted = matches!(self.events.back(), Some(FeedEvent::Deleted { .. }));
                self.has_ended = is_deleted || is_closed(&answer);
            }
        }
        .boxed()
    }
}
