//! How much of everything a peer may send.

use tidewire_chunked as chunked;

/// What a peer may make us hold or do. `Copy`; the defaults are [`Limits::new`].
///
/// Each is checked as soon as the bytes in hand prove that it is passed, so a message over a limit is refused before
/// a buffer is full, and at the same byte however it was cut.
///
/// ```
/// let mut limits = tidewire_http1::Limits::new();
/// limits.max_body = 1024 * 1024;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a head, from the first byte of its first line to the end of the empty line: 16 KiB, as in Node. Passing it is 431. A head is indexed by 16-bit offsets, so 65535 is the most that there can be.
    pub max_head: u16,
    /// Bytes of a request target: 8 KiB; RFC 9112 §3 asks for 8000 octets of request line at least. Passing it is 414.
    pub max_target: u16,
    /// Bytes of a method: 32. The longest one registered has 17. Passing it is 501 (RFC 9112 §3).
    pub max_method: u8,
    /// Field lines of a head: 100, as in Apache and hyper. Bytes alone do not bound the work per field. Passing it is 431.
    pub max_fields: u16,
    /// Bytes of content after decoding: 1 MiB. Passing it is 413, at the head when a length was declared, else at the chunk that
    /// would pass it.
    pub max_body: u64,
    /// Interim (1xx) responses before the final one, for the client role: 16. A server could send them without end.
    pub max_informational: u8,
    /// Bytes of chunk extensions and trailers of one body: 16 KiB, as Node and Go have it since one-byte chunks with long
    /// extensions made servers read a thousand bytes for each one of content. Passing it is 400.
    pub max_overhead: u32,
    /// Trailer fields of one body: 100, as for the head. Passing it is 400.
    pub max_trailers: u16,
}

impl Limits {
    /// The defaults, each with its reason at the field.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_head: 16 * 1024,
            max_target: 8 * 1024,
            max_method: 32,
            max_fields: 100,
            max_body: 1024 * 1024,
            max_informational: 16,
            max_overhead: 16 * 1024,
            max_trailers: 100,
        }
    }

    /// The part that bounds a chunked body.
    pub(crate) const fn chunked(&self) -> chunked::Limits {
        chunked::Limits::DEFAULT
            .with_max_body(self.max_body)
            .with_max_overhead(self.max_overhead)
            .with_max_trailers(self.max_trailers)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_as_documented() {
        let Limits {
            max_head,
            max_target,
            max_method,
            max_fields,
            max_body,
            max_informational,
            max_overhead,
            max_trailers,
        } = Limits::new();
        tidewire_testkit::limits::check(
            "tidewire-http1",
            &[
                ("max_head", max_head.into()),
                ("max_target", max_target.into()),
                ("max_method", max_method.into()),
                ("max_fields", max_fields.into()),
                ("max_body", max_body),
                ("max_informational", max_informational.into()),
                ("max_overhead", max_overhead.into()),
                ("max_trailers", max_trailers.into()),
            ],
        );
    }
}
