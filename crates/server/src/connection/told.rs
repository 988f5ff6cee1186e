//! Log lines of a connection. A client can cause each of them again and again, so they are limited.

use std::error::Error;

use crate::{BodyCut, LogLimit};

/// A handler made a response that cannot be sent.
pub(super) fn broken() {
    static TOLD: LogLimit = LogLimit::new();
    if let Some(more) = TOLD.admit() {
        tracing::error!(
            more,
            "a response could not be encoded: a field or a body that its status cannot have"
        );
    }
}

/// The body of an answer ended with an error.
pub(super) fn failed(error: &(dyn Error + Send + Sync + 'static)) {
    static TOLD: LogLimit = LogLimit::new();
    if error.is::<BodyCut>() {
        tracing::debug!(%error, "a streamed answer was cut");
    } else if let Some(more) = TOLD.admit() {
        tracing::warn!(%error, more, "a streamed answer failed");
    }
}
