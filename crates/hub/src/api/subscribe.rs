//! `GET /c/{names}`: one resource, every way to read it.

use std::rc::Rc;
use std::sync::LazyLock;

use bytes::Bytes;
use tidewire_channel::Budget;
use tidewire_http1::{FieldBlock, Method, Version};
use tidewire_server::{DetachHead, Problem, Reply, Request, Response};
use tidewire_ws::handshake::server::Options;

use super::conditions::matches_etag;
use super::handshake;
use super::params::{self, FeedName, From, Params};
use crate::channel::{Beginning, Follower, Lost};
use crate::context::SiteContext;
use crate::cors::Access;
use crate::error::HubError;
use crate::feeds::raw::{self, RawBody};
use crate::feeds::{Break, Flow, Greeting, Kind, Wire, iframe, longpoll, poll as short, ws};
use crate::gzip::{self, Sum};
use crate::name::ChannelName;
use crate::poll::{self, PollShape};
use crate::reader::{Channels, Positions};
use crate::refusal::refused;
use crate::refusal::vary;
use crate::shape::{Shape, encode_stream};
use crate::table::{HeldPoll, StreamStart, Subscription, Ticket, WebSocket};

/// Bytes of replay that leave together with the head of a stream; the rest follows at the reader's pace.
const FIRST_BYTES: usize = 64 * 1024;

/// Answers a GET or HEAD.
pub(crate) fn handle(
    context: &SiteContext,
    names: &[ChannelName],
    access: &Access,
    request: &Request<'_>,
) -> Result<Reply<Ticket>, Problem> {
    let params = Params::parse(request.head, names.len())?;
    if matches!(params.feed, FeedName::Iframe | FeedName::Jsonp) && !context.settings.comet {
        return Err(Problem::new(
            403,
            "Reading by iframe and JSONP is off; start the server with --comet, or read with feed=stream.",
        ));
    }
    if params.feed == FeedName::Iframe {
        iframe::require_frame(request.head)?;
    }
    let channels = open(context, names)?;
    let positions = channels.start(&params.since);
    let kind = match params.feed {
        FeedName::Poll => {
            return short_poll(&channels, positions, &params, access, request).map(Reply::Ready);
        }
        FeedName::LongPoll | FeedName::Jsonp => {
            return long_poll(context, channels, positions, &params, access, request);
        }
        FeedName::Raw => return raw(context, &channels, &params, access, request),
        FeedName::WebSocket => return websocket(context, channels, positions, &params, access, request),
        FeedName::Sse => Kind::Sse,
        FeedName::SseObjects => Kind::SseObjects,
        FeedName::Stream => Kind::Stream,
        FeedName::Xhr => Kind::Xhr,
        FeedName::Mixed => Kind::Mixed,
        FeedName::Replace => Kind::Replace,
        FeedName::Iframe => Kind::Iframe,
    };
    Ok(stream(context, channels, positions, kind, &params, access, request))
}

fn open(context: &SiteContext, names: &[ChannelName]) -> Result<Channels, Problem> {
    let limit = context.hub.config().max_subscribers;
    let mut channels = Vec::with_capacity(names.len());
    for name in names {
        let channel = context.hub.channel(name).map_err(refused)?;
        if channel.subscribers() >= limit {
            return Err(refused(HubError::TooManySubscribers(limit)));
        }
        channels.push(channel);
    }
    Ok(Channels(channels.into()))
}

fn short_poll(
    channels: &Channels,
    mut positions: Positions,
    params: &Params,
    access: &Access,
    request: &Request<'_>,
) -> Result<Response, Problem> {
    let budget = Budget { messages: params.limit, bytes: short::MAX_BYTES };
    let answer = poll::read(channels, &mut positions, budget, false)?.answer;
    let cursor = positions.to_text();
    let response = if matches_etag(request.head, &cursor) {
        poll::not_modified(&cursor)
    } else {
        poll::short(answer, &cursor)
    };
    Ok(vary(access, response))
}

fn long_poll(
    context: &SiteContext,
    channels: Channels,
    mut positions: Positions,
    params: &Params,
    access: &Access,
    request: &Request<'_>,
) -> Result<Reply<Ticket>, Problem> {
    let callback = (params.feed == FeedName::Jsonp).then_some(params.callback.as_str());
    let budget = Budget { messages: params.limit, bytes: longpoll::MAX_BYTES };
    let poll::Read { any, answer, .. } = poll::read(&channels, &mut positions, budget, callback.is_some())?;
    if any || params.wait.is_zero() || request.head.method() == Method::Head {
        return Ok(vary(access, poll::held(answer, &positions.to_text(), callback, params.preferred)).into());
    }
    let stays = request.head.version() == Version::Http11 && request.head.keep_alive();
    let callback = callback.map(Into::into);
    let shape = Shape::LongPoll(PollShape {
        limit: params.limit,
        access: access.clone(),
        callback,
        preferred: params.preferred,
        idle: stays.then_some(context.settings.idle_timeout),
    });
    let poll = Rc::new(HeldPoll::new(shape, channels, positions, params.wait));
    Ok(Reply::Detach { head: None, first: Bytes::new(), ticket: Ticket(Subscription::Poll(poll)) })
}

fn stream(
    context: &SiteContext,
    channels: Channels,
    mut positions: Positions,
    kind: Kind,
    params: &Params,
    access: &Access,
    request: &Request<'_>,
) -> Reply<Ticket> {
    let cursor = positions.to_text();
    let response = unkept(Response::new(200)).with("Tidewire-Cursor", &cursor);
    let mut response = vary(access, kind.feed().head(response));
    let may_be_gzip = context.settings.compress && kind.may_be_gzip();
    let gzip = may_be_gzip && params::accepts_gzip(request.head);
    if may_be_gzip {
        response = response.with("Vary", "Accept-Encoding");
    }
    if gzip {
        response = response.with("Content-Encoding", "gzip");
    }
    if request.head.method() == Method::Head {
        return response.without_body(None).into();
    }
    let wire = Wire { kind, chunked: request.head.version() == Version::Http11, gzip };
    let labelled = channels.0.len() > 1;
    let greeting =
        Greeting { cursor: &cursor, retry_ms: context.settings.retry_ms(), callback: &params.callback };
    let (first, sum, ended) = begin(context, &channels, wire, &greeting, &mut positions);
    let gzip = gzip.then(|| Box::new(gzip::Body::new(sum)));
    let head = Some(DetachHead { response, chunked: wire.chunked });
    let shape = Shape::Stream { wire, labelled };
    let ticket = Ticket(Subscription::Stream(StreamStart {
        shape,
        channels,
        positions,
        websocket: None,
        gzip,
        ended,
    }));
    Reply::Detach { head, first: first.into(), ticket }
}

/// What keeps caches, buffers and guessers away from a stream.
fn unkept(response: Response) -> Response {
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

/// The first bytes of a stream: the hello, and what the log has after the client's position. Says whether that was all.
fn begin(
    context: &SiteContext,
    channels: &Channels,
    wire: Wire,
    greeting: &Greeting<'_>,
    positions: &mut Positions,
) -> (Vec<u8>, Sum, bool) {
    let mut out = Vec::with_capacity(128);
    // A cursor that the log does not know is named all the same: a client that is cut before the reset that follows must come
    // back with it, and be told again.
    wire.unit(&mut out, |feed, out| feed.hello(out, greeting));
    let budget = Budget::bytes(FIRST_BYTES);
    let labelled = channels.0.len() > 1;
    let (flow, tally) = encode_stream(channels, wire, labelled, positions, None, budget, &mut out);
    context.hub.counters.replayed.add(tally.messages);
    let packed = wire.pack_first(out);
    context.hub.counters.compressed.add(tally.compressed + packed.compressions());
    (packed.bytes, packed.sum, flow == Flow::End)
}

/// The bytes alone: a task with a context in the log, since its head waits for the first message and its end is the body's.
fn raw(
    context: &SiteContext,
    channels: &Channels,
    params: &Params,
    access: &Access,
    request: &Request<'_>,
) -> Result<Reply<Ticket>, Problem> {
    let [channel] = &*channels.0 else {
        return Err(Problem::new(
            400,
            "Bytes of several channels cannot be told apart; read each with feed=raw.",
        ));
    };
    let beginning = match &params.since {
        From::Newest => Beginning::Upload,
        From::Earliest => Beginning::Earliest,
        From::Now => Beginning::Now,
        From::After(cursors) => Beginning::After(cursors[0]),
    };
    let follower = Follower::new(channel, beginning).map_err(|lost| lost_place(lost, beginning))?;
    let response = unkept(Response::new(200)).with("Tidewire-Cursor", follower.position().to_string());
    let response = vary(access, response);
    let mut body = RawBody::new(follower, context.stopping());
    if request.head.method() == Method::Head {
        return Ok(raw::head(response, body.first_now().as_deref()).without_body(None).into());
    }
    let wait = params.wait.min(longpoll::MAX_WAIT);
    Ok(Reply::Later(Box::pin(async move {
        let first = tokio::time::timeout(wait, body.first()).await.ok().flatten();
        raw::head(response, first.as_deref()).stream(body).into()
    })))
}

/// No gap can be told between bytes, so a context that cannot be continued is refused.
fn lost_place(lost: Lost, beginning: Beginning) -> Problem {
    let mut problem = match lost {
        Lost::Gap { from, missed, earliest } => {
            poll::gone(&Break::Gap { from: &from.to_string(), missed }, &earliest.to_string())
        }
        Lost::Reset { reason, earliest } => {
            poll::gone(&Break::Reset { reason: reason.as_str() }, &earliest.to_string())
        }
    };
    if beginning == Beginning::Upload {
        problem.detail = "The beginning of the upload is no longer kept; join it where it is with since=earliest, or keep \
                          more with --retain-bytes and --retain-messages."
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
    request: &Request<'_>,
) -> Result<Reply<Ticket>, Problem> {
    let mut options = Options { subprotocols: &[ws::SUBPROTOCOL], ..Options::default() };
    options.deflate = context.settings.deflate.then_some(ws::DEFLATE);
    let (response, accepted) = match handshake::switch(request.head, options) {
        Ok(switched) => switched,
        Err(refusal) => return Ok(refusal.into()),
    };
    access.require()?;
    let agreed = accepted.deflate();
    let deflate = agreed.is_some_and(|params| params.takes_shared());
    let is_v1 = accepted.subprotocol() == Some(ws::SUBPROTOCOL);
    let kind = if is_v1 { Kind::WsV1 { deflate } } else { Kind::WsBare { deflate } };
    let wire = Wire { kind, chunked: false, gzip: false };
    let labelled = channels.0.len() > 1;
    let cursor = positions.to_text();
    let greeting =
        Greeting { cursor: &cursor, retry_ms: context.settings.retry_ms(), callback: &params.callback };
    let (first, _, ended) = begin(context, &channels, wire, &greeting, &mut positions);
    let shape = Shape::Stream { wire, labelled };
    let websocket = WebSocket::new(kind, agreed, context.hub.config().max_message);
    let websocket = Some(Box::new(websocket));
    let ticket = Ticket(Subscription::Stream(StreamStart {
        shape,
        channels,
        positions,
        websocket,
        gzip: None,
        ended,
    }));
    Ok(Reply::Detach { head: Some(DetachHead { response, chunked: false }), first: first.into(), ticket })
}
