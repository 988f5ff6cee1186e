//! How a subscription behaves.

use std::time::Duration;

use crate::{Feed, Since};

/// Options of [`Client::subscribe`](crate::Client::subscribe). The defaults suit most readers. A
/// time of [`Duration::MAX`] is "never".
///
/// ```
/// use std::time::Duration;
/// use tidewire_client::{Feed, Options, Since};
///
/// let options = Options::new()
///     .since(Since::Earliest)
///     .feeds([Feed::Sse, Feed::LongPoll])
///     .heartbeat_timeout(Duration::from_secs(20));
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) feeds: Vec<Feed>,
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
    /// The defaults: every feed in the order of [`Feed::ALL`], from now on, for ever.
    #[must_use]
    pub fn new() -> Self {
        Self {
            feeds: Feed::ALL.to_vec(),
            since: Since::Now,
            limit: None,
            wait: Duration::from_secs(25),
            poll_interval: Duration::from_secs(2),
            heartbeat_timeout: Duration::from_secs(35),
            backoff: Backoff::new(),
            retry_limit: None,
            prefer_again: Duration::from_secs(300),
        }
    }

    /// The feeds to try, the best first. An empty list is as [`Feed::ALL`].
    #[must_use]
    pub fn feeds(mut self, feeds: impl IntoIterator<Item = Feed>) -> Self {
        self.feeds = feeds.into_iter().collect();
        if self.feeds.is_empty() {
            self.feeds = Feed::ALL.to_vec();
        }
        self
    }

    /// Where to begin. Default [`Since::Now`].
    #[must_use]
    pub fn since(mut self, since: Since) -> Self {
        self.since = since;
        self
    }

    /// Most messages of one answer to a poll, 1 to 10,000. Default: the server's, which is 1,000.
    #[must_use]
    pub fn limit(mut self, messages: u32) -> Self {
        self.limit = Some(messages.clamp(1, 10_000));
        self
    }

    /// How long the server may hold a long poll. Default 25 s: proxies commonly give up at 60 s,
    /// and the server holds for 55 s at most. Zero makes short polls of them.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// The pause after a poll that brought nothing, and was not held by the server. Default 2 s.
    #[must_use]
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// How long an open feed may bring no byte before it is cut. Default 35 s: two heartbeats of
    /// the server and some slack.
    #[must_use]
    pub fn heartbeat_timeout(mut self, timeout: Duration) -> Self {
        self.heartbeat_timeout = timeout;
        self
    }

    /// The waits between attempts.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// How many attempts in a row may fail before the subscription ends with
    /// [`Error::GaveUp`](crate::Error::GaveUp). Default: no limit.
    #[must_use]
    pub fn retry_limit(mut self, attempts: u32) -> Self {
        self.retry_limit = Some(attempts);
        self
    }

    /// After a fallback: when to try the best feed again. Default 5 minutes. It is tried between
    /// two polls, or when the lesser feed is cut; a stream that works is left alone.
    #[must_use]
    pub fn prefer_again(mut self, after: Duration) -> Self {
        self.prefer_again = after;
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// Waits that double with each failure in a row, with full jitter: each is drawn evenly from
/// nothing to the bound, so that a thousand readers of a server that restarts do not come back in
/// step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The bound of the first wait.
    pub min: Duration,
    /// The bound of all later waits, and of what an event stream's `retry:` can ask for. A
    /// `Retry-After` has a bound of its own, which is 1 hour.
    pub max: Duration,
}

impl Backoff {
    /// 250 ms to 30 s.
    #[must_use]
    pub const fn new() -> Self {
        Self { min: Duration::from_millis(250), max: Duration::from_secs(30) }
    }

    /// The bound of the wait after `failures` failures in a row, counted from 1.
    pub(crate) fn bound(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        self.min.saturating_mul(1 << doublings).min(self.max)
    }

    /// A wait.
    pub(crate) fn wait(&self, failures: u32) -> Duration {
        self.bound(failures).mul_f64(fastrand::f64())
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound() {
        let backoff = Backoff::new();
        let bounds: Vec<u128> = (1..=9).map(|failures| backoff.bound(failures).as_millis()).collect();
        assert_eq!(bounds, [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        assert_eq!(backoff.bound(u32::MAX), backoff.max);
        assert!((0..100).all(|_| backoff.wait(3) <= backoff.bound(3)));
        let waits: std::collections::HashSet<Duration> = (0..100).map(|_| backoff.wait(8)).collect();
        assert!(waits.len() > 50, "jittered");
    }
}
