//! What the decoders accept.

/// What the decoders accept.
///
/// [`Limits::DEFAULT`] has the limits of a Tidewire server, except for the length of bodies, frames
/// and messages. This crate does not hold these in memory, so they may have any length.
///
/// ```
/// use tidewire_explain::{Annotator, Direction, Limits, Start};
///
/// let ws = Limits::DEFAULT.ws.with_max_frame(4);
/// let mut annotator = Annotator::starting_with(Start::Frames, Limits::DEFAULT.with_ws(ws));
/// annotator.push(Direction::Down, &[0x81, 0x05]);
/// assert_eq!(annotator.refusal(Direction::Down).unwrap().close_code, Some(1009));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The limits of heads and bodies, chunked bodies included.
    pub http1: tidewire_http1::Limits,
    /// The limits of event streams.
    pub sse: tidewire_sse::Limits,
    /// The limits of WebSocket frames and messages.
    pub ws: tidewire_ws::Limits,
}

impl Limits {
    /// The defaults.
    pub const DEFAULT: Self = {
        let http1 = tidewire_http1::Limits::DEFAULT.with_max_body(u64::MAX).with_max_unanswered(4096);
        let ws = tidewire_ws::Limits::DEFAULT.with_max_frame(u64::MAX).with_max_message(u64::MAX);
        Self { http1, sse: tidewire_sse::Limits::DEFAULT, ws }
    };

    /// Sets [`http1`](Self::http1).
    #[must_use]
    pub const fn with_http1(mut self, limits: tidewire_http1::Limits) -> Self {
        self.http1 = limits;
        self
    }

    /// Sets [`sse`](Self::sse).
    #[must_use]
    pub const fn with_sse(mut self, limits: tidewire_sse::Limits) -> Self {
        self.sse = limits;
        self
    }

    /// Sets [`ws`](Self::ws).
    #[must_use]
    pub const fn with_ws(mut self, limits: tidewire_ws::Limits) -> Self {
        self.ws = limits;
        self
    }

    /// The limits of a chunked body, taken from those of HTTP/1.1.
    pub(crate) fn chunked(&self) -> tidewire_chunked::Limits {
        tidewire_chunked::Limits::DEFAULT
            .with_max_body(self.http1.max_body)
            .with_max_overhead(self.http1.max_overhead)
            .with_max_trailers(self.http1.max_trailers)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
