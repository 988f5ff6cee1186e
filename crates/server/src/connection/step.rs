//! What the request cycle of a connection does next.

use crate::StreamBody;
use crate::reply::{LocalFuture, Reply};

/// How a connection ends.
pub(super) enum End<T> {
    /// The peer has left, or the socket failed.
    Disconnected,
    /// With the last answer and a FIN.
    Close,
    Detach(T),
}

/// What a connection must do before its next request.
pub(super) enum Step<T> {
    /// Nothing: the next request may be in the input already.
    Next,
    /// Read more bytes.
    Read,
    /// Write the output, because the buffer is full.
    Flush,
    /// Let other connections run, because the turn is over.
    Pause,
    /// Wait for answers that are under way, and for more requests.
    InFlight,
    /// Wait for the handler.
    Later(LocalFuture<Reply<T>>),
    /// Send a streamed body.
    Stream(StreamBody),
    /// Read the rest of a body that the handler did not read.
    Drain,
    Detach(T),
    Close,
}
