//! The `Date` field (RFC 9110 §6.6.1), made once a second for each worker.

use std::time::{Duration, Instant, SystemTime};

use tidewire_http1::FieldBlock;

pub(crate) struct DateCache {
    field: FieldBlock,
    until: Instant,
}

impl DateCache {
    pub(crate) fn new() -> Self {
        let mut cache = DateCache { field: FieldBlock::new(), until: Instant::now() };
        cache.refresh(Instant::now());
        cache
    }

    pub(crate) fn get(&mut self) -> &FieldBlock {
        let now = Instant::now();
        if now >= self.until {
            self.refresh(now);
        }
        &self.field
    }

    fn refresh(&mut self, now: Instant) {
        let wall = SystemTime::now();
        self.field.clear();
        self.field.push("Date", httpdate::fmt_http_date(wall)).expect("a date is visible ASCII");
        // Until the wall clock's next second, so that two workers never differ by one.
        let into = wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
        self.until = now + Duration::from_nanos(u64::from(1_000_000_000 - into));
    }
}
