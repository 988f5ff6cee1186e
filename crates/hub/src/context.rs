//! What every answer is made from.

use std::sync::Arc;

use tidewire_server::LocalFuture;
use tokio::sync::watch;

use crate::forms::Forms;
use crate::hub::Hub;
use crate::settings::Settings;

/// What every answer of a worker is made from.
#[derive(Clone)]
pub(crate) struct SiteContext {
    pub(crate) hub: Arc<Hub>,
    pub(crate) settings: Arc<Settings>,
    /// The forms that this worker has made.
    pub(crate) forms: Forms,
    stop: watch::Receiver<bool>,
}

impl SiteContext {
    /// The context, and what [`stopping`](Self::stopping) is resolved by.
    pub(crate) fn new(hub: Arc<Hub>, settings: Arc<Settings>) -> (Self, watch::Sender<bool>) {
        let (sender, stop) = watch::channel(false);
        let forms = Forms::new(hub.counters.forms.clone());
        (SiteContext { hub, settings, forms, stop }, sender)
    }

    /// Resolves when the server stops.
    pub(crate) fn stopping(&self) -> LocalFuture<()> {
        let mut stop = self.stop.clone();
        // An error means that the site is gone, which is a stop as well.
        Box::pin(async move { drop(stop.wait_for(|stop| *stop).await) })
    }
}
