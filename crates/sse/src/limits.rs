//! The limits on the memory that a peer may cost.

/// Bounds of what a decoder holds of one event. Each bound is checked at every byte, so it does not
/// matter how the input is cut.
///
/// Comments and fields with unknown names may have any length: the decoder skips them and holds
/// nothing of them.
///
/// ```
/// use tidewire_sse::{Decoder, ErrorKind, Limits};
///
/// let mut decoder = Decoder::new(Limits::DEFAULT.with_max_data(4));
/// let error = decoder.decode(b"data: water\n\n").unwrap_err();
/// assert_eq!((error.kind(), error.offset()), (ErrorKind::DataTooLong, 10)); // the fifth byte
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of data in one event, with the line feeds between its lines. Default 2 MiB: enough for
    /// a JSON object that holds a message of 1 MiB in base64.
    pub max_data: usize,
    /// Bytes of one `event` or `id` field. Default 4 KiB. An id with the cursors of 64 channels has
    /// 2,239 bytes. The client sends the id back in a header field, and few servers take header
    /// fields of more than 8 KiB.
    pub max_name: usize,
}

impl Limits {
    /// The defaults.
    pub const DEFAULT: Self = Self { max_data: 2 << 20, max_name: 4 << 10 };

    /// Sets the bound of data.
    #[must_use]
    pub const fn with_max_data(mut self, bytes: usize) -> Self {
        self.max_data = bytes;
        self
    }

    /// Sets the bound of `event` and `id`.
    #[must_use]
    pub const fn with_max_name(mut self, bytes: usize) -> Self {
        self.max_name = bytes;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
