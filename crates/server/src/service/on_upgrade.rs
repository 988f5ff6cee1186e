//! How a service gets the connection of a request that asks for an upgrade.

use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use crate::Upgraded;

/// Yields the upgraded connection when the service's 101 has been sent. Take it from the request's
/// extensions before you answer.
#[derive(Clone, Debug)]
pub struct OnUpgrade(Arc<Mutex<Option<oneshot::Receiver<Upgraded>>>>);

/// The connection was not upgraded: the answer was not a 101, the connection ended first, or it was
/// taken before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection was not upgraded")]
pub struct NotUpgraded;

impl OnUpgrade {
    pub(super) fn new() -> (Self, oneshot::Sender<Upgraded>) {
        let (send, receive) = oneshot::channel();
        (OnUpgrade(Arc::new(Mutex::new(Some(receive)))), send)
    }

    pub(super) fn is_taken(&self) -> bool {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).is_none()
    }

    /// Waits for the upgraded connection.
    ///
    /// # Errors
    /// [`NotUpgraded`].
    pub async fn upgraded(self) -> Result<Upgraded, NotUpgraded> {
        let receiver = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        receiver.ok_or(NotUpgraded)?.await.map_err(|_| NotUpgraded)
    }
}
