//! Answers the requests for channels that arrive on one worker. They come from the request cycle of
//! the server and from the subscriber table.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewire_http1::{
    BodyLength, Connection, Event, Fields, Limits, Method, RequestHead, Server, TargetForm, Version,
};
use tidewire_server::{Body, Peer, Reply, Request};

use super::answer_cache::{Answer, AnswerCache, Snapshot};
use super::{create, delete, publish, subscribe, upload};
use crate::context::SiteContext;
use crate::feeds::FeedName;
use crate::name;
use crate::refusal::{bad_request, not_allowed, refusal};
use crate::request_fields::depends_on_target_only;
use crate::table::{Next, Subscription, Ticket};

/// Answers the requests for channels that arrive on one worker.
pub(crate) struct Responder {
    context: SiteContext,
    answers: RefCell<AnswerCache>,
    /// Reused to parse the heads of requests that the table has read.
    fields: RefCell<Fields>,
}

/// The HTTP methods that a channel supports: the value of `Allow`.
pub(crate) const METHODS: &str = "GET, HEAD, POST, PUT, DELETE, OPTIONS";

impl Responder {
    pub(crate) fn new(context: SiteContext) -> Self {
        Responder { context, answers: RefCell::default(), fields: RefCell::default() }
    }

    /// Answers a request for `/c/` and this path segment.
    pub(crate) fn respond(&self, segment: &[u8], request: Request<'_>, now_ms: u64) -> Reply<Ticket> {
        if !depends_on_target_only(request.head) {
            return self.make(segment, request);
        }
        let limit = self.context.hub.config().max_subscribers;
        match self.answers.borrow_mut().get(request.head.target(), now_ms, limit) {
            Some(Answer::Held(_)) if !stays(request.head) => {}
            Some(answer) => return answer.into(),
            None => {}
        }
        if is_stream(request.head) {
            return self.make(segment, request);
        }
        self.make_for_many(segment, request, now_ms)
    }

    /// Makes the answer to a request that other clients may repeat, and caches it.
    fn make_for_many(&self, segment: &[u8], request: Request<'_>, now_ms: u64) -> Reply<Ticket> {
        let target = request.head.target();
        let (snapshot, stays) = (self.snapshot(segment, now_ms), stays(request.head));
        let reply = self.make(segment, request);
        let Some(snapshot) = snapshot else { return reply };
        // A channel changed while the answer was made: a message came or was evicted, or the hub
        // forgot the channel. The answer may show the old or the new state, so do not cache it.
        if !snapshot.holds(now_ms) {
            return reply;
        }
        let answer = match reply {
            Reply::Ready(response) if response.status() == 200 => match response.prepare() {
                Ok(prepared) => Answer::Response(Arc::new(prepared)),
                Err(response) => return response.into(),
            },
            Reply::Detach { head: None, ticket: Ticket(Subscription::Poll(poll)), .. } if stays => {
                Answer::Held(poll)
            }
            other => return other,
        };
        self.answers.borrow_mut().keep(target, snapshot, answer.clone());
        answer.into()
    }

    /// The state of the channels of a list. `None` if one of them does not exist yet: a request
    /// that may be refused must not create a channel, so the first answer of a new channel is not
    /// cached.
    fn snapshot(&self, segment: &[u8], now_ms: u64) -> Option<Snapshot> {
        let names = name::list(segment).ok()?;
        let channels = names.iter().map(|name| self.context.hub.find_channel(name));
        Snapshot::take(channels.collect::<Option<_>>()?, now_ms)
    }

    /// Makes an answer.
    fn make(&self, segment: &[u8], request: Request<'_>) -> Reply<Ticket> {
        let access = self.context.settings.origins.check(request.head);
        let outcome = match name::list(segment) {
            Err(error) => Err(bad_request(error)),
            Ok(names) => match request.head.method() {
                Method::Get | Method::Head => subscribe::handle(&self.context, &names, &access, &request),
                Method::Post => publish::handle(&self.context, &names, &access, request),
                Method::Put => create::is_asked(request.head).and_then(|creates| {
                    let handle = if creates { create::handle } else { upload::handle };
                    handle(&self.context, &names, &access, request)
                }),
                Method::Delete => delete::handle(&self.context, &names, &access),
                Method::Options => Ok(access.preflight(METHODS).into()),
                _ => return not_allowed(METHODS).into(),
            },
        };
        outcome.unwrap_or_else(|problem| refusal(&access, problem).into())
    }

    /// Says how to continue with a connection whose poll was answered and that has sent a new
    /// request.
    ///
    /// After an answer, a long-polling client sends the same GET again at once. If the connection
    /// went back to the request cycle, each message would cost a task, its buffers and a new row.
    /// So this kind of request is answered here, with the same parser and the same code. All other
    /// requests go back to the request cycle and are read again there. A GET changes nothing, so an
    /// answer to it may be discarded.
    pub(crate) fn respond_again(&self, bytes: &[u8], peer: Peer, now_ms: u64) -> Next {
        let limit = self.context.hub.config().max_subscribers;
        // The bytes are the same as those of the last request, so no parsing is needed.
        if let Some(answer) = self.answers.borrow_mut().get_same(bytes, now_ms, limit) {
            return match answer {
                Answer::Response(prepared) => Next::Answer(prepared.to_parts(self.idle()).into()),
                Answer::Held(poll) => Next::Hold(poll),
            };
        }
        let mut fields = self.fields.borrow_mut();
        let mut http = Connection::<Server>::new(Limits::default());
        let head = match http.decode(bytes, &mut fields) {
            Ok((used, Some(Event::Request(head)))) if used == bytes.len() => head,
            _ => return Next::Return,
        };
        let Some(segment) = head.path().strip_prefix(b"/c/").filter(|_| is_simple(&head)) else {
            return Next::Return;
        };
        let request = Request { head: &head, body: Body::empty(), peer, at: Instant::now() };
        let next = self.next(self.respond(segment, request, now_ms));
        if depends_on_target_only(&head) {
            self.answers.borrow_mut().note_request(head.target(), bytes);
        }
        next
    }

    /// How long a connection may be idle after an answer.
    fn idle(&self) -> Duration {
        self.context.settings.idle_timeout
    }

    fn next(&self, reply: Reply<Ticket>) -> Next {
        match reply {
            Reply::Shared(prepared) => Next::Answer(prepared.to_parts(self.idle()).into()),
            Reply::Ready(response) if matches!(response.status(), 200 | 304) => {
                Next::Answer(response.into_parts(Some(self.idle())).into())
            }
            Reply::Detach { head: None, ticket: Ticket(Subscription::Poll(poll)), .. } => Next::Hold(poll),
            _ => Next::Return,
        }
    }
}

impl From<Answer> for Reply<Ticket> {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Response(prepared) => Reply::Shared(prepared),
            Answer::Held(poll) => {
                Reply::Detach { head: None, first: Vec::new(), ticket: Ticket(Subscription::Poll(poll)) }
            }
        }
    }
}

/// Whether the query asks for a feed whose answers are not cached.
fn is_stream(head: &RequestHead<'_>) -> bool {
    let feed = head.query().and_then(|query| Some(&query[memchr::memmem::find(query, b"feed=")? + 5..]));
    feed.is_some_and(|feed| {
        let name = feed.split(|&byte| byte == b'&').next().unwrap_or_default();
        !FeedName::parse(name).is_some_and(FeedName::is_poll)
    })
}

/// Whether the connection stays open after the answer. The answer to a long poll is written later,
/// without the request, so this is decided now.
fn stays(head: &RequestHead<'_>) -> bool {
    head.version() == Version::Http11 && head.keep_alive()
}

/// Whether this is a GET without a body, after which the connection stays open.
fn is_simple(head: &RequestHead<'_>) -> bool {
    head.method() == Method::Get
        && head.target_form() == TargetForm::Origin
        && head.body() == BodyLength::Empty
        && head.upgrade().is_none()
        && stays(head)
}
