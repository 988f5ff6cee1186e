//! The settings of a site.

use std::time::Duration;

use crate::cors::Origins;

/// The settings of a site: who may use it, its time-outs, and its optional features.
///
/// Start with [`DEFAULT`](Self::DEFAULT) and change what you need:
///
/// ```
/// use std::time::Duration;
/// use tidewire_hub::{Origins, Settings};
///
/// let settings = Settings::DEFAULT
///     .with_origins(Origins::same().allow("https://example.org")?)
///     .with_heartbeat(Duration::from_secs(30));
/// # Ok::<(), tidewire_hub::OriginError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The origins whose pages may use the site. Default: only the origin of the server itself.
    pub origins: Origins,
    /// Time between two heartbeats of a stream. Default 15 s, well below the idle limits of
    /// proxies.
    pub heartbeat: Duration,
    /// How long a connection may wait between an answered long poll and the next request. Default
    /// 75 s.
    pub idle_timeout: Duration,
    /// How long a subscriber may accept no bytes before the server closes its connection. The
    /// subscriber can resume from its cursor. Default 60 s.
    pub stall_timeout: Duration,
    /// How long a client may take to send one WebSocket message. The message gets more time for
    /// each byte received, see [`message_min_rate`](Self::message_min_rate). Default 10 s, as for
    /// the body of a request.
    ///
    /// The server does not read from a client that accepts no bytes. Such a client has
    /// [`stall_timeout`](Self::stall_timeout) in all for its message.
    pub message_grace: Duration,
    /// The lowest rate of a WebSocket message in bytes per second, after
    /// [`message_grace`](Self::message_grace). The server gives up a slower message. Default 512,
    /// as for a request body: 1 MiB may take half an hour.
    pub message_min_rate: u64,
    /// How long an upload may send no bytes before the server gives it up. Default 60 s.
    pub upload_pause: Duration,
    /// Whether to compress WebSocket messages (permessage-deflate) for clients that offer it.
    /// Default on: a message is compressed once for all subscribers of a worker.
    pub deflate: bool,
    /// Whether to compress event streams and JSON lines for clients that accept gzip. Default off:
    /// messages are short, and low delay is worth more than few bytes. Also, messages of several
    /// publishers are compressed together. Then the length of a batch shows how similar they are.
    pub compress: bool,
    /// Whether pages may read channels by iframe and JSONP, the techniques from before CORS.
    /// Default off: JSONP lets every page on the web read.
    pub comet: bool,
}

impl Settings {
    /// The default of each setting, as the fields document them.
    pub const DEFAULT: Self = Settings {
        origins: Origins::same(),
        heartbeat: Duration::from_secs(15),
        idle_timeout: Duration::from_secs(75),
        stall_timeout: Duration::from_secs(60),
        message_grace: Duration::from_secs(10),
        message_min_rate: 512,
        upload_pause: Duration::from_secs(60),
        deflate: true,
        compress: false,
        comet: false,
    };

    /// Sets [`origins`](Self::origins).
    #[must_use]
    pub fn with_origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// Sets [`heartbeat`](Self::heartbeat).
    #[must_use]
    pub const fn with_heartbeat(mut self, heartbeat: Duration) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    /// Sets [`idle_timeout`](Self::idle_timeout).
    #[must_use]
    pub const fn with_idle_timeout(mut self, idle_timeout: Duration) -> Self {
        self.idle_timeout = idle_timeout;
        self
    }

    /// Sets [`stall_timeout`](Self::stall_timeout).
    #[must_use]
    pub const fn with_stall_timeout(mut self, stall_timeout: Duration) -> Self {
        self.stall_timeout = stall_timeout;
        self
    }

    /// Sets [`message_grace`](Self::message_grace).
    #[must_use]
    pub const fn with_message_grace(mut self, message_grace: Duration) -> Self {
        self.message_grace = message_grace;
        self
    }

    /// Sets [`message_min_rate`](Self::message_min_rate), in bytes per second.
    #[must_use]
    pub const fn with_message_min_rate(mut self, message_min_rate: u64) -> Self {
        self.message_min_rate = message_min_rate;
        self
    }

    /// Sets [`upload_pause`](Self::upload_pause).
    #[must_use]
    pub const fn with_upload_pause(mut self, upload_pause: Duration) -> Self {
        self.upload_pause = upload_pause;
        self
    }

    /// Sets [`deflate`](Self::deflate).
    #[must_use]
    pub const fn with_deflate(mut self, deflate: bool) -> Self {
        self.deflate = deflate;
        self
    }

    /// Sets [`compress`](Self::compress).
    #[must_use]
    pub const fn with_compress(mut self, compress: bool) -> Self {
        self.compress = compress;
        self
    }

    /// Sets [`comet`](Self::comet).
    #[must_use]
    pub const fn with_comet(mut self, comet: bool) -> Self {
        self.comet = comet;
        self
    }

    pub(crate) fn stall_ms(&self) -> u64 {
        self.stall_timeout.as_millis() as u64
    }

    /// How long a WebSocket message may take, in milliseconds, after `received` of its bytes.
    // Hidden: only our playground, which serves a WebSocket of its own, needs it.
    #[doc(hidden)]
    pub fn message_ms(&self, received: u64) -> u64 {
        let earned = received.saturating_mul(1000) / self.message_min_rate.max(1);
        (self.message_grace.as_millis() as u64).saturating_add(earned)
    }

    /// The milliseconds to take away from a message that has taken `took_ms`, so that at most the
    /// larger of [`stall_timeout`](Self::stall_timeout) and [`message_grace`](Self::message_grace)
    /// is left. Otherwise one burst of bytes would earn hours. In that time a client could keep its
    /// message unfinished with a single byte now and then.
    // Hidden: only our playground, which serves a WebSocket of its own, needs it.
    #[doc(hidden)]
    pub fn excess_message_ms(&self, received: u64, took_ms: u64) -> u64 {
        let left = self.message_ms(received).saturating_sub(took_ms);
        left.saturating_sub(self.stall_ms().max(self.message_ms(0)))
    }

    /// How long a disconnected reader should wait before it reconnects. Random, so that a thousand
    /// readers do not reconnect at the same moment.
    pub(crate) fn retry_ms(&self) -> u32 {
        fastrand::u32(1_000..3_000)
    }

    /// The same for the readers of a server that stops. All of them are disconnected at once, so
    /// the range is wider.
    pub(crate) fn restart_retry_ms(&self) -> u32 {
        fastrand::u32(1_000..10_000)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The close reason for a WebSocket whose message took too long.
// Hidden: only our playground, which serves a WebSocket of its own, needs it.
#[doc(hidden)]
pub const TOO_SLOW: &str = "the message came too slowly; send it again, faster";
