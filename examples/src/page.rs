//! A page and a Tidewire server in one program, for the use cases.

use std::error::Error;
use std::sync::Arc;

use tidewire::server::http1::{Method, RequestHead};
use tidewire::server::{
    BodyLimits, Handler, Listen, LocalFuture, Parked, Reply, Request, Response, Server, Signals,
};
use tidewire::{App, AppTicket, Hub, HubConfig, Origins, Settings};

/// The style of all pages.
const STYLE: &str = include_str!("../pages/style.css");

/// Serves the page at `/`. The app serves everything else: channels, and the browser client at
/// `/tidewire.js`.
struct Page {
    html: &'static str,
    app: App,
}

impl Handler for Page {
    type Ticket = AppTicket;

    fn handle(&self, request: Request<'_>) -> Reply<AppTicket> {
        let (media, text) = match (request.head.path(), request.head.method()) {
            (b"/", Method::Get | Method::Head) => ("text/html; charset=utf-8", self.html),
            (b"/style.css", Method::Get | Method::Head) => ("text/css; charset=utf-8", STYLE),
            _ => return self.app.handle(request),
        };
        Response::new(200)
            .with("Content-Type", media)
            .with("Cache-Control", "no-cache")
            .with("X-Content-Type-Options", "nosniff")
            .with("Content-Security-Policy", POLICY)
            .body(text)
            .into()
    }

    fn detached(&self, connection: Parked, ticket: AppTicket) {
        self.app.detached(connection, ticket);
    }

    fn is_pipelined(&self, head: &RequestHead<'_>) -> bool {
        self.app.is_pipelined(head)
    }

    fn body_limits(&self, head: &RequestHead<'_>, usual: BodyLimits) -> BodyLimits {
        self.app.body_limits(head, usual)
    }

    fn failed(&self) -> LocalFuture<String> {
        self.app.failed()
    }

    fn drain(&self) {
        self.app.drain();
    }
}

/// Pages may load nothing from other sites. Their script and icon are inline.
const POLICY: &str = "default-src 'self' 'unsafe-inline'; img-src 'self' data:; media-src 'self' blob:";

/// Serves `html` and the channels of a new hub at the address on the command line, until ctrl-c.
/// Calls `start` with the hub once the server listens, for a program that publishes by itself.
///
/// # Errors
/// The address is invalid, or cannot be used.
pub fn serve(
    name: &str,
    html: &'static str,
    config: HubConfig,
    start: impl FnOnce(Arc<Hub>),
) -> Result<(), Box<dyn Error>> {
    let listen: Listen = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:8080").parse()?;
    let server = Server::builder().listen(listen).bind()?;
    let signals = Signals::catch()?;
    println!("{name} on http://{}", server.addresses()[0]);
    let hub = Hub::new(config, server.threads());
    let mut settings = Settings::default();
    // Only this machine should reach the server. So a page whose host name an attacker points at
    // this machine is refused.
    settings.origins = Origins::same().local();
    let (shared, settings) = (hub.clone(), Arc::new(settings));
    let make = move |worker| Page { html, app: App::new(shared.clone(), settings.clone(), worker) };
    let running = server.serve(make)?;
    start(hub);
    running.join_until(signals)?;
    Ok(())
}
