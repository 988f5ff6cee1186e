//! The shared state that the answers of a worker are made from.

use std::sync::Arc;

use tidewire_server::LocalFuture;
use tokio::sync::watch;

use crate::form_cache::FormCache;
use crate::hub::Hub;
use crate::settings::Settings;

/// The shared state that the answers of a worker are made from.
#[derive(Clone)]
pub(crate) struct SiteContext {
    pub(crate) hub: Arc<Hub>,
    pub(crate) settings: Arc<Settings>,
    /// The encoded payloads that this worker keeps.
    pub(crate) forms: FormCache,
    stop: watch::Receiver<bool>,
}

impl SiteContext {
    /// The context, and the sender that resolves [`stopping`](Self::stopping).
    pub(crate) fn new(hub: Arc<Hub>, settings: Arc<Settings>) -> (Self, watch::Sender<bool>) {
        let (sender, stop) = watch::channel(false);
        let forms = FormCache::new(hub.counters.forms.clone());
        (SiteContext { hub, settings, forms, stop }, sender)
    }

    /// Resolves when the server stops.
    pub(crate) fn stopping(&self) -> LocalFuture<()> {
        let mut stop = self.stop.clone();
        // An error means that the site is gone, which is a stop too.
        Box::pin(async move { drop(stop.wait_for(|stop| *stop).await) })
    }
}
