//! Decides after a failure: the same feed again, another feed, or the end. There are no sockets
//! here and no clock: time is an argument.
//!
//! ```text
//!                ┌───────── cut: wait, then again ─────────┐
//!                ▼                                         │
//!  ┌──────►  opening feed i ───── first bytes ─────►  open, feed i
//!  │             │  │
//!  │             │  ├─ no connection, 429, 503: wait, then again
//!  │             │  └─ the server itself refuses: the end
//!  │             │
//!  │             └─ refused or silent, or MAX_FAILURES failures in a row without a message
//!  │                    │
//!  │                    ├─ i is not the last ─────► opening feed i + 1, at once
//!  │                    └─ i is the last, and all feeds were refused or compressed: the end
//!  └──── else: wait, then the first ◄─┘
//! ```
//! After a fallback, the first feed is tried again when
//! [`Options::with_prefer_again`](crate::Options::with_prefer_again) has passed, and either the
//! feed in use is cut or a poll has ended.

use std::time::Duration;

use tidewire_ws::close;
use tokio::time::Instant;

use crate::error::{Awaited, Protocol};
use crate::{Error, Feed, Options};

/// The feed in use, and the recent failures.
#[derive(Debug)]
pub(crate) struct Recovery {
    options: Options,
    /// The index of the feed in the list.
    index: usize,
    /// When the feed in use was opened.
    opened_at: Option<Instant>,
    /// Waits in a row since the last progress.
    failures: u32,
    /// Failures in a row of this feed without a message. A failure to connect does not count.
    failures_of_feed: u32,
    /// Feeds in a row that were given up.
    given_up: usize,
    /// Whether one of these feeds was given up for a temporary reason.
    is_any_temporary: bool,
    /// How long the server asked its readers to wait before they come back.
    retry: Duration,
    /// When the first feed was last tried.
    first_tried_at: Instant,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Decision {
    /// Open [`Recovery::feed`] after this wait.
    Wait(Duration),
    /// The subscription ends.
    End(Error),
}

impl Recovery {
    pub(crate) fn new(options: Options, now: Instant) -> Self {
        Self {
            options,
            index: 0,
            opened_at: None,
            failures: 0,
            failures_of_feed: 0,
            given_up: 0,
            is_any_temporary: false,
            retry: Duration::ZERO,
            first_tried_at: now,
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// The feed to open.
    pub(crate) fn feed(&self) -> Feed {
        self.options.feeds[self.index]
    }

    /// Notes that the feed is about to be opened.
    pub(crate) fn opening(&mut self, now: Instant) {
        self.opened_at = None;
        if self.index == 0 {
            self.first_tried_at = now;
        }
    }

    /// Notes that the first bytes came.
    pub(crate) fn opened(&mut self, now: Instant) {
        self.opened_at = Some(now);
        self.given_up = 0;
        self.is_any_temporary = false;
    }

    /// Notes that a message came.
    pub(crate) fn progressed(&mut self) {
        self.failures = 0;
        self.failures_of_feed = 0;
    }

    /// Sets how long the server asks to wait after a cut (`retry:` of SSE). As in a browser, the
    /// wait holds until the server names another one. It is at most the longest wait that the
    /// caller allows.
    pub(crate) fn set_retry(&mut self, wait: Duration) {
        self.retry = wait.min(self.options.backoff.max);
    }

    /// Returns whether it is time to try the first feed again.
    pub(crate) fn is_first_due(&self, now: Instant) -> bool {
        self.index > 0 && now.duration_since(self.first_tried_at) >= self.options.prefer_again
    }

    /// Goes back to the first feed.
    pub(crate) fn return_to_first(&mut self) {
        self.index = 0;
        self.failures_of_feed = 0;
    }

    /// Decides what to do after a failure of the feed.
    pub(crate) fn failed(&mut self, error: &Error, now: Instant) -> Decision {
        if self.opened_at.is_some_and(|opened| now.duration_since(opened) >= STABLE_AFTER) {
            self.progressed();
        }
        let class = self.classify(error);
        if class == FailureClass::Final {
            return Decision::End(error.clone());
        }
        self.failures_of_feed += u32::from(class != FailureClass::Unreachable);
        if class != FailureClass::Blocked && self.failures_of_feed < MAX_FAILURES {
            if self.is_first_due(now) {
                self.return_to_first();
            }
            return self.wait(error);
        }
        // This feed is given up.
        self.failures_of_feed = 0;
        self.given_up += 1;
        self.is_any_temporary |= !is_permanent(error);
        self.index = (self.index + 1) % self.options.feeds.len();
        if self.given_up < self.options.feeds.len() {
            return Decision::Wait(retry_after(error));
        }
        // All feeds were given up.
        if !self.is_any_temporary {
            return Decision::End(error.clone());
        }
        self.given_up = 0;
        self.is_any_temporary = false;
        self.index = 0;
        self.wait(error)
    }

    fn wait(&mut self, error: &Error) -> Decision {
        self.failures += 1;
        if self.options.retry_limit.is_some_and(|limit| self.failures > limit) {
            return Decision::End(Error::GaveUp { attempts: self.failures, last: Box::new(error.clone()) });
        }
        let spread = match error {
            // All readers of the server get these close codes at once.
            Error::Closed { code: close::RESTART | close::TRY_AGAIN_LATER, .. } => {
                self.failures.max(RESTART_FAILURES)
            }
            _ => self.failures,
        };
        Decision::Wait(self.options.backoff.wait(spread).max(self.retry).max(retry_after(error)))
    }

    fn classify(&self, error: &Error) -> FailureClass {
        match error {
            Error::Connect { .. } | Error::Timeout(Awaited::Connection) => FailureClass::Unreachable,
            Error::Timeout(Awaited::FirstBytes) => FailureClass::Blocked,
            Error::Timeout(_) | Error::Cut(_) | Error::FeedEnded | Error::Closed { .. } => {
                FailureClass::Temporary
            }
            Error::Protocol(_) if self.opened_at.is_some() => FailureClass::Temporary,
            Error::Protocol(_) => FailureClass::Blocked,
            Error::Refused(problem) => match problem.status {
                408 | 429 | 503 => FailureClass::Temporary,
                // A proxy refuses requests that it does not understand, above all an upgrade. But
                // if the server itself refuses a plain GET, it would refuse the other feeds too.
                400..=499 if problem.is_document && self.feed() != Feed::WebSocket => FailureClass::Final,
                _ => FailureClass::Blocked,
            },
            _ => FailureClass::Final,
        }
    }
}

/// What a failure says about the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FailureClass {
    /// Nothing, because there is no connection.
    Unreachable,
    /// It may work the next time.
    Temporary,
    /// This feed does not get through.
    Blocked,
    /// No feed will work, so another attempt is useless.
    Final,
}

/// Returns whether the error is permanent. (A compressed answer is: the proxy compresses until
/// somebody changes its configuration.)
fn is_permanent(error: &Error) -> bool {
    match error {
        Error::Refused(problem) => matches!(problem.status, 300..=407 | 409..=428 | 430..=499),
        Error::Protocol(Protocol::ContentCoding(_)) => true,
        _ => false,
    }
}

fn retry_after(error: &Error) -> Duration {
    match error {
        Error::Refused(problem) => problem.retry_after.unwrap_or_default().min(MAX_RETRY_AFTER),
        _ => Duration::ZERO,
    }
}

/// A feed that was open for this time works. Its next failure counts as the first.
const STABLE_AFTER: Duration = Duration::from_secs(5);

/// The number of failures in a row without a message after which a feed is given up. One failure
/// may be a restart of the server.
const MAX_FAILURES: u32 = 3;

/// A restart counts as this number of failures. Then the bound of the first random wait is 2 s
/// instead of 250 ms.
const RESTART_FAILURES: u32 = 4;

/// The longest wait that a server can ask for with `Retry-After`. After that time a reader asks
/// again, even if the server named a longer one.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::Problem;

    fn cut() -> Error {
        Error::cut(io::ErrorKind::ConnectionReset.into())
    }

    fn refused(status: u16, is_document: bool) -> Error {
        let problem = Problem {
            status,
            title: String::new(),
            detail: String::new(),
            retry_after: (status == 503).then_some(Duration::from_secs(7)),
            reason: None,
            earliest: None,
            is_unknown: None,
            is_document,
        };
        Error::Refused(problem)
    }

    fn unreachable() -> Error {
        Error::Connect {
            address: String::new(),
            source: io::Error::from(io::ErrorKind::ConnectionRefused).into(),
        }
    }

    /// Fails once. Returns the wait, or `None` at the end.
    fn fail(recovery: &mut Recovery, error: &Error) -> Option<Duration> {
        recovery.opening(Instant::now());
        match recovery.failed(error, Instant::now()) {
            Decision::Wait(wait) => Some(wait),
            Decision::End(_) => None,
        }
    }

    fn new(options: Options) -> Recovery {
        Recovery::new(options, Instant::now())
    }

    #[test]
    fn a_refused_upgrade_falls_back_at_once() {
        let mut recovery = new(Options::DEFAULT);
        assert_eq!(fail(&mut recovery, &refused(426, true)), Some(Duration::ZERO));
        assert_eq!(recovery.feed(), Feed::Sse);
        assert_eq!(fail(&mut recovery, &Error::Timeout(Awaited::FirstBytes)), Some(Duration::ZERO));
        assert_eq!(recovery.feed(), Feed::Stream);
        assert_eq!(fail(&mut recovery, &refused(502, false)), Some(Duration::ZERO));
        assert_eq!(recovery.feed(), Feed::LongPoll);
        assert_eq!(fail(&mut recovery, &refused(404, false)), Some(Duration::ZERO));
        assert_eq!(recovery.feed(), Feed::Poll);
        assert!(fail(&mut recovery, &refused(404, false)).is_some(), "the 502 may be temporary");
        assert_eq!(recovery.feed(), Feed::WebSocket);
    }

    #[test]
    fn a_refusal_of_every_feed_is_the_end() {
        let mut recovery = new(Options::DEFAULT.with_feeds([Feed::WebSocket, Feed::Poll]));
        assert!(fail(&mut recovery, &refused(404, false)).is_some());
        assert!(fail(&mut recovery, &refused(404, false)).is_none());
        let mut recovery = new(Options::DEFAULT);
        assert!(fail(&mut recovery, &refused(401, true)).is_some(), "a proxy may refuse the upgrade");
        assert!(fail(&mut recovery, &refused(401, true)).is_none(), "the server itself refuses a GET");
        assert!(fail(&mut new(Options::DEFAULT), &Error::TooLarge { limit: 1 }).is_none());
    }

    #[test]
    fn an_unreachable_server_does_not_change_the_feed() {
        let mut recovery = new(Options::DEFAULT);
        for _ in 0..10 {
            assert!(fail(&mut recovery, &unreachable()).unwrap() <= Duration::from_secs(30));
            assert_eq!(recovery.feed(), Feed::WebSocket);
        }
    }

    #[test]
    fn a_feed_that_breaks_again_and_again_is_given_up() {
        let mut recovery = new(Options::DEFAULT);
        for _ in 0..MAX_FAILURES {
            assert_eq!(recovery.feed(), Feed::WebSocket);
            recovery.opening(Instant::now());
            recovery.opened(Instant::now());
            assert!(matches!(recovery.failed(&cut(), Instant::now()), Decision::Wait(_)));
        }
        assert_eq!(recovery.feed(), Feed::Sse);
        for _ in 0..10 {
            recovery.opening(Instant::now());
            recovery.opened(Instant::now());
            recovery.progressed();
            assert!(matches!(recovery.failed(&cut(), Instant::now()), Decision::Wait(_)));
            assert_eq!(recovery.feed(), Feed::Sse, "messages get through");
        }
    }

    #[test]
    fn the_server_says_when_to_come_back() {
        let mut recovery = new(Options::DEFAULT);
        assert!(fail(&mut recovery, &refused(503, true)).unwrap() >= Duration::from_secs(7));
        assert_eq!(recovery.feed(), Feed::WebSocket);
        recovery.opening(Instant::now());
        recovery.opened(Instant::now());
        recovery.set_retry(Duration::from_secs(3));
        assert!(fail(&mut recovery, &Error::FeedEnded).unwrap() >= Duration::from_secs(3));
    }

    #[test]
    fn the_first_feed_is_tried_again_after_a_while() {
        let mut recovery = new(Options::DEFAULT.with_prefer_again(Duration::from_secs(300)));
        let start = Instant::now();
        fail(&mut recovery, &refused(426, true));
        recovery.opening(start);
        recovery.opened(start);
        assert!(!recovery.is_first_due(start + Duration::from_secs(299)));
        assert!(recovery.is_first_due(start + Duration::from_secs(301)));
        recovery.failed(&cut(), start + Duration::from_secs(301));
        assert_eq!(recovery.feed(), Feed::WebSocket);
    }

    #[test]
    fn attempts_can_be_limited() {
        let mut recovery = new(Options::DEFAULT.with_retry_limit(2));
        assert!(fail(&mut recovery, &unreachable()).is_some());
        assert!(fail(&mut recovery, &unreachable()).is_some());
        assert!(fail(&mut recovery, &unreachable()).is_none());
        let mut recovery = new(Options::DEFAULT.with_retry_limit(0));
        assert!(fail(&mut recovery, &cut()).is_none());
    }
}
