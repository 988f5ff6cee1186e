//! What the harness needs of a decoder, and the log that it compares.

use std::fmt;

/// A decoder under test: the house shape (`decode`, `finish`) with owned events.
///
/// Implement it for a wrapper in the test of the crate; the harness then drives it through every cut of an input.
/// `input` is mutable because WebSocket unmasks in place; everyone else reborrows it as `&[u8]`.
pub trait Subject {
    /// One step: bytes consumed and at most one event, as `docs/decoder-contract.md` says.
    fn decode(&mut self, input: &mut [u8]) -> Result<(usize, Option<Event>), Failure>;

    /// The end of the input.
    fn finish(&mut self) -> Result<Option<Event>, Failure>;
}

/// One entry of the log.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// A piece of a body. Adjacent pieces are merged: where a body is cut is not part of its meaning.
    ///
    /// The harness checks that the bytes are the last ones of the consumed region, and not empty. Payload that was
    /// decoded into other memory (inflated, reassembled) is an [`Event::Other`].
    Data(Vec<u8>),
    /// Anything else, as the one line that a wire document shows: `chunk size=5`.
    Other(String),
}

impl Event {
    /// A piece of a body.
    pub fn data(bytes: &[u8]) -> Self {
        Self::Data(bytes.to_vec())
    }

    /// Any other event, by the line that names it.
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

/// An error of a decoder: where, and which kind.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    /// Absolute offset of the first byte that cannot be accepted.
    pub offset: u64,
    /// The `Debug` text of the error's kind.
    pub kind: String,
}

impl Failure {
    /// From the two getters that every error of the workspace has.
    pub fn new(offset: u64, kind: impl fmt::Debug) -> Self {
        Self { offset, kind: format!("{kind:?}") }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} error {}", self.offset, self.kind)
    }
}

/// All that one run of a decoder over one input yields. Equal for every cut of the same input.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Each event after the count of bytes that were consumed when it came.
    pub events: Vec<(u64, Event)>,
    /// How it ended, if badly.
    pub failure: Option<Failure>,
    /// Bytes at the end that the decoder did not want (what follows a finished message); 0 after a failure.
    pub left: u64,
}

impl Outcome {
    /// Appends an event; merges data with the data before it.
    pub(crate) fn push(&mut self, at: u64, event: Event) {
        if let (Event::Data(new), Some((end, Event::Data(old)))) = (&event, self.events.last_mut()) {
            old.extend_from_slice(new);
            *end = at;
        } else {
            self.events.push((at, event));
        }
    }

    /// The log as a wire document shows it, a line an event: `15 end`, `3 error EmptySize`, `20 left 5`.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.events.iter().map(|(at, event)| format!("{at} {event}")).collect();
        lines.extend(self.failure.iter().map(|failure| format!("{failure:?}")));
        if self.left > 0 {
            lines.push(format!("left {}", self.left));
        }
        lines
    }

    /// The body: all data events joined.
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

/// Bytes as a quoted text: printable ASCII as it is, the rest escaped. Over 96 bytes: the length and a hash, so that
/// a log of a large body stays readable and still tells every byte apart.
pub fn show(bytes: &[u8]) -> String {
    if bytes.len() <= 96 {
        return format!("\"{}\"", bytes.escape_ascii());
    }
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    format!("of {} bytes, fnv {:016x}", bytes.len(), bytes.iter().fold(0xcbf2_9ce4_8422_2325, fnv))
}
