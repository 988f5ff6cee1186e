//! Limits how long publishers wait for readers that are behind for a moment.
//!
//! The socket of a fast reader may be full for a moment. After an answer, a long poll reader has no
//! request open for a moment. A burst of messages must not evict what such a reader needs next, so
//! publishers wait for it. But slow readers, or many readers in turn, must not slow the publishers.
//! So the waiting time is a credit, for each connection and for each channel. The credit comes back
//! more slowly than it is used.

/// The most that can be used at once, in milliseconds.
const MOST_MS: u64 = 200;

/// A running worker notices the end of a credit at most this much too late. The extra time counts
/// as used.
pub(crate) const CHECK_MS: u64 = 50;

/// The credit of a connection. It is in use at most 1/16 of the time.
pub(crate) type ConnectionCredit = Credit<16>;

/// The credit of a channel, which all its readers share. It is in use at most 1/4 of the time.
pub(crate) type ChannelCredit = Credit<4>;

/// A credit of which a used millisecond comes back within `BACK` milliseconds. Times are
/// milliseconds of the hub's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Credit<const BACK: u64> {
    /// The time at which the full credit is back.
    full_at_ms: u64,
    /// The time since which it is in use.
    since_ms: Option<u64>,
}

impl<const BACK: u64> Credit<BACK> {
    /// The time at which the credit is used up. It is counted from the start of the use, or from
    /// now if the credit is not in use.
    pub(crate) fn end_ms(&self, now_ms: u64) -> u64 {
        let since_ms = self.since_ms.unwrap_or(now_ms);
        since_ms + self.left(since_ms)
    }

    /// Starts to use the credit.
    pub(crate) fn begin(&mut self, now_ms: u64) {
        self.since_ms.get_or_insert(now_ms);
    }

    /// Stops using the credit.
    pub(crate) fn end(&mut self, now_ms: u64) {
        let Some(since_ms) = self.since_ms.take() else { return };
        // Count at least one millisecond, so that many short uses are not free.
        let took = now_ms.saturating_sub(since_ms).clamp(1, self.left(since_ms) + CHECK_MS);
        self.full_at_ms = self.full_at_ms.max(since_ms) + took * BACK;
    }

    fn left(&self, now_ms: u64) -> u64 {
        MOST_MS.saturating_sub(self.full_at_ms.saturating_sub(now_ms).div_ceil(BACK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credit_is_used_up_and_comes_back() {
        let mut credit = ChannelCredit::default();
        assert_eq!(credit.end_ms(1_000), 1_200);
        credit.begin(1_000);
        credit.begin(1_010);
        assert_eq!(credit.end_ms(1_020), 1_200, "the credit was in use already");
        credit.end(1_050);
        credit.end(1_060);
        assert_eq!(credit.end_ms(1_050), 1_050 + 200 - 38, "37.5 of 50 ms are still owed");
        credit.begin(1_050);
        // The process did not run meanwhile. The credit was used up, and a little more.
        credit.end(9_000);
        assert_eq!(credit.end_ms(9_000), 9_200);
        credit.begin(9_000);
        credit.end(9_200);
        assert_eq!(credit.end_ms(9_200), 9_250, "some of it came back meanwhile");
        credit.begin(9_200);
        credit.end(9_250);
        assert_eq!(credit.end_ms(9_251), 9_251 + 12);
    }

    #[test]
    fn a_credit_is_in_use_for_at_most_a_quarter_of_the_time() {
        let mut dice = fastrand::Rng::with_seed(7);
        let (mut credit, mut now, mut used) = (ChannelCredit::default(), 0, 0);
        while now < 1_000_000 {
            let end = credit.end_ms(now);
            if end > now {
                credit.begin(now);
                let took = dice.u64(1..=300).min(end - now);
                (now, used) = (now + took, used + took);
                credit.end(now);
            }
            now += dice.u64(0..3);
        }
        assert!(used <= 1_000_000 / 4 + MOST_MS, "{used} ms of 1,000,000");
        assert!(used >= 100_000, "{used} ms");
    }
}
