//! Every bound of the engine in one place, each with its reason.

use std::time::Duration;

/// What a peer may use up. All of it is on by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Limits of the HTTP/1.1 parser: size of a head, of a target, number of fields, and of a body
    /// (here 64 MiB: a handler that collects a body names its own, lower limit; one that streams it
    /// raises it for itself, see [`Handler::body_limits`](crate::Handler::body_limits)).
    pub http: tidewire_http1::Limits,
    /// From the first byte of a head (or from accept) to its end, in total and not per byte: a peer
    /// that sends one byte at a time gains nothing. Default 10 s: the 60 s of nginx's
    /// `client_header_timeout` give slowloris enough time. Answered with 408.
    pub head_timeout: Duration,
    /// How long a kept-alive connection may wait between two requests. 75 s, nginx's default.
    /// Answers that leave the connection open say so, in whole seconds: `Keep-Alive: timeout=75`. A
    /// proxy in front that reuses connections should give them up earlier.
    pub idle_timeout: Duration,
    /// Time that the engine may spend waiting for a request body, beside what
    /// [`body_min_rate`](Self::body_min_rate) allows for the bytes that came. 10 s. Time in which
    /// nobody reads the body does not count.
    pub body_grace: Duration,
    /// Bytes per second below which a request body is given up. 512: a 1 MiB upload may take half
    /// an hour.
    pub body_min_rate: u64,
    /// The most time that a body can have left, however many bytes came at once. Otherwise a
    /// megabyte in one burst would earn half an hour, in which a byte now and then holds the
    /// connection. 60 s: nginx waits as long between two reads of a body.
    pub body_stall: Duration,
    /// How long a write may make no progress before the connection is dropped. 30 s.
    pub write_timeout: Duration,
    /// Bytes of an unread request body that are read and thrown away to keep the connection; above
    /// it the connection closes. 64 KiB: more costs more than a new connection.
    pub drain_bytes: u64,
    /// Time for the same, and for the peer to take the last answer before the socket goes. What
    /// still comes in that time is thrown away, however much: a socket that is closed over unread
    /// bytes sends a reset, which can destroy the answer. 1 s.
    pub drain_time: Duration,
    /// Connections at one time, over all workers; 0 derives it from the descriptor limit of the
    /// process (less a reserve). One more is answered with 503 and closed.
    pub max_connections: usize,
    /// Connections at one time from one address; loopback and Unix sockets are exempt, since
    /// a proxy in front comes from there. 0 means no limit. 4096.
    pub max_connections_per_address: usize,
    /// After a stop was asked for: how long answers and streams may take to finish. 30 s.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let mut http = tidewire_http1::Limits::default();
        http.max_body = 64 * 1024 * 1024;
        Limits {
            http,
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
        }
    }
}

/// What the body of one request may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BodyLimits {
    /// Bytes of content; `u64::MAX` for a body without end.
    pub max: u64,
    /// `None`: the body must come as fast as [`Limits::body_grace`] and [`Limits::body_min_rate`]
    /// say. `Some`: it may come as slowly as it likes, but for pauses of this length: for a source
    /// that speaks when it has something to say.
    pub max_pause: Option<Duration>,
}

impl Limits {
    pub(crate) fn body(&self) -> BodyLimits {
        BodyLimits { max: self.http.max_body, max_pause: None }
    }

    /// The parser lets every body pass: how long one may be is known when its head is.
    pub(crate) fn parser(&self) -> tidewire_http1::Limits {
        let mut http = self.http;
        http.max_body = u64::MAX;
        http
    }

    /// The seconds of [`idle_timeout`](Self::idle_timeout) that answers name; 0 is not named.
    pub(crate) fn idle_seconds(&self) -> u32 {
        whole_seconds(self.idle_timeout)
    }

    /// How often deadlines are looked at: often enough for the shortest of them, at most once a
    /// second.
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

/// Rounded down, so that no client uses a connection for longer than it stays open.
pub(crate) fn whole_seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_time_is_named_in_whole_seconds_rounded_down() {
        let seconds =
            |ms| Limits { idle_timeout: Duration::from_millis(ms), ..Limits::default() }.idle_seconds();
        assert_eq!([999, 1_000, 1_999, 75_000].map(seconds), [0, 1, 1, 75]);
        assert_eq!(seconds(u64::MAX), u32::MAX);
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        // Without `..`: a new field does not compile until it is documented.
        let Limits {
            http,
            head_timeout,
            idle_timeout,
            body_grace,
            body_min_rate,
            body_stall,
            write_timeout,
            drain_bytes,
            drain_time,
            max_connections,
            max_connections_per_address,
            drain_timeout,
        } = Limits::default();
        let ms = |time: Duration| time.as_millis() as u64;
        tidewire_testkit::limits::check(
            "tidewire-server",
            &[
                ("max_body", http.max_body),
                ("head_timeout", ms(head_timeout)),
                ("idle_timeout", ms(idle_timeout)),
                ("body_grace", ms(body_grace)),
                ("body_min_rate", body_min_rate),
                ("body_stall", ms(body_stall)),
                ("write_timeout", ms(write_timeout)),
                ("drain_bytes", drain_bytes),
                ("drain_time", ms(drain_time)),
                ("max_connections", max_connections as u64),
                ("max_connections_per_address", max_connections_per_address as u64),
                ("drain_timeout", ms(drain_timeout)),
            ],
        );
    }
}
