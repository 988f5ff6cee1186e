//! Linear time under one-byte reads: a decoder must not read earlier bytes again when a byte
//! arrives.

use crate::{Subject, split};
use std::time::Duration;

/// Decodes both inputs byte by byte and compares the time per byte.
///
/// `large` must be at least eight times as long as `small`, and `small` should have some hundred
/// bytes. A decoder that starts again at each byte takes eight times as long per byte of `large`.
/// Panics if it takes more than three times as long in each of eight rounds. Only the processor
/// time of this thread counts, so that a busy machine does not fail the test.
pub fn check<S: Subject>(mut make: impl FnMut() -> S, small: &[u8], large: &[u8]) {
    assert!(large.len() >= 8 * small.len(), "the large input must be eight times the small one");
    let mut ratio = f64::INFINITY;
    for _ in 0..8 {
        ratio = ratio.min(per_byte(&mut make, large) / per_byte(&mut make, small));
        if ratio < 3.0 {
            return;
        }
    }
    panic!(
        "one-byte reads: a byte of {} takes {ratio:.1} times as long as a byte of {}",
        large.len(),
        small.len()
    );
}

/// Nanoseconds per byte: the best of three measurements of 2 ms.
fn per_byte<S: Subject>(make: &mut impl FnMut() -> S, input: &[u8]) -> f64 {
    let cuts: Vec<usize> = (1..input.len()).collect();
    let once = |make: &mut dyn FnMut() -> S| {
        let start = busy_time();
        let mut runs = 0_u32;
        while busy_time() - start < Duration::from_millis(2) {
            split::drive(make(), input, &cuts);
            runs += 1;
        }
        (busy_time() - start).as_nanos() as f64 / (f64::from(runs) * input.len() as f64)
    };
    (0..3).map(|_| once(make)).fold(f64::INFINITY, f64::min)
}

/// The processor time of this thread, without the time in which it waited for a processor.
#[cfg(unix)]
pub fn busy_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The time since the first call. The processor time of a thread is not known on this system.
#[cfg(not(unix))]
pub fn busy_time() -> Duration {
    use std::sync::LazyLock;
    use std::time::Instant;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Failure};

    /// Waits for a line feed. Each call reads the input from the start, unless `remembers`.
    struct Line {
        remembers: bool,
        seen: usize,
    }

    impl Subject for Line {
        fn decode(&mut self, input: &mut [u8]) -> Result<(usize, Option<Event>), Failure> {
            let from = if self.remembers { self.seen } else { 0 };
            let end = input[from..].iter().position(|byte| std::hint::black_box(*byte) == b'\n');
            self.seen = input.len();
            Ok(end.map_or((0, None), |end| {
                self.seen = 0;
                (from + end + 1, Some(Event::other("line")))
            }))
        }

        fn finish(&mut self) -> Result<Option<Event>, Failure> {
            Ok(None)
        }
    }

    fn line(len: usize) -> Vec<u8> {
        let mut line = vec![b'a'; len];
        line.push(b'\n');
        line
    }

    #[test]
    fn a_decoder_that_continues_where_it_stopped_passes() {
        check(|| Line { remembers: true, seen: 0 }, &line(200), &line(3200));
    }

    #[test]
    #[should_panic(expected = "times as long as a byte")]
    fn a_decoder_that_starts_again_is_detected() {
        check(|| Line { remembers: false, seen: 0 }, &line(200), &line(3200));
    }
}
