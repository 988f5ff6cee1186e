//! The site of one worker: routes a request to what it asks for, and hands detached connections to the table.

use std::cell::RefCell;
use std::sync::Arc;

use tidewire_http1::{Method, RequestHead};
use tidewire_server::{BodyLimits, Handler, LocalFuture, Parked, Problem, Reply, Request};
use tokio::sync::watch;

use crate::api::answers::Answers;
use crate::api::{publish, subscribe, upload};
use crate::context::SiteContext;
use crate::hub::Hub;
use crate::name::ChannelName;
use crate::refusal::{bad_request, not_allowed, refusal};
use crate::request_fields::depends_on_target_only;
use crate::settings::Settings;
use crate::table::Driver;
pub use crate::table::Ticket;

/// What one worker serves: the channels of a hub, under `/c/`.
///
/// A handler that serves more than that gives these requests to it, and forwards the other methods
/// of [`Handler`].
pub struct Site {
    context: SiteContext,
    table: Driver,
    answers: RefCell<Answers>,
    stop: watch::Sender<bool>,
}

impl Site {
    /// The site of worker `worker`; must be made on that worker's runtime, as
    /// [`Server::serve`](tidewire_server::Server::serve) does.
    pub fn new(hub: Arc<Hub>, settings: Arc<Settings>, worker: usize) -> Self {
        let worker = u16::try_from(worker).expect("a machine has fewer than 65536 cores");
        let (context, stop) = SiteContext::new(hub, settings);
        Site { table: Driver::start(context.clone(), worker), answers: RefCell::default(), context, stop }
    }

    /// Its hub.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.context.hub
    }

    /// How it behaves.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.context.settings
    }

    /// Resolves when the server stops.
    pub fn stopping(&self) -> LocalFuture<()> {
        self.context.stopping()
    }

    /// Answers a request that others may repeat word for word, and keeps a short poll's answer for them.
    fn first_of_many(&self, segment: &[u8], request: Request<'_>, now_ms: u64) -> Reply<Ticket> {
        let head = request.head;
        // A request that may yet be refused makes no channel; the first answer of a new one is not kept.
        let channel = match ChannelName::list(segment).as_deref() {
            Ok([name]) => self.context.hub.find_channel(name),
            _ => None,
        };
        let bounds = channel.as_ref().and_then(|channel| channel.bounds(now_ms));
        let reply = self.channels(segment, request);
        let (Some(channel), Some(bounds)) = (channel, bounds) else { return reply };
        let response = match reply {
            Reply::Ready(response) if response.status() == 200 => response,
            other => return other,
        };
        // A message that came meanwhile may be in the answer or not: it is not for others to have.
        if channel.bounds(now_ms) != Some(bounds) {
            return response.into();
        }
        match response.prepare() {
            Ok(prepared) => {
                let answer = Arc::new(prepared);
                self.answers.borrow_mut().keep(head.target(), channel, bounds, &answer);
                Reply::Shared(answer)
            }
            Err(response) => response.into(),
        }
    }

    fn channels(&self, segment: &[u8], request: Request<'_>) -> Reply<Ticket> {
        let access = self.context.settings.origins.check(request.head);
        let outcome = match ChannelName::list(segment) {
            Err(error) => Err(bad_request(error)),
            Ok(names) => match request.head.method() {
                Method::Get | Method::Head => subscribe::handle(&self.context, &names, &access, &request),
                Method::Post => publish::handle(&self.context, &names, &access, request),
                Method::Put => upload::handle(&self.context, &names, &access, request),
                Method::Options => Ok(access.preflight(METHODS).into()),
                _ => return not_allowed(METHODS).into(),
            },
        };
        outcome.unwrap_or_else(|problem| refusal(&access, problem).into())
    }
}

impl Handler for Site {
    type Ticket = Ticket;

    fn handle(&self, request: Request<'_>) -> Reply<Ticket> {
        let path = request.head.path();
        if path == b"*" {
            // A server-wide OPTIONS (RFC 9110 §9.3.7); no other method has this target.
            return self.context.settings.origins.check(request.head).preflight(METHODS).into();
        }
        let Some(segment) = path.strip_prefix(b"/c/") else {
            return Problem::new(404, "There is nothing here. Channels are at /c/NAME.")
                .into_response()
                .into();
        };
        if !depends_on_target_only(request.head) {
            return self.channels(segment, request);
        }
        let now_ms = self.context.hub.ms_at(request.at);
        if let Some(answer) = self.answers.borrow_mut().get(request.head, now_ms) {
            return Reply::Shared(answer);
        }
        if is_stream(request.head) {
            return self.channels(segment, request);
        }
        self.first_of_many(segment, request, now_ms)
    }

    fn detached(&self, connection: Parked, ticket: Ticket) {
        self.table.add(connection, ticket.0);
    }

    /// An upload has no end that could be known beforehand, and speaks when its source has something to say.
    fn body_limits(&self, head: &RequestHead<'_>, usual: BodyLimits) -> BodyLimits {
        let mut limits = usual;
        if head.method() == Method::Put && head.path().starts_with(b"/c/") {
            limits.max = u64::MAX;
            limits.max_pause = Some(self.context.settings.upload_pause);
        }
        limits
    }

    fn failed(&self) -> LocalFuture<String> {
        self.table.failed()
    }

    fn drain(&self) {
        self.context.hub.stop();
        self.stop.send_replace(true);
        self.table.drain();
    }
}

/// Whether the query names a feed that no kept answer is for.
fn is_stream(head: &RequestHead<'_>) -> bool {
    let feed = head.query().and_then(|query| Some(&query[memchr::memmem::find(query, b"feed=")? + 5..]));
    feed.is_some_and(|feed| !feed.starts_with(b"poll"))
}

/// What a channel knows.
const METHODS: &str = "GET, HEAD, POST, PUT, OPTIONS";

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site").field("settings", &self.context.settings).finish_non_exhaustive()
    }
}
