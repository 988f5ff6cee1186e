//! What one worker of the program serves: channels, pages, scripts and files.

use std::sync::Arc;

use tidewire_http1::{Method, RequestHead};
use tidewire_hub::{Hub, Settings, Site, Ticket, not_allowed};
use tidewire_server::{BodyLimits, Handler, LocalFuture, Parked, Problem, Reply, Request, Response};

use crate::browser_client;
use crate::files::Files;
use crate::guide::guide;
use crate::playground::{Playground, WirePermit};

/// What one worker of the program serves: the [`Site`] of a hub; the client for browsers, at
/// `/tidewire.js`; a first page; and, if they are switched on, a [`Playground`] and [`Files`].
///
/// ```
/// use std::sync::Arc;
/// use tidewire::server::{Listen, Server};
/// use tidewire::{App, Files, Hub, HubConfig, Settings};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder().listen("127.0.0.1:0".parse::<Listen>()?).bind()?;
/// let hub = Hub::new(HubConfig::DEFAULT, server.threads());
/// let settings = Arc::new(Settings::DEFAULT);
/// let files = Files::open(".")?;
/// let running = server.serve(move |worker| {
///     App::new(hub.clone(), settings.clone(), worker).with_files(Some(files.clone()))
/// })?;
/// println!("http://{}/files/Cargo.toml", running.addresses()[0]);
/// # running.stop()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct App {
    site: Site,
    playground: Option<Playground>,
    files: Option<Files>,
}

impl App {
    /// The paths that the program serves. A test outside of the crate compares them with
    /// `docs/http-api.md`.
    #[doc(hidden)]
    pub const PATHS: [&str; Route::PATHS.len()] = Route::names();

    /// Makes the app of worker `worker`, counted from 0. Must be called on that worker's runtime,
    /// as [`Server::serve`](tidewire_server::Server::serve) does.
    ///
    /// # Panics
    /// In the same cases as [`Site::new`].
    pub fn new(hub: Arc<Hub>, settings: Arc<Settings>, worker: usize) -> Self {
        App { site: Site::new(hub, settings, worker), playground: None, files: None }
    }

    /// Serves a playground at `/`. Without one, `/` is a text with commands to paste into a
    /// terminal.
    #[must_use]
    pub fn with_playground(mut self, playground: Option<Playground>) -> Self {
        self.playground = playground;
        self
    }

    /// Serves a folder under `/files/`.
    #[must_use]
    pub fn with_files(mut self, files: Option<Files>) -> Self {
        self.files = files;
        self
    }

    /// Answers a request for a path under `/files/`.
    fn folder_file(&self, rest: &[u8], request: &Request<'_>) -> Reply<AppTicket> {
        let access = self.site.settings().origins.check(request.head);
        match (&self.files, request.head.method()) {
            (None, _) => Problem::new(404, "This server serves no folder; start it with --files DIR.")
                .into_response()
                .into(),
            (Some(files), Method::Get | Method::Head) => files.handle(rest, &access, request),
            (Some(_), Method::Options) => access.preflight("GET, HEAD, OPTIONS").into(),
            (Some(_), _) => not_allowed("GET, HEAD, OPTIONS").into(),
        }
    }

    /// Answers a request that the playground does not answer.
    fn page_or_script(&self, route: Option<Route>, request: &Request<'_>) -> Reply<AppTicket> {
        let page = match route {
            // A browser gets the playground instead.
            Some(Route::FirstPage) if self.playground.is_some() => {
                Some(first_page(request).with("Vary", "Accept"))
            }
            Some(Route::FirstPage) => Some(first_page(request)),
            Some(Route::Script) => browser_client::script(request.head.path()),
            Some(Route::Site | Route::Files | Route::Playground) | None => None,
        };
        match (page, request.head.method()) {
            (Some(page), Method::Get | Method::Head) => page.into(),
            (Some(_), _) => not_allowed("GET, HEAD").into(),
            (None, _) => {
                let detail = "There is nothing here. Channels are at /c/NAME; GET / shows how to use them.";
                Problem::new(404, detail).into_response().into()
            }
        }
    }
}

/// Who answers the requests for a path.
#[derive(Clone, Copy, Debug)]
enum Route {
    /// The [`Site`]: channels, and `*`, which stands for the whole server.
    Site,
    Files,
    Playground,
    /// The playground for a browser, otherwise a text.
    FirstPage,
    /// The client for browsers.
    Script,
}

impl Route {
    /// Every path that is served, the most frequent first. A path that ends in `/` stands for all
    /// paths that begin with it, except `/` itself.
    const PATHS: [(&'static str, Self); 7] = [
        ("/c/", Self::Site),
        ("/files/", Self::Files),
        ("/playground/", Self::Playground),
        (browser_client::MODULE, Self::Script),
        (browser_client::SCRIPT, Self::Script),
        ("/", Self::FirstPage),
        ("*", Self::Site),
    ];

    const fn names() -> [&'static str; Self::PATHS.len()] {
        let (mut names, mut n) = ([""; Self::PATHS.len()], 0);
        while n < names.len() {
            names[n] = Self::PATHS[n].0;
            n += 1;
        }
        names
    }

    /// The route of a path, and the rest of the path.
    fn of(path: &[u8]) -> Option<(Self, &[u8])> {
        Self::PATHS.iter().find_map(|&(known, route)| {
            let rest = path.strip_prefix(known.as_bytes())?;
            let is_folder = known.len() > 1 && known.ends_with('/');
            (is_folder || rest.is_empty()).then_some((route, rest))
        })
    }
}

/// Where a detached connection goes. It is passed to [`Handler::detached`] of the same [`App`].
#[derive(Debug)]
pub struct AppTicket(Destination);

/// Where a detached connection goes.
#[derive(Debug)]
enum Destination {
    /// To the site.
    Site(Ticket),
    /// To the playground, as a wire.
    Wire(WirePermit),
}

impl Handler for App {
    type Ticket = AppTicket;

    fn handle(&self, request: Request<'_>) -> Reply<AppTicket> {
        let (route, rest) = Route::of(request.head.path()).unzip();
        match route {
            Some(Route::Site) => {
                return self.site.handle(request).map_ticket(|ticket| AppTicket(Destination::Site(ticket)));
            }
            Some(Route::Files) => return self.folder_file(rest.unwrap_or_default(), &request),
            Some(Route::Playground | Route::FirstPage) => {
                if let Some(playground) = &self.playground
                    && let Some(reply) = playground.handle(&self.site, &request)
                {
                    return reply.map_ticket(|permit| AppTicket(Destination::Wire(permit)));
                }
            }
            Some(Route::Script) | None => {}
        }
        self.page_or_script(route, &request)
    }

    fn is_pipelined(&self, head: &RequestHead<'_>) -> bool {
        self.site.is_pipelined(head)
    }

    fn detached(&self, connection: Parked, ticket: AppTicket) {
        match (ticket.0, &self.playground) {
            (Destination::Site(ticket), _) => self.site.detached(connection, ticket),
            (Destination::Wire(permit), Some(playground)) => playground.relay(&self.site, connection, permit),
            // Only a playground issues permits, so this does not happen.
            (Destination::Wire(_), None) => {}
        }
    }

    fn body_limits(&self, head: &RequestHead<'_>, usual: BodyLimits) -> BodyLimits {
        self.site.body_limits(head, usual)
    }

    fn failed(&self) -> LocalFuture<String> {
        self.site.failed()
    }

    fn drain(&self) {
        self.site.drain();
    }
}

/// Returns the first page as text: commands to paste into a terminal.
fn first_page(request: &Request<'_>) -> Response {
    let host =
        request.head.host().and_then(|host| std::str::from_utf8(host).ok()).filter(|host| !host.is_empty());
    Response::new(200)
        .with("Content-Type", "text/plain; charset=utf-8")
        .with("Cache-Control", "no-cache")
        .with("X-Content-Type-Options", "nosniff")
        .body(guide(&format!("http://{}", host.unwrap_or("127.0.0.1:8080"))))
}
