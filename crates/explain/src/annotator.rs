//! A connection: its two byte streams, and the state that they share.

use crate::byte_stream::ByteStream;
use crate::connection_state::ConnectionState;
use crate::direction::Direction;
use crate::limits::Limits;
use crate::note::Note;
use crate::refusal::Refusal;
use crate::start::Start;

/// Says what each byte of a connection is.
///
/// Push the bytes of both directions in the order in which they were sent: a request before its
/// answer. The returned notes are usually about the pushed direction. But the answer to an upgrade
/// decides what the client's bytes after the request are, so check [`Note::direction`].
///
/// ```
/// use tidewire_explain::{Annotator, Direction};
///
/// let mut annotator = Annotator::new();
/// for note in annotator.push(Direction::Up, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") {
///     let indent = usize::from(note.depth) * 2;
///     println!("{:4} {:indent$}{} → {} [{}]", note.offset, "", note.label, note.meaning, note.section);
/// }
/// assert!(annotator.refusal(Direction::Up).is_none());
/// ```
#[derive(Debug)]
pub struct Annotator {
    up: ByteStream,
    down: ByteStream,
    state: ConnectionState,
}

impl Default for Annotator {
    fn default() -> Self {
        Self::new()
    }
}

impl Annotator {
    /// Creates an annotator for a whole connection, with [`Limits::DEFAULT`].
    #[must_use]
    pub fn new() -> Self {
        Self::starting_with(Start::Http, Limits::DEFAULT)
    }

    /// Creates an annotator for a whole connection ([`Start::Http`]) or a part of one, with these
    /// limits.
    #[must_use]
    pub fn starting_with(start: Start, limits: Limits) -> Self {
        Self {
            up: ByteStream::new(Direction::Up, start, limits),
            down: ByteStream::new(Direction::Down, start, limits),
            state: ConnectionState::new(limits.http1),
        }
    }

    /// Takes the next bytes of a direction, in pieces of any length. Returns the notes that these
    /// bytes complete.
    ///
    /// Ignores bytes after a refusal or after [`finish`](Self::finish).
    pub fn push(&mut self, direction: Direction, bytes: &[u8]) -> Vec<Note> {
        self.state.sent(direction, bytes);
        match direction {
            Direction::Up => self.up.push(bytes, &mut self.state),
            Direction::Down => {
                self.down.push(bytes, &mut self.state);
                // An answer may decide what the client's bytes after its request are.
                self.up.read_on(&mut self.state);
            }
        }
        self.take_notes()
    }

    /// Takes the end of a direction: its sender has sent the last byte. Returns the notes about
    /// incomplete parts.
    pub fn finish(&mut self, direction: Direction) -> Vec<Note> {
        match direction {
            Direction::Up => self.up.finish(&mut self.state),
            Direction::Down => self.down.finish(&mut self.state),
        }
        self.take_notes()
    }

    /// Returns the refusal that stopped a direction, if there is one.
    #[must_use]
    pub const fn refusal(&self, direction: Direction) -> Option<&Refusal> {
        match direction {
            Direction::Up => self.up.refusal(),
            Direction::Down => self.down.refusal(),
        }
    }

    fn take_notes(&mut self) -> Vec<Note> {
        let mut notes = self.up.take_notes();
        notes.append(&mut self.down.take_notes());
        notes
    }
}
