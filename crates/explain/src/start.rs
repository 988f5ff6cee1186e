//! What a capture begins with.

/// What the bytes begin with, if it is not the start of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the head of a message.
    Http,
    /// With a chunked body, from the server.
    Chunked,
    /// With an event stream, from the server.
    EventStream,
    /// With WebSocket frames, in both directions.
    Frames,
}
