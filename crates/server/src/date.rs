//! The `Date` field (RFC 9110 §6.6.1), made once a second for each worker.

use std::time::{Duration, Instant, SystemTime};

use tidewire_http1::FieldBlock;

pub(crate) struct DateCache {
    field: FieldBlock,
    until: Instant,
    /// Goes up with each new field.
    edition: u64,
}

impl DateCache {
    pub(crate) fn new() -> Self {
        let mut cache = DateCache { field: FieldBlock::new(), until: Instant::now(), edition: 0 };
        cache.refresh(Instant::now());
        cache
    }

    /// The field, as of `now`, and which one it is.
    pub(crate) fn get(&mut self, now: Instant) -> (&FieldBlock, u64) {
        if now >= self.until {
            self.refresh(now);
        }
        (&self.field, self.edition)
    }

    fn refresh(&mut self, now: Instant) {
        let wall = SystemTime::now();
        self.edition += 1;
        self.field.clear();
        self.field.push("Date", httpdate::fmt_http_date(wall)).expect("a date is visible ASCII");
        // Until the wall clock's next second, so that two workers never differ by one.
        let into = wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
        self.until = now + Duration::from_nanos(u64::from(1_000_000_000 - into));
    }
}
