//! The site of one worker. It answers requests for channels, and gives connections that wait to the
//! subscriber table.

use std::rc::Rc;
use std::sync::Arc;

use tidewire_http1::{Method, RequestHead};
use tidewire_server::{BodyLimits, Handler, LocalFuture, Parked, Problem, Reply, Request};
use tokio::sync::watch;

use crate::api::responder::{METHODS, Responder};
use crate::context::SiteContext;
use crate::driver::Driver;
use crate::hub::Hub;
use crate::settings::Settings;
use crate::table::{Table, Ticket};

/// What one worker serves: the channels of a hub, under `/c/`.
///
/// A handler that serves other pages too passes the requests for channels to the site, and forwards
/// the other methods of [`Handler`]. The [first page](crate) of this crate shows such a handler.
///
/// ```
/// use std::sync::Arc;
/// use tidewire_hub::server::{Listen, Server};
/// use tidewire_hub::{Hub, HubConfig, Settings, Site};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder().listen("127.0.0.1:0".parse::<Listen>()?).bind()?;
/// let hub = Hub::new(HubConfig::DEFAULT, server.threads());
/// let settings = Arc::new(Settings::DEFAULT);
/// let running = server.serve(move |worker| Site::new(hub.clone(), settings.clone(), worker))?;
/// println!("curl {}/c/demo", running.addresses()[0]);
/// # running.stop()?;
/// # Ok(())
/// # }
/// ```
pub struct Site {
    context: SiteContext,
    driver: Driver,
    responder: Rc<Responder>,
    stop: watch::Sender<bool>,
}

impl Site {
    /// The site of worker number `worker`, counted from 0. Call it on the runtime of that worker,
    /// as [`Server::serve`](tidewire_server::Server::serve) does.
    ///
    /// # Panics
    /// Without such a runtime, and if the hub was made for fewer workers.
    pub fn new(hub: Arc<Hub>, settings: Arc<Settings>, worker: usize) -> Self {
        let workers = hub.workers();
        assert!(
            worker < workers,
            "the hub is for {workers} workers, this is worker {worker}, counted from 0: \
             give Hub::new the number of threads of the server"
        );
        let worker = u16::try_from(worker).expect("a machine has fewer than 65536 cores");
        let (context, stop) = SiteContext::new(hub, settings);
        let responder = Rc::new(Responder::new(context.clone()));
        let table = Table::new(context.hub.clone(), context.settings.clone(), context.forms.clone(), worker);
        let driver = Driver::start(table, context.hub.clone(), responder.clone(), worker);
        Site { context, driver, responder, stop }
    }

    /// The hub that this site serves.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.context.hub
    }

    /// The settings of this site.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.context.settings
    }

    /// Resolves when the server stops.
    pub fn stopping(&self) -> LocalFuture<()> {
        self.context.stopping()
    }
}

impl Handler for Site {
    type Ticket = Ticket;

    fn handle(&self, request: Request<'_>) -> Reply<Ticket> {
        let path = request.head.path();
        if path == b"*" {
            // A server-wide OPTIONS (RFC 9110 §9.3.7). No other method has this target.
            return self.context.settings.origins.check(request.head).preflight(METHODS).into();
        }
        let Some(segment) = path.strip_prefix(b"/c/") else {
            return Problem::new(404, "There is nothing here. Channels are at /c/NAME.")
                .into_response()
                .into();
        };
        let now_ms = self.context.hub.ms_at(request.at);
        self.responder.respond(segment, request, now_ms)
    }

    /// Publishes of one connection may be in flight together: each is sent to the store before the
    /// next one is handled, so they reach a log in their order.
    fn is_pipelined(&self, head: &RequestHead<'_>) -> bool {
        head.method() == Method::Post && head.path().starts_with(b"/c/")
    }

    fn detached(&self, connection: Parked, ticket: Ticket) {
        self.driver.add(connection, ticket.0);
    }

    /// An upload has no size limit, and may pause while its source has nothing to send.
    fn body_limits(&self, head: &RequestHead<'_>, usual: BodyLimits) -> BodyLimits {
        let mut limits = usual;
        if head.method() == Method::Put && head.path().starts_with(b"/c/") {
            limits.max = u64::MAX;
            limits.max_pause = Some(self.context.settings.upload_pause);
        }
        limits
    }

    fn failed(&self) -> LocalFuture<String> {
        self.driver.failed()
    }

    fn drain(&self) {
        self.context.hub.stop();
        self.stop.send_replace(true);
        self.driver.drain();
    }
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site").field("settings", &self.context.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HubConfig;

    #[test]
    #[should_panic(expected = "give Hub::new the number of threads of the server")]
    fn a_hub_for_fewer_workers_is_refused() {
        let _site = Site::new(Hub::new(HubConfig::default(), 1), Arc::default(), 1);
    }
}
