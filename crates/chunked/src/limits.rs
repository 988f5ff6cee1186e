//! What a peer may cost.

/// Bounds for one body; each is checked on every byte, so it does not matter how the input is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of content in all chunks together. Default: no bound, for the decoder holds no content; who gathers it
    /// sets this. It is checked at the digit of a chunk size that passes it, before the content arrives.
    pub max_body: u64,
    /// Bytes of chunk extensions and trailer lines (with their CRLF) in the whole body. Default 16 KiB, as much as
    /// Go allows since CVE-2023-39326 and Node since CVE-2024-22019. Per body, not per chunk: with a bound per chunk,
    /// one-byte chunks with long extensions make a server read a thousand bytes for each one that it is given.
    /// It also bounds a line, and so the buffer that a caller needs: 18 bytes more than this. Over `u32::MAX - 18` it counts as that.
    pub max_overhead: u32,
    /// Trailer fields. Default 100, the usual bound of header fields (Apache, hyper): who gathers fields pays for each.
    pub max_trailers: u16,
}

impl Limits {
    /// The defaults.
    pub const DEFAULT: Self = Self { max_body: u64::MAX, max_overhead: 16 * 1024, max_trailers: 100 };

    /// The same with another bound of content.
    #[must_use]
    pub const fn with_max_body(mut self, bytes: u64) -> Self {
        self.max_body = bytes;
        self
    }

    /// The same with another bound of extensions and trailers.
    #[must_use]
    pub const fn with_max_overhead(mut self, bytes: u32) -> Self {
        self.max_overhead = bytes;
        self
    }

    /// The same with another bound of trailer fields.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_limits_are_the_defaults() {
        let Limits { max_body, max_overhead, max_trailers } = Limits::DEFAULT;
        tidewire_testkit::limits::check(
            "tidewire-chunked",
            &[
                ("max_body", max_body),
                ("max_overhead", max_overhead.into()),
                ("max_trailers", max_trailers.into()),
            ],
        );
    }
}
