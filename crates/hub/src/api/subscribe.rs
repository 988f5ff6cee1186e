//! `GET /c/{names}`: one resource, and all ways to read it.

use std::rc::Rc;
use std::sync::LazyLock;

use bytes::Bytes;
use tidewire_channel::Budget;
use tidewire_http1::{FieldBlock, Method, RequestHead, Version};
use tidewire_server::{DetachHead, Problem, Reply, Request, Response};
use tidewire_store::{ChannelName, Message};
use tidewire_ws::handshake::server::Options;

use super::conditions::matches_etag;
use super::describe::{self, describe};
use super::handshake;
use super::not_yet::NotYet;
use super::params::{self, Params};
use crate::context::SiteContext;
use crate::cors::Access;
use crate::error::HubError;
use crate::feeds::{
    ChannelEnd, Delivery, Discontinuity, Flow, HttpFormat, StreamFormat, StreamStart, Wire, iframe, longpoll,
    poll as short, raw, ws,
};
use crate::gzip::{self, Sum};
use crate::poll::{self, PollShape};
use crate::positions::{Channels, Positions, Start};
use crate::raw_body::RawBody;
use crate::raw_reader::RawReader;
use crate::reader::Bounds;
use crate::refusal::{hub_refusal, read_refusal, refusal, vary};
use crate::shape::{Shape, encode_stream};
use crate::table::{HeldPoll, OpenStream, Subscription, Ticket, WebSocket};
use crate::upload_state::{RawStart, RawStartError};

/// Bytes of replay that are sent together with the head of a stream. The rest, or a longer message,
/// follows at the pace of the reader. Many streams may start at the same moment, and all other
/// connections wait for each start.
const FIRST_BYTES: usize = 64 * 1024;

/// Answers a GET or HEAD. If the store does not answer at once, the answer comes later.
pub(crate) fn handle(
    context: &SiteContext,
    names: &[ChannelName],
    access: &Access,
    request: &Request<'_>,
) -> Result<Reply<Ticket>, Problem> {
    let mut not_yet = match answer(context, names, access, request.head) {
        Ok(reply) => return Ok(reply),
        Err(NotYet::Refused(problem)) => return Err(problem),
        Err(not_yet) => not_yet,
    };
    let head = request.head.to_owned_head(Bytes::new());
    let (context, names, access) = (context.clone(), names.to_vec(), access.clone());
    Ok(Reply::Later(Box::pin(async move {
        loop {
            if let Err(problem) = not_yet.wait(&context, &names).await {
                return refusal(&access, problem).into();
            }
            match answer(&context, &names, &access, &head.head()) {
                Ok(Reply::Later(reply)) => return reply.await,
                Ok(reply) => return reply,
                Err(next) => not_yet = next,
            }
        }
    })))
}

/// The answer, if the store has what it needs.
fn answer(
    context: &SiteContext,
    names: &[ChannelName],
    access: &Access,
    head: &RequestHead<'_>,
) -> Result<Reply<Ticket>, NotYet> {
    let params = Params::parse(head, names.len())?;
    if params.delivery.needs_comet() && !context.settings.comet {
        return Err(Problem::new(
            403,
            "Reading by iframe and JSONP is off; start the server with --comet, or read with feed=stream.",
        )
        .into());
    }
    if params.delivery == Delivery::Stream(HttpFormat::Iframe) {
        iframe::require_frame(head)?;
    }
    let channels = open_channels(context, names)?;
    let positions = channels.start(&params.start);
    match params.delivery {
        Delivery::Poll => short_poll(context, &channels, positions, &params, access, head).map(Reply::Ready),
        Delivery::LongPoll | Delivery::Jsonp => {
            long_poll(context, channels, positions, &params, access, head)
        }
        Delivery::Raw => Ok(raw_bytes(context, &channels, &params, access, head)?),
        Delivery::WebSocket => Ok(websocket(context, channels, positions, &params, access, head)?),
        Delivery::Stream(format) => Ok(stream(context, channels, positions, format, &params, access, head)),
    }
}

fn open_channels(context: &SiteContext, names: &[ChannelName]) -> Result<Channels, NotYet> {
    let limit = context.hub.config().max_subscribers;
    let mut channels = Vec::with_capacity(names.len());
    for name in names {
        let channel = match context.hub.channel(name) {
            Ok(channel) => channel,
            Err(HubError::NotReady) => return Err(NotYet::Opening),
            Err(error) => return Err(read_refusal(error, name, names.len()).into()),
        };
        if channel.subscribers() >= limit {
            return Err(hub_refusal(HubError::TooManySubscribers(limit)).into());
        }
        channels.push(channel);
    }
    Ok(Channels(channels.into()))
}

fn short_poll(
    context: &SiteContext,
    channels: &Channels,
    mut positions: Positions,
    params: &Params,
    access: &Access,
    head: &RequestHead<'_>,
) -> Result<Response, NotYet> {
    let budget = Budget { messages: params.limit, bytes: short::MAX_BYTES };
    let poll::Read { answer, waits, .. } =
        poll::read(channels, &mut positions, budget, (None, params.start.is_cursor()), &context.forms)?;
    if waits {
        return Err(NotYet::Fetching(channels.clone(), positions));
    }
    let cursor = positions.to_text();
    let response = if matches_etag(head, &cursor) {
        poll::not_modified(&cursor)
    } else if let ([channel], Method::Head) = (&*channels.0, head.method()) {
        let info = channel.info();
        describe(poll::short(answer, &cursor, &describe::position(&info)), &info)
    } else {
        poll::short(answer, &cursor, &cursor)
    };
    Ok(vary(access, response))
}

fn long_poll(
    context: &SiteContext,
    channels: Channels,
    mut positions: Positions,
    params: &Params,
    access: &Access,
    head: &RequestHead<'_>,
) -> Result<Reply<Ticket>, NotYet> {
    let callback = (params.delivery == Delivery::Jsonp).then_some(params.callback.as_str());
    let budget = Budget { messages: params.limit, bytes: longpoll::MAX_BYTES };
    let poll::Read { any, answer, waits, .. } =
        poll::read(&channels, &mut positions, budget, (callback, params.start.is_cursor()), &context.forms)?;
    if waits {
        drop(answer);
        return Err(NotYet::Fetching(channels, positions));
    }
    if any || params.wait.is_zero() || head.method() == Method::Head {
        return Ok(vary(
            access,
            poll::held(answer, &positions.to_text(), callback.is_some(), params.preferred),
        )
        .into());
    }
    let keeps_alive = head.version() == Version::Http11 && head.keep_alive();
    let callback = callback.map(Into::into);
    let shape = Shape::LongPoll(PollShape {
        limit: params.limit,
        access: access.clone(),
        callback,
        preferred: params.preferred,
        idle: keeps_alive.then_some(context.settings.idle_timeout),
    });
    let poll = Rc::new(HeldPoll::new(shape, channels, positions, params.wait));
    Ok(Reply::Detach { head: None, first: Vec::new(), ticket: Ticket(Subscription::Poll(poll)) })
}

fn stream(
    context: &SiteContext,
    channels: Channels,
    mut positions: Positions,
    format: HttpFormat,
    params: &Params,
    access: &Access,
    head: &RequestHead<'_>,
) -> Reply<Ticket> {
    let cursor = positions.to_text();
    if matches!(format, HttpFormat::Sse | HttpFormat::SseObjects) && is_at_end(&channels, &positions) {
        // Nothing will come. An EventSource does not come back after this status.
        return vary(access, uncached(Response::new(204)).with("Tidewire-Cursor", &cursor)).into();
    }
    let response = uncached(Response::new(200)).with("Tidewire-Cursor", &cursor);
    let mut response = vary(access, format.feed().head(response));
    let may_be_gzip = context.settings.compress && format.may_be_gzip();
    let gzip = may_be_gzip && params::accepts_gzip(head);
    if may_be_gzip {
        response = response.with("Vary", "Accept-Encoding");
    }
    if gzip {
        response = response.with("Content-Encoding", "gzip");
    }
    if head.method() == Method::Head {
        return response.without_body(None).into();
    }
    let wire = Wire { format: StreamFormat::Http(format), chunked: head.version() == Version::Http11, gzip };
    let labelled = channels.0.len() > 1;
    let start =
        StreamStart { cursor: &cursor, retry_ms: context.settings.retry_ms(), callback: &params.callback };
    let (first, sum, ended) = first_bytes(context, &channels, wire, &start, &mut positions);
    let gzip = gzip.then(|| Box::new(gzip::Body::new(sum)));
    let head = Some(DetachHead { response, chunked: wire.chunked });
    let shape = Shape::Stream { wire, labelled };
    let ticket =
        Ticket(Subscription::Stream(OpenStream { shape, channels, positions, websocket: None, gzip, ended }));
    Reply::Detach { head, first, ticket }
}

/// Whether these are the ends of all channels.
fn is_at_end(channels: &Channels, positions: &Positions) -> bool {
    let (reach, has_ended) = channels.reach();
    has_ended && reach == *positions
}

/// Adds the fields that prevent caching, buffering and content sniffing of a stream.
fn uncached(response: Response) -> Response {
    static FIELDS: LazyLock<FieldBlock> = LazyLock::new(|| {
        FieldBlock::from_pairs([
            ("Cache-Control", "no-store, no-transform"),
            ("X-Accel-Buffering", "no"),
            ("X-Content-Type-Options", "nosniff"),
        ])
        .expect("fields that may stand in a head")
    });
    response.with_block(&FIELDS)
}

/// The first bytes of a stream: its start, and the messages after the client's position. Also their
/// checksum, and whether the stream ends with them.
fn first_bytes(
    context: &SiteContext,
    channels: &Channels,
    wire: Wire,
    start: &StreamStart<'_>,
    positions: &mut Positions,
) -> (Vec<Bytes>, Sum, bool) {
    let mut out = wire.out(&context.forms);
    out.own().reserve(128);
    // Send the start even if the log does not know the cursor. A client that is cut before the
    // reset arrives must come back with this cursor and get the reset then.
    wire.unit(&mut out, |feed, out| feed.start(out.own(), start));
    let labelled = channels.0.len() > 1;
    // A client that comes back at the end of a channel is told of it again. Otherwise it could not
    // tell why nothing comes.
    for (channel, &position) in channels.0.iter().zip(&positions.0) {
        if channel.end() == Some(position) {
            let label = labelled.then(|| channel.name().as_str());
            let end = ChannelEnd { cursor: start.cursor, channel: label };
            wire.unit(&mut out, |feed, out| feed.end_of_channel(out.own(), &end));
        }
    }
    let bounds = Bounds { budget: Budget::bytes(FIRST_BYTES), or_one: false, ceiling: None, first: 0 };
    let (flow, tally, _) = encode_stream(channels, wire, labelled, positions, bounds, &mut out);
    context.hub.counters.replayed.add(tally.messages);
    let packed = wire.pack_first(out);
    context.hub.counters.compressed.add(tally.compressed + packed.compressions);
    (packed.rope.into_parts(), packed.sum, flow == Flow::End)
}

/// Answers with raw bytes. This needs a task: the head waits for the first message, and the body
/// ends with the upload.
fn raw_bytes(
    context: &SiteContext,
    channels: &Channels,
    params: &Params,
    access: &Access,
    head: &RequestHead<'_>,
) -> Result<Reply<Ticket>, Problem> {
    let [channel] = &*channels.0 else {
        return Err(Problem::new(
            400,
            "Bytes of several channels cannot be told apart; read each with feed=raw.",
        ));
    };
    let start = match &params.start {
        Start::Newest => RawStart::Upload,
        Start::Earliest => RawStart::Earliest,
        Start::Now => RawStart::Now,
        Start::After(cursors) => RawStart::After(cursors[0]),
    };
    let reader = RawReader::new(channel, start).map_err(|error| gone(error, start))?;
    let mut body = RawBody::new(reader, context.stopping());
    let answer = |access: &Access, body: &mut RawBody, first: Option<&Message>| {
        let response = uncached(Response::new(200)).with("Tidewire-Cursor", body.begin().to_string());
        raw::head(vary(access, response), first)
    };
    if head.method() == Method::Head {
        let first = body.first_now();
        return Ok(answer(access, &mut body, first.as_deref()).without_body(None).into());
    }
    let (wait, access) = (params.wait.min(longpoll::MAX_WAIT), access.clone());
    Ok(Reply::Later(Box::pin(async move {
        match tokio::time::timeout(wait, body.first()).await.unwrap_or(Ok(None)) {
            Ok(first) => answer(&access, &mut body, first.as_deref()).stream(body).into(),
            Err(error) => refusal(&access, gone(error, start)).into(),
        }
    })))
}

/// The problem for a start that the log cannot continue from. A gap cannot be reported between raw
/// bytes, so such a start is refused.
fn gone(error: RawStartError, start: RawStart) -> Problem {
    let mut problem = match error {
        RawStartError::Gap { from, missed, earliest } => {
            poll::gone(&Discontinuity::Gap { from: &from.to_string(), missed }, &earliest.to_string())
        }
        RawStartError::Reset { reason, earliest } => {
            poll::gone(&Discontinuity::Reset { reason: reason.as_str() }, &earliest.to_string())
        }
    };
    if start == RawStart::Upload {
        problem.detail = "The start of the upload is no longer kept; begin at the oldest kept bytes with \
                          since=earliest, or keep more with --retain-bytes and --retain-messages."
            .to_owned();
    }
    problem
}

fn websocket(
    context: &SiteContext,
    channels: Channels,
    mut positions: Positions,
    params: &Params,
    access: &Access,
    head: &RequestHead<'_>,
) -> Result<Reply<Ticket>, Problem> {
    let mut options = Options::DEFAULT.with_subprotocols(&[ws::SUBPROTOCOL]);
    if context.settings.deflate {
        options = options.with_deflate(ws::DEFLATE);
    }
    let (response, accepted) = match handshake::switch(head, options) {
        Ok(switched) => switched,
        Err(refusal) => return Ok(refusal.into()),
    };
    access.require()?;
    let agreed = accepted.deflate();
    let deflate = agreed.is_some_and(|params| params.takes_shared());
    let is_v1 = accepted.subprotocol() == Some(ws::SUBPROTOCOL);
    let format = if is_v1 { StreamFormat::WsV1 { deflate } } else { StreamFormat::WsBare { deflate } };
    let wire = Wire { format, chunked: false, gzip: false };
    let labelled = channels.0.len() > 1;
    let cursor = positions.to_text();
    let start =
        StreamStart { cursor: &cursor, retry_ms: context.settings.retry_ms(), callback: &params.callback };
    let (first, _, ended) = first_bytes(context, &channels, wire, &start, &mut positions);
    let shape = Shape::Stream { wire, labelled };
    let websocket = WebSocket::new(format, agreed, context.hub.config().max_message);
    let websocket = Some(Box::new(websocket));
    let ticket =
        Ticket(Subscription::Stream(OpenStream { shape, channels, positions, websocket, gzip: None, ended }));
    Ok(Reply::Detach { head: Some(DetachHead { response, chunked: false }), first, ticket })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use tidewire_http1::{Fields, Limits, RequestHead};
    use tidewire_server::{Body, Peer};

    use super::*;
    use crate::config::HubConfig;
    use crate::cors::Origins;
    use crate::hub::Hub;
    use crate::request_fields::RequestField;
    use crate::settings::Settings;

    /// A value of the field that changes an answer, if any value of the field can.
    fn effective_value(field: RequestField) -> &'static str {
        match field {
            RequestField::Accept => "text/event-stream",
            RequestField::AcceptEncoding | RequestField::ContentEncoding => "gzip",
            RequestField::ContentRange => "bytes 0-1/2",
            RequestField::ContentType => "text/plain",
            RequestField::IdempotencyKey => "key",
            RequestField::IfNoneMatch => "*",
            RequestField::LastEventId => "of another server",
            RequestField::Origin => "https://example.org",
            RequestField::Prefer => "wait=5",
            RequestField::ProducerEpoch | RequestField::ProducerSeq => "0",
            RequestField::ProducerId => "id",
            RequestField::SecFetchDest => "image",
            RequestField::SecFetchSite => "cross-site",
            RequestField::Upgrade => "websocket",
        }
    }

    /// The whole outcome of a request: a response without its date, or the poll that waits.
    fn outcome(context: &SiteContext, target: &str, field: &str) -> String {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{field}\r\n");
        let (mut fields, limits) = (Fields::with_capacity(16), Limits::default());
        let head = RequestHead::parse(request.as_bytes(), &limits, &mut fields).unwrap().unwrap().1;
        let names = crate::name::list(head.path().strip_prefix(b"/c/").unwrap()).unwrap();
        let access = context.settings.origins.check(&head);
        let request = Request { head: &head, body: Body::empty(), peer: Peer::Unix, at: Instant::now() };
        let response = match handle(context, &names, &access, &request) {
            Ok(Reply::Ready(response)) => response,
            Ok(Reply::Detach { head: None, ticket, .. }) => return format!("{ticket:?}"),
            Ok(Reply::Detach { head: Some(head), .. }) => head.response,
            Ok(_) => panic!("no such answer"),
            Err(problem) => vary(&access, problem.into_response()),
        };
        let text = String::from_utf8(response.into_parts(None).concat()).unwrap();
        text.lines().filter(|line| !line.starts_with("Date:")).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_field_changes_the_answer_to_a_poll_if_and_only_if_it_is_listed() {
        let origins = Origins::same().allow("*").unwrap();
        let settings = Settings { origins, compress: true, comet: true, ..Settings::default() };
        let hub = Hub::new(HubConfig::default(), 1);
        let (context, _stop) = SiteContext::new(hub.clone(), Arc::new(settings));
        let name = ChannelName::new("full").unwrap();
        hub.publish(&name, crate::Message::new("x".into(), 0), None).unwrap();
        let targets =
            ["/c/full", "/c/empty", "/c/full?wait=5", "/c/full?feed=jsonp&callback=f&since=earliest"];
        for &field in RequestField::ALL {
            let line = format!("{}: {}\r\n", field.name(), effective_value(field));
            let changed = targets
                .iter()
                .any(|target| outcome(&context, target, "") != outcome(&context, target, &line));
            assert_eq!(changed, field.decides_poll(), "{line}");
        }
    }
}
