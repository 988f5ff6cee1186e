//! The `Date` field (RFC 9110 §6.6.1), made once per second in each worker.

use std::time::{Duration, Instant, SystemTime};

use tidewire_http1::FieldBlock;

pub(crate) struct DateCache {
    field: FieldBlock,
    until: Instant,
    /// The second of the field, since 1970.
    edition: u64,
}

impl DateCache {
    pub(crate) fn new() -> Self {
        let mut cache = DateCache { field: FieldBlock::new(), until: Instant::now(), edition: 0 };
        cache.refresh(Instant::now(), SystemTime::now());
        cache
    }

    /// The field at the time `now`, and its edition.
    pub(crate) fn get(&mut self, now: Instant) -> (&FieldBlock, u64) {
        if now >= self.until {
            self.refresh(now, SystemTime::now());
        }
        (&self.field, self.edition)
    }

    fn refresh(&mut self, now: Instant, wall: SystemTime) {
        self.field.clear();
        self.field.push("Date", httpdate::fmt_http_date(wall)).expect("a date is visible ASCII");
        let since_1970 = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.edition = since_1970.as_secs();
        // Until the next second of the wall clock, so that two workers never differ by a second.
        self.until = now + Duration::from_nanos(u64::from(1_000_000_000 - since_1970.subsec_nanos()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Workers share encoded answers, which are kept with their edition. Each worker has its own
    /// cache of the date.
    #[test]
    fn the_same_edition_is_the_same_date_in_every_cache() {
        let cache = |seconds: &[u64]| {
            let mut cache = DateCache::new();
            for &second in seconds {
                cache.refresh(Instant::now(), SystemTime::UNIX_EPOCH + Duration::from_secs(second));
            }
            cache
        };
        let (one, same, other) = (cache(&[5]), cache(&[3, 4, 5]), cache(&[6]));
        assert_eq!((one.field.as_bytes(), one.edition), (same.field.as_bytes(), same.edition));
        assert_ne!(one.field.as_bytes(), other.field.as_bytes());
        assert_ne!(one.edition, other.edition);
    }
}
