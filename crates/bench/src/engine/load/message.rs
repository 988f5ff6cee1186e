//! The messages that the load publishes, and percentiles.

use std::time::Duration;

/// A message of 100 bytes: its number, when it was sent, and padding.
pub(super) fn message(number: u64, sent: Duration) -> String {
    format!("#{number:010}T{:016}#{:x<71}", sent.as_nanos(), "")
}

/// The length of `message`.
pub(super) const MESSAGE: usize = 100;

/// Returns the value below which this share of the sorted values is.
pub(super) fn percentile(sorted: &[u32], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share) as usize).map_or(0.0, |&value| f64::from(value))
}
