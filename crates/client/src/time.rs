//! Deadlines. Callers write [`Duration::MAX`] for "never".

use std::time::Duration;

use tokio::time::Instant;

/// The moment `wait` after `start`. A wait that is too long for the clock becomes 30 years, because
/// `start + wait` would panic.
///
/// tokio's `sleep` and `timeout` do the same.
pub(crate) fn after(start: Instant, wait: Duration) -> Instant {
    start + wait.min(NEVER)
}

/// 30 years, as in tokio: the clocks of some systems cannot hold 100.
const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_too_long_for_the_clock_is_30_years() {
        let now = Instant::now();
        assert_eq!(after(now, Duration::from_secs(5)), now + Duration::from_secs(5));
        for wait in [Duration::MAX, Duration::from_secs(i64::MAX as u64), Duration::from_millis(u64::MAX)] {
            assert_eq!(after(now, wait), now + NEVER);
            assert_eq!(after(after(now, wait), wait), now + 2 * NEVER);
        }
    }
}
