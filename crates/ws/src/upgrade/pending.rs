//! The connection that a server hands over after its 101.

use super::upgraded::Upgraded;
use ::tokio::io::{AsyncRead, AsyncWrite};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::error::Error;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use std::sync::{Mutex, PoisonError};

/// A connection that a server hands over when it has sent its 101. A server puts it into the
/// extensions of a request, and the first one who asks takes it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use tidewire_ws::upgrade::PendingUpgrade;
///
/// let (mut client, server) = tokio::io::duplex(64);
/// // A server resolves such a future when the 101 is sent.
/// let pending = PendingUpgrade::new(async { Ok::<_, std::io::Error>(server) });
/// let upgraded = pending.take().expect("nobody took it yet");
/// assert!(pending.is_taken());
/// drop(upgraded.await?);
/// # Ok::<(), tidewire_ws::upgrade::UpgradeError>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct PendingUpgrade(Arc<Mutex<Option<Upgrading>>>);

/// Resolves when the 101 has been sent.
pub(super) type Upgrading = Pin<Box<dyn Future<Output = Result<Upgraded, UpgradeError>> + Send>>;

/// The connection was not handed over.
#[derive(Debug)]
pub struct UpgradeError(Box<dyn Error + Send + Sync>);

impl PendingUpgrade {
    /// Wraps what a server has: a future of its stream. The stream first yields the bytes that were
    /// read after the request.
    #[must_use]
    pub fn new<IO, E>(upgraded: impl Future<Output = Result<IO, E>> + Send + 'static) -> Self
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let upgrading = async { upgraded.await.map(Upgraded::new).map_err(UpgradeError::new) };
        Self(Arc::new(Mutex::new(Some(Box::pin(upgrading)))))
    }

    /// Takes the future of the connection. `None` if it is taken already.
    #[must_use = "the connection closes if nobody waits for it"]
    pub fn take(
        &self,
    ) -> Option<impl Future<Output = Result<Upgraded, UpgradeError>> + Send + Unpin + use<>> {
        self.take_boxed()
    }

    pub(super) fn take_boxed(&self) -> Option<Upgrading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether the connection is taken.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

impl UpgradeError {
    pub(super) fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl fmt::Debug for PendingUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingUpgrade").field("is_taken", &self.is_taken()).finish()
    }
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the server did not hand the connection over: the client left, the 101 was not sent, or the \
             server serves without upgrades (hyper needs `with_upgrades`)",
        )
    }
}

impl Error for UpgradeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
