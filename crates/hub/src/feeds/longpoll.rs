//! Long polling (RFC 6202 §2): a poll is held until there is a message, or until its time is over.

use std::time::Duration;

/// Bytes of payload in one answer. A client on a bad connection must receive a whole answer before
/// it can ask for the next.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

/// How long a poll is held, if the client does not say.
pub(crate) const DEFAULT_WAIT: Duration = Duration::from_secs(25);

/// The longest hold: below the 60 s at which common proxies give up (RFC 6202 §5.5).
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(55);

/// Shortens a hold by up to a tenth, so that polls which came together do not end together.
/// `jitter` is in 0..1.
pub(crate) fn hold(wait: Duration, jitter: f64) -> Duration {
    wait.min(MAX_WAIT).mul_f64(1.0 - 0.1 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_are_bounded_and_jittered() {
        assert_eq!(hold(Duration::from_secs(10), 0.0), Duration::from_secs(10));
        assert_eq!(hold(Duration::from_secs(10), 1.0), Duration::from_secs(9));
        assert_eq!(hold(Duration::from_secs(500), 0.0), MAX_WAIT);
    }
}
