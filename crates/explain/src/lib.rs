#![doc = include_str!("../README.md")]

mod asked;
mod body;
mod buffer;
mod chunk;
mod data;
mod fields;
mod frames;
mod half;
mod head;
mod json;
mod line;
mod lines;
mod message;
mod note;
mod sections;
mod sse;
pub mod terminal;

pub use note::{Direction, Kind, Note, Refusal};

use half::{Half, Middle, Shared};

/// What the judges accept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of heads and bodies. A body may be of any length here, since it is not held.
    pub http1: tidewire_http1::Limits,
    /// Of event streams.
    pub sse: tidewire_sse::Limits,
    /// Of frames and messages, which may be of any length here.
    pub ws: tidewire_ws::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        let mut http1 = tidewire_http1::Limits::new();
        http1.max_body = u64::MAX;
        let ws = tidewire_ws::Limits {
            max_frame: u64::MAX,
            max_message: u64::MAX,
            ..tidewire_ws::Limits::DEFAULT
        };
        Self { http1, sse: tidewire_sse::Limits::DEFAULT, ws }
    }
}

/// Where the bytes of a direction begin, if it is not the start of a connection.
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

/// One connection, both directions, from its first byte.
///
/// Feed it in the order of the events: a request before its answer. The notes that a call returns are mostly of the direction that it
/// fed; but the answer to an upgrade decides what the client's bytes behind it are, so look at [`Note::direction`].
#[derive(Debug)]
pub struct Exchange {
    up: Half,
    down: Half,
    shared: Shared,
}

impl Default for Exchange {
    fn default() -> Self {
        Self::new()
    }
}

impl Exchange {
    /// A connection at its first byte.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Start::Http, Limits::default())
    }

    /// A connection, or a piece of one that starts elsewhere, under these limits.
    #[must_use]
    pub fn with(start: Start, limits: Limits) -> Self {
        let (up, down) = match start {
            Start::Http => (Half::new(Direction::Up, limits), Half::new(Direction::Down, limits)),
            Start::Chunked => {
                (Half::new(Direction::Up, limits), Half::within(Direction::Down, Middle::Chunked, limits))
            }
            Start::EventStream => {
                (Half::new(Direction::Up, limits), Half::within(Direction::Down, Middle::Events, limits))
            }
            Start::Frames => (
                Half::within(Direction::Up, Middle::Frames, limits),
                Half::within(Direction::Down, Middle::Frames, limits),
            ),
        };
        Self { up, down, shared: Shared::default() }
    }

    /// Bytes from the client to the server.
    pub fn up(&mut self, bytes: &[u8]) -> Vec<Note> {
        self.shared.client_spoke |= !bytes.is_empty();
        self.up.push(bytes, &mut self.shared);
        self.notes()
    }

    /// Bytes from the server to the client.
    pub fn down(&mut self, bytes: &[u8]) -> Vec<Note> {
        self.shared.server_spoke |= !bytes.is_empty();
        self.down.push(bytes, &mut self.shared);
        // It may have answered what the client's direction waits for.
        self.up.run(&mut self.shared);
        self.notes()
    }

    /// The client has sent its last byte. Bytes that come after are not looked at.
    pub fn finish_up(&mut self) -> Vec<Note> {
        self.up.finish(&mut self.shared);
        self.notes()
    }

    /// The server has sent its last byte. Bytes that come after are not looked at.
    pub fn finish_down(&mut self) -> Vec<Note> {
        self.down.finish(&mut self.shared);
        self.notes()
    }

    /// Why a direction is not read any further, if a decoder refused it.
    #[must_use]
    pub const fn refusal(&self, direction: Direction) -> Option<&Refusal> {
        match direction {
            Direction::Up => self.up.refusal(),
            Direction::Down => self.down.refusal(),
        }
    }

    fn notes(&mut self) -> Vec<Note> {
        let mut notes = self.up.take_notes();
        notes.append(&mut self.down.take_notes());
        notes
    }
}
