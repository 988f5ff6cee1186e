//! How a site behaves.

use std::time::Duration;

use crate::cors::Origins;

/// How a site behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Whose pages may use it.
    pub origins: Origins,
    /// Time between two heartbeats of a stream. 15 s, well below the idle limits of proxies.
    pub heartbeat: Duration,
    /// How long a connection may wait between an answered long poll and the next. 75 s.
    pub idle_timeout: Duration,
    /// How long a subscriber may take nothing before it is dropped; it can resume at its cursor. 60
    /// s.
    pub stall_timeout: Duration,
    /// How long a client may take for one WebSocket message, beside what
    /// [`message_min_rate`](Self::message_min_rate) allows for the bytes that came. 10 s, as for
    /// the body of a request. A client that does not take what was sent to it is not read from:
    /// then its message may take [`stall_timeout`](Self::stall_timeout) in all.
    pub message_grace: Duration,
    /// Bytes per second below which a WebSocket message is given up. 512, as for a body: 1 MiB may
    /// take half an hour.
    pub message_min_rate: u64,
    /// How long an upload may say nothing before it is given up. 60 s.
    pub upload_pause: Duration,
    /// Whether WebSocket messages are compressed with clients that offer it (permessage-deflate).
    /// Yes: a message is compressed once for all of a worker's subscribers.
    pub deflate: bool,
    /// Whether event streams and JSON lines are compressed for clients that accept gzip. No:
    /// messages are short, and what is read at once is worth more than what is small. Messages of
    /// several publishers are compressed together, so that the length of a batch tells a little
    /// about what is alike in them.
    pub compress: bool,
    /// Whether channels may be read by iframe and JSONP, as in the days before CORS. No: JSONP lets
    /// every page on the web read.
    pub comet: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
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
        }
    }
}

impl Settings {
    pub(crate) fn stall_ms(&self) -> u64 {
        self.stall_timeout.as_millis() as u64
    }

    /// How long a WebSocket message may take, in milliseconds, of which so many bytes have come.
    pub fn message_ms(&self, received: u64) -> u64 {
        let earned = received.saturating_mul(1000) / self.message_min_rate.max(1);
        (self.message_grace.as_millis() as u64).saturating_add(earned)
    }

    /// The time to take away from such a message that has taken `took_ms`: what it has left beyond
    /// [`stall_timeout`](Self::stall_timeout). Otherwise one burst would earn hours, in which a
    /// byte now and then holds the message.
    pub fn excess_message_ms(&self, received: u64, took_ms: u64) -> u64 {
        let left = self.message_ms(received).saturating_sub(took_ms);
        left.saturating_sub(self.stall_ms().max(self.message_ms(0)))
    }

    /// When a reader that was cut should come back: spread, so that a thousand of them do not come
    /// at once.
    pub(crate) fn retry_ms(&self) -> u32 {
        fastrand::u32(1_000..3_000)
    }

    /// The same for all readers of a server that stops, of which there are many at once.
    pub(crate) fn restart_retry_ms(&self) -> u32 {
        fastrand::u32(1_000..10_000)
    }
}

/// The reason in the close of a WebSocket whose message took too long.
pub const TOO_SLOW: &str = "the message came too slowly; send it again, faster";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HubConfig;

    #[test]
    fn the_defaults_are_the_documented_ones() {
        // Without `..`: a new field does not compile until it is documented.
        let HubConfig { retention, max_message, max_channels, max_subscribers, idle } = HubConfig::default();
        let Settings {
            origins: _,
            heartbeat,
            idle_timeout,
            stall_timeout,
            message_grace,
            message_min_rate,
            upload_pause,
            deflate: _,
            compress: _,
            comet: _,
        } = Settings::default();
        let ms = |time: Duration| time.as_millis() as u64;
        tidewire_testkit::limits::check(
            "tidewire-hub",
            &[
                ("max_messages", retention.max_messages as u64),
                ("max_bytes", retention.max_bytes as u64),
                ("max_age", retention.max_age_ms.unwrap_or(u64::MAX)),
                ("max_message", max_message as u64),
                ("max_channels", max_channels as u64),
                ("max_subscribers", max_subscribers as u64),
                ("idle", ms(idle)),
                ("heartbeat", ms(heartbeat)),
                ("idle_timeout", ms(idle_timeout)),
                ("stall_timeout", ms(stall_timeout)),
                ("message_grace", ms(message_grace)),
                ("message_min_rate", message_min_rate),
                ("upload_pause", ms(upload_pause)),
            ],
        );
    }
}
