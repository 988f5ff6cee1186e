//! What the decoders accept.

/// What the decoders accept.
///
/// [`Limits::default`] has the limits that a Tidewire server has, except for the length of bodies,
/// frames and messages. These are not held in memory here, so they may have any length.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of heads and bodies, and of chunked bodies.
    pub http1: tidewire_http1::Limits,
    /// Of event streams.
    pub sse: tidewire_sse::Limits,
    /// Of WebSocket frames and messages.
    pub ws: tidewire_ws::Limits,
}

impl Limits {
    /// The limits of a chunked body, which are a part of those of HTTP.
    pub(crate) fn chunked(&self) -> tidewire_chunked::Limits {
        tidewire_chunked::Limits::DEFAULT
            .with_max_body(self.http1.max_body)
            .with_max_overhead(self.http1.max_overhead)
            .with_max_trailers(self.http1.max_trailers)
    }
}

impl Default for Limits {
    fn default() -> Self {
        let mut http1 = tidewire_http1::Limits::DEFAULT;
        http1.max_body = u64::MAX;
        let ws = tidewire_ws::Limits {
            max_frame: u64::MAX,
            max_message: u64::MAX,
            ..tidewire_ws::Limits::DEFAULT
        };
        Self { http1, sse: tidewire_sse::Limits::DEFAULT, ws }
    }
}
