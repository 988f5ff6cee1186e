//! The playground: a page at `/` that shows how each technique works, over wires that show their
//! bytes.
//!
//! ```text
//!   page ──► lane (a client in JavaScript: it writes requests and reads answers, byte by byte)
//!              │ WebSocket, /playground/wire                      a script sees no chunk sizes and no frame headers,
//!   server ──► relay ──► TCP ──► the same listener ──► /c/NAME    so a lane is given a TCP connection to speak over
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

/// Silence in both directions after which a wire ends: a page that was paused and forgotten.
/// Streams are never silent for so long.
pub(crate) const IDLE: Duration = Duration::from_secs(5 * 60);

/// Wires at one time, in the whole process. A page has six, and some more with every lane that is
/// switched on.
pub(crate) const MAX_WIRES: usize = 128;

/// The playground of a server, shared by its workers: a page at `/` and the wires that it measures
/// over. Pages that [`Settings::origins`](crate::Settings::origins) allows may open a wire. It is a
/// connection to this server, and to nothing else.
#[derive(Clone, Debug)]
pub struct Playground {
    wires: Arc<WireLimit>,
    idle: Duration,
    proxied: bool,
}

impl Playground {
    /// A playground with no wire open.
    #[allow(clippy::new_without_default, reason = "it is switched on, not filled in")]
    pub fn new() -> Self {
        Playground { wires: WireLimit::new(MAX_WIRES), idle: IDLE, proxied: false }
    }

    /// How long a wire on which nothing moves stays open. 5 minutes.
    #[must_use]
    pub fn with_idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Opens wires for pages that come through a proxy as well. Not by default: a wire begins
    /// behind the proxy, so it bypasses what the proxy decides about who may read what.
    #[must_use]
    pub fn behind_proxies(mut self) -> Self {
        self.proxied = true;
        self
    }

    /// Answers what is the playground's: its assets, its wires, and `/` for a browser.
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

    /// Opens a wire, or refuses. Most refusals can be had with a plain GET as well, because scripts
    /// cannot read why a handshake failed.
    fn open_wire(&self, site: &Site, request: &Request<'_>) -> Result<Reply<WirePermit>, Response> {
        let refuse = |status, detail| Err(Problem::new(status, detail).into_response());
        let access = site.settings().origins.check(request.head);
        access.require().map_err(Problem::into_response)?;
        let Peer::Tcp(peer) = request.peer else {
            return refuse(
                501,
                "The playground's lanes need TCP, and this connection came over a Unix socket; listen on 127.0.0.1:PORT as well.",
            );
        };
        if !self.proxied && is_proxied(request.head) {
            return refuse(
                403,
                "This request came through a proxy, which a wire would bypass; if all who reach the proxy may do everything here, \
                 start the server with --playground on.",
            );
        }
        if self.wires.is_wire(peer) {
            return refuse(508, "A wire cannot be opened through a wire; open it from the page.");
        }
        let Some(permit) = self.wires.acquire() else {
            return refuse(
                503,
                "As many wires are open as this server allows; close other tabs of the playground.",
            );
        };
        let (response, _) = handshake::switch(request.head, Options::default())?;
        let head = Some(DetachHead { response, chunked: false });
        Ok(Reply::Detach { head, first: Vec::new(), ticket: permit })
    }
}

/// Whether a proxy has added a field: of RFC 9110 §7.6.3, RFC 7239, RFC 8586, or what was used
/// before them.
fn is_proxied(head: &RequestHead<'_>) -> bool {
    let is_of_proxy = |name: &[u8]| {
        let known = [&b"via"[..], b"forwarded", b"cdn-loop", b"x-real-ip"];
        let begins =
            |prefix: &[u8]| name.get(..prefix.len()).is_some_and(|start| eq_ignore_case(start, prefix));
        known.iter().any(|known| eq_ignore_case(name, known)) || begins(b"x-forwarded-")
    };
    head.fields().any(|(name, _)| is_of_proxy(name))
}

/// Whether the client asks for HTML by name, as browsers do. `*/*` is what curl says.
fn wants_html(head: &RequestHead<'_>) -> bool {
    head.get_all("accept").flat_map(list).any(|range| {
        let mut parts = range.split(|&b| b == b';');
        let media = parts.next().unwrap_or_default().trim_ascii();
        eq_ignore_case(media, b"text/html") && parts.find_map(weight) != Some(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_the_documented_ones() {
        tidewire_testkit::limits::check(
            "tidewire",
            &[
                ("max_wires", MAX_WIRES as u64),
                ("wire_idle", IDLE.as_millis() as u64),
                ("wire_read", wire::MAX_READ as u64),
                ("wire_unsent", wire::MAX_UNSENT as u64),
            ],
        );
    }
}
