//! Long polling (RFC 6202 §2): the server holds the request until there is a message, or the wait
//! is over. The answers are those of `poll.rs`.

use std::time::Duration;

/// How long to let the server hold a poll.
///
/// The server does not hold the first poll on a connection. Its answer shows at once whether the
/// feed works, and gives a cursor to a reader that has none. If such a reader waited with
/// `since=now` and were cut, it would come back at a later "now" and miss messages.
pub(crate) const fn wait(first: bool, wanted: Duration) -> Duration {
    if first { Duration::ZERO } else { wanted }
}

/// How long to wait before the next poll, after a poll that brought nothing. The wait is zero if
/// the server held the poll. The server does not hold it if a proxy on the way answers instead, if
/// it holds too many polls already, or if no hold was asked for (a short poll). A server may hold a
/// poll for less than was asked: any time longer than `interval` counts as held.
pub(crate) fn pause(asked: Duration, took: Duration, interval: Duration) -> Duration {
    let was_held = !asked.is_zero() && (took * 2 >= asked || took >= interval);
    if was_held { Duration::ZERO } else { interval }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_that_are_not_held_become_short_polls() {
        let s = Duration::from_secs;
        assert_eq!(pause(s(25), s(24), s(2)), s(0));
        assert_eq!(pause(s(25), s(1), s(2)), s(2));
        assert_eq!(pause(s(25), s(0), s(2)), s(2));
        assert_eq!(pause(s(0), s(0), s(2)), s(2), "no hold was asked for");
        assert_eq!(pause(s(200), s(55), s(2)), s(0), "the server's longest hold");
        assert_eq!(pause(Duration::MAX, s(55), s(2)), s(0));
        assert_eq!(pause(Duration::MAX, s(0), Duration::MAX), Duration::MAX);
    }
}
