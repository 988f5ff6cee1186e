//! Log lines of a connection. They are limited, because a client can cause them again and again.

use std::error::Error;

use crate::{BodyCut, LogLimit};

/// Logs that a handler made a response that cannot be sent.
pub(super) fn unsendable_response() {
    static LIMIT: LogLimit = LogLimit::new();
    if let Some(more) = LIMIT.admit() {
        tracing::error!(
            more,
            "a response could not be encoded: a field is invalid, or the status does not fit the \
             request or the body"
        );
    }
}

/// Logs that the body of an answer ended with an error.
pub(super) fn failed_body(error: &(dyn Error + Send + Sync + 'static)) {
    static LIMIT: LogLimit = LogLimit::new();
    if error.is::<BodyCut>() {
        tracing::debug!(%error, "a streamed answer was cut");
    } else if let Some(more) = LIMIT.admit() {
        tracing::warn!(%error, more, "a streamed answer failed");
    }
}

/// Logs that the body of an answer has another length than its exact size hint.
pub(super) fn wrong_size() {
    static LIMIT: LogLimit = LogLimit::new();
    if let Some(more) = LIMIT.admit() {
        tracing::error!(more, "a streamed answer was cut: its body does not have the size of its size hint");
    }
}
