//! The playground: a page at `/` that shows how each technique works, with the bytes on the wire.
//!
//! The page has a lane for each technique: a client in JavaScript that writes requests and reads
//! answers byte by byte. The interfaces of a browser hide chunk sizes and frame headers. So each
//! lane uses a *wire*: a WebSocket to this server, which relays its bytes to a TCP connection.
//!
//! ```text
//!   page ──► lane
//!              │ WebSocket, /playground/wire
//!   server ──► relay ──► TCP ──► the same listener ──► /c/NAME
//! ```

mod assets;
mod deadlines;
mod messages;
mod wire;
mod wire_limit;

use std::sync::Arc;
use std::time::Duration;

use tidewire_grammar::{eq_ignore_case, list, weight};
use tidewire_http1::{Method, RequestHead};
use tidewire_hub::{Site, handshake, not_allowed};
use tidewire_server::{DetachHead, Parked, Peer, Problem, Reply, Request, Response};
use tidewire_ws::handshake::server::Options;

use wire::ServerContext;
use wire_limit::WireLimit;
pub(crate) use wire_limit::WirePermit;

/// A wire ends after this long without a byte in either direction: the page was paused and
/// forgotten. Streams are never silent for so long.
pub(crate) const IDLE: Duration = Duration::from_secs(5 * 60);

/// The most wires at one time, in the whole process. A page has six, and one more for each further
/// lane that is switched on.
pub(crate) const MAX_WIRES: usize = 128;

/// The playground of a server, shared by its workers: a page at `/` and its wires. A wire is a
/// WebSocket that is relayed to a TCP connection to this server, and only to this server. Pages
/// that [`Settings::origins`](crate::Settings::origins) allows may open wires.
#[derive(Clone, Debug)]
pub struct Playground {
    wires: Arc<WireLimit>,
    idle: Duration,
    proxied: bool,
}

impl Playground {
    /// A test outside of the crate compares them with `docs/limits.md`.
    #[doc(hidden)]
    pub const BOUNDS: [(&str, u64); 4] = [
        ("max_wires", MAX_WIRES as u64),
        ("wire_idle", IDLE.as_millis() as u64),
        ("wire_read", wire::MAX_READ as u64),
        ("wire_unsent", wire::MAX_UNSENT as u64),
    ];

    /// Makes a playground without open wires.
    #[allow(clippy::new_without_default, reason = "it is switched on, not filled in")]
    pub fn new() -> Self {
        Playground { wires: WireLimit::new(MAX_WIRES), idle: IDLE, proxied: false }
    }

    /// Sets how long a wire without traffic stays open. Default 5 minutes.
    #[must_use]
    pub fn with_idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Also opens wires for pages that come through a proxy. Not the default: a wire begins behind
    /// the proxy, so it bypasses the access rules of the proxy.
    #[must_use]
    pub fn behind_proxies(mut self) -> Self {
        self.proxied = true;
        self
    }

    /// Answers requests for the playground: its assets, its wires, and `/` for a browser. Returns
    /// `None` for all other requests.
    pub(crate) fn handle(&self, site: &Site, request: &Request<'_>) -> Option<Reply<WirePermit>> {
        let head = request.head;
        let asset = match head.path() {
            b"/playground/wire" => {
                return Some(self.open_wire(site, request).unwrap_or_else(|refusal| refusal.into()));
            }
            b"/" if wants_html(head) => assets::page(request),
            path => assets::find(request, path.strip_prefix(b"/playground/")?)?,
        };
        Some(match head.method() {
            Method::Get | Method::Head => asset.into(),
            _ => not_allowed("GET, HEAD").into(),
        })
    }

    /// Relays between a page and this server, until one of them ends it.
    pub(crate) fn relay(&self, site: &Site, connection: Parked, permit: WirePermit) {
        tokio::task::spawn_local(wire::run(ServerContext::of(site), connection, permit, self.idle));
    }

    /// Opens a wire, or refuses. Most refusals also answer a plain GET, because scripts cannot read
    /// why a WebSocket handshake failed.
    fn open_wire(&self, site: &Site, request: &Request<'_>) -> Result<Reply<WirePermit>, Response> {
        let refuse = |status, detail| Err(Problem::new(status, detail).into_response());
        let access = site.settings().origins.check(request.head);
        access.require().map_err(Problem::into_response)?;
        let Peer::Tcp(peer) = request.peer else {
            return refuse(
                501,
                "The playground needs TCP, but this connection uses a Unix socket; \
                 start the server with --listen 127.0.0.1:PORT as well.",
            );
        };
        if !self.proxied && is_proxied(request.head) {
            return refuse(
                403,
                "This request came through a proxy, and a wire would bypass it. If every user of the \
                 proxy may read and publish everything here, start the server with --playground on.",
            );
        }
        if self.wires.is_wire(peer) {
            return refuse(508, "A wire cannot be opened through another wire; open it from the page.");
        }
        let Some(permit) = self.wires.acquire() else {
            return refuse(
                503,
                "This server has reached its limit of open wires; close other tabs of the playground.",
            );
        };
        let (response, _) = handshake::switch(request.head, Options::default())?;
        let head = Some(DetachHead { response, chunked: false });
        Ok(Reply::Detach { head, first: Vec::new(), ticket: permit })
    }
}

/// Whether the request has a field that proxies add: those of RFC 9110 §7.6.3, RFC 7239 and
/// RFC 8586, and the `X-` fields that are older.
fn is_proxied(head: &RequestHead<'_>) -> bool {
    let is_of_proxy = |name: &[u8]| {
        let known = [&b"via"[..], b"forwarded", b"cdn-loop", b"x-real-ip"];
        let begins =
            |prefix: &[u8]| name.get(..prefix.len()).is_some_and(|start| eq_ignore_case(start, prefix));
        known.iter().any(|known| eq_ignore_case(name, known)) || begins(b"x-forwarded-")
    };
    head.fields().any(|(name, _)| is_of_proxy(name))
}

/// Whether `Accept` names HTML, as browsers send it. curl sends `*/*`, which does not count.
fn wants_html(head: &RequestHead<'_>) -> bool {
    head.get_all("accept").flat_map(list).any(|range| {
        let mut parts = range.split(|&b| b == b';');
        let media = parts.next().unwrap_or_default().trim_ascii();
        eq_ignore_case(media, b"text/html") && parts.find_map(weight) != Some(0)
    })
}
