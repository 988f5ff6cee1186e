//! `PUT /c/{name}`: a body of any length. Its bytes are published in pieces while they arrive.

use std::future::poll_fn;
use std::ops::Not;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use serde::Serialize;
use tidewire_server::{Body, BodyError, Problem, Reply, Request};
use tidewire_store::{ChannelName, Message};

use super::content;
use super::producer::Producer;
use super::published::published;
use super::query::{Query, flag};
use crate::context::SiteContext;
use crate::cors::Access;
use crate::refusal::{bad_request, hub_refusal, refusal};
use crate::request_fields::RequestField;
use crate::room::LONGEST_WAIT_MS;
use crate::table::Ticket;
use crate::upload::Upload;
use crate::upload_state::Pace;

/// Answers a PUT at the end of its body.
pub(crate) fn handle(
    context: &SiteContext,
    names: &[ChannelName],
    access: &Access,
    request: Request<'_>,
) -> Result<Reply<Ticket>, Problem> {
    access.require()?;
    if let Some(refusal) = content::refuse_coding(request.head, access) {
        return Ok(refusal.into());
    }
    let bad = |detail: &str| Problem::new(400, detail);
    let [name] = names else {
        return Err(bad("An upload is for one channel."));
    };
    let query = Query::parse(request.head.query().unwrap_or_default())?;
    if query.event.is_some() {
        return Err(bad(
            "The pieces of an upload have no event name; leave event= out, or publish messages with POST.",
        ));
    }
    if RequestField::IdempotencyKey.get(request.head).is_some() {
        return Err(bad(
            "An upload has no Idempotency-Key: it is published as it arrives, and cannot be taken back.",
        ));
    }
    if Producer::of(request.head)?.is_some() {
        return Err(bad(
            "An upload has no Producer-Id: it is published as it arrives, in pieces that have no numbers.",
        ));
    }
    let close = flag("close", query.close.as_deref())?;
    // RFC 9110 §14.5: a part of a resource must not be taken for the whole.
    if RequestField::ContentRange.get(request.head).is_some() {
        return Err(bad("An upload is a whole body; send it without Content-Range."));
    }
    // A body with a known length is a file, which can wait. A live source cannot.
    let pace = match query.pace.as_deref() {
        None if request.body.length().is_some() => Pace::Readers,
        None => Pace::Source,
        Some("readers") => Pace::Readers,
        Some("source") => Pace::Source,
        Some(_) => {
            return Err(bad("pace is readers (the upload waits for its readers) or source (it does not)."));
        }
    };
    let media = content::media_type(request.head)?;
    if let Some(media) = &media {
        Message::new(Bytes::new(), 0).with_content_type(media).map_err(bad_request)?;
    }
    let (context, access, body) = (context.clone(), access.clone(), request.body);
    let (hub, name) = (context.hub.clone(), name.clone());
    let mut begin = Box::pin(async move { Upload::begin(&hub, &name, media.as_deref()).await });
    // In the usual case it is refused before any of its body is read.
    let begun = match begin.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(begun) => Some(begun.map_err(hub_refusal)?),
        Poll::Pending => None,
    };
    Ok(Reply::Later(Box::pin(async move {
        let mut stopping = pin!(context.stopping());
        let mut publishing = pin!(async {
            let upload = match begun {
                Some(upload) => upload,
                None => begin.await.map_err(hub_refusal)?,
            };
            publish_body(upload, body, pace, close).await
        });
        let outcome = poll_fn(|cx| match publishing.as_mut().poll(cx) {
            Poll::Pending if stopping.as_mut().poll(cx).is_ready() => Poll::Ready(None),
            polled => polled.map(Some),
        });
        match outcome.await {
            Some(Ok(uploaded)) => published(201, &uploaded.cursor, &uploaded, &access).into(),
            Some(Err(problem)) => refusal(&access, problem).into(),
            None => {
                let problem = Problem::new(503, "The server is stopping; upload again when it is back.");
                refusal(&access, problem).closing().into()
            }
        }
    })))
}

/// Publishes a body to its end, and closes the channel then if `close` is set. If the body ends too
/// early, the upload is dropped. Then a last message marks it as aborted.
async fn publish_body(upload: Upload, mut body: Body, pace: Pace, close: bool) -> Result<Uploaded, Problem> {
    let size = upload.piece_size();
    let (mut bytes, mut messages) = (0, 0);
    while let Some(bytes_read) = read_some(&mut body, size).await {
        let mut bytes_read = bytes_read.map_err(bad_request)?;
        while !bytes_read.is_empty() {
            let piece = bytes_read.split_to(size.min(bytes_read.len()));
            room(&upload, piece.len(), pace).await;
            bytes += piece.len() as u64;
            messages += 1;
            upload.piece(piece).await.map_err(hub_refusal)?;
        }
    }
    // The message that marks the end of the upload must not evict its last pieces.
    room(&upload, 0, pace).await;
    let published = upload.end(close).await.map_err(hub_refusal)?;
    let end = published.end.map(|end| end.to_string());
    Ok(Uploaded { cursor: published.cursor.to_string(), bytes, messages, closed: end.is_some(), end })
}

/// Waits for room for `len` bytes. Checks again when the longest wait for the workers is over.
async fn room(upload: &Upload, len: usize, pace: Pace) {
    let mut longest = None;
    poll_fn(|cx| {
        let room = upload.poll_room(cx, len, pace);
        if room.is_pending() {
            let longest = longest
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(Duration::from_millis(LONGEST_WAIT_MS))));
            // The timer wakes this task once.
            let _ = longest.as_mut().poll(cx);
        }
        room
    })
    .await;
}

/// Returns the bytes that have arrived: at least one, and about `enough` at most. So small chunks
/// that arrive together become one message.
async fn read_some(body: &mut Body, enough: usize) -> Option<Result<Bytes, BodyError>> {
    let first = match body.next().await? {
        Ok(first) if first.len() < enough => first,
        done => return Some(done),
    };
    let (mut len, mut all) = (first.len(), BytesMut::new());
    let error = poll_fn(|cx| {
        while len < enough {
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if all.is_empty() {
                        all.extend_from_slice(&first);
                    }
                    let data = frame.data_ref().map_or(&[][..], |data| data);
                    len += data.len();
                    all.extend_from_slice(data);
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(error)),
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        Poll::Ready(None)
    });
    match error.await {
        Some(error) => Some(Err(error)),
        None if all.is_empty() => Some(Ok(first)),
        None => Some(Ok(all.freeze())),
    }
}

/// A complete upload.
#[derive(Serialize)]
struct Uploaded {
    /// The position after the message that marks the end.
    cursor: String,
    bytes: u64,
    messages: u64,
    /// The channel has ended.
    #[serde(skip_serializing_if = "Not::not")]
    closed: bool,
    /// The position of the end, if the channel has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
}
