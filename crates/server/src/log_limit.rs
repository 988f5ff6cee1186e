//! A limit on log lines that a client can cause.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The time between two lines of one kind. With one minute an operator sees that the event goes on,
/// and no client can fill a disk.
const EVERY: Duration = Duration::from_secs(60);

/// Limits the log lines of one kind of event, for the whole process. Make it a `static` next
/// to the line.
///
/// ```
/// use tidewire_server::LogLimit;
///
/// static FAILED: LogLimit = LogLimit::new();
/// let mut written = 0;
/// for _ in 0..1_000 {
///     if let Some(kept_back) = FAILED.admit() {
///         assert_eq!(kept_back, 0, "nothing happened before");
///         written += 1;
///     }
/// }
/// assert_eq!(written, 1);
/// ```
#[derive(Debug)]
pub struct LogLimit(Mutex<State>);

#[derive(Debug)]
struct State {
    last: Option<Instant>,
    kept_back: u64,
}

impl LogLimit {
    /// A limit that has let nothing through yet.
    #[must_use]
    pub const fn new() -> Self {
        LogLimit(Mutex::new(State { last: None, kept_back: 0 }))
    }

    /// Returns `Some` if the line may be written now, with the number of lines that were kept back
    /// since the last written line. `None` means: do not write this line.
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < EVERY) {
            state.kept_back += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.kept_back))
    }
}

impl Default for LogLimit {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_per_minute_is_written_with_the_number_of_skipped_lines() {
        let limit = LogLimit::new();
        let start = Instant::now();
        let at = |seconds: u64| limit.admit_at(start + Duration::from_secs(seconds));
        assert_eq!(at(0), Some(0));
        assert_eq!([at(0), at(1), at(59)], [None; 3]);
        assert_eq!(at(60), Some(3));
        assert_eq!(at(119), None);
        assert_eq!(at(500), Some(1));
        assert_eq!(at(400), None, "an earlier time admits no line");
    }
}
