//! What a peer may cost.

/// Bounds of one body. Each bound is checked at every byte, so it does not matter how the input is
/// cut.
///
/// ```
/// use tidewire_chunked::Limits;
///
/// let limits = Limits::DEFAULT.with_max_body(1024 * 1024);
/// assert_eq!((limits.max_body, limits.max_trailers), (1 << 20, 100));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of content in all chunks together. Default: no bound, since the decoder holds no
    /// content. Set it if you keep the content. The decoder checks it at each digit of a chunk
    /// size, before the content arrives.
    pub max_body: u64,
    /// Bytes of chunk extensions and trailer lines (with their CRLF) in the whole body. Default 16
    /// KiB, as in Go since CVE-2023-39326 and in Node since CVE-2024-22019. With a bound per chunk
    /// instead, one-byte chunks with long extensions would make a server read a thousand bytes for
    /// each byte of content. This also bounds a line, and so the buffer that a caller needs: 18
    /// bytes more than this. A larger value than `u32::MAX - 18` means `u32::MAX - 18`.
    pub max_overhead: u32,
    /// Trailer fields. Default 100, the usual bound of header fields (Apache, hyper). If you keep
    /// the fields, each costs memory.
    pub max_trailers: u16,
}

impl Limits {
    /// The defaults.
    pub const DEFAULT: Self = Self { max_body: u64::MAX, max_overhead: 16 * 1024, max_trailers: 100 };

    /// Sets the bound of content.
    #[must_use]
    pub const fn with_max_body(mut self, bytes: u64) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sets the bound of extensions and trailers.
    #[must_use]
    pub const fn with_max_overhead(mut self, bytes: u32) -> Self {
        self.max_overhead = bytes;
        self
    }

    /// Sets the bound of trailer fields.
    #[must_use]
    pub const fn with_max_trailers(mut self, fields: u16) -> Self {
        self.max_trailers = fields;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
