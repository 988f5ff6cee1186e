//! Limits on what a peer may send.

use tidewire_chunked as chunked;

/// Bounds on the memory and work that a peer can cause.
///
/// Each limit is checked as soon as the received bytes prove that it is exceeded. A message over a
/// limit is therefore refused before a buffer is full, and at the same byte however it was split.
///
/// ```
/// let limits = tidewire_http1::Limits::DEFAULT.with_max_body(16 * 1024 * 1024);
/// assert_eq!((limits.max_body, limits.max_fields), (16 << 20, 100));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a head, from the first byte of its start line to the end of its empty line.
    /// Default 16 KiB, as in Node. A longer head is answered with 431. The type is `u16` because
    /// a head is indexed by 16-bit offsets.
    pub max_head: u16,
    /// Bytes of a request target. Default 8 KiB: RFC 9112 §3 recommends support for request lines
    /// of at least 8000 octets. A longer target is answered with 414.
    pub max_target: u16,
    /// Bytes of a method. Default 32: the longest registered method has 17. A longer method is
    /// answered with 501 (RFC 9112 §3).
    pub max_method: u8,
    /// Field lines of a head. Default 100, as in Apache and hyper. A limit on bytes alone does not
    /// bound the work for each field. More fields are answered with 431.
    pub max_fields: u16,
    /// Bytes of decoded content. Default 1 MiB. More content is answered with 413: at the head if
    /// a length was declared, else at the chunk that would exceed the limit.
    pub max_body: u64,
    /// Interim (1xx) responses before the final response, in the client role. Default 16. Without
    /// a limit a server could send them forever.
    pub max_interim_responses: u8,
    /// Bytes of chunk extensions and trailers of one body. Default 16 KiB, as in Node and Go.
    /// Without this limit, one-byte chunks with long extensions make a server read a thousand
    /// bytes for each byte of content. More is answered with 400.
    pub max_overhead: u32,
    /// Trailer fields of one body. Default 100, as for the head. More are answered with 400.
    pub max_trailers: u16,
    /// Requests whose final response has not begun, in an [`Observer`](crate::Observer). Default
    /// 128: RFC 9113 §6.5.2 recommends that HTTP/2 peers allow at least 100 requests at one time.
    /// At the limit the observer reads no further request before a response begins; nothing is
    /// lost. 0 counts as 1.
    pub max_unanswered: u16,
}

impl Limits {
    /// The defaults. Each field documents the reason for its value.
    pub const DEFAULT: Self = Self {
        max_head: 16 * 1024,
        max_target: 8 * 1024,
        max_method: 32,
        max_fields: 100,
        max_body: 1024 * 1024,
        max_interim_responses: 16,
        max_overhead: 16 * 1024,
        max_trailers: 100,
        max_unanswered: 128,
    };

    /// Returns the limits with another [`max_head`](Self::max_head).
    #[must_use]
    pub const fn with_max_head(mut self, bytes: u16) -> Self {
        self.max_head = bytes;
        self
    }

    /// Returns the limits with another [`max_target`](Self::max_target).
    #[must_use]
    pub const fn with_max_target(mut self, bytes: u16) -> Self {
        self.max_target = bytes;
        self
    }

    /// Returns the limits with another [`max_method`](Self::max_method).
    #[must_use]
    pub const fn with_max_method(mut self, bytes: u8) -> Self {
        self.max_method = bytes;
        self
    }

    /// Returns the limits with another [`max_fields`](Self::max_fields).
    #[must_use]
    pub const fn with_max_fields(mut self, fields: u16) -> Self {
        self.max_fields = fields;
        self
    }

    /// Returns the limits with another [`max_body`](Self::max_body).
    #[must_use]
    pub const fn with_max_body(mut self, bytes: u64) -> Self {
        self.max_body = bytes;
        self
    }

    /// Returns the limits with another [`max_interim_responses`](Self::max_interim_responses).
    #[must_use]
    pub const fn with_max_interim_responses(mut self, responses: u8) -> Self {
        self.max_interim_responses = responses;
        self
    }

    /// Returns the limits with another [`max_overhead`](Self::max_overhead).
    #[must_use]
    pub const fn with_max_overhead(mut self, bytes: u32) -> Self {
        self.max_overhead = bytes;
        self
    }

    /// Returns the limits with another [`max_trailers`](Self::max_trailers).
    #[must_use]
    pub const fn with_max_trailers(mut self, fields: u16) -> Self {
        self.max_trailers = fields;
        self
    }

    /// Returns the limits with another [`max_unanswered`](Self::max_unanswered).
    #[must_use]
    pub const fn with_max_unanswered(mut self, requests: u16) -> Self {
        self.max_unanswered = requests;
        self
    }

    /// Returns the limits of a chunked body.
    pub(crate) const fn chunked(&self) -> chunked::Limits {
        chunked::Limits::DEFAULT
            .with_max_body(self.max_body)
            .with_max_overhead(self.max_overhead)
            .with_max_trailers(self.max_trailers)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
