//! The trait that a decoder implements for the tests, and the log that they compare.

use crate::show;
use std::fmt;

/// A decoder under test: `decode` and `finish`, with events that own their data.
///
/// Implement it for a wrapper in the tests of the crate. [`split`](crate::split) then runs it with
/// every cut of an input. `input` is mutable because the WebSocket decoder unmasks in place.
pub trait Subject {
    /// Returns the number of bytes consumed and at most one event, as in
    /// `docs/decoder-contract.md`.
    fn decode(&mut self, input: &mut [u8]) -> Result<(usize, Option<Event>), Failure>;

    /// Handles the end of the input.
    fn finish(&mut self) -> Result<Option<Event>, Failure>;
}

/// An entry of the log.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// A piece of a body. Adjacent pieces are merged: the places where a body is cut have no
    /// meaning.
    ///
    /// [`split`](crate::split) checks that the bytes are not empty and are the last bytes consumed.
    /// Payload in other memory (inflated, reassembled) is an [`Event::Other`].
    Data(Vec<u8>),
    /// Another event, as the line that a wire document shows: `chunk size=5`.
    Other(String),
}

impl Event {
    /// A piece of a body.
    pub fn data(bytes: &[u8]) -> Self {
        Self::Data(bytes.to_vec())
    }

    /// Another event, by its line in a wire document.
    pub fn other(line: impl fmt::Display) -> Self {
        Self::Other(line.to_string())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(bytes) => write!(f, "data {}", show(bytes)),
            Self::Other(line) => f.write_str(line),
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An error of a decoder.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    /// The offset of the first byte that cannot be accepted, from the start of the input.
    pub offset: u64,
    /// The `Debug` text of the error's kind.
    pub kind: String,
}

impl Failure {
    /// A failure from the two getters that every error of the workspace has.
    pub fn new(offset: u64, kind: impl fmt::Debug) -> Self {
        Self { offset, kind: format!("{kind:?}") }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} error {}", self.offset, self.kind)
    }
}

/// The result of one run of a decoder over an input. It is equal for every cut of the input.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Each event, with the number of bytes consumed when it came.
    pub events: Vec<(u64, Event)>,
    /// The error, if there was one.
    pub failure: Option<Failure>,
    /// The number of bytes that the decoder did not consume at the end, such as bytes after a
    /// complete message. 0 after a failure.
    pub left: u64,
}

impl Outcome {
    /// Appends an event. Data is merged with data before it.
    pub fn push(&mut self, at: u64, event: Event) {
        if let (Event::Data(new), Some((end, Event::Data(old)))) = (&event, self.events.last_mut()) {
            old.extend_from_slice(new);
            *end = at;
        } else {
            self.events.push((at, event));
        }
    }

    /// The log as in a wire document, a line for each event, such as `15 end`, `3 error EmptySize`
    /// or `left 5`.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.events.iter().map(|(at, event)| format!("{at} {event}")).collect();
        lines.extend(self.failure.iter().map(|failure| format!("{failure:?}")));
        if self.left > 0 {
            lines.push(format!("left {}", self.left));
        }
        lines
    }

    /// The body: the bytes of all data events.
    pub fn data(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for (_, event) in &self.events {
            if let Event::Data(bytes) = event {
                all.extend_from_slice(bytes);
            }
        }
        all
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}
