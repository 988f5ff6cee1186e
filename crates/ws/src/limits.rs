/// What a [`Connection`](crate::Connection) accepts before it answers with a close code.
///
/// Lengths are in bytes. Each limit is checked on complete and on partial input. No limit allocates
/// memory in advance.
///
/// ```
/// use tidewire_ws::Limits;
/// let limits = Limits::DEFAULT.with_max_message(64 * 1024);
/// assert_eq!(limits.max_empty_fragments, 256);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest payload of one data frame. It is checked when the frame header has been read. A
    /// frame of a compressed message may be longer by a thousandth, since data that does not
    /// compress grows by that much.
    ///
    /// Default 1 MiB, equal to `max_message`. Most peers do not fragment, so a lower limit would
    /// refuse their long messages.
    pub max_frame: u64,
    /// The longest message: the sum of its fragments, after inflating if it was compressed.
    ///
    /// Default 1 MiB, as in Python's `websockets`. Other libraries allow 64 MiB (tungstenite) or
    /// 100 MiB (npm `ws`), which is more than a server can give to each of 10,000 connections.
    pub max_message: u64,
    /// How many frames without payload one message may hold.
    ///
    /// Empty frames add nothing to the length, so only a count stops a peer that sends them without
    /// end. Default 256. Fragments with payload are not counted, since all go into one buffer:
    /// 65,536 fragments of one byte take the memory of one fragment of 65,536 bytes.
    pub max_empty_fragments: u32,
}

impl Limits {
    /// The defaults. Each field gives the reason for its default.
    pub const DEFAULT: Self = Self { max_frame: 1 << 20, max_message: 1 << 20, max_empty_fragments: 256 };

    /// The same with another bound of one frame's payload, in bytes.
    #[must_use]
    pub const fn with_max_frame(mut self, bytes: u64) -> Self {
        self.max_frame = bytes;
        self
    }

    /// The same with another bound of a message, in bytes.
    #[must_use]
    pub const fn with_max_message(mut self, bytes: u64) -> Self {
        self.max_message = bytes;
        self
    }

    /// The same with another number of empty fragments in one message.
    #[must_use]
    pub const fn with_max_empty_fragments(mut self, frames: u32) -> Self {
        self.max_empty_fragments = frames;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
