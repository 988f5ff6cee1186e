//! What a capture begins with.

/// What the bytes begin with.
///
/// ```
/// use tidewire_explain::{Annotator, Direction, Limits, NoteKind, Start};
///
/// let mut annotator = Annotator::starting_with(Start::Frames, Limits::DEFAULT);
/// let frame = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
/// let notes = annotator.push(Direction::Up, &frame);
/// let payload = notes.iter().find(|note| note.kind == NoteKind::Payload).unwrap();
/// assert_eq!((payload.offset, payload.meaning.as_str()), (6, "unmasked: \"Hello\""));
/// ```
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
