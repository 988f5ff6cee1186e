//! The site of one worker: routes a request to what it asks for, and hands detached connections to the table.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tidewire_http1::{Method, RequestHead, Version};
use tidewire_server::{BodyLimits, Handler, LocalFuture, Parked, Problem, Reply, Request, Response};
use tokio::sync::watch;

use crate::answers::{Answers, is_plain};
use crate::cors::Origins;
use crate::files::Files;
use crate::hub::{Hub, HubError};
use crate::name::ChannelName;
use crate::playground::{self, Playground};
use crate::shard::{Errand, Shard, Ticket};
use crate::{publish, subscribe, upload, web};

/// How a site behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Whose pages may use it.
    pub origins: Origins,
    /// Time between two heartbeats of a stream. 15 s, well below the idle limits of proxies.
    pub heartbeat: Duration,
    /// How long a connection may wait between an answered long poll and the next. 75 s.
    pub idle_timeout: Duration,
    /// How long a subscriber may take nothing before it is dropped; it can resume at its cursor. 60 s.
    pub stall_timeout: Duration,
    /// How long a client may take for one WebSocket message, beside what
    /// [`message_min_rate`](Self::message_min_rate) allows for the bytes that came. 10 s, as for
    /// the body of a request. A client that does not take what was sent to it is not read from:
    /// then its message may take [`stall_timeout`](Self::stall_timeout) in all.
    pub message_grace: Duration,
    /// Bytes per second below which a WebSocket message is given up. 512, as for a body: 1 MiB may take half an hour.
    pub message_min_rate: u64,
    /// How long an upload may say nothing before it is given up. 60 s.
    pub upload_pause: Duration,
    /// What is served under `/files/`. Nothing.
    pub files: Option<Files>,
    /// Whether WebSocket messages are compressed with clients that offer it (permessage-deflate). Yes: a message is compressed once for all
    /// of a worker's subscribers.
    pub deflate: bool,
    /// Whether event streams and JSON lines are compressed for clients that accept gzip. No: messages are short, and what is read at once is
    /// worth more than what is small. Messages of several publishers are compressed together, so that the length of a batch tells a little
    /// about what is alike in them.
    pub compress: bool,
    /// Whether channels may be read by iframe and JSONP, as in the days before CORS. No: JSONP lets every page on the web read.
    pub comet: bool,
    /// The playground at `/`. Nothing: `/` is a text that says what to paste into a terminal.
    pub playground: Option<Playground>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            origins: Origins::same(),
            heartbeat: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(75),
            stall_timeout: Duration::from_secs(60),
            message_grace: Duration::from_secs(10),
            message_min_rate: 512,
            upload_pause: Duration::from_secs(60),
            files: None,
            deflate: true,
            compress: false,
            comet: false,
            playground: None,
        }
    }
}

impl Settings {
    pub(crate) fn stall_ms(&self) -> u64 {
        self.stall_timeout.as_millis() as u64
    }

    /// How long a WebSocket message may take of which so many bytes have come.
    pub(crate) fn message_ms(&self, came: u64) -> u64 {
        let earned = came.saturating_mul(1000) / self.message_min_rate.max(1);
        (self.message_grace.as_millis() as u64).saturating_add(earned)
    }

    /// The time to take away from such a message: what it has left beyond
    /// [`stall_timeout`](Self::stall_timeout). Otherwise one burst would earn hours, in which a byte
    /// now and then holds the message.
    pub(crate) fn too_much_ms(&self, came: u64, took_ms: u64) -> u64 {
        let left = self.message_ms(came).saturating_sub(took_ms);
        left.saturating_sub(self.stall_ms().max(self.message_ms(0)))
    }

    /// When a reader that was cut should come back: spread, so that a thousand of them do not come at once.
    pub(crate) fn retry_ms(&self) -> u32 {
        fastrand::u32(1_000..3_000)
    }

    /// The same for all readers of a server that stops, of which there are many at once.
    pub(crate) fn comeback_ms(&self) -> u32 {
        fastrand::u32(1_000..10_000)
    }
}

/// The reason in the close of a WebSocket whose message took too long.
pub(crate) const TOO_SLOW: &str = "the message came too slowly; send it again, faster";

/// What every answer is made from.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) hub: Arc<Hub>,
    pub(crate) settings: Arc<Settings>,
    stop: watch::Receiver<bool>,
}

impl Place {
    /// A place without a site.
    #[cfg(test)]
    pub(crate) fn of(hub: Arc<Hub>, settings: Settings) -> Self {
        Place { hub, settings: Arc::new(settings), stop: watch::channel(false).1 }
    }

    /// Resolves when the server stops.
    pub(crate) fn stopping(&self) -> LocalFuture<()> {
        let mut stop = self.stop.clone();
        // An error means that the site is gone, which is a stop as well.
        Box::pin(async move { drop(stop.wait_for(|stop| *stop).await) })
    }
}

/// What one worker serves.
pub struct Site {
    place: Place,
    shard: Shard,
    answers: RefCell<Answers>,
    stop: watch::Sender<bool>,
}

impl Site {
    /// The site of worker `worker`; must be made on that worker's runtime, as
    /// [`Server::serve`](tidewire_server::Server::serve) does.
    pub fn new(hub: Arc<Hub>, settings: Arc<Settings>, worker: usize) -> Self {
        let worker = u16::try_from(worker).expect("a machine has fewer than 65536 cores");
        let (stop, stopped) = watch::channel(false);
        let place = Place { hub, settings, stop: stopped };
        Site { shard: Shard::start(place.clone(), worker), answers: RefCell::default(), place, stop }
    }

    /// Answers a request that others may repeat word for word, and keeps a short poll's answer for them.
    fn first_of_many(&self, segment: &[u8], request: Request<'_>, now_ms: u64) -> Reply<Ticket> {
        let head = request.head;
        // A request that may yet be refused makes no channel; the first answer of a new one is not kept.
        let channel = match ChannelName::list(segment).as_deref() {
            Ok([name]) => self.place.hub.known(name),
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
        let access = self.place.settings.origins.check(request.head);
        let outcome = match ChannelName::list(segment) {
            Err(error) => Err(Problem::new(400, sentence(&error.to_string()))),
            Ok(names) => match request.head.method() {
                Method::Get | Method::Head => subscribe::handle(&self.place, &names, &access, &request),
                Method::Post => publish::handle(&self.place, &names, &access, request),
                Method::Put => upload::handle(&self.place, &names, &access, request),
                Method::Options => Ok(access.preflight(METHODS).into()),
                _ => return not_allowed(METHODS).into(),
            },
        };
        outcome.unwrap_or_else(|problem| crate::poll::refusal(&access, problem).into())
    }
}

impl Site {
    fn files(&self, rest: &[u8], request: &Request<'_>) -> Reply<Ticket> {
        let access = self.place.settings.origins.check(request.head);
        match (&self.place.settings.files, request.head.method()) {
            (None, _) => Problem::new(404, "No folder is served here; start the server with --files DIR.")
                .into_response()
                .into(),
            (Some(files), Method::Get | Method::Head) => files.handle(rest, &access, request),
            (Some(_), Method::Options) => access.preflight("GET, HEAD, OPTIONS").into(),
            (Some(_), _) => not_allowed("GET, HEAD, OPTIONS").into(),
        }
    }
}

impl Handler for Site {
    type Ticket = Ticket;

    fn handle(&self, request: Request<'_>) -> Reply<Ticket> {
        let path = request.head.path();
        if path == b"*" {
            // A server-wide OPTIONS (RFC 9110 §9.3.7); no other method has this target.
            return self.place.settings.origins.check(request.head).preflight(METHODS).into();
        }
        if let Some(segment) = path.strip_prefix(b"/c/") {
            if !is_plain(request.head) {
                return self.channels(segment, request);
            }
            let now_ms = self.place.hub.ms_at(request.at);
            if let Some(answer) = self.answers.borrow_mut().get(request.head, now_ms) {
                return Reply::Shared(answer);
            }
            if is_stream(request.head) {
                return self.channels(segment, request);
            }
            return self.first_of_many(segment, request, now_ms);
        }
        if let Some(rest) = path.strip_prefix(b"/files/") {
            return self.files(rest, &request);
        }
        if let Some(playground) = &self.place.settings.playground
            && let Some(reply) = playground.handle(&self.place, &request)
        {
            return reply;
        }
        let file = match path {
            // A browser would have got the playground.
            b"/" if self.place.settings.playground.is_some() => Some(index(&request).with("Vary", "Accept")),
            b"/" => Some(index(&request)),
            _ => web::file(path),
        };
        match (file, request.head.method()) {
            (Some(file), Method::Get | Method::Head) => file.into(),
            (Some(_), _) => not_allowed("GET, HEAD").into(),
            (None, _) => {
                let detail = "There is nothing here. Channels are at /c/NAME; GET / shows how to use them.";
                Problem::new(404, detail).into_response().into()
            }
        }
    }

    fn detached(&self, connection: Parked, ticket: Ticket) {
        match ticket.0 {
            Errand::Subscribe(subscription) => self.shard.add(connection, subscription),
            Errand::Relay(seat) => playground::relay(&self.place, connection, seat),
        }
    }

    /// An upload has no end that could be known beforehand, and speaks when its source has something to say.
    fn body_limits(&self, head: &RequestHead<'_>, usual: BodyLimits) -> BodyLimits {
        let mut limits = usual;
        if head.method() == Method::Put && head.path().starts_with(b"/c/") {
            limits.max = u64::MAX;
            limits.max_pause = Some(self.place.settings.upload_pause);
        }
        limits
    }

    fn failed(&self) -> LocalFuture<String> {
        self.shard.failed()
    }

    fn drain(&self) {
        self.place.hub.stop();
        self.stop.send_replace(true);
        self.shard.drain();
    }
}

/// Whether the query names a feed that no kept answer is for.
fn is_stream(head: &RequestHead<'_>) -> bool {
    let feed = head.query().and_then(|query| Some(&query[memchr::memmem::find(query, b"feed=")? + 5..]));
    feed.is_some_and(|feed| !feed.starts_with(b"poll"))
}

/// What a channel knows.
const METHODS: &str = "GET, HEAD, POST, PUT, OPTIONS";

/// The answer to a method that a resource does not have (RFC 9110 §15.5.6).
pub(crate) fn not_allowed(allow: &'static str) -> Response {
    Problem::new(405, format!("This resource knows {allow}.")).into_response().with("Allow", allow)
}

/// The first page: what to paste into a terminal.
fn index(request: &Request<'_>) -> Response {
    let host =
        request.head.host().and_then(|host| std::str::from_utf8(host).ok()).filter(|host| !host.is_empty());
    Response::new(200)
        .with("Content-Type", "text/plain; charset=utf-8")
        .with("Cache-Control", "no-cache")
        .with("X-Content-Type-Options", "nosniff")
        .body(crate::guide(&format!("http://{}", host.unwrap_or("127.0.0.1:8080"))))
}

pub(crate) fn refused(error: HubError) -> Problem {
    Problem::new(error.status(), sentence(&error.to_string()))
}

/// Errors display as clauses; a refusal is a sentence.
pub(crate) fn sentence(clause: &str) -> String {
    let mut chars = clause.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// Whether a stream to this client can be chunked.
pub(crate) fn is_chunked(request: &Request<'_>) -> bool {
    request.head.version() == Version::Http11
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site").field("settings", &self.place.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HubConfig;

    #[test]
    fn the_defaults_are_the_documented_ones() {
        // Without `..`: a new field does not compile until it is documented.
        let HubConfig { retention, max_message, max_channels, max_subscribers, idle } = HubConfig::default();
        let Settings {
            origins: _,
            heartbeat,
            idle_timeout,
            stall_timeout,
            message_grace,
            message_min_rate,
            upload_pause,
            files: _,
            deflate: _,
            compress: _,
            comet: _,
            playground: _,
        } = Settings::default();
        let ms = |time: Duration| time.as_millis() as u64;
        tidewire_testkit::limits::check(
            "tidewire",
            &[
                ("max_messages", retention.max_messages as u64),
                ("max_bytes", retention.max_bytes as u64),
                ("max_age", retention.max_age_ms.unwrap_or(u64::MAX)),
                ("max_message", max_message as u64),
                ("max_channels", max_channels as u64),
                ("max_subscribers", max_subscribers as u64),
                ("idle", ms(idle)),
                ("heartbeat", ms(heartbeat)),
                ("idle_timeout", ms(idle_timeout)),
                ("stall_timeout", ms(stall_timeout)),
                ("message_grace", ms(message_grace)),
                ("message_min_rate", message_min_rate),
                ("upload_pause", ms(upload_pause)),
                ("max_wires", playground::MAX_WIRES as u64),
                ("wire_idle", ms(playground::IDLE)),
                ("wire_read", playground::MAX_READ as u64),
                ("wire_unsent", playground::MAX_UNSENT as u64),
            ],
        );
    }
}
