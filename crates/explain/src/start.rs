//! What a capture begins with.

/// What the bytes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The head of a message.
    Http,
    /// A chunked body, from the server.
    Chunked,
    /// An event stream, from the server.
    EventStream,
    /// WebSocket frames, in both directions.
    Frames,
}
