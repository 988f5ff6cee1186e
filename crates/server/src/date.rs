//! The `Date` field (RFC 9110 §6.6.1), formatted once a second for each worker.

use std::time::{Duration, Instant, SystemTime};

/// `Sun, 06 Nov 1994 08:49:37 GMT`: IMF-fixdate always has this many bytes.
const LEN: usize = 29;

pub(crate) struct DateCache {
    text: [u8; LEN],
    until: Instant,
}

impl DateCache {
    pub(crate) fn new() -> Self {
        let mut cache = DateCache { text: [b' '; LEN], until: Instant::now() };
        cache.refresh(Instant::now());
        cache
    }

    pub(crate) fn get(&mut self) -> [u8; LEN] {
        let now = Instant::now();
        if now >= self.until {
            self.refresh(now);
        }
        self.text
    }

    fn refresh(&mut self, now: Instant) {
        let wall = SystemTime::now();
        let text = httpdate::fmt_http_date(wall);
        // Until the wall clock's next second, so that two workers never differ by one.
        let into = wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
        self.until = now + Duration::from_nanos(u64::from(1_000_000_000 - into));
        if text.len() == LEN {
            self.text.copy_from_slice(text.as_bytes());
        }
    }
}
