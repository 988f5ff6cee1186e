//! How a subscription behaves.

use std::borrow::Cow;
use std::time::Duration;

use crate::{Feed, Since};

/// Options of [`Client::subscribe`](crate::Client::subscribe). The defaults suit most readers. A
/// time of [`Duration::MAX`] means "never".
///
/// ```
/// use std::time::Duration;
/// use tidewire_client::{Feed, Options, Since};
///
/// let options = Options::DEFAULT
///     .with_since(Since::Earliest)
///     .with_feeds([Feed::Sse, Feed::LongPoll])
///     .with_heartbeat_timeout(Duration::from_secs(20));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    pub(crate) feeds: Cow<'static, [Feed]>,
    pub(crate) since: Since,
    pub(crate) limit: Option<u32>,
    pub(crate) wait: Duration,
    pub(crate) poll_interval: Duration,
    pub(crate) heartbeat_timeout: Duration,
    pub(crate) backoff: Backoff,
    pub(crate) retry_limit: Option<u32>,
    pub(crate) prefer_again: Duration,
}

impl Options {
    /// The defaults: every feed in the order of [`Feed::ALL`], from now on, without an end.
    pub const DEFAULT: Self = Self {
        feeds: Cow::Borrowed(&Feed::ALL),
        since: Since::Now,
        limit: None,
        wait: Duration::from_secs(25),
        poll_interval: Duration::from_secs(2),
        heartbeat_timeout: Duration::from_secs(35),
        backoff: Backoff::DEFAULT,
        retry_limit: None,
        prefer_again: Duration::from_secs(300),
    };

    /// Sets the feeds to try, the preferred one first. An empty list means [`Feed::ALL`].
    #[must_use]
    pub fn with_feeds(mut self, feeds: impl IntoIterator<Item = Feed>) -> Self {
        let feeds: Vec<Feed> = feeds.into_iter().collect();
        self.feeds = if feeds.is_empty() { Self::DEFAULT.feeds } else { Cow::Owned(feeds) };
        self
    }

    /// Sets where to begin. Default [`Since::Now`].
    #[must_use]
    pub fn with_since(mut self, since: Since) -> Self {
        self.since = since;
        self
    }

    /// Sets the largest number of messages in one answer to a poll, from 1 to 10,000. Other values
    /// are changed to the nearest of these. Default: the server's own limit, which is 1,000.
    #[must_use]
    pub const fn with_limit(mut self, messages: u32) -> Self {
        self.limit = Some(match messages {
            0 => 1,
            1..=10_000 => messages,
            _ => 10_000,
        });
        self
    }

    /// Sets how long the server may hold a long poll. Default 25 s: proxies commonly give up at
    /// 60 s, and the server holds a poll for 55 s at most. With zero, long polls become short
    /// polls.
    #[must_use]
    pub const fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Sets the pause after a poll that brought nothing and that the server did not hold.
    /// Default 2 s.
    #[must_use]
    pub const fn with_poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// Sets how long an open feed may bring no byte before the client cuts it. Default 35 s: two
    /// heartbeats of the server, and 5 s more.
    #[must_use]
    pub const fn with_heartbeat_timeout(mut self, timeout: Duration) -> Self {
        self.heartbeat_timeout = timeout;
        self
    }

    /// Sets the waits between attempts.
    #[must_use]
    pub const fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how many attempts in a row may fail before the subscription ends with
    /// [`Error::GaveUp`](crate::Error::GaveUp). Default: no limit.
    #[must_use]
    pub const fn with_retry_limit(mut self, attempts: u32) -> Self {
        self.retry_limit = Some(attempts);
        self
    }

    /// Sets when to try the preferred feed again after a fallback. Default 5 minutes. The client
    /// tries it between two polls, or when a stream of another feed is cut. It does not cut a
    /// stream that works.
    #[must_use]
    pub const fn with_prefer_again(mut self, after: Duration) -> Self {
        self.prefer_again = after;
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Waits that double with each failure in a row. Each wait is random (full jitter): it is drawn
/// evenly from zero to the bound, so that the readers of a server that restarts do not all come
/// back at the same moment.
///
/// ```
/// use std::time::Duration;
/// use tidewire_client::{Backoff, Options};
///
/// let backoff = Backoff::DEFAULT.with_min(Duration::from_secs(1)).with_max(Duration::from_secs(10));
/// let options = Options::DEFAULT.with_backoff(backoff).with_retry_limit(8);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The bound of the first wait. Default 250 ms.
    pub min: Duration,
    /// The bound of all later waits, and of the wait that an event stream's `retry:` can ask for.
    /// Default 30 s. A `Retry-After` has its own bound, which is 1 hour.
    pub max: Duration,
}

impl Backoff {
    /// The defaults: 250 ms to 30 s.
    pub const DEFAULT: Self = Self { min: Duration::from_millis(250), max: Duration::from_secs(30) };

    /// Sets the bound of the first wait.
    #[must_use]
    pub const fn with_min(mut self, min: Duration) -> Self {
        self.min = min;
        self
    }

    /// Sets the bound of all later waits.
    #[must_use]
    pub const fn with_max(mut self, max: Duration) -> Self {
        self.max = max;
        self
    }

    /// The bound of the wait after `failures` failures in a row, counted from 1.
    pub(crate) fn bound(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        self.min.saturating_mul(1 << doublings).min(self.max)
    }

    /// A random wait after `failures` failures in a row.
    pub(crate) fn wait(&self, failures: u32) -> Duration {
        self.bound(failures).mul_f64(fastrand::f64())
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound() {
        let backoff = Backoff::DEFAULT;
        let bounds: Vec<u128> = (1..=9).map(|failures| backoff.bound(failures).as_millis()).collect();
        assert_eq!(bounds, [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        assert_eq!(backoff.bound(u32::MAX), backoff.max);
        assert!((0..100).all(|_| backoff.wait(3) <= backoff.bound(3)));
        let waits: std::collections::HashSet<Duration> = (0..100).map(|_| backoff.wait(8)).collect();
        assert!(waits.len() > 50, "jittered");
    }
}
