//! All bounds of the engine, each with its reason.

use std::time::Duration;

/// What a peer may use. Every limit is on by default.
///
/// ```
/// use std::time::Duration;
/// use tidewire_server::{Limits, http1};
///
/// let limits = Limits::DEFAULT
///     .with_http(http1::Limits::DEFAULT.with_max_head(32 * 1024).with_max_body(1 << 20))
///     .with_drain_timeout(Duration::from_secs(20));
/// assert_eq!((limits.http.max_body, limits.idle_timeout), (1 << 20, Duration::from_secs(75)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Limits of the HTTP/1.1 parser: bytes of a head and of a target, number of fields, bytes of a
    /// body. The default for a body is 64 MiB. A handler that collects a body passes its own, lower
    /// limit. A handler that streams a body can raise the limit for one request with
    /// [`Handler::body_limits`](crate::Handler::body_limits).
    pub http: tidewire_http1::Limits,
    /// Time from the first byte of a head (or from accept) to its end. It is a total and not per
    /// byte, so a peer that sends single bytes gains nothing. Default 10 s. The 60 s of nginx
    /// (`client_header_timeout`) are too long against slowloris attacks (many connections that send
    /// very slowly). Answered with 408.
    pub head_timeout: Duration,
    /// How long a kept-alive connection may wait between two requests. Default 75 s, as in nginx.
    /// Answers that leave the connection open say so in whole seconds: `Keep-Alive: timeout=75`. A
    /// proxy in front that reuses connections should close them earlier.
    pub idle_timeout: Duration,
    /// Time that the engine may spend waiting for a request body, in addition to what
    /// [`body_min_rate`](Self::body_min_rate) allows for the bytes that came. Default 10 s. Time in
    /// which nobody reads the body does not count.
    pub body_grace: Duration,
    /// Bytes per second. A request body that comes slower is given up. Default 512: a 1 MiB upload
    /// may take half an hour.
    pub body_min_rate: u64,
    /// The longest time that a body can have left, however many bytes came at once. Without this
    /// bound, a burst of a megabyte earns half an hour, in which a client can keep the connection
    /// busy with a few single bytes. Default 60 s: nginx waits as long between two reads of a body.
    pub body_stall: Duration,
    /// How long a write may make no progress before the connection is dropped. Default 30 s.
    pub write_timeout: Duration,
    /// Bytes of an unread request body that the engine reads and throws away to keep the
    /// connection. If more are left, it closes the connection. Default 64 KiB: to read more than
    /// that costs more than a new connection.
    pub drain_bytes: u64,
    /// Time to throw an unread body away, and time for the peer to take the last answer before the
    /// socket closes. Bytes that come in that time are thrown away, however many: a socket that is
    /// closed with unread bytes sends a reset, which can destroy the answer. Default 1 s.
    pub drain_time: Duration,
    /// Connections at one time, over all workers. Default 0: as many as the descriptor limit of the
    /// process allows, less a reserve. One more is answered with 503 and closed.
    pub max_connections: usize,
    /// Connections at one time from one address. Loopback and Unix sockets have no such limit,
    /// because a proxy in front connects from there. 0 means no limit. Default 4096.
    pub max_connections_per_address: usize,
    /// How long answers and streams may take to finish after the server was asked to stop. Default
    /// 30 s.
    pub drain_timeout: Duration,
}

impl Limits {
    /// The defaults, each with its reason at the field.
    pub const DEFAULT: Self = Self {
        http: tidewire_http1::Limits::DEFAULT.with_max_body(64 * 1024 * 1024),
        head_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(75),
        body_grace: Duration::from_secs(10),
        body_min_rate: 512,
        body_stall: Duration::from_secs(60),
        write_timeout: Duration::from_secs(30),
        drain_bytes: 64 * 1024,
        drain_time: Duration::from_secs(1),
        max_connections: 0,
        max_connections_per_address: 4096,
        drain_timeout: Duration::from_secs(30),
    };

    /// Sets the limits of the HTTP/1.1 parser: [`http`](Self::http).
    #[must_use]
    pub const fn with_http(mut self, limits: tidewire_http1::Limits) -> Self {
        self.http = limits;
        self
    }

    /// Sets the time for a head: [`head_timeout`](Self::head_timeout).
    #[must_use]
    pub const fn with_head_timeout(mut self, timeout: Duration) -> Self {
        self.head_timeout = timeout;
        self
    }

    /// Sets the time between two requests: [`idle_timeout`](Self::idle_timeout).
    #[must_use]
    pub const fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets the time for a body in addition to what its rate allows:
    /// [`body_grace`](Self::body_grace).
    #[must_use]
    pub const fn with_body_grace(mut self, grace: Duration) -> Self {
        self.body_grace = grace;
        self
    }

    /// Sets the least rate of a body: [`body_min_rate`](Self::body_min_rate).
    #[must_use]
    pub const fn with_body_min_rate(mut self, bytes_per_second: u64) -> Self {
        self.body_min_rate = bytes_per_second;
        self
    }

    /// Sets the longest time that a body can have left: [`body_stall`](Self::body_stall).
    #[must_use]
    pub const fn with_body_stall(mut self, stall: Duration) -> Self {
        self.body_stall = stall;
        self
    }

    /// Sets the time for a write without progress: [`write_timeout`](Self::write_timeout).
    #[must_use]
    pub const fn with_write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// Sets the bytes of an unread body that are thrown away: [`drain_bytes`](Self::drain_bytes).
    #[must_use]
    pub const fn with_drain_bytes(mut self, bytes: u64) -> Self {
        self.drain_bytes = bytes;
        self
    }

    /// Sets the time to throw an unread body away, and to close: [`drain_time`](Self::drain_time).
    #[must_use]
    pub const fn with_drain_time(mut self, time: Duration) -> Self {
        self.drain_time = time;
        self
    }

    /// Sets the number of connections: [`max_connections`](Self::max_connections).
    #[must_use]
    pub const fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Sets the number of connections from one address:
    /// [`max_connections_per_address`](Self::max_connections_per_address).
    #[must_use]
    pub const fn with_max_connections_per_address(mut self, connections: usize) -> Self {
        self.max_connections_per_address = connections;
        self
    }

    /// Sets the time to finish after a stop: [`drain_timeout`](Self::drain_timeout).
    #[must_use]
    pub const fn with_drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    pub(crate) const fn body(&self) -> BodyLimits {
        BodyLimits { max: self.http.max_body, max_pause: None }
    }

    /// The limits of the parser. It accepts a body of any length: the limit of a body is known only
    /// when its head is.
    pub(crate) fn parser(&self) -> tidewire_http1::Limits {
        let mut http = self.http;
        http.max_body = u64::MAX;
        http
    }

    /// The value of `Keep-Alive: timeout=` in answers: the whole seconds of
    /// [`idle_timeout`](Self::idle_timeout). With 0, answers have no such field.
    pub(crate) fn idle_seconds(&self) -> u32 {
        whole_seconds(self.idle_timeout)
    }

    /// The time between two checks of the deadlines: a quarter of the shortest of these time
    /// limits, but at least 10 ms and at most 1 s.
    pub(crate) fn sweep_interval(&self) -> Duration {
        let shortest = self
            .head_timeout
            .min(self.idle_timeout)
            .min(self.body_grace)
            .min(self.write_timeout)
            .min(self.drain_time);
        (shortest / 4).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Limits of the body of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BodyLimits {
    /// Bytes of content. `u64::MAX` allows a body without an end. Default 64 MiB.
    pub max: u64,
    /// `None`, the default: the body must come as fast as [`Limits::body_grace`] and
    /// [`Limits::body_min_rate`] demand. `Some`: the body may come at any rate, with pauses of at
    /// most this length. This is for a source that sends only when it has something to send.
    pub max_pause: Option<Duration>,
}

impl BodyLimits {
    /// The defaults.
    pub const DEFAULT: Self = Limits::DEFAULT.body();

    /// Sets the bytes of content: [`max`](Self::max).
    #[must_use]
    pub const fn with_max(mut self, bytes: u64) -> Self {
        self.max = bytes;
        self
    }

    /// Sets the longest pause: [`max_pause`](Self::max_pause).
    #[must_use]
    pub const fn with_max_pause(mut self, pause: Option<Duration>) -> Self {
        self.max_pause = pause;
        self
    }
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The whole seconds of a time, rounded down: no client may use a connection for longer than it
/// stays open.
pub(crate) fn whole_seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_time_is_named_in_whole_seconds_rounded_down() {
        let seconds = |ms| Limits::DEFAULT.with_idle_timeout(Duration::from_millis(ms)).idle_seconds();
        assert_eq!([999, 1_000, 1_999, 75_000].map(seconds), [0, 1, 1, 75]);
        assert_eq!(seconds(u64::MAX), u32::MAX);
    }
}
